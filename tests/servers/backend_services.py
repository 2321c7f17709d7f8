"""A token address as strict as vendors' are (SMART Backend Services): each claim is checked, with a library that is not ours.

``refuse`` makes it answer something else; the other attributes are how one real vendor differs.
"""

import threading
import time
from base64 import b64decode
from collections.abc import Callable
from urllib.parse import unquote

import jwt

ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


class BackendServices:
    """Counts tokens; ``keys`` is what it knows as our key set (a dict, or a callable that fetches it)."""

    token_url = ""

    def __init__(self, keys, *, client_id: str = "exchange", secret: str = "s3cret&=", life: int = 300):
        self.keys, self.client_id, self.secret, self.life = keys, client_id, secret, life
        self.given: list[str] = []
        self.good: set[str] = set()
        self.asked: list[dict] = []  # the forms of token requests
        self.seen_jti: set[str] = set()
        self.refuse: list[tuple[int, dict, dict]] = []  # status, headers, body: the next token requests
        self.clock_ahead = 0.0
        self.slow = 0.0
        self.no_scope = False  # a scope is refused
        self.may_use_grant = True  # False: whoever signs in rightly is told unauthorized_client
        self.is_known = True  # False: the client was revoked, or its registration has not arrived yet
        self.scope: Callable[[], str] = lambda: "system/Patient.read"
        self._token_lock = threading.Lock()

    def revoke(self) -> None:
        """No token given so far opens anything any more."""
        with self._token_lock:
            self.good.clear()

    def revoke_client(self) -> None:
        """Neither does a new one: the client is not known any more."""
        self.is_known = False
        self.revoke()

    def opens(self, authorization: str) -> bool:
        """Whether a request with this header is let in."""
        with self._token_lock:
            return authorization.removeprefix("Bearer ") in self.good

    def token(self, form: dict, authorization: str) -> tuple[int, dict, dict]:
        """What the token address answers."""
        with self._token_lock:
            self.asked.append(form)
            if self.refuse:
                return self.refuse.pop(0)
            wrong = self._wrong(form, authorization)
            if wrong:
                return (
                    (400 if wrong != "invalid_client" else 401),
                    {},
                    {"error": wrong, "error_description": "Patient Zero"},
                )
            value = f"token-{len(self.given)}"
            self.given.append(value)
            self.good.add(value)
        body = {"access_token": value, "token_type": "Bearer", "expires_in": self.life, "scope": self.scope()}
        return 200, {}, body

    def _wrong(self, form: dict, authorization: str) -> str:
        if form.get("grant_type") != "client_credentials":
            return "unsupported_grant_type"
        if self.no_scope and "scope" in form:
            return "invalid_scope"
        if not self.is_known or not self._is_the_client(form, authorization):
            return "invalid_client"
        return "" if self.may_use_grant else "unauthorized_client"

    def _is_the_client(self, form: dict, authorization: str) -> bool:
        if authorization.startswith("Basic "):
            user, _, secret = b64decode(authorization.removeprefix("Basic ")).decode().partition(":")
            return (unquote(user), unquote(secret)) == (self.client_id, self.secret)
        if "client_secret" in form:
            return (form.get("client_id"), form["client_secret"]) == (self.client_id, self.secret)
        return form.get("client_assertion_type") == ASSERTION and self._is_signed(form)

    def _is_signed(self, form: dict) -> bool:
        token, now = form.get("client_assertion", ""), time.time() + self.clock_ahead
        try:
            header = jwt.get_unverified_header(token)
            known = self.keys() if callable(self.keys) else self.keys
            matching = [key for key in known["keys"] if key.get("kid") == header.get("kid")]
            if len(matching) != 1 or header.get("typ") != "JWT" or header["alg"] not in ("RS384", "ES384"):
                return False
            claims = jwt.decode(
                token,
                jwt.PyJWK(matching[0], algorithm=header["alg"]).key,
                algorithms=["RS384", "ES384"],
                options={"verify_aud": False, "verify_exp": False, "verify_iat": False},
            )
        except (jwt.PyJWTError, KeyError, ValueError):
            return False
        fits = (
            claims.get("iss") == claims.get("sub") == self.client_id
            and claims.get("aud") == self.token_url
            and now < claims.get("exp", 0) <= now + 300
            and abs(claims.get("iat", now) - now) < 60
            and len(claims.get("jti", "")) in range(10, 151)
            and claims["jti"] not in self.seen_jti
        )
        self.seen_jti.add(claims.get("jti", ""))
        return fits
