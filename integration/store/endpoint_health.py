"""How an endpoint answers: its circuit breaker, its last answer of any kind, its step times."""

from sqlalchemy import Connection, text

BREAKER_FAILURES = 5
BREAKER_SECONDS = 30


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
