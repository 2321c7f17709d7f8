"""Reads the chart of one patient at the placer: everything of it, of nobody else, closed over references."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from threading import Lock

from integration.fhir.server import Entry, FhirServer
from integration.packets import stored as packets
from integration.packets.lines import Spool
from integration.received_at_home import beginning
from integration.store import links, requests
from integration.store.pace import parallel_requests
from jobs.source.asked import given_by
from jobs.source.problems import Problems
from jobs.world import Context
from mappings.addresses import base_in, base_of_search, comparable
from mappings.identifiers import identifiers_in, local_reference
from mappings.instants import in_whole_seconds, last_updated
from mappings.model.errors import NeedsPerson, PartialError
from mappings.model.packet import ManifestItem
from mappings.model.request import SecondOpinionRequest
from mappings.references import find_references
from mappings.subject import searched_by, whose, whose_by_search

# What closes the packet: read when something in it points there. Other patients, alone or in
# a group, and our own traffic stay out.
NOT_FOLLOWED = frozenset(
    {
        "Patient",
        "Person",
        "Group",
        "Task",
        "AuditEvent",
        "Provenance",
        "Binary",
        "Endpoint",
        "Subscription",
        "Bundle",
        "MessageHeader",
        "Parameters",
        "CapabilityStatement",
    }
)
MAX_ROUNDS = 10
WHOLE_SECOND = timedelta(seconds=1)  # servers print `lastUpdated` coarser than they compare it
READ_AHEAD = 200


@dataclass
class Chart:
    """What was read of one patient: ``resources`` by ``Type/id``, the patient among them."""

    patient: str
    resources: Spool
    bases: list[str]  # the server's addresses, as configured and as it showed them
    problems: Problems
    left_out: set[str] = field(default_factory=set)  # another patient's, or what would go back where it came from
    searched: set[str] = field(default_factory=set)  # types
    received: list[ManifestItem] = field(default_factory=list)  # documents that arrived by hand, their bytes stored
    taken_back: dict[str, str] = field(default_factory=dict)  # Type/id that arrived by hand -> why it is withdrawn

    def must_fit(self, place: str, limit: int, beside: int = 0) -> None:
        """Raises NeedsPerson naming ``place`` when records, and ``beside`` of attachments, are larger than ``limit`` bytes."""
        if self.resources.size + beside > limit:
            raise NeedsPerson(
                "packet-too-large",
                f"with {place} the packet is larger than the {limit} bytes of records.max_packet_bytes",
            )

    @property
    def learned(self) -> tuple[str, ...]:
        """Its further addresses: those that config.yaml names, and those that it showed."""
        return tuple(self.bases[1:])


def read_chart(
    ctx: Context,
    request: SecondOpinionRequest,
    patient: str,
    *,
    since: datetime | None = None,
    known: frozenset[str] = frozenset(),
    at: str = "",
    whole: bool = True,
) -> Chart:
    """The patient, typed searches in parallel, then everything they point to.

    ``since``: only what changed after it; ``known``: what need not be read again because something points to it; ``at``:
    the endpoint, where it is not the placer; not ``whole``: only what it gave because it was asked, and what that points to.
    """
    since = since or (datetime.combine(request.records.since, time(0), UTC) if request.records.since else None)
    reading = _Reading(ctx, request, patient, at or request.placer)
    limits = ctx.endpoint(reading.at).limits
    with ThreadPoolExecutor(parallel_requests(limits.concurrency, limits.requests_per_second)) as pool:
        searches = reading.searches() if whole else []
        for _ in pool.map(lambda asked: reading.search(asked[0], asked[1], since), searches):
            pass  # each is taken while it is read
        reading.take_given(pool)
        reading.close_over_references(known, pool)
    reading.chart.resources.sort()
    return reading.chart


class _Reading:
    """One reading of a chart."""

    def __init__(self, ctx: Context, request: SecondOpinionRequest, patient: str, at: str):
        self.ctx, self.request, self.at = ctx, request, at
        self.is_home = at == request.placer
        self.server: FhirServer = ctx.server(at)
        self.patient = self.server.read(*patient.split("/"))
        if packets.source_of(self.patient) != patient:
            raise PartialError([f"{patient}: the server answers with another patient"])
        found = Spool(ctx.world.payloads.spool(), {patient: self.patient})
        self.chart = Chart(patient, found, list(ctx.bases(at)), Problems(ctx.waived() if self.is_home else ()))
        self.included = Spool(ctx.world.payloads.spool(), {})
        wanted = request.records.since
        self.since = datetime.combine(wanted, time(0), UTC) if wanted else None
        self.taking = Lock()
        self.known_bases = {comparable(base) for each in ctx.world.config.endpoints.values() for base in each.bases} | {
            comparable(base) for base in self.chart.bases
        }  # also those of others, which are never this server's
        # A copy of the fulfiller's own record does not go back where it came from, nor a report of its case to who is asked. Where
        # records travel it stays in the packet: it is linked to its original there, and what points to it keeps pointing to it.
        as_documents = ctx.endpoint(request.fulfiller).accepts == "documents"
        with ctx.world.engine.begin() as conn:
            self.theirs = links.frozen_system(conn, request.fulfiller) if as_documents else None
            of_case = [each.id for each in requests.of_case(conn, ctx.row().case)]
        self.returned = ctx.world.config.exchange.identifier_system, {each: _returned_by(each) for each in of_case}

    @property
    def _server(self) -> str:
        return "the placer's server" if self.is_home else self.at

    def searches(self) -> list[tuple[str, dict[str, str]]]:
        """(type, search parameters) of what is asked for; a finding for each type that is not offered, or only in part."""
        can = self.ctx.capabilities(self.at)
        asked = []
        for kind in self.request.records.types or self.ctx.world.config.records.types:
            names = [name for name in (searched_by(kind), "subject") if not can.searches or can.can_search(kind, name)]
            if kind != "Patient" and names:
                asked += [(kind, {names[0]: self.chart.patient, **more}) for more in self._in_parts(kind)]
            elif kind != "Patient":
                self.ctx.finding("type-not-offered", f"{self._server} does not offer this type", kind, "info")
        return asked

    def _in_parts(self, kind: str) -> list[dict[str, str]]:
        """Parameters beside the patient, by search: some servers search a type only by category."""
        parts = self.ctx.endpoint(self.at).searches_for(kind)
        if parts:
            self.ctx.finding(
                "gathered-in-part",
                f"the server is asked by {', '.join(parts)} only; what else there is of this type is not gathered",
                kind,
                "info",
            )
        return [dict([part.split("=", 1)]) for part in parts] or [{}]

    def search(self, kind: str, params: dict[str, str], since: datetime | None) -> None:
        """Take every entry of every page while it is read: no more than a page is in memory."""
        self.chart.searched.add(kind)
        search = self.server.search(kind, [*params.items(), *self._younger(since)])
        learned: set[str] = set()
        for number, entry in enumerate(search, start=1):
            with self.taking:
                for link in search.links - learned:
                    self._learn(base_of_search(link, kind))
                learned |= search.links
                self.take(kind, number, entry)
            self.chart.must_fit(f"{kind}?patient entry {number}", self.ctx.world.config.records.max_packet_bytes)
        for words in search.warnings:  # list.append is atomic: searches run in threads
            self.ctx.finding("search-warning", f"the server remarked on its search: {words}"[:300], kind)

    def _younger(self, since: datetime | None) -> Iterator[tuple[str, str]]:
        """``_lastUpdated`` from a time on; a server that takes closed ranges only is given an end that is not reached."""
        if since is not None:
            yield "_lastUpdated", f"ge{in_whole_seconds(since)}"
            if self.ctx.endpoint(self.at).of_profile.closed_ranges:
                yield "_lastUpdated", f"lt{in_whole_seconds(self.ctx.now + timedelta(days=2))}"

    def _learn(self, base: str | None) -> None:
        """Another address under which the server knows itself, because it says so; never that of another endpoint."""
        if base is None or comparable(base) in self.known_bases:
            return
        self.known_bases.add(comparable(base))
        self.chart.bases.append(base)
        self.ctx.say_learned(self.at, base)

    def take(self, kind: str, number: int, entry: Entry) -> None:
        """Keep what a search found, unless it is another patient's (servers return such), the order, or goes back."""
        with self.chart.problems.about(f"{kind}?patient entry {number}"):
            source = packets.source_of(entry.resource)
            self._learn(base_in(entry.full_url, source))
            if self._was_asked_for(kind, source, entry.resource):
                self._take(source, entry.resource, whose_by_search)

    def _was_asked_for(self, kind: str, source: str, resource: dict) -> bool:
        """False for what a server shows that ignores a parameter. What it includes is kept aside until something points to it."""
        if resource.get("resourceType") not in (kind, "Patient"):
            self.included[source] = resource
            return False
        updated = last_updated(resource)
        if self.since is None or updated is None or updated >= self.since - WHOLE_SECOND:
            return True
        self._say_once(
            "search-ignored",
            f"{self.at} shows records that are older than was asked for; they were left out",
            f"{kind}?_lastUpdated",
        )
        return False

    def _say_once(self, cause: str, words: str, path: str) -> None:
        if not any((each.cause, each.path) == (cause, path) for each in self.ctx.found):
            self.ctx.finding(cause, words, path)

    def _take(self, source: str, resource: dict, whose: Callable = whose) -> None:
        with self.chart.problems.about(source):
            if source == self.chart.patient:
                return
            if self.is_home and source == self.request.service_request or self._goes_back(source, resource):
                self.chart.left_out.add(source)
            elif self._is_theirs(source, resource, whose):
                self.chart.resources[source] = resource

    def _is_theirs(self, source: str, resource: dict, whose: Callable) -> bool:
        """False for what is another person's; what may be anybody's is a problem and is not taken."""
        verdict, path = whose(resource, self.patient, self.chart.bases)
        if verdict == "another" or source.startswith("Patient/"):
            severity = "warning" if source.startswith("Patient/") else "error"
            self.ctx.finding(
                "other-patient", "the server returned a resource of another patient; it was left out", source, severity
            )
            self.chart.left_out.add(source)
            return False
        if verdict == "nobody" and whose is whose_by_search:
            self.ctx.finding(
                "search-ignored",
                f"{self.at} shows it in a search by patient, and it names no patient; it was left out",
                source,
                "error",
            )
            return False
        if verdict == "unclear":
            place = f"{source}#{path.partition('.')[2]}"
            self.chart.problems.add(
                place,
                "it cannot be told whether this is the patient: it names none of the server's own; if it is another "
                "address of the server, write that under `also_known_as` of the endpoint",
            )
        return verdict != "unclear"

    def _goes_back(self, source: str, resource: dict) -> bool:
        """True for a copy of what the fulfiller has already, and of a report of its case: by the exact system of an identifier."""
        system, returned = self.returned
        if self.is_home and any(
            each.system == system and each.value.startswith(beginning(self.ctx.request_id))
            for each in identifiers_in(resource)
        ):
            return True  # what arrived from elsewhere for this request travels as it was received
        values = [each.value for each in identifiers_in(resource) if each.system == system]
        of = {each for each, names in returned.items() for value in values if value.startswith(names)}
        if of - {self.ctx.request_id}:
            words = "it is the report of an earlier opinion of this case, which goes along only as the patient said"
            self.ctx.finding("earlier-opinion-kept-out", words, source, "info")
        elif of or any(each.system == self.theirs for each in identifiers_in(resource)):
            self.ctx.finding("goes-back", "it came from the consultant's own system, so it is not sent", source, "info")
            return True
        return bool(of)

    def take_given(self, pool: ThreadPoolExecutor) -> None:
        """What the source gave because it was asked: no search may show it."""
        given = [each for each in given_by(self.ctx, self.at) if each.source not in self.chart.resources]
        for each in given:
            if each.resource is not None:
                self._take(each.source, each.resource)
        self._fetch([each.source for each in given if each.resource is None], pool)

    def close_over_references(self, known: frozenset[str], pool: ThreadPoolExecutor) -> None:
        """Read what something in the chart points to, round after round, until nothing new is pointed to."""
        gone = set(known)
        fresh: list[str] = list(self.chart.resources)
        pointed: dict[str, str] = {}
        for _ in range(MAX_ROUNDS):
            for source in fresh:
                pointed |= {target: place for target, place in self._targets(source).items() if target not in pointed}
            settled = gone | self.chart.left_out
            fresh = sorted(
                target
                for target in pointed
                if target not in self.chart.resources
                and target not in settled
                and target.split("/")[0] not in NOT_FOLLOWED
            )
            if not fresh:
                return self._note_unresolved(pointed, known)
            gone |= self._fetch(fresh, pool)
        raise PartialError([f"references still open after {MAX_ROUNDS} rounds"])

    def _targets(self, source: str) -> dict[str, str]:
        """``{Type/id: place}`` of what a resource of the chart points to."""
        targets: dict[str, str] = {}
        if source in self.chart.resources:
            with self.chart.problems.about(source):
                for at in find_references(self.chart.resources[source], source_base=self.chart.bases):
                    if local := local_reference(at.target):
                        targets.setdefault(local, f"{source}#{at.path}")
        return targets

    def _fetch(self, wanted: list[str], pool: ThreadPoolExecutor) -> set[str]:
        """Read them; returns what is not to be asked for again."""
        for target, resource in self._read_all(wanted, pool):
            if resource is None:
                continue
            self.chart.must_fit(target, self.ctx.world.config.records.max_packet_bytes)
            with self.chart.problems.about(target):
                if packets.source_of(resource) != target:
                    self.chart.problems.add(target, "the server answers with another resource")
                elif whose(resource, self.patient, self.chart.bases)[0] != "another":
                    self._take(target, resource)
        return set(wanted)

    def _read_all(self, wanted: list[str], pool: ThreadPoolExecutor) -> Iterator[tuple[str, dict | None]]:
        for start in range(0, len(wanted), READ_AHEAD):  # the readers never are further ahead than so many
            block = wanted[start : start + READ_AHEAD]
            yield from zip(block, pool.map(self._read, block), strict=True)

    def _read(self, target: str) -> dict | None:
        if target in self.included:
            return self.included[target]
        with self.chart.problems.about(target):
            return self.server.read_if_there(target)
        return None

    def _note_unresolved(self, pointed: dict[str, str], known: frozenset[str]) -> None:
        for target, place in pointed.items():
            if target not in self.chart.resources and target not in known:
                self.ctx.finding("reference-unresolved", f"{target} is not in the packet", place)


def _returned_by(request_id: str) -> tuple[str, ...]:
    """How the names begin of what is written to a placer about the report of a request."""
    beside = (f"{kind}/{request_id}-returned-" for kind in ("Communication", "Composition"))
    return f"DocumentReference/{request_id}-report-", *beside
