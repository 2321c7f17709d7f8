"""Bulk operations: how far each came, and the button that stops it."""

from flask import Blueprint
from flask.typing import ResponseReturnValue

from integration.store import bulk
from integration.web import pages, world

blueprint = pages.sentences(Blueprint("bulk", __name__, url_prefix="/operations"))


@blueprint.get("")
def listed() -> ResponseReturnValue:
    """The newest operations."""
    with world.engine().connect() as conn:
        found = bulk.recent(conn)
    return pages.render("bulk.html", operations=found)


@blueprint.get("/<int:operation_id>")
def show(operation_id: int) -> ResponseReturnValue:
    """One operation with its counts."""
    with world.engine().connect() as conn:
        view = bulk.view(conn, operation_id)
    return pages.render("bulk_one.html", view=view)
