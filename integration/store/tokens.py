"""Tokens for machines and practices: shown once, kept as SHA-256; and the credential of our own workers."""

import hmac
import secrets
from collections.abc import Callable, Collection

from sqlalchemy import Connection, Engine, Row, func, select, update
from sqlalchemy.dialects.postgresql import insert

from integration.store import audit
from integration.store.accounts import NAME
from integration.store.installation import secret
from integration.store.roles import in_order
from integration.store.sessions import hash_of
from integration.store.tables import tokens
from mappings.model.errors import ExchangeError

BEGINS, OWN_BEGINS = "so_", "so-own_"
_PREFIX = len(BEGINS) + 8
OWN_SECRET = "hosted-credential"


class TokenRefused(ExchangeError):
    """A token cannot be made or revoked in this way."""


def add(
    conn: Connection,
    name: str,
    roles: Collection[str],
    *,
    practice: str | None,
    days: int,
    actor: str,
    practices: Collection[str] = (),
) -> str:
    """Make a token; it is returned once and stored nowhere. Raises TokenRefused.

    ``practice``: whose hosted endpoint it may use; ``practices``: for whom it acts in the API, keys of endpoints.
    """
    if not NAME.fullmatch(name):
        raise TokenRefused(
            "a token's name is up to 64 small letters, digits and . _ @ -, and begins with a letter or digit"
        )
    if not roles and not practice:
        raise TokenRefused("a token without a role and without a practice may do nothing: give --role or --practice")
    token = BEGINS + secrets.token_urlsafe(32)
    made = conn.execute(
        insert(tokens)
        .values(
            name=name,
            token_sha256=hash_of(token),
            prefix=token[:_PREFIX],
            roles=in_order(roles),
            practice=practice,
            practices=sorted(set(practices)),
            expires_at=func.now() + func.make_interval(0, 0, 0, days),
        )
        .on_conflict_do_nothing()
        .returning(tokens.c.id)
    ).first()
    if made is None:
        raise TokenRefused(f"there is a token {name} already: revoke it first, or take another name")
    detail = {"roles": in_order(roles), "practice": practice, "practices": sorted(set(practices)), "days": days}
    audit.record(conn, actor, "token.made", subject=name, detail=detail)
    return token


def revoke(conn: Connection, name: str, *, actor: str, reason: str | None = None) -> None:
    """Make a token worthless at once. Raises TokenRefused."""
    revoked = conn.execute(
        update(tokens).where(tokens.c.name == name, tokens.c.revoked_at.is_(None)).values(revoked_at=func.now())
    ).rowcount
    if not revoked:
        raise TokenRefused(f"there is no token {name[:64]}; second-opinion tokens list shows all")
    audit.record(conn, actor, "token.revoked", subject=name, reason=reason)


def views(conn: Connection) -> list[dict]:
    """Every token as plain values, without itself; newest first."""
    shown = [column for column in tokens.c if column.name not in ("token_sha256", "id")]
    state = ((tokens.c.revoked_at.is_(None)) & (tokens.c.expires_at > func.now())).label("valid")
    return [row._asdict() for row in conn.execute(select(*shown, state).order_by(tokens.c.id.desc()))]


def find(conn: Connection, token: str) -> Row | None:
    """The row of a token that is valid now."""
    if not token.startswith(BEGINS) or len(token) > 100:
        return None
    row = conn.execute(
        select(
            tokens,
            (
                func.now() - func.coalesce(tokens.c.used_at, tokens.c.created_at) > func.make_interval(0, 0, 0, 0, 0, 1)
            ).label("stale"),
        ).where(
            tokens.c.token_sha256 == hash_of(token), tokens.c.revoked_at.is_(None), tokens.c.expires_at > func.now()
        )
    ).one_or_none()
    if row is not None and (row.stale or row.used_at is None):
        conn.execute(update(tokens).where(tokens.c.id == row.id).values(used_at=func.now()))
    return row


def own_credential(own_secret: str, practice: str) -> str:
    """What our own workers show at the hosted endpoint of a practice, made from a secret of the installation."""
    return OWN_BEGINS + hmac.new(bytes.fromhex(own_secret), practice.encode("utf-8", "replace"), "sha256").hexdigest()


def credentials(engine: Engine) -> Callable[[str], str]:
    """For integration/fhir: tells the credential of a hosted practice; the secret is read when first asked for."""

    def credential_of(practice: str) -> str:
        with engine.begin() as conn:
            return own_credential(secret(conn, OWN_SECRET), practice)

    return credential_of


def is_own(own_secret: str, practice: str, token: str) -> bool:
    """True for the credential of our own workers, at its own practice."""
    return hmac.compare_digest(token.encode("utf-8", "replace"), own_credential(own_secret, practice).encode())
