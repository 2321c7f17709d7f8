"""A report that arrived in the primary care EHR, for what goes beside it there."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from integration import fhir_json
from integration.store import deliveries, patient_links, reports
from integration.store.deliveries import Delivery
from integration.store.reports import Report
from integration.store.sendings import Sending
from jobs.target.report import documents_sent
from jobs.target.sending import ROADS_OVER_FHIR
from jobs.target.writing import own_identifier
from jobs.world import Context
from mappings.instants import in_whole_seconds
from mappings.model.delivery import ARRIVED, DeliveryKind
from mappings.model.request import Identifier


@dataclass(frozen=True)
class Returned:
    """``sent``: the ledger's rows of its documents that have a name there; none where it went by another road than FHIR."""

    report: Report
    delivery: Delivery
    sent: tuple[Sending, ...]
    patient: str

    @property
    def is_retracted(self) -> bool:
        """Whether it was taken back."""
        return self.report.state == reports.RETRACTED

    @property
    def references(self) -> Iterator[str]:
        """What its documents are called there."""
        return (each.reference for each in self.sent if each.reference)

    @property
    def instant(self) -> str:
        """When the first of them was known to be there; the same in every attempt."""
        first = self.sent[0]
        at = first.ended_at or first.sent_at or self.delivery.created_at
        return in_whole_seconds(at)


def returned_to(ctx: Context, placer: str) -> Returned | None:
    """The newest revision that was delivered; None while none arrived there."""
    with ctx.world.engine.begin() as conn:
        delivery = next(iter(deliveries.of_request(conn, ctx.request_id, DeliveryKind.REPORT)), None)
        if delivery is None or delivery.status not in ARRIVED or delivery.endpoint != placer:
            return None
        report = reports.revision(conn, ctx.request_id, delivery.version)
        sent = tuple(
            each for each in documents_sent(conn, delivery.id) if each.road in ROADS_OVER_FHIR and each.reference
        )
        linked = patient_links.of(conn, ctx.request_id, placer)
    return Returned(report, delivery, sent, linked.reference) if report and linked else None


def as_it_came(ctx: Context, returned: Returned) -> Mapping[str, Any]:
    """The report's resource as the consultant's system had it. Raises ExchangeError when its bytes are not there."""
    return fhir_json.loads(ctx.world.payloads.get(returned.report.resource_sha256))


def beside_identifier(ctx: Context, kind: str, revision: int, copy: int | None = None) -> Identifier:
    """Ours of what stands beside a revision; ``copy``: of that revision's, which this one takes back."""
    return own_identifier(ctx, kind, f"{ctx.request_id}-returned-{revision}" + (f".{copy}" if copy else ""))
