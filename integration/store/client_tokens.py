"""What a client shows once, and the token it gets for it: opaque, kept as SHA-256, five minutes, one practice.

An assertion is refused a second time by a row that every process sees, and that outlives it: by `exp`, the leeway of its
check, and a margin.
"""

import secrets
from collections.abc import Sequence

from sqlalchemy import Connection, Row, delete, func, select, update
from sqlalchemy.dialects.postgresql import insert

from integration.store import audit
from integration.store.clients import without_searches
from integration.store.sessions import hash_of
from integration.store.tables import client_assertions, client_tokens, clients

BEGINS = "so-client_"
LIFE_SECONDS = 300
MARGIN_SECONDS = 600


def now(conn: Connection) -> float:
    """Seconds of the Unix epoch by the database's clock, which all processes share."""
    return float(conn.execute(select(func.extract("epoch", func.clock_timestamp()))).scalar_one())


def use_once(conn: Connection, client_id: str, jti: str, until: float) -> bool:
    """False when this client has shown this ``jti`` before; ``until``: when its assertion ends for good, leeway included."""
    row = dict(client=client_id, jti_sha256=hash_of(jti), until=func.to_timestamp(until + MARGIN_SECONDS))
    fresh = insert(client_assertions).values(row).on_conflict_do_nothing().returning(client_assertions.c.client)
    return conn.execute(fresh).first() is not None


def give(conn: Connection, client: Row, scopes: Sequence[str]) -> str:
    """A token of ``client`` for ``scopes``; it is returned once and stored nowhere."""
    token = BEGINS + secrets.token_urlsafe(32)
    expires_at = func.clock_timestamp() + func.make_interval(0, 0, 0, 0, 0, 0, LIFE_SECONDS)
    conn.execute(
        insert(client_tokens).values(
            token_sha256=hash_of(token), client=client.id, scopes=" ".join(scopes), expires_at=expires_at
        )
    )
    conn.execute(update(clients).where(clients.c.id == client.id).values(used_at=func.now()))
    detail = {"client": client.id, "scopes": without_searches(scopes)}
    audit.record(conn, f"client {client.name}", "client.signed-in", subject=client.practice, detail=detail)
    return token


def find(conn: Connection, token: str) -> Row | None:
    """Practice, client, name and scopes of a token that is valid now, of a client that is not revoked."""
    if not token.startswith(BEGINS) or len(token) > 100:
        return None
    return conn.execute(
        select(clients.c.practice, clients.c.id.label("client"), clients.c.name, client_tokens.c.scopes)
        .join(clients, clients.c.id == client_tokens.c.client)
        .where(
            client_tokens.c.token_sha256 == hash_of(token),
            client_tokens.c.expires_at > func.clock_timestamp(),
            clients.c.revoked_at.is_(None),
        )
    ).one_or_none()


def prune(conn: Connection) -> None:
    """Remove tokens that ended, and what was shown so long ago that it is refused without a row."""
    conn.execute(delete(client_tokens).where(client_tokens.c.expires_at < func.statement_timestamp()))
    conn.execute(delete(client_assertions).where(client_assertions.c.until < func.statement_timestamp()))
