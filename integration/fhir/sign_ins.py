"""Makes the sign-in of an endpoint from its configuration; secrets are read when they are needed, so that a new one counts."""

import hashlib
import os
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import requests

from integration import keys
from integration.fhir.sign_in import Fixed, SignIn, TokenShelf, Unsigned, WithToken
from integration.fhir.token_request import SigningKey, TokenAddress, read_key, token_url_of
from mappings.model.errors import ConfigError, Mistake, NeedsPerson
from mappings.model.token import Token

ALL_SCOPES = ("system/*.read", "system/*.write")


def sign_in_of(
    endpoint: Any,
    *,
    session: Callable[[], requests.Session],
    shelf: Callable[[str, str], TokenShelf],
    keys_dir: Path,
    environ: Mapping[str, str] = os.environ,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> SignIn:
    """How requests to ``endpoint`` are signed. ``session`` is for the token address; ``shelf(endpoint, fingerprint)`` keeps tokens."""
    auth = endpoint.auth
    if auth == "none":
        return Unsigned()
    if auth.type == "bearer":
        return Fixed.bearer(_secret(endpoint.key, auth, "token", environ))
    if auth.type == "basic":
        return Fixed.basic(auth.user, _secret(endpoint.key, auth, "password", environ))
    asking = session()
    address = TokenAddress(
        endpoint.key,
        asking,
        token_url=lambda: auth.token_url or token_url_of(endpoint.key, endpoint.base_url, asking),
        client_id=auth.client_id,
        scopes=_scopes(endpoint),
        now=now,
    )
    held = shelf(endpoint.key, _fingerprint(endpoint))
    if auth.type == "client-secret":
        return WithToken(
            held,
            _usable(lambda: address.with_secret(lambda: _secret(endpoint.key, auth, "secret", environ), auth.sent_as)),
        )
    return WithToken(
        held, _usable(lambda: address.with_key(lambda: _signing_key(endpoint.key, auth, keys_dir, environ, now())))
    )


def _scopes(endpoint: Any) -> tuple[str, ...]:
    if endpoint.auth.scopes is not None:
        return endpoint.auth.scopes
    return ALL_SCOPES if endpoint.of_profile.sends_scope else ()


def _usable(fetch: Callable[[], Token]) -> Callable[[], Token]:
    """A key or secret of ours that cannot be used waits for a person."""

    def fetched() -> Token:
        try:
            return fetch()
        except (ConfigError, keys.KeyProblem) as error:
            raise NeedsPerson("sign-in-key", str(error)) from None

    return fetched


def _signing_key(name: str, auth: Any, keys_dir: Path, environ: Mapping[str, str], now: datetime) -> SigningKey:
    if auth.keys is not None:
        key = keys.signer(keys_dir, auth.keys, now)
        return read_key(key.private_pem(keys_dir), key.kid, key.algorithm, f"{keys_dir}/{auth.keys}/{key.kid}.pem")
    pem = _secret(name, auth, "private_key", environ)
    return read_key(pem, auth.key_id, auth.algorithm, auth.private_key_file or auth.private_key_env)


def _secret(name: str, auth: Any, what: str, environ: Mapping[str, str]) -> str:
    """From the file or the environment variable. Raises ConfigError that names it, never what it says."""
    file, variable = getattr(auth, f"{what}_file"), getattr(auth, f"{what}_env")
    try:
        secret = Path(file).read_text(encoding="utf-8").strip() if file else environ.get(variable, "").strip()
    except (OSError, ValueError):
        secret = ""
    if not secret or not secret.replace("\n", "").isprintable():
        why = "cannot be read, is empty, or holds no text: sign-in is impossible without it"
        raise ConfigError([Mistake(file or variable, None, f"endpoints.{name}.auth", why)])
    return secret


def _fingerprint(endpoint: Any) -> str:
    """Of all that decides which token is right: another configuration never uses a token of this one."""
    said = f"{endpoint.base_url}\n{endpoint.auth.model_dump_json()}"
    return hashlib.sha256(said.encode()).hexdigest()[:32]
