"""Reading back the records of a packet: each is there once, says what was written, and is about the right patient."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from integration.packets import stored as packets
from integration.store import deliveries, links
from integration.store import packets as packet_rows
from integration.store.deliveries import Delivery
from jobs.target.checking import Check, differs
from jobs.target.expected import Expected, expected
from jobs.target.looking import identities_of, in_parallel, names_of, search_by_identity
from jobs.target.separate_binaries import not_as_sent, separate_binaries
from jobs.target.troubles import trouble_of
from jobs.target.writing import version_of
from jobs.target.written import last_written
from jobs.world import Context
from mappings.addresses import local_reference, target_of
from mappings.bundle import draft, with_urns
from mappings.codes import as_dict
from mappings.merging import contains
from mappings.model.errors import TemporaryError
from mappings.model.findings import Finding
from mappings.model.link import Link
from mappings.subject import may_be_patient, subjects_of


def check_resources(ctx: Context, delivery: Delivery, packet: packets.Packet) -> Check:
    """Search by what they are recognized by in batches (shows doubles too); by Location what the index does not show yet."""
    return ReadingBack(ctx, delivery, packet).check()


NOT_ABOUT = (
    "at the target it is not about the patient that this chart is linked to, or names that patient at an address that "
    "the server has not shown as its own (where it is, write it under `also_known_as` of the endpoint)"
)
AT_ONCE = 1000  # records are read back and compared in blocks of so many: of a long chart no more is in memory


class ReadingBack:
    """One verification of a packet at an endpoint that takes resources."""

    def __init__(self, ctx: Context, delivery: Delivery, packet: packets.Packet):
        self.ctx, self.endpoint, self.packet, self.sent_at = ctx, delivery.endpoint, packet, delivery.sent_at
        self.system = packet.manifest.identifier_system
        with ctx.world.engine.begin() as conn:
            carried = packet_rows.of_request(conn, ctx.request_id)
        sources = packets.sources_of(ctx.world.payloads, carried, packet)
        with ctx.world.engine.begin() as conn:
            rows = links.find_rows(conn, self.endpoint, [(self.system, source) for source in packet.resources])
            known = links.find(conn, self.endpoint, self.system, sources)
            self.items = deliveries.items(conn, delivery.id)
        self.links: dict[str, Link] = {source: row for (_, source), row in rows.items()}
        self.names = with_urns(known, self.system)
        self.bases = packet.manifest.bases(ctx.endpoint(packet.manifest.source_endpoint).bases)
        self.target_bases = ctx.bases(self.endpoint)
        self.found = Check([], [], [])
        self._expected: Expected | None = None

    def check(self) -> Check:
        """Every record of the packet, in its order; one that cannot be compared stops no other."""
        sources = list(self.packet.resources)
        for start in range(0, len(sources), AT_ONCE):
            self._check(sources[start : start + AT_ONCE])
        self._check_beside()
        return self.found

    def _check_beside(self) -> None:
        """The bytes of documents that stand beside their record, read back like all that was written."""
        beside = separate_binaries(self.ctx, self.endpoint, self.packet)
        for place, why in not_as_sent(self.ctx, self.endpoint, self.system, beside.values()).items():
            source = beside[place].source
            self.ctx.finding("verify-bytes", why, place, "error")
            if source in self.found.verified:
                self.found.verified.remove(source)
                self.found.different.append(source)

    def _check(self, sources: list[str]) -> None:
        there = self._read(sources)
        ours = self._ours(sources)
        written = last_written(self.ctx.world.payloads, ours.values(), self.names)
        for source in sources:
            read = there.get(source)
            if read is None:
                self.found.missing.append(source)
                continue
            sent = written.get(source)
            if sent is None and source in ours:  # written by an older version: made once more
                sent = self._made_again(source)
            passed = self._passes(source, sent, read)
            (self.found.verified if passed else self.found.different).append(source)
        self._note_verified(ours, there)

    def _ours(self, sources: list[str]) -> dict[str, Link]:
        """Those that we wrote."""
        known = {source: self.links[source] for source in sources if source in self.links}
        return {source: link for source, link in known.items() if link.origin == "created"}

    def _read(self, sources: list[str]) -> dict[str, dict]:
        identities = identities_of(map(self.packet.resources.__getitem__, self._ours(sources)), self.system)
        looked = search_by_identity(self.ctx, self.endpoint, identities)
        if identities and looked.asked and not looked.found:
            self._wait_for_the_index()
        self.target_bases = self.ctx.bases(self.endpoint)  # its answers may just have shown another one
        there = {source: self._choose(source, resources) for source, resources in looked.found.items()}
        rest = {source: at for source in sources if source not in there and (at := self._target(source))}
        server = self.ctx.server(self.endpoint)
        read = in_parallel(self.ctx, self.endpoint, lambda source: server.read_if_there(rest[source]), list(rest))
        return there | {source: resource for source, resource in zip(rest, read, strict=True) if resource is not None}

    def _wait_for_the_index(self) -> None:
        """Nothing of what we wrote is found: until the index must show it, it is asked again. Raises TemporaryError."""
        lag = timedelta(seconds=self.ctx.endpoint(self.endpoint).limits.search_lag_seconds)
        left = lag - (self.ctx.now - (self.sent_at or self.ctx.now))
        if self.sent_at is not None and left > timedelta(0):
            raise TemporaryError(
                f"{self.endpoint} does not show yet what was written",
                endpoint=self.endpoint,
                cause="not-readable-yet",
                retry_after_seconds=max(0.2, left.total_seconds()),
            )

    def _target(self, source: str) -> str | None:
        return self.names.get(source) or (self.items[source].target if source in self.items else None)

    def _choose(self, source: str, there: list[dict]) -> dict:
        if len(there) > 1:
            self.ctx.finding(
                "duplicate-at-target",
                f"{len(there)} resources hold this identifier: {names_of(there)}",
                source,
                "error",
            )
        return next((each for each in there if packets.source_of(each) == self.names.get(source)), there[0])

    def _passes(self, source: str, sent: dict | None, read: dict) -> bool:
        try:
            if self._is_about_another(source, read):
                return False
            if sent is None:  # matched there: it exists; its content is that side's own
                return True
            if self.links[source].verified_at is not None:
                return self._stands_as_verified(source, sent, read)
            return not differs(self.ctx, sent, read, source, self.names, self.target_bases)
        except Exception as error:
            finding = trouble_of(error, source)
            self.ctx.found.append(Finding("verify-unreadable", finding.message, finding.path, "error"))
            return False

    def _is_about_another(self, source: str, read: dict) -> bool:
        """By what the SOURCE says a record is about: what we made of it may have lost its patient."""
        patient, there = self.names.get(self.packet.manifest.patient), dict(subjects_of(read))
        for path, node in subjects_of(self.packet.resources[source]):
            said = node.get("reference")
            if not said or is_contained(said) or not may_be_patient(node, target_of(said, self.bases)):
                continue
            found = local_reference(as_dict(there.get(path)).get("reference"), self.target_bases)
            if patient is None or found != patient:
                self.ctx.finding("other-patient", NOT_ABOUT, f"{source}#{path}", "error")
                return True
        return False

    def _stands_as_verified(self, source: str, sent: dict, read: dict) -> bool:
        """It was read back as written before, and not written since: what the other side changed in its copy is theirs."""
        if not contains(sent, read):
            self.ctx.finding(
                "changed-since-verified", f"{self.endpoint} changed its copy since it was verified", source
            )
        return True

    def _made_again(self, source: str) -> dict | None:
        try:
            self._expected = self._expected or expected(self.ctx, self.endpoint, self.packet)
            how: dict[str, Any] = dict(identifier_system=self.system, source_base=self.bases, allow_unidentified=True)
            return draft(self._expected.resources[source], links=self.names, **how).body
        except Exception as error:
            self.ctx.found.append(trouble_of(error, source))
            return {"resourceType": source.split("/")[0], "id": "unknown"}

    def _note_verified(self, ours: Mapping[str, Link], there: Mapping[str, dict]) -> None:
        failed = {*self.found.missing, *self.found.different}
        found = {
            source: (link.sha256, version_of(there[source])) for source, link in ours.items() if source not in failed
        }
        if found:
            with self.ctx.transaction() as conn:
                links.read_back(conn, self.endpoint, self.system, found)


def is_contained(reference: object) -> bool:
    """True when what is referred to stands inside the same resource."""
    return isinstance(reference, str) and reference.startswith("#")
