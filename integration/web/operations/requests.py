"""One request on one screen: both sides, both tracks, every attempt, what is owed and what closing still lacks."""

from dataclasses import dataclass
from types import SimpleNamespace

from flask import Blueprint, Response, abort, request
from flask.typing import ResponseReturnValue
from sqlalchemy import Connection, func, select

from integration.store import exchanges, revisions
from integration.store.tables import attempts, deliveries, delivery_items, endpoints, requests, steps
from integration.views import levels
from integration.views.requests import delivery_page, endpoint_health, request_view
from integration.web import pages, world
from mappings.model.delivery import ENDED

blueprint = pages.sentences(Blueprint("requests", __name__, url_prefix="/requests"))
SHOWN, ITEMS = 200, 100
EXCHANGES_OF = 3  # newest attempts of each step that open to their exchanges; each attempt has a page of its own


@dataclass(frozen=True)
class Side:
    """One organisation of a request, and how its endpoint is."""

    role: str
    key: str
    endpoint: object
    health: dict


@blueprint.get("/<request_id>")
def show(request_id: str) -> ResponseReturnValue:
    """One request. Ids and words only; who it is about is masked, clinical content is behind the packet's own page."""
    return page(request_id)


def page(
    request_id: str, status: int = 200, *, patient: list | None = None, patient_error: str = "", report_error: str = ""
) -> Response:
    """The page; with ``patient``, what the panel about the patient shows."""
    with world.engine().begin() as conn:
        view = request_view(conn, request_id)
        tried = _attempts(conn, request_id)
        exchanged = exchanges.of_attempts(conn, [row.id for rows in tried.values() for row in rows[:EXCHANGES_OF]])
        counts = _item_counts(conn, request_id)
        sides = [_side(conn, "placer", view["placer"]), _side(conn, "fulfiller", view["fulfiller"])]
        others, patient_hash = _others(conn, request_id)
        versions = revisions.versions(conn, request_id)
    view |= {name: [SimpleNamespace(**row) for row in view[name]] for name in ("steps", "owed")}
    return pages.render(
        "request.html",
        status,
        patient=patient,
        patient_error=patient_error,
        report_error=report_error,
        view=view,
        tried=tried,
        exchanges=exchanged,
        versions=versions,
        counts=counts,
        sides=sides,
        shown=SHOWN,
        lead_days=world.config().records.lead_days,
        others=others,
        patient_hash=patient_hash,
        here=request.path,
        paused={side.key for side in sides if side.health.get("paused")},
    )


def _attempts(conn: Connection, request_id: str) -> dict[int, list]:
    """The newest attempts of each step, newest first."""
    number = func.row_number().over(partition_by=attempts.c.step_id, order_by=attempts.c.id.desc()).label("number")
    inner = select(attempts, number).where(attempts.c.request_id == request_id).subquery()
    found: dict[int, list] = {}
    for row in conn.execute(select(inner).where(inner.c.number <= 20).order_by(inner.c.id.desc()).limit(2000)):
        found.setdefault(row.step_id, []).append(row)
    return found


def _item_counts(conn: Connection, request_id: str) -> dict[str, dict[str, int]]:
    rows = conn.execute(
        select(delivery_items.c.delivery_id, delivery_items.c.status, func.count())
        .join(deliveries, deliveries.c.id == delivery_items.c.delivery_id)
        .where(deliveries.c.request_id == request_id)
        .group_by(delivery_items.c.delivery_id, delivery_items.c.status)
    )
    found: dict[str, dict[str, int]] = {}
    for delivery_id, status, number in rows:
        found.setdefault(delivery_id, {})[status] = number
    return found


def _side(conn: Connection, role: str, key: str) -> Side:
    row = conn.execute(select(endpoints).where(endpoints.c.key == key)).one_or_none()
    return Side(role, key, world.config().endpoints.get(key), endpoint_health(row))


def _others(conn: Connection, request_id: str) -> tuple[int, str]:
    patient_hash = conn.execute(select(requests.c.patient_hash).where(requests.c.id == request_id)).scalar_one()
    number = conn.execute(
        select(func.count())
        .select_from(requests)
        .where(requests.c.patient_hash == patient_hash, requests.c.id != request_id)
    ).scalar_one()
    return number, patient_hash


@blueprint.get("/<request_id>/deliveries/<delivery_id>")
def delivery(request_id: str, delivery_id: str) -> ResponseReturnValue:
    """One delivery with its items, page by page."""
    after = request.args.get("after", "")
    with world.engine().connect() as conn:
        page = delivery_page(conn, request_id, delivery_id, status=request.args.get("status"), after=after, limit=ITEMS)
        if page is None:
            abort(404, f"There is no delivery {delivery_id[:80]} of this request.")
        row, items, following = page
        step_id = conn.execute(select(func.max(steps.c.id)).where(steps.c.delivery_id == delivery_id)).scalar_one()
        tried = conn.execute(
            select(attempts).where(attempts.c.delivery_id == delivery_id).order_by(attempts.c.id.desc()).limit(SHOWN)
        ).all()
        exchanged = exchanges.of_attempts(conn, [row.id for row in tried[:ITEMS]])
    return pages.render(
        "delivery.html",
        exchanges=exchanged,
        delivery=row,
        known=levels.known(row._asdict()),
        has_ended=row.status in ENDED,
        items=items,
        following=following,
        tried=tried,
        step_id=step_id,
        after=after,
    )
