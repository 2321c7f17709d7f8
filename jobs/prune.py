"""Prune: engine jobs nobody will finish, old ticks, and finished watch history."""
from sqlalchemy import text

from jobs.world import Context, Outcome


def prune(ctx: Context) -> Outcome:
    """Remove what only slows us: rows of truth stay."""
    return Outcome(apply=[lambda conn: [conn.execute(statement) for statement in (_STALE_JOBS, _OLD_TICKS)]])


# A job whose (step, lease) is no longer leased: its worker died, and the step has been dispatched again since.
_STALE_JOBS = text("""
    DELETE FROM procrastinate_jobs j WHERE j.task_name = 'run_step' AND j.status IN ('doing', 'failed', 'todo')
      AND NOT EXISTS (SELECT 1 FROM steps s WHERE s.id = (j.args->>'step_id')::bigint AND s.status = 'leased'
                      AND s.lease_no = (j.args->>'lease_no')::int)""")
_OLD_TICKS = text("DELETE FROM ticks WHERE fire_time < statement_timestamp() - interval '30 days'")
