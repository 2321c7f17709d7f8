"""What one push of a packet knows, stores and leaves to a person: shared by creating and by bringing up to date."""

from collections.abc import Mapping
from datetime import timedelta

from integration.fhir.failures import safe_issues
from integration.packets import stored as packets
from integration.store import deliveries, links
from integration.store import packets as packet_rows
from integration.store.deliveries import Delivery
from jobs.target.expected import Expected
from jobs.target.looking import names_of
from jobs.world import Context
from mappings.bundle import urn_of
from mappings.model.errors import NeedsPerson, TemporaryError, TransferError
from mappings.model.findings import Finding
from mappings.model.link import Link

MAX_REFUSED = 20  # in one attempt: with more it is not the records


class Push:
    """One push of a packet as resources."""

    def __init__(self, ctx: Context, delivery: Delivery, packet: packets.Packet, wanted: Expected):
        self.ctx, self.delivery, self.packet = ctx, delivery, packet
        self.endpoint, self.resources, self.items = delivery.endpoint, wanted.resources, wanted.items
        self.beside = wanted.beside
        self.system = packet.manifest.identifier_system
        self.bases = packet.manifest.bases(ctx.endpoint(packet.manifest.source_endpoint).bases)
        self.server = ctx.server(self.endpoint)
        self.can = ctx.capabilities(self.endpoint)
        self.limits = ctx.endpoint(self.endpoint).limits
        self.finds = ctx.endpoint(self.endpoint).habits.finds_by_identifier is not False
        with ctx.world.engine.begin() as conn:
            carried = packet_rows.of_request(conn, ctx.request_id)
            self.another_was_here = packet_rows.of_others(conn, ctx.request_id, packet.manifest.patient)
        sources = packets.sources_of(ctx.world.payloads, carried, packet)
        with ctx.world.engine.begin() as conn:
            self.names = links.find(conn, self.endpoint, self.system, sources)  # Type/id at the source -> at the target
            rows = links.find_rows(conn, self.endpoint, [(self.system, source) for source in self.resources])
            self.perhaps_written = deliveries.perhaps_written(conn, self.endpoint, packet.manifest.patient)
        self.urns = {urn_of(self.system, source): target for source, target in self.names.items()}
        self.links: dict[str, Link] = {source: row for (_, source), row in rows.items()}
        self.left: dict[str, Finding] = {}  # what a person has to decide about
        self.to_update: dict[str, None] = {}  # in order
        self.there: dict[str, dict] = {}  # read already

    def store(self, rows: list[Link], ours: Mapping[str, bool], sent: Mapping[str, str] | None = None) -> None:
        """Links and item marks of what was just written, in one fenced transaction."""
        if not rows:
            return
        with self.ctx.transaction() as conn:
            links.wrote(conn, self.endpoint, rows)
            marks = [
                dict(
                    source=row.value, status="sent", target=row.reference, created_by_us=ours[row.value], **(sent or {})
                )
                for row in rows
                if row.value in ours
            ]
            deliveries.mark_items(conn, self.delivery.id, marks)
        self.links |= {row.value: row for row in rows}
        self.called({row.value: row.reference for row in rows})

    def must_have_waited(self, source: str) -> None:
        """Raises TemporaryError while a search may not know yet what an earlier attempt was about to write."""
        at = self.perhaps_written[source] + timedelta(seconds=self.limits.search_lag_seconds)
        if self.ctx.now < at:
            raise TemporaryError(
                f"{source} is not found at {self.endpoint} yet; its search may not know it so soon",
                endpoint=self.endpoint,
                cause="looked-too-soon",
                retry_after_seconds=(at - self.ctx.now).total_seconds(),
            )

    def called(self, names: Mapping[str, str]) -> None:
        self.names |= names
        self.urns |= {urn_of(self.system, source): target for source, target in names.items()}

    def is_ours(self, source: str) -> bool:
        return source in self.links and self.links[source].origin == "created"

    def made_of(self, source: str) -> dict:
        item = self.items[source]
        return dict(
            source_sha256=item.content,
            source_version=item.version,
            source_updated_at=item.updated_at,
            gathered_at=item.gathered_at,
        )

    def refused(self, source: str, error: TransferError) -> None:
        words = "; ".join(safe_issues(error.outcome or {}))
        self.leave_refused(source, f"{error.status_code or error.cause}{f' ({words})' if words else ''}", error)

    def leave_refused(self, source: str, words: str, error: TransferError | None = None) -> None:
        self.leave("record-refused", f"{self.endpoint} refuses it: {words}", source)
        refused = [each for each in self.left.values() if each.cause == "record-refused"]
        if len(refused) > MAX_REFUSED:
            raise error or NeedsPerson(
                "records-refused",
                f"{self.endpoint} refuses record after record, such as {refused[0].path}: {words}",
            )

    def leave(self, cause: str, message: str, source: str, path: str = "") -> None:
        self.leave_for(Finding(cause, message, path or source, "error"))

    def leave_for(self, finding: Finding) -> None:
        self.left[finding.path.partition("#")[0]] = finding
        self.ctx.found.append(finding)

    def say_doubled(self, source: str, there: list[dict]) -> None:
        message = f"{len(there)} resources hold this identifier: {names_of(there)}; the first of them is used"
        self.ctx.finding("duplicate-at-target", message, source, "error")
