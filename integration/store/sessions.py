"""Sessions of people who signed in: rows that every web process reads, so that what changes takes effect at once."""

import hashlib
import secrets
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, delete, func, select, text, update

from integration.store.roles import Role, all_of
from integration.store.tables import accounts, sessions

LONGEST_HOURS = 31 * 24  # a session that is older is removed, whatever config.yaml said
_STALE = text("interval '1 minute'")  # how exactly it is known when somebody was last here


@dataclass(frozen=True)
class SignedIn:
    """Whose session it is, and what they may do now."""

    account: str
    roles: frozenset[Role]
    practices: frozenset[str]
    token_sha256: str


def begin(conn: Connection, account: str) -> str:
    """Begin a session; its token, which is stored nowhere."""
    token = secrets.token_urlsafe(32)
    conn.execute(sessions.insert().values(token_sha256=hash_of(token), account=account))
    return token


def find(conn: Connection, token: str, *, idle_minutes: int, hours: int, active: bool = True) -> SignedIn | None:
    """The session of a token, unless it has ended or its account is disabled. ``active``: somebody did something."""
    here = sessions.c.token_sha256 == hash_of(token)
    row = conn.execute(
        select(
            sessions.c.account,
            accounts.c.roles,
            accounts.c.practices,
            (func.now() - sessions.c.seen_at > _STALE).label("stale"),
        )
        .join(accounts, accounts.c.name == sessions.c.account)
        .where(
            here,
            accounts.c.enabled,
            sessions.c.seen_at > _ago(minutes=idle_minutes),
            sessions.c.created_at > _ago(hours=hours),
        )
    ).one_or_none()
    if row is None:
        return None
    if active and row.stale:
        conn.execute(update(sessions).where(here).values(seen_at=func.now()))
    return SignedIn(row.account, all_of(row.roles), frozenset(row.practices), hash_of(token))


def end(conn: Connection, token_sha256: str) -> str | None:
    """End one session; whose it was."""
    ended = delete(sessions).where(sessions.c.token_sha256 == token_sha256)
    return conn.execute(ended.returning(sessions.c.account)).scalar_one_or_none()


def end_all(conn: Connection, account: str, *, but: str = "") -> int:
    """End every session of an account, except the one named by its hash."""
    ended = delete(sessions).where(sessions.c.account == account, sessions.c.token_sha256 != but)
    return conn.execute(ended).rowcount


def counts(conn: Connection) -> dict[str, int]:
    """How many session rows each account has; some may have ended by time."""
    counted = conn.execute(select(sessions.c.account, func.count()).group_by(sessions.c.account))
    return dict(counted.all())


def prune(conn: Connection) -> None:
    """Remove sessions that have ended by time, long ago."""
    conn.execute(delete(sessions).where(sessions.c.created_at < _ago(hours=LONGEST_HOURS)))


def hash_of(token: str) -> str:
    """What is stored of a token."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def _ago(*, hours: int = 0, minutes: int = 0) -> ColumnElement:
    return func.now() - func.make_interval(0, 0, 0, 0, hours, minutes)
