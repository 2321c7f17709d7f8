"""Our assertions at a token address that we did not write: npm `oidc-provider`, its refusals included."""

import json
import shutil
import subprocess
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import jwt
import pytest
import requests
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from integration.fhir.token_request import ASSERTION_TYPE, TokenAddress, assertion, read_key
from integration.fhir.transport import careful_session
from mappings.model.errors import NeedsPerson

HERE = Path(__file__).parents[2] / "servers" / "oidc"
NOW = datetime.now(UTC)


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Path:
    """The provider with its packages, as the lock file has them."""
    if not (shutil.which("node") and shutil.which("npm")):
        pytest.skip("NOT AVAILABLE: node and npm, for npm oidc-provider")
    folder = tmp_path_factory.mktemp("oidc")
    for name in ("package.json", "package-lock.json", "provider.mjs"):
        shutil.copy(HERE / name, folder)
    command = ["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts"]
    if subprocess.run(command, cwd=folder, capture_output=True, check=False, timeout=180).returncode:
        pytest.skip("NOT AVAILABLE: npm oidc-provider: npm could not install it")
    return folder


@pytest.fixture(scope="module", params=["RS384", "ES384"])
def there(request, installed):
    """(token address, our key, its algorithm) of a provider that knows our public half as ``one``."""
    made = (
        rsa.generate_private_key(65537, 2048) if request.param == "RS384" else ec.generate_private_key(ec.SECP384R1())
    )
    kind = jwt.algorithms.RSAAlgorithm if request.param == "RS384" else jwt.algorithms.ECAlgorithm
    public = {**kind.to_jwk(made.public_key(), as_dict=True), "kid": "one", "alg": request.param, "use": "sig"}
    given = json.dumps({"client": "exchange", "alg": request.param, "jwks": {"keys": [public]}})
    process = subprocess.Popen(
        ["node", "provider.mjs", given], cwd=installed, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    pem = made.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    assert process.stdout is not None
    yield process.stdout.readline().strip() + "/token", read_key(pem, "one", request.param, "test"), pem
    process.kill()
    process.wait()


def address(url, **more) -> TokenAddress:
    return TokenAddress("hospital", careful_session(1), token_url=lambda: url, client_id="exchange", scopes=(), **more)


def post(url, signed) -> requests.Response:
    form = {"grant_type": "client_credentials", "client_assertion_type": ASSERTION_TYPE, "client_assertion": signed}
    return requests.post(url, data=form, timeout=10)


def test_a_strict_provider_gives_us_a_token(there):
    url, key, _ = there
    first, second = (address(url).with_key(lambda: key) for _ in range(2))
    assert first.value and second.value and first.value != second.value


def test_an_assertion_is_good_for_one_token(there):
    url, key, _ = there
    signed = assertion(key, "exchange", url, datetime.now(UTC))
    assert post(url, signed).status_code == 200
    again = post(url, signed)
    assert (again.status_code, again.json()["error"]) == (401, "invalid_client")


@pytest.mark.parametrize("wrong", ["aud", "expired", "kid", "alg"])
def test_what_it_refuses_waits_for_a_person_with_a_sentence(there, wrong):
    url, key, pem = there
    now = datetime.now(UTC) - (timedelta(minutes=30) if wrong == "expired" else timedelta(0))
    audience = "https://elsewhere.example/token" if wrong == "aud" else url
    if wrong == "kid":
        key = replace(key, kid="unknown")
    signed = assertion(key, "exchange", audience, now)
    if wrong == "alg":
        claims = jwt.decode(signed, options={"verify_signature": False})
        other = "RS256" if key.algorithm == "RS384" else "HS256"
        signed = jwt.encode(claims, pem if other == "RS256" else "x" * 64, other, {"kid": "one"})
    assert post(url, signed).json()["error"] == "invalid_client"
    if wrong == "kid":
        with pytest.raises(NeedsPerson) as asked:
            address(url).with_key(lambda: key)
        assert asked.value.cause == "sign-in-client" and str(asked.value)
