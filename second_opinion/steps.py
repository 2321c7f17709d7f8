"""Commands about steps and bulk operations: the twins of the queue page's buttons."""

import click

from second_opinion.house import ID, ME, acting, cli, opened, show, with_json, with_reason


@cli.group("steps")
def steps_group() -> None:
    """Steps: what is owed, and when it is tried next."""


@steps_group.command("list")
@click.argument("filter_text", metavar="[FILTER]", default="")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 1000))
@with_json
@click.pass_context
def steps_list(ctx: click.Context, filter_text: str, limit: int, as_json: bool) -> None:
    """Steps that match FILTER, as in the search box of the queue page; without one, what needs a person."""
    from datetime import UTC, datetime

    from integration.store import filters, search

    wanted = filters.parse(filter_text)
    with opened(ctx) as (_, engine), engine.begin() as conn:
        rows, _ = search.rows(conn, search.hashed(conn, wanted), datetime.now(UTC), limit=limit)
    show(
        [row._asdict() for row in rows],
        as_json,
        "\n".join(
            f"{row.id:<8} {row.status:<9} {row.kind:<16} {row.endpoint:<16} {row.request_id or '':<22} {row.cause or ''}"
            for row in rows
        )
        or "nothing matches",
    )


@steps_group.command("retry")
@click.argument("step_ids", nargs=-1, type=ID)
@click.option("--matching", metavar="FILTER", help="Instead of ids: everything that matches, in the background.")
@click.option("--per-second", default=50, show_default=True, type=click.IntRange(1, 1000), help="Speed of --matching.")
@with_reason()
@with_json
@click.pass_context
def steps_retry(
    ctx: click.Context, step_ids: tuple[int, ...], matching: str | None, per_second: int, reason: str, as_json: bool
) -> None:
    """Try parked or retrying steps now: those with STEP_IDS, or all that match a filter."""
    from datetime import UTC, datetime

    from integration.store import bulk, filters, operations, search

    if bool(step_ids) is (matching is not None):
        raise click.UsageError("give step ids or --matching FILTER, one of both")
    with acting(ctx) as (_, engine), engine.begin() as conn:
        if matching is None:
            for step_id in sorted(step_ids):
                operations.retry_step(conn, step_id, actor=ME, reason=reason)
            done: dict = {"step_ids": step_ids}
            words = f"{len(step_ids)} step(s) due now"
        else:
            wanted = search.hashed(conn, filters.parse(matching))
            operation_id = bulk.start_retry(
                conn, wanted, datetime.now(UTC), actor=ME, reason=reason, per_second=per_second
            )
            total = bulk.view(conn, operation_id)["total"]
            done = {"operation_id": operation_id, "total": total}
            words = f"operation {operation_id} started: {total} step(s)"
    show(done, as_json, words)


@steps_group.command("park")
@click.argument("step_id", type=ID)
@with_reason()
@with_json
@click.pass_context
def steps_park(ctx: click.Context, step_id: int, reason: str, as_json: bool) -> None:
    """Stop trying a waiting or due step; a person decides."""
    from integration.store import actions

    with opened(ctx) as (_, engine), engine.begin() as conn:
        result = actions.park_now(conn, step_id, actor=ME, reason=reason)
    show({"step_id": step_id, "done": "parked"}, as_json, result.message)


@cli.group("operations")
def operations_group() -> None:
    """Bulk operations: one button on many steps."""


@operations_group.command("list")
@with_json
@click.pass_context
def operations_list(ctx: click.Context, as_json: bool) -> None:
    """The newest bulk operations and how far they came."""
    from integration.store import bulk

    with opened(ctx) as (_, engine), engine.connect() as conn:
        views = bulk.recent(conn)
    show(
        views,
        as_json,
        "\n".join(
            f"{view['id']:<6} {view['status']:<10} {view['retried']} retried, {view['changed']} moved on, {view['left']} left  "
            f"{view['filter']}"
            for view in views
        )
        or "no bulk operation yet",
    )


@operations_group.command("stop")
@click.argument("operation_id", type=ID)
@with_reason()
@with_json
@click.pass_context
def operations_stop(ctx: click.Context, operation_id: int, reason: str, as_json: bool) -> None:
    """Stop a bulk operation; what it did stays done."""
    from integration.store import bulk

    with opened(ctx) as (_, engine), engine.begin() as conn:
        view = bulk.cancel(conn, operation_id, actor=ME, reason=reason)
    show(
        view, as_json, f"stopped: {view['retried']} retried, {view['changed']} had changed, {view['left']} not touched"
    )
