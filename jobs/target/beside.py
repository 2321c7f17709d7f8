"""What goes beside a report that is in the primary care EHR: its parts (Composition), where it came from (Provenance), that it came
(Communication).

Only where that system takes the type and its profile says so. None keeps a loop open: what cannot go is a finding.
"""

from collections.abc import Callable, Mapping

from integration.roads.fhir_beside import NAME, WITHOUT_IDENTIFIER
from integration.roads.road import NotAllowed
from integration.store import links, sendings
from integration.store.sendings import Sending
from jobs.target.parts_beside import COMPOSITION, composition, retractions, say_parts_stay
from jobs.target.returned import Returned, as_it_came, beside_identifier, returned_to
from jobs.target.sending import Document, read_back, send_document
from jobs.world import Context
from mappings.model.errors import NeedsPerson, PermanentError
from mappings.model.leaving import Reason
from mappings.model.outgoing import Outgoing, visible_of
from mappings.model.request import Identifier
from mappings.model.roads import Level
from mappings.provenance import to_provenance
from mappings.return_notice import author_of, to_return_notice

LEFT = "report-beside-left"
_ROADS = {COMPOSITION: NAME, "Provenance": WITHOUT_IDENTIFIER, "Communication": NAME}


def tell_of_return(ctx: Context) -> None:
    """Each once, by the ledger, and read back. Raises TemporaryError only: what else goes wrong is said as a finding."""
    placer = ctx.row().placer
    returned = returned_to(ctx, placer)
    if returned is None:
        return
    wanted = [kind for kind in ctx.endpoint(placer).habits.beside if kind in _ROADS] if returned.sent else []
    taken = [kind for kind in wanted if kind in ctx.capabilities(placer).creates]
    if returned.is_retracted:
        _take_back(ctx, placer, returned)
    elif COMPOSITION not in taken:
        say_parts_stay(ctx, placer, returned)
    for kind in taken:
        identifier = beside_identifier(ctx, kind, returned.report.revision)
        if not is_known(ctx, placer, identifier):
            _tell(ctx, placer, returned, kind, identifier)


def is_known(ctx: Context, endpoint: str, identifier: Identifier) -> bool:
    """Whether the ledger says that it is there."""
    with ctx.world.engine.begin() as conn:
        row = sendings.find(conn, endpoint, identifier)
    return row is not None and row.is_there


def _tell(ctx: Context, placer: str, returned: Returned, kind: str, identifier: Identifier) -> None:
    try:
        resource = _MADE[kind](ctx, placer, returned, identifier)
    except (NeedsPerson, PermanentError) as error:  # nobody knows what became of an earlier one
        ctx.finding(LEFT, f"the {kind} beside the report waits: {error}", identifier.value)
        return
    if resource is None:
        return
    item = Outgoing(
        request_id=ctx.request_id,
        delivery_id=returned.delivery.id,
        identifier=identifier,
        visible=f"the {kind} about {returned.sent[0].reference}",
        resource=resource,
        patient=returned.patient if kind != "Provenance" else "",
        called="request",
    )
    send_beside(ctx, placer, item, kind, Reason.REPORT)


def _take_back(ctx: Context, placer: str, returned: Returned) -> None:
    """The Compositions of a report that was retracted, once each."""
    try:
        found = list(retractions(ctx, placer, returned))
    except (NeedsPerson, PermanentError) as error:
        ctx.finding(LEFT, f"a Composition of a retracted report waits to be marked: {error}", ctx.request_id)
        return
    for item in found:
        if not is_known(ctx, placer, item.identifier):
            send_beside(ctx, placer, item, COMPOSITION, Reason.WITHDRAWAL)


def send_beside(
    ctx: Context,
    endpoint: str,
    item: Outgoing,
    kind: str,
    reason: Reason,
    *,
    it: str = "the report is",
    left: str = LEFT,
) -> None:
    """One resource beside what is there (``it``), once, read back. What keeps it from going is the finding ``left``."""
    document = Document(
        endpoint, item.delivery_id, item.identifier, lambda road: item, (_ROADS[kind],), looks_back=False
    )
    try:
        with ctx.for_the_reason(reason):
            sending = send_document(ctx, document)
        _see(ctx, sending, left)
    except (NeedsPerson, PermanentError) as error:
        words = f"{it} at {endpoint}; the {kind} beside it did not go there, or cannot be read: {error}"
        ctx.finding(left, words, item.identifier.value)


def _see(ctx: Context, sending: Sending, left: str) -> None:
    """Read it back; what differs was said as findings."""
    read = read_back(ctx, sending)
    if read is None or isinstance(read, NotAllowed):
        ctx.finding(
            left, f"{sending.reference or sending.value} at {sending.endpoint} cannot be read back", sending.value
        )
    elif read.same:
        with ctx.transaction() as conn:
            sendings.set_level(conn, sending.endpoint, sending.identifier, Level.READ_BACK)


def _provenance(ctx: Context, placer: str, returned: Returned, identifier: Identifier) -> dict | None:
    """Of a report that stands: we transmitted it; its author is named only where the report itself does."""
    if returned.is_retracted:
        return None
    source = ctx.endpoint(ctx.row().fulfiller)
    with ctx.world.engine.begin() as conn:
        system = links.frozen_system(conn, ctx.row().fulfiller)
    return to_provenance(
        targets=list(returned.references),
        recorded=returned.instant,
        exchange_name=ctx.world.config.exchange.name,
        author=author_of(as_it_came(ctx, returned)),
        author_for=source.name,
        sources=[Identifier(system=system, value=returned.report.source)] if system else [],
    )


def _communication(ctx: Context, placer: str, returned: Returned, identifier: Identifier) -> dict:
    row, request = ctx.row(), ctx.request()
    return to_return_notice(
        identifier=identifier,
        patient=returned.patient,
        about=list(returned.references),
        service_request=request.service_request,
        sent=returned.instant,
        exchange_name=ctx.world.config.exchange.name,
        from_name=ctx.endpoint(row.fulfiller).name,
        to_name=ctx.endpoint(placer).name,
        visible=[visible_of(ctx.request_id, each.identifier) for each in returned.sent],
        retracted=returned.is_retracted,
    )


_MADE: Mapping[str, Callable[[Context, str, Returned, Identifier], dict | None]] = {
    COMPOSITION: composition,
    "Provenance": _provenance,
    "Communication": _communication,
}
