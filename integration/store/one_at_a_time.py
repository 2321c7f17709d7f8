"""What several requests make at once is made by one of them: a step holds it, and no other leased step can.

No connection waits with it, and it ends with the lease: whoever died lets go when the lease runs out.
"""

import hashlib
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from sqlalchemy import Engine, select, update
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from integration.store.steps import Step, fenced
from integration.store.tables import steps
from mappings.model.errors import TemporaryError

MADE_ELSEWHERE = "made-elsewhere"
WAIT_SECONDS = 20.0
AGAIN_SECONDS = 0.05


@contextmanager
def exclusively(
    engine: Engine, step: Step, endpoint: str, system: str, value: str, *, wait_seconds: float | None = None
) -> Iterator[None]:
    """No other step is inside for the same (endpoint, system, value). A step holds one thing at a time.

    Raises TemporaryError when it does not become free, LeaseLost when the step is another worker's by now.
    """
    until = time.monotonic() + (WAIT_SECONDS if wait_seconds is None else wait_seconds)
    what = hashlib.sha256(f"{endpoint}|{system}|{value}".encode()).hexdigest()
    while not _take(engine, step, what):
        if time.monotonic() > until:
            raise TemporaryError(
                f"another request is creating the same at {endpoint}", endpoint=endpoint, cause=MADE_ELSEWHERE
            )
        time.sleep(AGAIN_SECONDS)
    try:
        yield
    finally:
        with suppress(SQLAlchemyError), engine.begin() as conn:  # not freed now, it is when the lease ends
            conn.execute(
                update(steps)
                .where(steps.c.id == step.id, steps.c.holds == what, steps.c.holds_lease == step.lease_no)
                .values(holds=None)
            )


def _take(engine: Engine, step: Step, what: str) -> bool:
    """Try to hold it: the index ``steps_holds`` lets one leased step do so."""
    try:
        with fenced(engine, step.id, step.lease_no) as conn:
            if conn.execute(
                select(steps.c.id).where(
                    steps.c.holds == what, steps.c.status == "leased", steps.c.holds_lease == steps.c.lease_no
                )
            ).first():
                return False
            conn.execute(update(steps).where(steps.c.id == step.id).values(holds=what, holds_lease=step.lease_no))
            return True
    except IntegrityError:
        return False
