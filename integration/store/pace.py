"""Requests per second at an endpoint, over all workers: each request takes the next free turn, a time kept in one row.

The row holds when the next turn is. Unused time counts for a small burst only, so that no span of time ever holds more
than rate x seconds + burst turns (https://en.wikipedia.org/wiki/Generic_cell_rate_algorithm). The burst is a tenth of a
second's worth, at least 1 and at most half of the endpoint's concurrency.
"""

import time
from collections.abc import Callable

from sqlalchemy import Connection, Engine, text

from mappings.model.errors import ExchangeError

LONGEST_WAIT_SECONDS = 10.0  # or two turns for each exchange at the same time, where the rate is low
LATE_SECONDS = 0.25  # a process that was held up longer than this after its turn takes another one
TRIES = 5


class Paced(ExchangeError):
    """No turn is free within reason: the step goes back, and is tried again when others have had theirs."""

    cause = "paced"
    seconds = 5.0

    def __init__(self, endpoint: str):
        super().__init__(
            f"more is to be asked of {endpoint} than its requests_per_second allow; the step waits for its turn"
        )


def wait_for_turn(
    engine: Engine,
    endpoint: str,
    *,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Return when a request may go to this endpoint. Raises Paced, or what the database raises when it is away."""
    for _ in range(TRIES):
        with engine.connect() as conn:  # one statement that commits by itself; the connection is free while we wait
            conn.execution_options(isolation_level="AUTOCOMMIT")
            asked, seconds = clock(), _take(conn, endpoint)
        if seconds is None:
            break
        sleep(seconds)
        if clock() - asked <= seconds + LATE_SECONDS:
            return
    raise Paced(endpoint)


def parallel_requests(concurrency: int, rate: float) -> int:
    """How many requests one step may make at the same time: so that of as many steps as the endpoint bears each gets its turns.

    With more, steps push each other out of the queue: of 50 charts at concurrency 16 and 5 requests a second 2 were done in an hour.
    """
    longest = max(LONGEST_WAIT_SECONDS, 2 * concurrency / rate)
    return max(1, min(concurrency, int(rate * longest / concurrency)))


def _take(conn: Connection, endpoint: str) -> float | None:
    """Seconds until the turn just taken; None when it would be too far away."""
    given = {"endpoint": endpoint, "longest": LONGEST_WAIT_SECONDS}
    seconds = conn.execute(_TAKE, given).scalar_one_or_none()
    if seconds is None:  # too far away, or the first request ever
        conn.execute(_BEGIN, given)
        seconds = conn.execute(_TAKE, given).scalar_one_or_none()
    return None if seconds is None else max(0.0, seconds)


_BEGIN = text("""
    INSERT INTO pace (endpoint, next_at) SELECT key, clock_timestamp() FROM endpoints WHERE key = :endpoint
    ON CONFLICT DO NOTHING""")

# The database's clock counts, not a worker's. A next turn further away than any can be was promised before that clock was
# set back. Nothing is lost but a few turns when a crash takes the last commits, so nobody waits for the disk.
_TAKE = text("""
    UPDATE pace p
    SET next_at = turn.gap + CASE WHEN p.next_at > clock_timestamp() + 2 * turn.longest THEN clock_timestamp()
                                  ELSE greatest(p.next_at, clock_timestamp() - turn.unused) END
    FROM (SELECT key, make_interval(secs => 1 / rate) AS gap,
                 make_interval(secs => (greatest(1, least(concurrency / 2, rate / 10)) - 1) / rate) AS unused,
                 make_interval(secs => greatest(CAST(:longest AS double precision), 2 * concurrency / rate)) AS longest
          FROM endpoints, set_config('synchronous_commit', 'off', true) WHERE key = :endpoint) turn
    WHERE p.endpoint = turn.key
      AND (p.next_at <= clock_timestamp() + turn.longest OR p.next_at > clock_timestamp() + 2 * turn.longest)
    RETURNING CAST(extract(epoch FROM p.next_at - turn.gap - clock_timestamp()) AS double precision)""")
