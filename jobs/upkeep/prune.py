"""Prune: engine jobs nobody will finish, old ticks, ended sessions, exchanges past their retention, payloads never finished."""

from datetime import timedelta

from sqlalchemy import text

from integration.store import client_tokens, exchanges, held_tokens, sessions, sign_in_tries
from jobs.world import Context, Outcome

UNFINISHED_SECONDS = 86400.0  # no payload takes so long to be written


def prune(ctx: Context) -> Outcome:
    """Remove what only slows us and what was kept for a time only: rows of truth stay. Goes on soon when more is left."""
    keep = ctx.world.config.retention
    with ctx.transaction() as conn:
        for statement in (_STALE_JOBS, _OLD_TICKS):
            conn.execute(statement)
        sessions.prune(conn)
        sign_in_tries.prune(conn)
        held_tokens.forget_ended(conn, ctx.now)
        client_tokens.prune(conn)
    with ctx.transaction() as conn:  # each in a transaction of its own: it may take long
        emptied = exchanges.prune_bodies(conn, keep.exchange_bodies_days)
    with ctx.transaction() as conn:
        deleted = exchanges.prune(conn, keep.exchanges_days)
    ctx.world.payloads.drop_unfinished(UNFINISHED_SECONDS)
    more = max(emptied, deleted) >= exchanges.PRUNED_AT_ONCE
    return Outcome(again_at=ctx.now + timedelta(seconds=1) if more else None)


# A job whose (step, lease) is no longer leased: its worker died, and the step has been dispatched again since.
_STALE_JOBS = text("""
    DELETE FROM procrastinate_jobs j WHERE j.task_name = 'run_step' AND j.status IN ('doing', 'failed', 'todo')
      AND NOT EXISTS (SELECT 1 FROM steps s WHERE s.id = (j.args->>'step_id')::bigint AND s.status = 'leased'
                      AND s.lease_no = (j.args->>'lease_no')::int)""")
_OLD_TICKS = text("DELETE FROM ticks WHERE fire_time < statement_timestamp() - interval '30 days'")
