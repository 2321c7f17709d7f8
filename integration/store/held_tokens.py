"""Access tokens of other servers, held for all workers: one of them renews, the others go on with what is there.

They live for minutes and stand as they are, because they have to be shown again; a backup leaves them out.
"""

import time
from collections.abc import Callable
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, Engine, Row, delete, func, or_, select, text, update
from sqlalchemy.dialects.postgresql import insert

from integration.store.tables import held_tokens
from mappings.model.errors import TemporaryError
from mappings.model.token import Token

RENEWING_SECONDS = 45  # longer than one token request may take; a renewer that died is followed by another
WAIT_SECONDS = 60
POLL_SECONDS = 0.1
LEFT_SECONDS = 10  # a token with less to live is not begun with
FRESH_SECONDS = 5  # a token refused so soon after it was given will not be better the next time


class Shelf:
    """The token of one endpoint and one way to sign in there (``fingerprint``: of its configuration)."""

    def __init__(self, engine: Engine, endpoint: str, fingerprint: str):
        self._engine, self._endpoint, self._fingerprint = engine, endpoint, fingerprint

    def usable(self) -> Token | None:
        """The present token; None when it is time to renew it and nobody does."""
        with self._engine.begin() as conn:
            row = self._row(conn)
            if row is None or row.token is None or row.left < LEFT_SECONDS:
                return None
            return _token(row) if not row.is_due or row.is_renewing else None

    def renew(self, fetch: Callable[[], Token]) -> Token:
        """``fetch()`` by one caller at a time; who comes second waits for its result. Raises what ``fetch`` raises."""
        until = time.monotonic() + WAIT_SECONDS
        while time.monotonic() < until:
            if self._claim():
                return self._fetched(fetch)
            if (token := self.usable()) is not None:
                return token
            time.sleep(POLL_SECONDS)
        raise TemporaryError(
            f"another worker is still signing in at {self._endpoint}", endpoint=self._endpoint, cause="sign-in-away"
        )

    def drop(self, value: str) -> bool:
        """Forget a refused token. False when it was given a moment ago."""
        with self._engine.begin() as conn:
            row = self._row(conn)
            if row is None or row.token != value:
                return True  # another one is there by now
            conn.execute(update(held_tokens).where(*self._mine()).values(token=None))
            return row.age > FRESH_SECONDS

    def _claim(self) -> bool:
        with self._engine.begin() as conn:
            row = dict(endpoint=self._endpoint, fingerprint=self._fingerprint)
            conn.execute(insert(held_tokens).values(row).on_conflict_do_nothing())
            lasts = func.statement_timestamp() + text(f"interval '{RENEWING_SECONDS} seconds'")
            now = func.statement_timestamp()
            free = or_(held_tokens.c.renewing_until.is_(None), held_tokens.c.renewing_until < now)
            # who waited for another's renewal finds it done
            owed = or_(held_tokens.c.token.is_(None), held_tokens.c.renew_at <= now)
            claimed = conn.execute(update(held_tokens).where(*self._mine(), free, owed).values(renewing_until=lasts))
            return bool(claimed.rowcount)

    def _fetched(self, fetch: Callable[[], Token]) -> Token:
        token: Token | None = None
        try:
            token = fetch()
            return token
        finally:
            kept = {} if token is None else dict(
                token=token.value, scope=token.scope, renew_at=token.renew_at, expires_at=token.expires_at,
                given_at=func.statement_timestamp(),
            )  # fmt: skip
            with self._engine.begin() as conn:
                conn.execute(update(held_tokens).where(*self._mine()).values(renewing_until=None, **kept))

    def _mine(self) -> tuple[ColumnElement, ColumnElement]:
        return held_tokens.c.endpoint == self._endpoint, held_tokens.c.fingerprint == self._fingerprint

    def _row(self, conn: Connection) -> Row | None:
        now = func.statement_timestamp()
        return conn.execute(
            select(
                held_tokens,
                func.extract("epoch", held_tokens.c.expires_at - now).label("left"),
                func.extract("epoch", now - held_tokens.c.given_at).label("age"),
                (held_tokens.c.renew_at <= now).label("is_due"),
                func.coalesce(held_tokens.c.renewing_until > now, False).label("is_renewing"),
            ).where(*self._mine())
        ).one_or_none()


def _token(row: Row) -> Token:
    return Token(row.token, row.renew_at, row.expires_at, row.scope or "")


def forget_ended(conn: Connection, before: datetime) -> int:
    """Remove tokens that ended before a time; those of a configuration that is gone with them."""
    return conn.execute(delete(held_tokens).where(held_tokens.c.expires_at < before)).rowcount
