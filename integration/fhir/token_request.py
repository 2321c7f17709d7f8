"""Asks a token address for an access token, and says in a sentence why there is none.

https://hl7.org/fhir/smart-app-launch/backend-services.html, https://www.rfc-editor.org/rfc/rfc6749#section-5
"""

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import quote, urlsplit

import requests
import urllib3
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey

from integration.fhir_json import loads
from mappings.model.errors import ConfigError, Mistake, NeedsPerson, PermanentError, TemporaryError, TransferError
from mappings.model.token import Token

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
ASSERTION_SECONDS = 240  # at most 300 from the server's clock: ours may be a minute ahead
SECONDS, LARGEST_ANSWER = 20.0, 64 * 1024
SHORTEST_LIFE = timedelta(seconds=10)
UNSTATED_LIFE = timedelta(minutes=5)  # expires_in is required; some servers leave it out
# Servers refuse an assertion made later than this by their clock; `Date` of their answer tells it.
SKEW_SECONDS = 60


@dataclass(frozen=True)
class SigningKey:
    """A private key of ours, and what the other side knows it by."""

    key: RSAKey | ECKey
    kid: str | None
    algorithm: str  # RS384 or ES384


def read_key(pem: str, kid: str | None, algorithm: str, where: str) -> SigningKey:
    """The key in ``pem``; raises ConfigError naming ``where`` it came from, never what it says."""
    kind = RSAKey if algorithm.startswith("RS") else ECKey
    try:
        key = kind.import_key(pem)
        if not key.is_private:
            raise ValueError
        if (
            isinstance(key, RSAKey)
            and key.raw_value.key_size < 2048
            or isinstance(key, ECKey)
            and key.curve_name != "P-384"
        ):
            raise ValueError
    except (JoseError, ValueError, TypeError):
        wanted = "an RSA key of at least 2048 bits" if kind is RSAKey else "a P-384 key"
        why = f"holds no private key in PEM that {algorithm} signs with ({wanted}); second-opinion keys new makes one"
        raise ConfigError([Mistake(where, None, "", why)]) from None
    return SigningKey(key, kid, algorithm)


def assertion(key: SigningKey, client_id: str, token_url: str, now: datetime) -> str:
    """A signed statement of who we are, for one token request: the exact claims the specification asks for."""
    header = {"alg": key.algorithm, "typ": "JWT", **({"kid": key.kid} if key.kid else {})}
    claims = {
        "iss": client_id,
        "sub": client_id,
        "aud": token_url,
        "exp": int(now.timestamp()) + ASSERTION_SECONDS,
        "iat": int(now.timestamp()),
        "jti": secrets.token_urlsafe(24),
    }
    return jwt.encode(header, claims, key.key, algorithms=[key.algorithm])


class TokenAddress:
    """The token address of one endpoint; safe to use from several threads."""

    def __init__(
        self,
        endpoint: str,
        session: requests.Session,
        *,
        token_url: Callable[[], str],
        client_id: str,
        scopes: tuple[str, ...],
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ):
        self.endpoint, self.client_id = endpoint, client_id
        self._session, self._token_url, self._scopes, self._now = session, token_url, scopes, now
        self._ahead = timedelta(0)  # of the server's clock before ours

    def with_key(self, key: Callable[[], SigningKey]) -> Token:
        """By private_key_jwt. Raises TransferError or NeedsPerson with the sentence an integrator needs."""
        url = self._token_url()
        try:
            return self._ask(url, self._signed(key(), url))
        except _ClockIsOff as off:
            self._ahead = off.ahead
            return self._ask(url, self._signed(key(), url))

    def with_secret(self, secret: Callable[[], str], sent_as: str) -> Token:
        """By a client secret, in the header or in the form."""
        if sent_as == "post":
            return self._ask(self._token_url(), {"client_id": self.client_id, "client_secret": secret()})
        auth = (quote(self.client_id, safe=""), quote(secret(), safe=""))  # RFC 6749 2.3.1
        return self._ask(self._token_url(), {}, auth)

    def _signed(self, key: SigningKey, url: str) -> dict[str, str]:
        signed = assertion(key, self.client_id, url, self._now() + self._ahead)
        return {"client_assertion_type": ASSERTION_TYPE, "client_assertion": signed}

    def _ask(self, url: str, form: Mapping[str, str], auth: tuple[str, str] | None = None) -> Token:
        asked = {
            "grant_type": "client_credentials",
            **({"scope": " ".join(self._scopes)} if self._scopes else {}),
            **form,
        }
        before = self._now()
        status, headers, body = _post(self._session, url, asked, auth, self.endpoint)
        if status == 200:
            return self._token(body, before)
        self._clock(status, headers)
        raise refusal(self.endpoint, status, _words(body), is_redirect=300 <= status < 400)

    def _clock(self, status: int, headers: Mapping[str, str]) -> None:
        """A server whose clock differs by minutes refuses every assertion: its own time is used then, once."""
        ahead = _ahead_of(headers, self._now())
        if status in (400, 401) and ahead is not None and abs(ahead - self._ahead) > timedelta(seconds=SKEW_SECONDS):
            raise _ClockIsOff(ahead)

    def _token(self, body: Any, before: datetime) -> Token:
        value = body.get("access_token") if isinstance(body, dict) else None
        if not isinstance(value, str) or not value.isascii() or not value.isprintable() or " " in value or not value:
            raise NeedsPerson(
                "sign-in-no-token",
                f"the token address of {self.endpoint} answers 200 without an access token",
            )
        if str(body.get("token_type", "")).lower() != "bearer":
            raise NeedsPerson(
                "sign-in-not-bearer", f"the token address of {self.endpoint} gives a token that is not of type bearer"
            )
        return Token.of(value, _life(body.get("expires_in")), before, _scope_of(body))


class _ClockIsOff(Exception):
    def __init__(self, ahead: timedelta):
        self.ahead = ahead


def refusal(endpoint: str, status: int, error: str, *, is_redirect: bool = False) -> TransferError | NeedsPerson:
    """The sentence for what a token address answered; ``error`` is its code of RFC 6749 5.2, or empty."""
    said = f" ({error})" if error else ""
    if is_redirect:
        return NeedsPerson(
            "sign-in-redirect",
            f"the token address of {endpoint} answers {status}, a redirect, and nothing secret follows one",
        )
    if status == 429 or status >= 500:
        return _away("the token address", endpoint, status)
    cause, why = _REFUSALS.get(error, _UNKNOWN_REFUSAL)
    return NeedsPerson(cause, f"{endpoint} refuses our sign-in with {status}{said}: {why}")


def _away(what: str, endpoint: str, status: int) -> TemporaryError:
    message = f"{what} of {endpoint} answers {status}"
    return TemporaryError(message, endpoint=endpoint, status_code=status, cause="sign-in-away")


_REFUSALS = {  # error of RFC 6749 5.2 -> our cause, and what the refusal says
    "invalid_client": ("sign-in-client", "it does not know the client id, or cannot check our signature"),
    "unauthorized_client": ("sign-in-not-allowed", "this client id may not sign in like this"),
    "unsupported_grant_type": ("sign-in-not-offered", "it does not offer sign-in for machines"),
    "invalid_scope": ("sign-in-scope", "it does not give what we ask for"),
    "invalid_grant": ("sign-in-assertion", "the assertion is not accepted"),
    "invalid_request": ("sign-in-request", "it does not understand the request"),
}
_UNKNOWN_REFUSAL = ("sign-in-refused", "it does not say why")


def token_url_of(endpoint: str, base_url: str, session: requests.Session) -> str:
    """From the server's own discovery document (https://hl7.org/fhir/smart-app-launch/conformance.html)."""
    status, _, body = get_json(session, f"{base_url}/.well-known/smart-configuration", endpoint)
    url = body.get("token_endpoint") if status == 200 and isinstance(body, dict) else None
    if status == 429 or status >= 500:
        raise _away("the sign-in discovery", endpoint, status)
    if not isinstance(url, str) or urlsplit(url).scheme not in ("https", "http"):
        raise NeedsPerson(
            "sign-in-no-discovery",
            f"{endpoint} does not say where tokens are given (.well-known/smart-configuration answers {status})",
        )
    if urlsplit(url).scheme == "http" and urlsplit(base_url).scheme == "https":
        raise NeedsPerson("sign-in-not-encrypted", f"{endpoint} names a token address that is not encrypted")
    return url


def _post(
    session: requests.Session, url: str, form: Mapping[str, str], auth: tuple[str, str] | None, endpoint: str
) -> tuple[int, Mapping[str, str], Any]:
    return _exchange(lambda: session.post(
        url, data=dict(form), auth=auth, headers={"Accept": "application/json"}, timeout=SECONDS, stream=True, allow_redirects=False,
    ), endpoint)  # fmt: skip


def get_json(session: requests.Session, url: str, endpoint: str) -> tuple[int, Mapping[str, str], Any]:
    """Status, headers and body (None: no JSON); no redirect is followed. Raises TemporaryError when nobody answers."""
    return _exchange(lambda: session.get(
        url, headers={"Accept": "application/json"}, timeout=SECONDS, stream=True, allow_redirects=False
    ), endpoint)  # fmt: skip


def _exchange(ask: Callable[[], requests.Response], endpoint: str) -> tuple[int, Mapping[str, str], Any]:
    try:
        with ask() as answer:
            body = answer.raw.read(LARGEST_ANSWER, decode_content=True)
            return answer.status_code, answer.headers, _json(body)
    except (requests.RequestException, urllib3.exceptions.HTTPError, OSError, ValueError):
        pass  # left first: the error quotes the address, and what was sent
    raise TemporaryError(f"the token address of {endpoint} cannot be reached", endpoint=endpoint, cause="sign-in-away")


def _json(body: bytes) -> Any:
    try:
        return loads(body)
    except (ValueError, RecursionError, PermanentError):
        return None


def _words(body: Any) -> str:
    """Only codes that we know: an error_description may hold anything."""
    said = body.get("error") if isinstance(body, dict) else None
    return said if isinstance(said, str) and said in _REFUSALS else ""


def _life(expires_in: Any) -> timedelta:
    try:
        return max(timedelta(seconds=min(int(expires_in), 86400)), SHORTEST_LIFE)
    except (TypeError, ValueError, OverflowError):
        return UNSTATED_LIFE


def _scope_of(body: dict) -> str:
    scope = body.get("scope")
    return scope[:4000] if isinstance(scope, str) else ""


def _ahead_of(headers: Mapping[str, str], now: datetime) -> timedelta | None:
    try:
        said = parsedate_to_datetime(headers.get("Date", ""))
    except (TypeError, ValueError):
        return None
    return said - now if said.tzinfo else None
