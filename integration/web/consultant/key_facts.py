"""A packet as a clinician reads it: key facts first, each with the element it came from, and a list of everything else."""

from flask import Blueprint, Response, request
from flask.typing import ResponseReturnValue

from integration import reading
from integration.reading import LISTED, METER
from integration.store.operations import NotPossible
from integration.views.reading import in_context
from integration.views.texts import t
from integration.visit_reading import House
from integration.web import forms, pages, world
from integration.web.access import consented
from integration.web.consultant import showing
from integration.web.operations.packets import download_of
from mappings.reading.elements import fhirpath, value
from mappings.reading.model import Kind
from mappings.reading.plot import HEIGHT, WIDTH, plot
from mappings.rendition.words import Words

blueprint = pages.sentences(Blueprint("key_facts", __name__, url_prefix="/requests/<request_id>/read"))
PER_PAGE = 200
LARGEST = 200_000


@blueprint.get("")
def show(request_id: str) -> ResponseReturnValue:
    """The key facts. The look is recorded."""
    found = reading.read(
        _house(), request_id, pages.now().date(), actor=forms.actor(), limit=consented.limit(request_id)
    )
    return pages.render(
        "key_facts.html",
        found=found,
        facts=found.facts,
        meter=METER,
        kinds=Kind,
        most=LISTED,
        plot=plot,
        width=WIDTH,
        height=HEIGHT,
    )


@blueprint.get("/list/<name>")
def rest(request_id: str, name: str) -> ResponseReturnValue:
    """Every record of one kind that is not among the key facts, page by page. The look is recorded."""
    found = reading.read_whole(_house(), request_id, actor=forms.actor(), limit=consented.limit(request_id))
    if found.facts is None or name not in Kind.__members__.values():
        return pages.problem(t("problem.missing"), t("reading.no_list"), 404)
    start = request.args.get("from", "0")
    at = int(start) if start.isascii() and start.isdigit() and len(start) < 10 else 0
    listed = found.facts.rest[Kind(name)]
    return pages.render("key_facts_rest.html", found=found, kind=Kind(name), listed=listed, start=at, size=PER_PAGE)


@blueprint.get("/element")
def element(request_id: str) -> ResponseReturnValue:
    """The record that a line came from, its element marked. The look is recorded."""
    source, at = request.args.get("of", ""), request.args.get("at", "")
    try:
        found = reading.opened(_house(), request_id, source, at, actor=forms.actor(), limit=consented.limit(request_id))
    except NotPossible as error:
        return _missing(str(error))
    before, marked, after = in_context(found.resource, at)
    kind = source.partition("/")[0]
    return pages.render(
        "key_facts_element.html",
        found=found,
        path=fhirpath(kind, at),
        said=value(found.resource, at, Words({})) if at else None,
        parts=(before[-LARGEST:], marked[:LARGEST], after[:LARGEST]),
        is_cut=max(map(len, (before, marked, after))) > LARGEST,
    )


def _house() -> House:
    return House(world.engine(), world.payloads(), world.config())


@blueprint.get("/document")
def document(request_id: str) -> ResponseReturnValue:
    """A document in place: its words, or its picture; anything as it is, to download. The look is recorded."""
    try:
        found = _document(request_id)
    except NotPossible as error:
        return _missing(str(error))
    shown = showing.of(found.data, found.content_type)
    return pages.render("key_facts_document.html", found=found, shown=shown, size=len(found.data))


@blueprint.get("/document/bytes")
def document_bytes(request_id: str) -> ResponseReturnValue:
    """Its bytes. A picture, or a PDF that does nothing by itself, is shown by the browser where ``show`` is asked for; the rest is a download."""
    try:
        found = _document(request_id)
    except NotPossible as error:
        return _missing(str(error))
    shown = showing.of(found.data, found.content_type) if request.args.get("show") else None
    if shown is None or not shown.inline_type:
        return download_of(found.data, found.content_type, f"{found.source.replace('/', '-')}")
    answer = Response(found.data, content_type=shown.inline_type)
    answer.headers["Content-Disposition"] = "inline"
    answer.headers["Content-Security-Policy"] = showing.POLICIES[shown.how]
    return answer


def _document(request_id: str) -> reading.Document:
    source, at = request.args.get("of", ""), request.args.get("at", "")
    return reading.document(_house(), request_id, source, at, actor=forms.actor(), limit=consented.limit(request_id))


def _missing(why: str) -> Response:
    return pages.problem(t("problem.missing"), why[:1].upper() + why[1:] + ".", 404)
