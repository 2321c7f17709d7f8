"""What goes beside a report that is in the primary care EHR: where it came from (Provenance), that it came (Communication).

Only where that system takes the type and its profile says so. Neither keeps a loop open: what cannot go is a finding.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC

from integration import fhir_json
from integration.roads.fhir_beside import NAME, WITHOUT_IDENTIFIER
from integration.roads.road import NotAllowed
from integration.store import deliveries, links, patient_links, reports, sendings
from integration.store.deliveries import Delivery
from integration.store.reports import Report
from integration.store.sendings import Sending
from jobs.target.report import documents_sent
from jobs.target.sending import ROADS_OVER_FHIR, Document, read_back, send_document
from jobs.target.writing import own_identifier
from jobs.world import Context
from mappings.model.delivery import ARRIVED, DeliveryKind
from mappings.model.errors import NeedsPerson, PermanentError
from mappings.model.leaving import Reason
from mappings.model.outgoing import Outgoing, visible_of
from mappings.model.request import Identifier
from mappings.model.roads import Level
from mappings.provenance import to_provenance
from mappings.return_notice import author_of, to_return_notice

LEFT = "report-beside-left"
_ROADS = {"Provenance": WITHOUT_IDENTIFIER, "Communication": NAME}


@dataclass(frozen=True)
class Returned:
    """A report that is there. ``sent``: the ledger's rows of its documents that have a name there."""

    report: Report
    delivery: Delivery
    sent: tuple[Sending, ...]
    patient: str


def tell_of_return(ctx: Context) -> None:
    """Each once, by the ledger, and read back. Raises TemporaryError only: what else goes wrong is said as a finding."""
    placer = ctx.row().placer
    wanted = [kind for kind in ctx.endpoint(placer).habits.beside if kind in _ROADS]
    returned = _returned(ctx, placer) if wanted else None
    if returned is None:
        return
    for kind in wanted:
        identifier = own_identifier(ctx, kind, f"{ctx.request_id}-returned-{returned.report.revision}")
        if kind in ctx.capabilities(placer).creates and not _is_known(ctx, placer, identifier):
            _tell(ctx, placer, returned, kind, identifier)


def _returned(ctx: Context, placer: str) -> Returned | None:
    with ctx.world.engine.begin() as conn:
        delivery = next(iter(deliveries.of_request(conn, ctx.request_id, DeliveryKind.REPORT)), None)
        if delivery is None or delivery.status not in ARRIVED or delivery.endpoint != placer:
            return None
        report = reports.revision(conn, ctx.request_id, delivery.version)
        sent = tuple(
            each for each in documents_sent(conn, delivery.id) if each.road in ROADS_OVER_FHIR and each.reference
        )
        linked = patient_links.of(conn, ctx.request_id, placer)
    return Returned(report, delivery, sent, linked.reference) if report and sent and linked else None


def _is_known(ctx: Context, placer: str, identifier: Identifier) -> bool:
    with ctx.world.engine.begin() as conn:
        row = sendings.find(conn, placer, identifier)
    return row is not None and row.is_there


def _tell(ctx: Context, placer: str, returned: Returned, kind: str, identifier: Identifier) -> None:
    resource = _MADE[kind](ctx, placer, returned, identifier)
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
    document = Document(placer, returned.delivery.id, identifier, lambda road: item, (_ROADS[kind],), looks_back=False)
    try:
        with ctx.for_the_reason(Reason.REPORT):
            sending = send_document(ctx, document)
        _see(ctx, sending)
    except (NeedsPerson, PermanentError) as error:
        words = f"the report is at {placer}; the {kind} beside it did not go there, or cannot be read: {error}"
        ctx.finding(LEFT, words, identifier.value)


def _see(ctx: Context, sending: Sending) -> None:
    """Read it back; what differs was said as findings."""
    read = read_back(ctx, sending)
    if read is None or isinstance(read, NotAllowed):
        ctx.finding(
            LEFT, f"{sending.reference or sending.value} at {sending.endpoint} cannot be read back", sending.value
        )
    elif read.same:
        with ctx.transaction() as conn:
            sendings.set_level(conn, sending.endpoint, sending.identifier, Level.READ_BACK)


def _provenance(ctx: Context, placer: str, returned: Returned, identifier: Identifier) -> dict | None:
    """Of a report that stands: we transmitted it; its author is named only where the report itself does."""
    if returned.report.state == reports.RETRACTED:
        return None
    source = ctx.endpoint(ctx.row().fulfiller)
    with ctx.world.engine.begin() as conn:
        system = links.frozen_system(conn, ctx.row().fulfiller)
    said = fhir_json.loads(ctx.world.payloads.get(returned.report.resource_sha256))
    return to_provenance(
        targets=list(_references(returned)),
        recorded=_instant(returned),
        exchange_name=ctx.world.config.exchange.name,
        author=author_of(said),
        author_for=source.name,
        sources=[Identifier(system=system, value=returned.report.source)] if system else [],
    )


def _communication(ctx: Context, placer: str, returned: Returned, identifier: Identifier) -> dict:
    row, request = ctx.row(), ctx.request()
    return to_return_notice(
        identifier=identifier,
        patient=returned.patient,
        about=list(_references(returned)),
        service_request=request.service_request,
        sent=_instant(returned),
        exchange_name=ctx.world.config.exchange.name,
        from_name=ctx.endpoint(row.fulfiller).name,
        to_name=ctx.endpoint(placer).name,
        visible=[visible_of(ctx.request_id, each.identifier) for each in returned.sent],
        retracted=returned.report.state == reports.RETRACTED,
    )


_MADE: Mapping[str, Callable[[Context, str, Returned, Identifier], dict | None]] = {
    "Provenance": _provenance,
    "Communication": _communication,
}


def _references(returned: Returned) -> Iterator[str]:
    return (each.reference for each in returned.sent if each.reference)


def _instant(returned: Returned) -> str:
    """When the first of them was known to be there; the same in every attempt."""
    first = returned.sent[0]
    at = first.ended_at or first.sent_at or returned.delivery.created_at
    return at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
