"""How an endpoint answers: its circuit breaker, its last answer of any kind, its step times; and whether it is paused."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, Row, select, text

from integration.store.tables import endpoints

BREAKER_FAILURES = 5
BREAKER_SECONDS = 30


@dataclass(frozen=True)
class Health:
    """Of one endpoint. ``latencies``: its last 60 step times in milliseconds, newest first."""

    key: str
    paused: bool
    paused_reason: str | None
    breaker: str  # closed half-open
    breaker_until: datetime | None
    failures: int  # in a row
    last_success_at: datetime | None
    last_failure_at: datetime | None
    last_failure: str | None
    last_failure_cause: str | None
    latencies: tuple[int, ...]

    @classmethod
    def from_row(cls, row: Row) -> "Health":
        """From a row of `endpoints`, or of `_SHOWN`."""
        values = {name: getattr(row, name) for name in cls.__dataclass_fields__}
        return cls(**{**values, "latencies": tuple(row.latencies)})


@dataclass(frozen=True)
class Down:
    """An endpoint whose breaker is not closed; ``since``: its first failure after its last success, None when that is unknown."""

    key: str
    since: datetime | None
    cause: str  # of its last answer, whatever it was; empty: unknown


def down(conn: Connection) -> list[Down]:
    """The endpoints that are not asked for now, or only by a probe."""
    return [Down(row.key, row.since, row.cause) for row in conn.execute(_DOWN)]


def of(conn: Connection, key: str, *, held: bool = False) -> Health | None:
    """How one endpoint is; None for a name that has no row. ``held``: nobody changes it in this transaction."""
    wanted = _SHOWN.where(endpoints.c.key == key)
    row = conn.execute(wanted.with_for_update() if held else wanted).one_or_none()
    return None if row is None else Health.from_row(row)


def of_all(conn: Connection) -> dict[str, Health]:
    """How each endpoint is that has a row."""
    return {row.key: Health.from_row(row) for row in conn.execute(_SHOWN)}


def paused(conn: Connection) -> set[str]:
    """The endpoints that nothing is sent to until somebody resumes them."""
    return set(conn.execute(select(endpoints.c.key).where(endpoints.c.paused)).scalars())


def succeeded(conn: Connection, key: str, milliseconds: int) -> None:
    """A step there is done: nothing fails there anymore."""
    conn.execute(_SUCCEEDED, {"endpoint": key, "ms": milliseconds})


def failed(conn: Connection, key: str, cause: str, message: str) -> None:
    """It did not answer, or not now. Five in a row open the breaker; after its time one probe goes through and decides."""
    values = {"endpoint": key, "cause": cause, "message": message}
    conn.execute(_FAILED, {**values, "limit": BREAKER_FAILURES, "seconds": BREAKER_SECONDS})


def refused(conn: Connection, key: str, cause: str, message: str) -> None:
    """It answered, and will answer the same to everything (a refused sign-in, a web page): kept, and no breaker helps."""
    conn.execute(_REFUSED, {"endpoint": key, "cause": cause, "message": message})


_SHOWN = select(*(endpoints.c[name] for name in Health.__dataclass_fields__))
_DOWN = text("""
    SELECT e.key, (SELECT min(a.finished_at) FROM attempts a WHERE a.endpoint = e.key AND a.cause IS NOT NULL
                   AND a.outcome IN ('temporary', 'unknown') AND a.finished_at > coalesce(e.last_success_at, '-infinity')) AS since,
           coalesce(e.last_failure_cause, '') AS cause
    FROM endpoints e WHERE e.breaker <> 'closed'""")
_SUCCEEDED = text("""
    UPDATE endpoints SET failures = 0, breaker = 'closed', breaker_until = NULL, last_success_at = statement_timestamp(),
        latencies = (SELECT jsonb_agg(v) FROM (SELECT v FROM jsonb_array_elements(latencies || to_jsonb(CAST(:ms AS int)))
                     WITH ORDINALITY AS t(v, n) ORDER BY n DESC LIMIT 60) AS recent(v))
    WHERE key = :endpoint""")
_FAILED = text("""
    UPDATE endpoints SET failures = failures + 1, last_failure_at = statement_timestamp(), last_failure = :message,
        last_failure_cause = :cause,
        breaker = CASE WHEN failures + 1 >= :limit THEN 'half-open' ELSE breaker END,
        breaker_until = CASE WHEN failures + 1 >= :limit
            THEN statement_timestamp() + make_interval(secs => :seconds) ELSE breaker_until END
    WHERE key = :endpoint""")
_REFUSED = text("""
    UPDATE endpoints SET last_failure_at = statement_timestamp(), last_failure = :message, last_failure_cause = :cause
    WHERE key = :endpoint""")
