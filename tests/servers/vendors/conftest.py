"""One client's keys for all vendor-like servers."""

import time
import uuid

import jwt
import pytest
import requests
from cryptography.hazmat.primitives.asymmetric import ec

from tests.servers.backend_services import ASSERTION

KEY = ec.generate_private_key(ec.SECP384R1())
PUBLIC = {**jwt.algorithms.ECAlgorithm.to_jwk(KEY.public_key(), as_dict=True), "kid": "one", "alg": "ES384"}
KEYS = {"keys": [PUBLIC]}


@pytest.fixture
def keys() -> dict:
    """What a vendor knows of us."""
    return KEYS


def ask_token(url: str, *, lasts: float = 240, **more: str) -> requests.Response:
    """A token request with a signed assertion, as a careful client sends it."""
    claims = {"iss": "exchange", "sub": "exchange", "aud": url, "exp": time.time() + lasts, "jti": uuid.uuid4().hex}
    signed = jwt.encode(claims, KEY, "ES384", {"kid": "one", "typ": "JWT"})
    form = {"grant_type": "client_credentials", "client_assertion_type": ASSERTION, "client_assertion": signed}
    return requests.post(url, data=form | more, timeout=10)


@pytest.fixture
def token():
    """Asks for a token."""
    return ask_token
