"""A packet as a clinician reads it: key facts first, each with the element it came from, and a list of everything else."""

from flask import Blueprint, Response, request
from flask.typing import ResponseReturnValue

from integration import reading
from integration.store.operations import NotPossible
from integration.views.reading import in_context
from integration.views.texts import t
from integration.web import forms, pages, world
from mappings.reading.elements import fhirpath, value
from mappings.reading.model import Kind
from mappings.reading.plot import HEIGHT, WIDTH, plot
from mappings.rendition.words import Words

blueprint = pages.sentences(Blueprint("key_facts", __name__, url_prefix="/requests/<request_id>/read"))
METER = (Kind.ALLERGIES, Kind.MEDICATIONS, Kind.FLAGGED, Kind.DOCUMENTS)  # of these the page itself lists the rest
LISTED = 200
LARGEST = 200_000


@blueprint.get("")
def show(request_id: str) -> ResponseReturnValue:
    """The key facts. The look is recorded."""
    found = reading.read(world.engine(), world.payloads(), request_id, actor=forms.actor())
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
    found = reading.read(world.engine(), world.payloads(), request_id, actor=forms.actor())
    if found.facts is None or name not in Kind.__members__.values():
        return pages.problem(t("problem.missing"), t("reading.no_list"), 404)
    start = request.args.get("from", "0")
    at = int(start) if start.isascii() and start.isdigit() and len(start) < 10 else 0
    listed = found.facts.rest[Kind(name)]
    return pages.render("key_facts_rest.html", found=found, kind=Kind(name), listed=listed, start=at, size=LISTED)


@blueprint.get("/element")
def element(request_id: str) -> ResponseReturnValue:
    """The record that a line came from, its element marked. The look is recorded."""
    source, at = request.args.get("of", ""), request.args.get("at", "")
    try:
        found = reading.opened(world.engine(), world.payloads(), request_id, source, at, actor=forms.actor())
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


def _missing(why: str) -> Response:
    return pages.problem(t("problem.missing"), why[:1].upper() + why[1:] + ".", 404)
