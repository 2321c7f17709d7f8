"""Writing the records of a packet at an endpoint that takes resources: each once, in chunks, and what changed brought up to date."""

from collections import ChainMap
from collections.abc import Iterable, Mapping
from dataclasses import replace

import simplejson

from integration import fhir_json
from integration.fhir.failures import safe_issues
from integration.packets import stored as packets
from integration.packets.lines import ByteSpool
from integration.store import deliveries, links
from integration.store.links import Link
from integration.store.one_at_a_time import alone
from jobs.target import written
from jobs.target.apart import send as send_apart
from jobs.target.deciding import Action, Do, decide
from jobs.target.expected import Expected, expected
from jobs.target.looking import identities_of, in_parallel, names_of, search_by_identity, search_by_patient
from jobs.target.troubles import about_content, named_trouble, trouble_of, worth_splitting
from jobs.target.writing import version_of
from jobs.world import Context
from mappings.bundle import Draft, EntryResult, break_cycles, draft, plan, plan_numbers, read_response, urn_of
from mappings.merging import holds, merge, says
from mappings.model.delivery import Verdict, verdict_of_status
from mappings.model.errors import (
    MappingError,
    NeedsPerson,
    PermanentError,
    TemporaryError,
    TransferError,
    UnknownOutcome,
)
from mappings.model.findings import Finding

CHUNK_BYTES = 8_000_000
MEANWHILE_SECONDS = 2.0  # a push of the same chart may take minutes: the step goes back rather than hold a thread
MAX_REFUSED = 20  # in one attempt: with more it is not the records


def push_resources(ctx: Context, delivery, packet: packets.Packet) -> None:
    """While no other request's packet of the same chart is: both hold the same records, and servers race on conditional creates.

    Raises NeedsPerson when a person has to decide about some records; all others are written by then.
    """
    manifest = packet.manifest
    with alone(
        ctx.world.engine,
        ctx.step,
        delivery.endpoint,
        manifest.identifier_system,
        manifest.patient,
        wait_seconds=MEANWHILE_SECONDS,
    ):
        ResourcePush(ctx, delivery, packet, expected(ctx, delivery.endpoint, packet)).run()


class ResourcePush:
    """One push of a packet as resources."""

    def __init__(self, ctx: Context, delivery, packet: packets.Packet, wanted: Expected):
        self.ctx, self.delivery, self.packet = ctx, delivery, packet
        self.endpoint, self.resources, self.items = delivery.endpoint, wanted.resources, wanted.items
        self.beside = wanted.beside
        self.system = packet.manifest.identifier_system
        self.bases = packet.manifest.bases(ctx.endpoint(packet.manifest.source_endpoint).bases)
        self.server = ctx.server(self.endpoint)
        self.can = ctx.capabilities(self.endpoint)
        self.limits = ctx.endpoint(self.endpoint).limits
        with ctx.world.engine.begin() as conn:
            carried = packets.rows(conn, ctx.request_id)
            self.another_was_here = packets.of_others(conn, ctx.request_id, packet.manifest.patient)
        sources = packets.sources_of(ctx.world.payloads, carried, packet)
        with ctx.world.engine.begin() as conn:
            self.names = links.find(conn, self.endpoint, self.system, sources)  # Type/id at the source -> at the target
            rows = links.find_rows(conn, self.endpoint, [(self.system, source) for source in self.resources])
            self.perhaps_written = deliveries.perhaps_written(conn, self.endpoint, packet.manifest.patient)
        self.urns = {urn_of(self.system, source): target for source, target in self.names.items()}
        self.links: dict[str, Link] = {source: row for (_, source), row in rows.items()}
        self.drafts: dict[str, Draft] = {}
        self.kinds: dict[str, dict] = {}  # what the drafts of a type have instead of a body
        self.lines = ByteSpool(ctx.world.payloads.spool())
        self.left: dict[str, Finding] = {}  # what a person has to decide about
        self.to_update: dict[str, None] = {}  # in order
        self.there: dict[str, dict] = {}  # read already

    def run(self) -> None:
        """Create what is missing, bring up to date what changed, and name what a person has to decide about."""
        by_action = self._decided()
        self._adopt_originals([each for each in by_action if each.do is Do.ORIGINAL])
        self._note_kept([each for each in by_action if each.do is Do.KEEP])
        missing = [each.source for each in by_action if each.do is Do.CREATE]
        self._send_beside()
        self._prepare(missing)
        self._look([source for source in missing if source not in self.left])
        self._create([source for source in missing if source not in self.left and source not in self.names])
        self.to_update |= dict.fromkeys(each.source for each in by_action if each.do is Do.UPDATE)
        self._update()
        self._mark_rest()
        if self.left:
            raise named_trouble(self.endpoint, self.left)

    def _decided(self) -> list[Action]:
        actions = decide(self.items.values(), self.links)
        for action in actions:
            if action.finding is not None:
                self.ctx.found.append(action.finding)
            if action.do is Do.LEAVE:
                self.left[action.source] = action.finding
        return actions

    # What came from the target is called what it is called there.

    def _adopt_originals(self, actions: list[Action]) -> None:
        unknown = [each for each in actions if self.names.get(each.source) != each.target]
        read = in_parallel(self.ctx, self.endpoint, lambda each: self.server.read_if_there(each.target), unknown)
        rows = []
        for action, there in zip(unknown, read, strict=True):
            if there is None:
                self._leave("original-gone", f"it came from {self.endpoint} and is no longer there", action.source)
            else:
                rows.append(Link(self.system, action.source, action.target, "matched"))
        if rows:
            with self.ctx.transaction() as conn:
                links.wrote(conn, self.endpoint, rows)
        self._called({row.value: row.reference for row in rows})

    def _note_kept(self, actions: list[Action]) -> None:
        """What it was made of is noted where it was not known, or where a person was told of the change."""
        told = {each.source for each in actions if each.finding is not None and each.finding.severity == "error"}
        rows = [
            replace(link, **self._made_of(link.value))
            for link in (self.links[each.source] for each in actions)
            if link.source_sha256 is None or link.value in told
        ]
        if rows:
            with self.ctx.transaction() as conn:
                links.wrote(conn, self.endpoint, rows)

    def _send_beside(self) -> None:
        """Documents that stand beside their records go first: what names them says where they are."""
        for document in self.beside.values():
            if document.source in self.left:
                continue
            try:
                self.names[document.binary] = send_apart(self.ctx, self.endpoint, self.system, document)
            except TransferError as error:
                if not about_content(error):
                    raise
                self._refused(document.source, error)

    # Preparing: each record is written as JSON once.

    def _prepare(self, sources: list[str]) -> None:
        """Drafts and lines of what is missing: among each other by urn. What cannot be written is left."""
        todo = sources
        while todo:
            urns = {source: urn_of(self.system, source) for source in sources if source not in self.left}
            lost = set(self.left)
            for source in todo:
                self._draft(source, ChainMap(self.names, urns))
            newly = {urn_of(self.system, source).encode() for source in self.left.keys() - lost}
            todo = [
                source for source in sources if source in self.lines and any(urn in self.lines[source] for urn in newly)
            ]

    def _draft(self, source: str, names: Mapping[str, str], later: Iterable[str] = ()) -> None:
        """Of targets in ``later`` only the identifier is written."""
        names = {key: name for key, name in names.items() if key not in later} if later else names
        try:
            made = draft(
                self.resources[source],
                links=names,
                identifier_system=self.system,
                source_base=self.bases,
                allow_unidentified=True,
                later=tuple(later),
                findings=self.ctx.found,
            )
            line = fhir_json.dumps(made.body)
            if not later and made.urn.encode() in line:  # to itself: only an update can say so (HAPI ends in its stack)
                self._draft(source, names, (source,))
                self.to_update[source] = None
                return
            # of a long chart only what an entry needs beside the line is in memory
            kind = made.body["resourceType"]
            self.drafts[source] = replace(made, body=self.kinds.setdefault(kind, {"resourceType": kind}))
            self.lines[source] = line
        except Exception as error:
            self._left(trouble_of(error, source))

    # Looking for what an earlier attempt, another request or an older delivery may have written.

    def _look(self, sources: list[str]) -> None:
        by_identity = self.ctx.looks_first or self.another_was_here or not self.can.conditional_create
        identities = identities_of(map(self.resources.__getitem__, sources), self.system)
        if by_identity:
            looked = search_by_identity(self.ctx, self.endpoint, identities)
            for kind in sorted(looked.ignored):
                self._say_ignored(kind)
            self._found(looked.found)
        unfound = [source for source in sources if source not in self.names and source in self.perhaps_written]
        self._look_by_patient([source for source in unfound if source not in identities])

    def _look_by_patient(self, sources: list[str]) -> None:
        """What no identifier can find: among the patient's records of the type, by what it says."""
        patient = self.names.get(self.packet.manifest.patient)
        for kind in sorted({source.split("/")[0] for source in sources}):
            mine = [source for source in sources if source.startswith(f"{kind}/")]
            try:
                there = search_by_patient(self.ctx, self.endpoint, kind, patient or "")
            except PermanentError:
                for source in mine:
                    self._leave(
                        "cannot-look-up",
                        f"an earlier attempt may have written it, and {self.endpoint} cannot be asked for it",
                        source,
                    )
                continue
            wanted = {source: fhir_json.loads(written.named(self.lines[source], self.urns)) for source in mine}
            self._found({source: found for source in mine if (found := [t for t in there if holds(wanted[source], t)])})

    def _found(self, found: Mapping[str, list[dict]]) -> None:
        """Of what is there already the first counts; whether it says what it should is looked at later."""
        for source, there in found.items():
            if len(there) > 1:
                self._say_doubled(source, there)
            self._called({source: packets.source_of(there[0])})
            self.there[source] = there[0]
            self.to_update[source] = None

    def _say_doubled(self, source: str, there: list[dict]) -> None:
        message = f"{len(there)} resources hold this identifier: {names_of(there)}; the first of them is used"
        self.ctx.finding("duplicate-at-target", message, source, "error")

    def _say_ignored(self, kind: str) -> None:
        message = f"{self.endpoint} answers a search by identifier with resources that do not carry it"
        self.ctx.finding("search-ignored", message, kind)

    # Creating

    def _create(self, sources: list[str]) -> None:
        chunks = plan_numbers(
            map(self.resources.__getitem__, sources),
            list(map(self.lines.size, sources)),
            chunk_size=self.limits.chunk_size,
            max_bytes=CHUNK_BYTES,
            source_base=self.bases,
        )
        for chunk in chunks:
            self._send([sources[number] for number in chunk])

    def _send(self, chunk: list[str], *, singly: bool = False) -> None:
        """One chunk: what is about to be written is kept and noted first, then sent, then what came of it is stored."""
        singly = singly or not self.can.transaction
        chunk = self._in_order(chunk) if singly else chunk
        chunk = [source for source in chunk if self._is_ready(source, () if singly else chunk)]
        if not chunk:
            return
        lines = [written.named(self.lines[source], self.urns) for source in chunk]
        kept = written.keep(self.ctx.world.payloads, lines)
        with self.ctx.transaction() as conn:
            deliveries.mark_items(
                conn,
                self.delivery.id,
                [
                    dict(source=source, sent_sha256=digest, sent_in=kept.pack)
                    for source, digest in zip(chunk, kept.hashes, strict=True)
                ],
            )
        wrote = dict(zip(chunk, kept.hashes, strict=True))
        if singly:
            self._send_singles(chunk, wrote, kept.pack)
        else:
            self._send_transaction(chunk, lines, wrote, kept.pack)

    def _is_ready(self, source: str, beside: Iterable[str]) -> bool:
        """False when it cannot be written after all; what it refers to and was left is named by its identifier only.

        ``beside``: what goes in the same transaction.
        """
        if self.left and written.urns_in(self.lines[source], {urn_of(self.system, each): each for each in self.left}):
            urns = {each: self.drafts[each].urn for each in beside if each not in self.left}
            self._draft(source, ChainMap(self.names, urns))
            self.to_update |= {} if urns else {source: None}
        return source not in self.left

    def _send_transaction(self, chunk: list[str], lines: list[bytes], wrote: dict[str, str], pack: str) -> None:
        entries = [
            self.drafts[source].entry(simplejson.RawJSON(line.decode()))
            for source, line in zip(chunk, lines, strict=True)
        ]
        if not self.can.conditional_create:
            for entry in entries:
                entry["request"].pop("ifNoneExist", None)
        bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
        self.ctx.lease.before_write()
        try:
            results = read_response(bundle, self.server.transaction(bundle))
        except MappingError as error:
            raise UnknownOutcome(
                f"{self.endpoint} answered a transaction with something that does not fit: {error}",
                endpoint=self.endpoint,
                cause="no-response-bundle",
            ) from None
        except TransferError as error:
            if not worth_splitting(error, self.ctx.step.attempts):
                raise
            self._split(chunk, error)
        else:
            self._settle(dict(zip(chunk, results, strict=True)), wrote, pack)

    def _split(self, chunk: list[str], error: TransferError) -> None:
        """Until the record that the endpoint refuses is found: all others go on."""
        parts = [
            [packets.source_of(resource) for resource in part]
            for part in plan([self.resources[source] for source in chunk], chunk_size=1, source_base=self.bases)
        ]
        if len(parts) == 1:  # a circle of several, or one record
            self._send(chunk, singly=True) if len(chunk) > 1 else self._refused(chunk[0], error)
            return
        for half in (parts[: len(parts) // 2], parts[len(parts) // 2 :]):
            self._send([source for part in half for source in part])

    def _in_order(self, chunk: list[str]) -> list[str]:
        """For single creates; what points to one that is created later says so in an update."""
        order = break_cycles([self.resources[source] for source in chunk], source_base=self.bases)
        later: dict[str, set[str]] = {}
        for each in order.later:
            later.setdefault(packets.source_of(each.resource), set()).add(each.target)
        urns = {source: self.drafts[source].urn for source in chunk}
        for source, targets in later.items():
            self._draft(source, ChainMap(self.names, urns), targets)
        self.to_update |= dict.fromkeys(later)
        return [source for resource in order.resources if (source := packets.source_of(resource)) not in self.left]

    def _send_singles(self, chunk: list[str], wrote: dict[str, str], pack: str) -> None:
        for source in chunk:
            if not self._is_ready(source, ()):  # what it refers to was refused a moment ago
                continue
            try:
                result = self._create_one(source)
            except TransferError as error:
                if not worth_splitting(error, self.ctx.step.attempts):
                    raise
                self._refused(source, error)
            else:
                self._settle({source: result}, wrote, pack)

    def _create_one(self, source: str) -> EntryResult:
        made = self.drafts[source]
        condition = made.condition if self.can.conditional_create else None
        body = fhir_json.loads(written.named(self.lines[source], self.urns))
        self.ctx.lease.before_write()
        try:
            answer = self.server.create(body, if_none_exist=condition)
        except PermanentError as error:
            if error.status_code != 412:
                raise
            return EntryResult(made.urn, 200)  # several hold the identifier: which, a search says
        return EntryResult(made.urn, answer.status, answer.location, answer.version)

    def _settle(self, results: Mapping[str, EntryResult], wrote: Mapping[str, str], pack: str) -> None:
        """Store what was written where; name what was refused; look for what the answer did not place."""
        placed = {source: each for source, each in results.items() if 200 <= each.status < 300 and each.location}
        rows = [self._link_of(source, result, wrote[source], pack) for source, result in placed.items()]
        self._store(rows, {source: result.status == 201 for source, result in placed.items()})
        # 200: it was there already, and may say something else
        self.to_update |= dict.fromkeys(source for source, result in placed.items() if result.status != 201)
        self._place({source: each for source, each in results.items() if source not in placed})

    def _link_of(self, source: str, result: EntryResult, digest: str, pack: str) -> Link:
        """Of what was not made now, or does not say everything yet, nobody knows what it was made of: it is brought up to date."""
        if result.status != 201:
            return Link(self.system, source, result.location, "created")
        made_of = {} if source in self.to_update else self._made_of(source)
        return Link(self.system, source, result.location, "created", result.version, digest, pack, **made_of)

    def _place(self, results: Mapping[str, EntryResult]) -> None:
        refused = {source: each for source, each in results.items() if each.status >= 300}
        for source, result in refused.items():
            if verdict_of_status(result.status) is not Verdict.PERSON:
                raise TemporaryError(
                    f"{self.endpoint} answers {result.status} for {source}",
                    endpoint=self.endpoint,
                    status_code=result.status,
                )
            words = "; ".join(safe_issues(result.outcome or {}))
            self._leave_refused(source, f"{result.status}{f' ({words})' if words else ''}")
        unplaced = [source for source in results if source not in refused]
        if not unplaced:
            return
        looked = search_by_identity(
            self.ctx, self.endpoint, identities_of([self.resources[source] for source in unplaced], self.system)
        )
        self._found(looked.found)
        nowhere = [source for source in unplaced if source not in self.names]
        if nowhere:
            raise UnknownOutcome(
                f"{self.endpoint} did not say where {nowhere[0]} is now, and does not show it by its identifier; it is "
                "looked for next time",
                endpoint=self.endpoint,
                cause="no-location",
            )

    # Bringing up to date

    def _update(self) -> None:
        """Each of what changed, is not surely as we wrote it, or could not say everything when it was created."""
        sources = [source for source in self.to_update if source in self.names and source not in self.left]
        known = [self.links[source] for source in sources if source in self.links]
        lines = written.lines_of(
            self.ctx.world.payloads, ((each.ours_sha256 or each.sha256, each.written_in) for each in known)
        )
        bases = {each.value: lines.get(each.ours_sha256 or each.sha256) for each in known}
        for source in sources:
            try:
                self._bring_up_to_date(source, bases.get(source))
            except TransferError as error:
                if not about_content(error):
                    raise
                self._refused(source, error)
            except MappingError as error:
                self._left(trouble_of(error, source))

    def _bring_up_to_date(self, source: str, base: bytes | None) -> None:
        """The record as it stands there, with what the source changed since we wrote it; what was added there stays."""
        target = self.names[source]
        made = draft(
            self.resources[source],
            links=self.names,
            identifier_system=self.system,
            source_base=self.bases,
            allow_unidentified=True,
        )
        before = fhir_json.loads(written.named(base, self.urns)) if base is not None else None
        link = self.links.get(source)
        if before is not None and says(made.body, before) and link is not None:
            self._store([replace(link, **self._made_of(source))], {})  # what it was made of looks otherwise, no more
            return
        there = self.there.pop(source, None) or self.server.read_if_there(target)
        if there is None:
            self._leave("own-gone", f"{target}, which we wrote, is no longer at {self.endpoint}", source)
            return
        if before is None and holds(made.body, there):
            self._wrote(source, target, made.body, made.body, version_of(there))
            return
        merged = merge(before, there, made.body)
        if merged.conflicts:
            path = f"{source}#{merged.conflicts[0].partition('.')[2]}"
            self._leave(
                "changed-at-target",
                f"changed at the source and at {self.endpoint}; nothing was overwritten",
                source,
                path,
            )
            return
        version = version_of(there)
        if not says(merged.resource, there):
            self.ctx.lease.before_write()
            version = self.server.update(merged.resource, if_match=version).version
        self._wrote(source, target, merged.resource, made.body, version)

    def _wrote(self, source: str, target: str, whole: dict, ours: dict, version: str | None) -> None:
        lines = [fhir_json.dumps(whole), fhir_json.dumps(ours)]
        kept = written.keep(self.ctx.world.payloads, lines if lines[0] != lines[1] else lines[:1])
        row = Link(
            self.system,
            source,
            target,
            "created",
            version,
            kept.hashes[0],
            kept.pack,
            kept.hashes[1] if len(kept.hashes) > 1 else None,
            **self._made_of(source),
        )
        self._store([row], {source: True}, dict(sent_sha256=kept.hashes[0], sent_in=kept.pack))

    # Storing

    def _store(self, rows: list[Link], ours: Mapping[str, bool], sent: Mapping[str, str] | None = None) -> None:
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
        self._called({row.value: row.reference for row in rows})

    def _called(self, names: Mapping[str, str]) -> None:
        self.names |= names
        self.urns |= {urn_of(self.system, source): target for source, target in names.items()}

    def _mark_rest(self) -> None:
        """Items resolved before the packet (people) or found there: sent, with their target."""
        with self.ctx.transaction() as conn:
            known = deliveries.items(conn, self.delivery.id)
            deliveries.mark_items(
                conn,
                self.delivery.id,
                [
                    dict(source=source, status="sent", target=self.names[source], created_by_us=self._is_ours(source))
                    for source in self.resources
                    if source in self.names and source not in self.left and known[source].status == "queued"
                ],
            )

    def _is_ours(self, source: str) -> bool:
        return source in self.links and self.links[source].origin == "created"

    def _made_of(self, source: str) -> dict:
        item = self.items[source]
        version = (self.resources[source].get("meta") or {}).get("versionId")
        return dict(
            source_sha256=item.content,
            source_version=version if isinstance(version, str) else None,
            source_updated_at=item.updated_at,
            gathered_at=item.gathered_at,
        )

    # What a person has to decide about

    def _refused(self, source: str, error: TransferError) -> None:
        words = "; ".join(safe_issues(error.outcome or {}))
        self._leave_refused(source, f"{error.status_code or error.cause}{f' ({words})' if words else ''}", error)

    def _leave_refused(self, source: str, words: str, error: TransferError | None = None) -> None:
        self._leave("record-refused", f"{self.endpoint} refuses it: {words}", source)
        refused = [each for each in self.left.values() if each.cause == "record-refused"]
        if len(refused) > MAX_REFUSED:
            raise error or NeedsPerson(
                "record-refused",
                f"{self.endpoint} refuses record after record, such as {refused[0].path}: {words}",
                "Look at the answer with the endpoint's contact, mend the cause, then retry.",
            )

    def _leave(self, cause: str, message: str, source: str, path: str = "") -> None:
        self._left(Finding(cause, message, path or source, "error"))

    def _left(self, finding: Finding) -> None:
        self.left[finding.path.partition("#")[0]] = finding
        self.ctx.found.append(finding)
