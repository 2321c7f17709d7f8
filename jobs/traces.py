"""Tells the trace of a request what an attempt did, after it is committed; nothing of it can disturb the work."""

import logging
import time

from sqlalchemy.exc import SQLAlchemyError

from integration.tracing import OFF, Attempt
from jobs.world import Context

log = logging.getLogger("second_opinion.tracing")


def trace_attempt(ctx: Context, began: float) -> None:
    """One span for an attempt that leaves history, with one for each exchange; and one around all when the loop closed."""
    if ctx.world.tracing is OFF or ctx.result is None:
        return
    (outcome, cause), step = ctx.result, ctx.step
    ctx.world.tracing.attempt(
        Attempt(
            request_id=step.request_id,
            step_id=step.id,
            lease_no=step.lease_no,
            kind=step.kind,
            endpoint=step.endpoint,
            outcome=outcome,
            cause=cause,
            began=began,
            ended=time.time(),
            exchanges=ctx.exchanges.kept(),
        )
    )
    if ctx.closed_loop:
        _loop(ctx)


def _loop(ctx: Context) -> None:
    try:
        row = ctx.row()
    except SQLAlchemyError as error:
        log.warning("span not made", extra={"action": "tracing", "error": type(error).__name__})
        return
    if row.closed_at is not None:
        ctx.world.tracing.loop(row.id, row.created_at, row.closed_at)
