"""The parts of a returned report (agreement on diagnosis and plan, points, tests, answers) as a Composition beside its documents.

A system that takes no Composition has text and PDF alone: that is said, once, and the parts stay in the report that we keep.
"""

from collections.abc import Iterator

from integration.store import reports, sendings
from integration.store.sendings import Sending
from jobs.target.returned import Returned, as_it_came, beside_identifier
from jobs.target.sending import what_became_of
from jobs.world import Context
from mappings.consult_report import read_report
from mappings.model.errors import ExchangeError
from mappings.model.outgoing import Outgoing
from mappings.model.request import Identifier
from mappings.returned_composition import to_returned_composition
from mappings.written_report import WrittenParts, read_written_report

COMPOSITION = "Composition"
STAY = "report-parts-stay"


def composition(ctx: Context, placer: str, returned: Returned, identifier: Identifier) -> dict | None:
    """Of a report that stands and has parts; what of them cannot go along is a finding."""
    if returned.is_retracted:
        return None
    said = as_it_came(ctx, returned)
    parts = read_written_report(dict(said))
    if parts.report is None:
        return None
    if parts.problems:
        ctx.finding(STAY, "an agreement in a code that is not known does not go along", identifier.value)
    before = next(_earlier(ctx, placer, returned), None)
    made = to_returned_composition(
        parts.report,
        identifier=identifier,
        patient=returned.patient,
        documents=list(returned.references),
        service_request=ctx.request().service_request,
        author_display=ctx.endpoint(ctx.row().fulfiller).name,
        dated=read_report(dict(said)).date,
        preliminary=returned.report.state == reports.PRELIMINARY,
        replaces=before[1].reference if before else None,
    )
    if made is None:
        _say(ctx, identifier, "the report does not say when it was written, which a Composition needs")
    return made


def say_parts_stay(ctx: Context, placer: str, returned: Returned) -> None:
    """Where no Composition goes: a report with parts arrives without them."""
    if _parts(ctx, returned).report is not None:
        identifier = beside_identifier(ctx, COMPOSITION, returned.report.revision)
        _say(ctx, identifier, f"{placer} takes no Composition from us")


def retractions(ctx: Context, placer: str, returned: Returned) -> Iterator[Outgoing]:
    """Each Composition of an earlier revision that stands there, to be marked as an error."""
    for revision, sending in _earlier(ctx, placer, returned):
        yield Outgoing(
            request_id=ctx.request_id,
            delivery_id=returned.delivery.id,
            identifier=beside_identifier(ctx, COMPOSITION, returned.report.revision, revision),
            visible=f"the retraction of {sending.reference}",
            resource={},
            patient=returned.patient,
            replaces=sending.identifier,
            replaces_reference=sending.reference,
            retracts=True,
            called="request",
        )


def _earlier(ctx: Context, placer: str, returned: Returned) -> Iterator[tuple[int, Sending]]:
    """(revision, the ledger's row) of those that are there, the newest first."""
    for revision in range(returned.report.revision - 1, 0, -1):
        with ctx.world.engine.begin() as conn:
            row = sendings.find(conn, placer, beside_identifier(ctx, COMPOSITION, revision))
        row = what_became_of(ctx, row) if row is not None else None
        if row is not None and row.is_there and row.reference:
            yield revision, row


def _parts(ctx: Context, returned: Returned) -> WrittenParts:
    try:
        return read_written_report(dict(as_it_came(ctx, returned)))
    except ExchangeError:
        return WrittenParts(None)  # its bytes are not restored yet: it is said when they are


def _say(ctx: Context, identifier: Identifier, why: str) -> None:
    words = (
        f"{why}: text and PDF of the report are there; its parts in codes (agreement, points, tests, answers) stay here"
    )
    ctx.finding(STAY, words, identifier.value, "info")
