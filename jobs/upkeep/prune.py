"""Prune: engine jobs nobody will finish, old ticks, ended sessions, exchanges and drafts past their retention, payloads never finished."""

from datetime import timedelta

from integration import queue
from integration.store import (
    client_tokens,
    drafts,
    exchanges,
    held_tokens,
    private_links,
    sessions,
    sign_in_tries,
    ticks,
)
from jobs.world import Context, Outcome

UNFINISHED_SECONDS = 86400.0  # no payload takes so long to be written


def prune(ctx: Context) -> Outcome:
    """Remove what only slows us and what was kept for a time only: rows of truth stay. Goes on soon when more is left."""
    keep = ctx.world.config.retention
    with ctx.transaction() as conn:
        queue.forget_lost_jobs(conn)
        ticks.prune(conn)
        sessions.prune(conn)
        private_links.prune(conn)
        sign_in_tries.prune(conn)
        held_tokens.forget_ended(conn, ctx.now)
        client_tokens.prune(conn)
    with ctx.transaction() as conn:  # each in a transaction of its own: it may take long
        emptied = exchanges.prune_bodies(conn, keep.exchange_bodies_days)
    with ctx.transaction() as conn:
        deleted = exchanges.prune(conn, keep.exchanges_days)
    with ctx.transaction() as conn:
        forgotten = drafts.prune(conn, keep.drafts_days)
    ctx.world.payloads.drop_unfinished(UNFINISHED_SECONDS)
    more = max(emptied, deleted) >= exchanges.PRUNED_AT_ONCE or forgotten >= drafts.PRUNED_AT_ONCE
    return Outcome(again_at=ctx.now + timedelta(seconds=1) if more else None)
