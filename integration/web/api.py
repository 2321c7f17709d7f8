"""The JSON API: take in a request (idempotent by key) and see where it stands."""

from flask import Blueprint, request
from sqlalchemy import select

from integration.request_file import endpoint_mistakes, load_request
from integration.store import operations, requests
from integration.store.tables import requests as table
from integration.web import world
from integration.web.reading import items_view, request_view
from mappings.model.errors import ExchangeError, RequestError

blueprint = Blueprint("api", __name__, url_prefix="/api")


@blueprint.post("/requests")
def create():
    """Take in a second opinion request as JSON. 201 new, 200 known, 400 every mistake, 409 same key with other content."""
    made = load_request(request.get_data(), "request body")
    mistakes = endpoint_mistakes(world.config(), made, "request body")
    if mistakes:
        raise RequestError(mistakes)
    with world.engine().begin() as conn:
        request_id, new = requests.take_in(conn, made, actor="api")
    return {"request_id": request_id, "new": new}, 201 if new else 200, {"Location": f"/api/requests/{request_id}"}


@blueprint.get("/requests/<request_id>")
def show(request_id: str):
    """One request: status, tracks, counts, what is owed, findings. Ids only."""
    with world.engine().begin() as conn:
        return request_view(conn, request_id)


@blueprint.get("/requests")
def listed():
    """The newest requests, at most 100."""
    with world.engine().connect() as conn:
        rows = conn.execute(
            select(table.c.id, table.c.status, table.c.created_at)
            .order_by(table.c.created_at.desc(), table.c.id.desc())
            .limit(100)
        )
        return [{"request_id": row.id, "status": row.status, "created_at": row.created_at.isoformat()} for row in rows]


@blueprint.get("/requests/<request_id>/items")
def items(request_id: str):
    """The items of a request's records deliveries: source, target, status."""
    with world.engine().begin() as conn:
        view = request_view(conn, request_id)
        return [
            item for each in view["deliveries"] if each["kind"] == "records" for item in items_view(conn, each["id"])
        ]


@blueprint.errorhandler(ExchangeError)
def sentence(error: ExchangeError):
    """Bad input gets a sentence."""
    if isinstance(error, RequestError):
        return {
            "errors": [{"line": each.line, "path": each.path, "message": each.message} for each in error.mistakes]
        }, 400
    status = {requests.UnknownRequest: 404, requests.KeyReused: 409, operations.NotPossible: 409}.get(type(error), 400)
    return {"errors": [{"message": str(error)}]}, status
