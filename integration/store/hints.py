"""Hints: an endpoint said that it has news. What is kept of it is a time; a tick makes the looks due that it asks for."""

from collections.abc import Collection

from sqlalchemy import Connection, Row, func, or_, select, text, update
from sqlalchemy.dialects.postgresql import insert

from integration.store import steps
from integration.store.tables import hints
from integration.store.tables import steps as step_table

EVERY_SECONDS = 5  # however often an endpoint says that it has news, so often it is looked at for it
WATCHES_AT_ONCE = 100  # of those that wait for news of one fulfiller


def heard(conn: Connection, endpoint: str, kind: str, *, has_news: bool) -> None:
    """Note that an endpoint spoke. A thousand times in a few seconds is one row, written twice at most."""
    made = insert(hints).values(
        endpoint=endpoint, kind=kind, heard_at=func.now(), asked_at=func.now() if has_news else None
    )
    is_old = hints.c.heard_at < func.now() - text(f"interval '{EVERY_SECONDS} seconds'")
    asks_anew = hints.c.asked_at.is_(None) & made.excluded.asked_at.is_not(None)
    conn.execute(
        made.on_conflict_do_update(
            index_elements=["endpoint"],
            set_=dict(
                kind=made.excluded.kind,
                heard_at=func.now(),
                asked_at=func.coalesce(hints.c.asked_at, made.excluded.asked_at),
            ),
            where=or_(asks_anew, is_old),
        )
    )


def last(conn: Connection, endpoint: str) -> Row | None:
    """When an endpoint last spoke, and what kind of notification it was; None: never."""
    return conn.execute(select(hints).where(hints.c.endpoint == endpoint)).one_or_none()


def take_up(conn: Connection, placers: Collection[str], fulfillers: Collection[str]) -> int:
    """Make due what endpoints asked for, each at most once in ``EVERY_SECONDS``. Returns for how many something became due.

    A hint that comes while the endpoint is being read stays: what it is about may stand on a page that was read already.
    """
    rested = func.now() - text(f"interval '{EVERY_SECONDS - 1} seconds'")
    asking = conn.execute(
        select(hints.c.endpoint)
        .where(hints.c.asked_at.is_not(None), or_(hints.c.taken_at.is_(None), hints.c.taken_at < rested))
        .with_for_update(skip_locked=True)
    )
    return sum(_take_up(conn, name, name in placers, name in fulfillers) for name in asking.scalars().all())


def news_of(conn: Connection, request_id: str, endpoint: str) -> None:
    """What the fulfiller does about one request has just changed here: its watch is due now, or as soon as it ends."""
    watch = step_table.c.kind == "watch_fulfiller"
    waiting = select(step_table.c.id).where(
        watch, step_table.c.request_id == request_id, step_table.c.status == "waiting", step_table.c.attempts == 0
    )
    if not steps.end_wait(conn, waiting.with_for_update(skip_locked=True)):
        heard(conn, endpoint, "page", has_news=True)


def _take_up(conn: Connection, endpoint: str, is_placer: bool, is_fulfiller: bool) -> bool:
    polls = is_placer and steps.create(conn, "poll_requests", endpoint) is not None
    if is_placer and not polls and _is_being_read(conn, endpoint):
        return False
    watches = is_fulfiller and _watch_now(conn, endpoint) > 0
    conn.execute(update(hints).where(hints.c.endpoint == endpoint).values(asked_at=None, taken_at=func.now()))
    return polls or watches


def _is_being_read(conn: Connection, endpoint: str) -> bool:
    leased = select(step_table.c.id).where(
        step_table.c.request_id.is_(None),
        step_table.c.kind == "poll_requests",
        step_table.c.endpoint == endpoint,
        step_table.c.status == "leased",
    )
    return conn.execute(leased).first() is not None


def _watch_now(conn: Connection, endpoint: str) -> int:
    """Watches that merely wait; one that failed keeps to its retry."""
    waiting = (
        select(step_table.c.id)
        .where(
            step_table.c.kind == "watch_fulfiller",
            step_table.c.endpoint == endpoint,
            step_table.c.status == "waiting",
            step_table.c.attempts == 0,
            step_table.c.put_backs == 0,
        )
        .order_by(func.random())
        .limit(WATCHES_AT_ONCE)
        .with_for_update(skip_locked=True)
    )
    return steps.end_wait(conn, waiting)
