"""The visit sheet: one page for the patient to take along, to print or as a PDF."""

from datetime import UTC, datetime

from flask import Blueprint, Response, request
from flask.typing import ResponseReturnValue

from integration import visit_sheet
from integration.store.operations import NotPossible
from integration.web import forms, pages, world
from mappings.visit_sheet import Sheet

blueprint = pages.sentences(Blueprint("visit_sheet", __name__, url_prefix="/requests/<request_id>/visit-sheet"))


@blueprint.get("")
def show(request_id: str) -> ResponseReturnValue:
    """The sheet. The look is recorded."""
    has_library = world.config().health_library.address is not None
    return pages.render(
        "visit_sheet.html",
        sheet=_sheet(request_id),
        request_id=request_id,
        has_library=has_library,
        with_library=_with_library(),
    )


@blueprint.get("/pdf")
def pdf(request_id: str) -> ResponseReturnValue:
    """The same as a PDF; its name says nothing of the patient."""
    made = visit_sheet.pdf_of(_sheet(request_id))
    if isinstance(made, str):
        raise NotPossible(f"There is no PDF of it: {made}. Print the page instead.")
    answer = Response(made, content_type="application/pdf")
    answer.headers["Content-Disposition"] = 'attachment; filename="visit-sheet.pdf"'
    return answer


def _sheet(request_id: str) -> Sheet:
    today = datetime.now(UTC).date()
    return visit_sheet.sheet_of(
        world.engine(),
        world.payloads(),
        world.config(),
        request_id,
        today,
        actor=forms.actor(),
        with_library=_with_library(),
    )


def _with_library() -> bool:
    return request.args.get("library") == "yes"
