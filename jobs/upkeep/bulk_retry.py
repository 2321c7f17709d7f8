"""Retry many: one small batch of every running bulk operation, then again a moment later until none is left."""

from datetime import timedelta

from sqlalchemy import Connection

from integration.store import bulk
from jobs.world import Context, Outcome


def bulk_retry(ctx: Context) -> Outcome:
    """The batch is part of the step's own commit: a worker that dies in it has done none of it."""
    outcome = Outcome()

    def batch(conn: Connection) -> None:
        if bulk.next_batch(conn):
            outcome.again_at = ctx.now + timedelta(seconds=bulk.TICK_SECONDS)

    outcome.apply = [batch]
    return outcome
