"""A machine that signs in by SMART Backend Services, made with a JOSE library that is not ours; it can lie in every claim."""

import json
import time
import uuid
from functools import cache

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from integration.store import clients

JWT_BEARER = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
OUT = object()  # a claim, header or parameter that is left out


def private_key(algorithm: str, number: int = 0):
    """Making an RSA key takes a moment: each once."""
    return _made(algorithm, number)


@cache
def _made(algorithm: str, number: int):
    return (
        rsa.generate_private_key(65537, 2048) if algorithm.startswith("RS") else ec.generate_private_key(ec.SECP384R1())
    )


def public_jwk(algorithm: str, kid: str, number: int = 0, **more) -> dict:
    """Its public half."""
    kind = RSAAlgorithm if algorithm.startswith("RS") else ECAlgorithm
    return {
        **json.loads(kind.to_jwk(private_key(algorithm, number).public_key())),
        "kid": kid,
        "alg": algorithm,
        **more,
    }


def key_set(*keys: dict) -> str:
    return json.dumps({"keys": list(keys)})


class Machine:
    """Registered at a practice with one key; asks for tokens there."""

    def __init__(self, guarded, practice="alice", name="lab", scopes="system/*.cruds", algorithm="RS384", kid="k1"):
        self.guarded, self.practice, self.algorithm, self.kid = guarded, practice, algorithm, kid
        self.scopes = scopes
        self.base = f"{guarded.config.web.address}/fhir/{practice}"
        with guarded.engine.begin() as conn:
            self.id = clients.add(
                conn, practice, name, scopes=scopes.split(), actor="test", jwks=key_set(public_jwk(algorithm, kid))
            )

    @property
    def token_url(self) -> str:
        return f"{self.base}/token"

    def claims(self, **changed) -> dict:
        said = {"iss": self.id, "sub": self.id, "aud": self.token_url, "exp": int(time.time()) + 240}
        return left({**said, "jti": str(uuid.uuid4()), **changed})

    def assertion(self, *, header=None, key=None, algorithm=None, **changed) -> str:
        algorithm = algorithm or self.algorithm
        key = private_key(self.algorithm) if key is None else key
        return jwt.encode(self.claims(**changed), key, algorithm, headers=left({"kid": self.kid, **(header or {})}))

    def form(self, **changed) -> dict:
        said = {"grant_type": "client_credentials", "scope": self.scopes, "client_assertion_type": JWT_BEARER}
        return left({**said, "client_assertion": changed.pop("client_assertion", None) or self.assertion(), **changed})

    def ask(self, practice: str | None = None, headers=None, **changed):
        """The answer of the token address."""
        here = self.guarded.app.test_client()
        return here.post(
            f"/fhir/{practice or self.practice}/token", data=self.form(**changed), headers=headers, **self.at
        )

    @property
    def at(self) -> dict:
        return {"base_url": self.guarded.config.web.address}

    def token(self, scope: str | None = None) -> str:
        answer = self.ask(**({"scope": scope} if scope else {}))
        assert answer.status_code == 200, answer.text
        return answer.json["access_token"]

    def send(self, method: str, path: str, body=None, *, token: str, practice: str | None = None, **headers):
        """A request to the hosted endpoint with a token."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.guarded.app.test_client().open(
            f"/fhir/{practice or self.practice}{path}",
            method=method,
            json=body,
            headers={"Authorization": f"Bearer {token}", **named},
            **self.at,
        )


def left(said: dict) -> dict:
    return {name: value for name, value in said.items() if value is not OUT}
