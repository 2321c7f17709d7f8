"""One request on one screen: both sides, both tracks, every attempt, what is owed and what closing still lacks."""

from dataclasses import asdict, dataclass
from types import SimpleNamespace

from flask import Blueprint, Response, abort, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import Connection

from integration.store import (
    attempts,
    deliveries,
    endpoint_health,
    exchanges,
    handing_over,
    requests,
    revisions,
    steps,
)
from integration.views import levels
from integration.views.endpoints import health_words
from integration.views.requests import delivery_page, request_view
from integration.web import forms, pages, world
from integration.web.access import consented, scope
from mappings.model.delivery import ENDED

blueprint = pages.sentences(Blueprint("requests", __name__, url_prefix="/requests"))
SHOWN, ITEMS = 200, 100
EXCHANGES_OF = 3  # newest attempts of each step that open to their exchanges; each attempt has a page of its own


@dataclass(frozen=True)
class Side:
    """One organization of a request, and how its endpoint is."""

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
    """The page; with ``patient``, what the panel about the patient shows. People of a practice have another one of it."""
    if not scope.may_use("requests.show"):
        return forms.told(report_error, url_for("cases.show", request_id=request_id), good=False)
    with world.engine().begin() as conn:
        view = request_view(conn, request_id)
        tried = attempts.by_step(conn, request_id)
        exchanged = exchanges.of_attempts(conn, [row.id for rows in tried.values() for row in rows[:EXCHANGES_OF]])
        counts = deliveries.counts_of_request(conn, request_id)
        sides = [_side(conn, "placer", view["placer"]), _side(conn, "fulfiller", view["fulfiller"])]
        others, patient_hash = requests.others_of_patient(conn, request_id)
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


def _side(conn: Connection, role: str, key: str) -> Side:
    return Side(role, key, world.config().endpoints.get(key), health_words(endpoint_health.of(conn, key)))


@blueprint.get("/<request_id>/deliveries/<delivery_id>")
def delivery(request_id: str, delivery_id: str) -> ResponseReturnValue:
    """One delivery with its items, page by page."""
    return delivery_page_of(request_id, delivery_id)


def delivery_page_of(request_id: str, delivery_id: str, status: int = 200, *, error: str = "") -> Response:
    """The page; ``error``: why a download was refused."""
    after = request.args.get("after", "")
    with world.engine().connect() as conn:
        page = delivery_page(conn, request_id, delivery_id, status=request.args.get("status"), after=after, limit=ITEMS)
        if page is None:
            abort(404, f"There is no delivery {delivery_id[:80]} of this request.")
        row, found, following = page
        hidden = consented.hides(conn, request_id)
        items = [each for each in found if not hidden(each.source)]
        step_id, tried = steps.newest_of_delivery(conn, delivery_id), attempts.of_delivery(conn, delivery_id, SHOWN)
        exchanged = exchanges.of_attempts(conn, [row.id for row in tried[:ITEMS]])
        [shown], carried = levels.told(conn, [asdict(row)]), handing_over.to_carry(conn, delivery_id)
    return pages.render(
        "delivery.html",
        status,
        error=error,
        carried=carried,
        said=shown["hand_over"],
        exchanges=exchanged,
        delivery=row,
        known=shown["known"],
        has_ended=row.status in ENDED,
        items=items,
        following=following,
        tried=tried,
        step_id=step_id,
        after=after,
    )
