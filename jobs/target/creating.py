"""Creating at a target what is not there: drafted once, looked for where it may be there, sent in chunks, each once."""

from collections import ChainMap
from collections.abc import Iterable, Mapping
from dataclasses import replace

import simplejson

from integration import fhir_json
from integration.fhir.failures import safe_issues
from integration.packets import stored as packets
from integration.packets.lines import ByteSpool
from integration.store import deliveries, leaving
from jobs import gate
from jobs.target import written
from jobs.target.looking import (
    condition_ignored,
    identities_of,
    in_parallel,
    names_of,
    search_by_identity,
    search_by_patient,
    told_apart,
)
from jobs.target.push import Push
from jobs.target.troubles import trouble_of, worth_splitting
from mappings.bundle import Draft, EntryResult, break_cycles, draft, in_chunks, read_response, urn_of
from mappings.identifiers import identifiers_in
from mappings.merging import contains
from mappings.model.delivery import Verdict, verdict_of_status
from mappings.model.errors import MappingError, PermanentError, TemporaryError, TransferError, UnknownOutcome
from mappings.model.leaving import Going
from mappings.model.link import Link
from mappings.model.request import Identifier
from mappings.references import targets_of

CHUNK_BYTES = 8_000_000


class Creating:
    """The records of one push that are not known to be there."""

    def __init__(self, push: Push):
        self.push = push
        self.drafts: dict[str, Draft] = {}  # their bodies are in `lines`
        self.lines = ByteSpool(push.ctx.world.payloads.spool())  # of a long chart no line is in memory
        self.kinds: dict[str, dict] = {}  # what the drafts of a type have instead of a body
        self.targets: dict[str, list[str]] = {}  # what each refers to

    def create(self, sources: list[str]) -> None:
        """All of them, but for what a person has to decide about."""
        self._prepare(sources)
        self._look([source for source in sources if source not in self.push.left])
        self._create([each for each in sources if each not in self.push.left and each not in self.push.names])

    def _prepare(self, sources: list[str]) -> None:
        """Drafts and lines of what is missing: among each other by urn. What cannot be written is left."""
        todo = sources
        while todo:
            urns = {source: urn_of(self.push.system, source) for source in sources if source not in self.push.left}
            lost = set(self.push.left)
            for source in todo:
                self._draft(source, ChainMap(self.push.names, urns))
            newly = {urn_of(self.push.system, source).encode() for source in self.push.left.keys() - lost}
            todo = [
                source for source in sources if source in self.lines and any(urn in self.lines[source] for urn in newly)
            ]

    def _draft(self, source: str, names: Mapping[str, str], later: Iterable[str] = ()) -> None:
        """Of targets in ``later`` only the identifier is written."""
        names = {key: name for key, name in names.items() if key not in later} if later else names
        try:
            resource = self.push.resources[source]
            made = draft(
                resource,
                links=names,
                identifier_system=self.push.system,
                source_base=self.push.bases,
                allow_unidentified=True,
                later=tuple(later),
                findings=self.push.ctx.found,
            )
            line = fhir_json.dumps(made.body)
            if not later and made.urn.encode() in line:  # to itself: only an update can say so (HAPI ends in its stack)
                self._draft(source, names, (source,))
                self.push.to_update[source] = None
                return
            kind = made.body["resourceType"]
            self.drafts[source] = replace(made, body=self.kinds.setdefault(kind, {"resourceType": kind}))
            self.lines[source] = line
            self.targets[source] = targets_of(resource, source_base=self.push.bases)
        except Exception as error:
            self.push.leave_for(trouble_of(error, source))

    def _look(self, sources: list[str]) -> None:
        by_identity = self.push.ctx.looks_first or self.push.another_was_here or not self.push.can.conditional_create
        identities = identities_of(map(self.push.resources.__getitem__, sources), self.push.system)
        shown_by_nothing = {source for source in sources if source not in identities or not self.push.finds}
        if by_identity:
            looked = search_by_identity(self.push.ctx, self.push.endpoint, identities)
            for kind in sorted(looked.ignored):
                self._say_ignored(kind)
            self._found(looked.found)
            shown_by_nothing |= {source for source in sources if source.split("/")[0] in looked.ignored}
        unfound = [each for each in sources if each in shown_by_nothing and each not in self.push.names]
        self._look_by_patient([each for each in unfound if each in self.push.perhaps_written], identities)

    def _look_by_patient(self, sources: list[str], identities: Mapping[str, Identifier]) -> None:
        """What no search by identifier shows: among the patient's records of the type, by what it carries or says."""
        patient = self.push.names.get(self.push.packet.manifest.patient)
        for kind in sorted({source.split("/")[0] for source in sources}):
            mine = [source for source in sources if source.startswith(f"{kind}/")]
            try:
                there = search_by_patient(self.push.ctx, self.push.endpoint, kind, patient or "")
            except PermanentError:
                for source in mine:
                    self._leave_in_doubt(source, f"{self.push.endpoint} cannot be asked for it")
                continue
            placed = set(self.push.names.values())
            free = [each for each in there if packets.source_of(each) not in placed]
            for source in mine:
                self._recognise(source, free, identities.get(source))

    def _recognise(self, source: str, there: list[dict], identity: Identifier | None) -> None:
        """Which of these is the record that an earlier attempt may have written; none, when the index had its time."""
        wanted = fhir_json.loads(written.named(self.lines[source], self.push.urns))
        same, unclear = [each for each in there if contains(wanted, each)], list[dict]()
        if identity is not None:
            same, unclear = told_apart(wanted, there, identity, since=self.push.perhaps_written[source])
        if same:
            self._found({source: same})
        elif unclear:
            self._leave_in_doubt(source, f"{names_of(unclear)} may be it and says something else")
        else:
            self.push.must_have_waited(source)

    def _leave_in_doubt(self, source: str, why: str) -> None:
        words = f"the {source.split('/')[0]} with the identifier {self.push.system}|{source}"
        message = f"an earlier attempt may have written it, and {why}. Search the chart there for {words}"
        self.push.leave("cannot-look-up", message, source)

    def _found(self, found: Mapping[str, list[dict]]) -> None:
        """Of what is there already the first counts; whether it says what it should is looked at later."""
        for source, there in found.items():
            if len(there) > 1:
                self.push.say_doubled(source, there)
            self.push.called({source: packets.source_of(there[0])})
            self.push.there[source] = there[0]
            self.push.to_update[source] = None

    def _say_ignored(self, kind: str) -> None:
        message = f"{self.push.endpoint} answers a search by identifier with resources that do not carry it"
        self.push.ctx.finding("search-ignored", message, kind)

    def _create(self, sources: list[str]) -> None:
        chunks = in_chunks(
            sources,
            self.targets,
            chunk_size=self.push.limits.chunk_size,
            sizes={source: self.lines.size(source) for source in sources},
            max_bytes=CHUNK_BYTES,
        )
        for chunk in chunks:
            self._send(chunk)

    def _send(self, chunk: list[str], *, singly: bool = False) -> None:
        """One chunk: what is about to be written is kept and noted first, then sent, then what came of it is stored."""
        singly = singly or not self.push.can.transaction
        chunk = self._in_order(chunk) if singly else chunk
        chunk = [source for source in chunk if self._is_ready(source, () if singly else chunk)]
        if not chunk:
            return
        lines = [written.named(self.lines[source], self.push.urns) for source in chunk]
        kept = written.keep(self.push.ctx.world.payloads, lines)
        with self.push.ctx.transaction() as conn:
            deliveries.mark_items(
                conn,
                self.push.delivery.id,
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
        if self.push.left and written.urns_in(
            self.lines[source], {urn_of(self.push.system, each): each for each in self.push.left}
        ):
            urns = {each: self.drafts[each].urn for each in beside if each not in self.push.left}
            self._draft(source, ChainMap(self.push.names, urns))
            self.push.to_update |= {} if urns else {source: None}
        return source not in self.push.left

    def _send_transaction(self, chunk: list[str], lines: list[bytes], wrote: dict[str, str], pack: str) -> None:
        entries = [
            self.drafts[source].entry(simplejson.RawJSON(line.decode()))
            for source, line in zip(chunk, lines, strict=True)
        ]
        if not self.push.can.conditional_create:
            for entry in entries:
                entry["request"].pop("ifNoneExist", None)
        bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
        self.push.ctx.lease.before_write()
        try:
            results = read_response(bundle, self.push.server.transaction(bundle))
        except MappingError as error:
            raise UnknownOutcome(
                f"{self.push.endpoint} answered a transaction with something that does not fit: {error}",
                endpoint=self.push.endpoint,
                cause="no-response-bundle",
            ) from None
        except TransferError as error:
            if not worth_splitting(error, self.push.ctx.step.attempts):
                raise
            self._split(chunk, error)
        else:
            self._settle(dict(zip(chunk, results, strict=True)), wrote, pack)

    def _split(self, chunk: list[str], error: TransferError) -> None:
        """Until the record that the endpoint refuses is found: all others go on."""
        parts = in_chunks(chunk, self.targets, chunk_size=1)
        if len(parts) == 1:  # a circle of several, or one record
            self._send(chunk, singly=True) if len(chunk) > 1 else self.push.refused(chunk[0], error)
            return
        for half in (parts[: len(parts) // 2], parts[len(parts) // 2 :]):
            self._send([source for part in half for source in part])

    def _in_order(self, chunk: list[str]) -> list[str]:
        """For single creates; what points to one that is created later says so in an update."""
        order = break_cycles([self.push.resources[source] for source in chunk], source_base=self.push.bases)
        later: dict[str, set[str]] = {}
        for each in order.later:
            later.setdefault(packets.source_of(each.resource), set()).add(each.target)
        urns = {source: self.drafts[source].urn for source in chunk}
        for source, targets in later.items():
            self._draft(source, ChainMap(self.push.names, urns), targets)
        self.push.to_update |= dict.fromkeys(later)
        return [source for resource in order.resources if (source := packets.source_of(resource)) not in self.push.left]

    def _send_singles(self, chunk: list[str], wrote: dict[str, str], pack: str) -> None:
        for start in range(0, len(chunk), leaving.NAMED):
            part = chunk[start : start + leaving.NAMED]
            with gate.together(self.push.ctx, self.push.endpoint, self._going(part)):
                self._send_each(part, wrote, pack)

    def _going(self, chunk: list[str]) -> Going:
        """Those that their own identifier names; of the others each is a row of the gate by itself."""
        named = identities_of(map(self.push.resources.__getitem__, chunk), self.push.system)
        kinds = sorted({source.split("/")[0] for source in chunk})
        size = sum(self.lines.size(source) for source in chunk)
        return Going("+".join(kinds), tuple(each for each, own in named.items() if own.value == each), size)

    def _send_each(self, chunk: list[str], wrote: dict[str, str], pack: str) -> None:
        for source in chunk:
            if not self._is_ready(source, ()):  # what it refers to was refused a moment ago
                continue
            try:
                result = self._create_one(source)
            except TransferError as error:
                if not worth_splitting(error, self.push.ctx.step.attempts):
                    raise
                self.push.refused(source, error)
            else:
                self._settle({source: result}, wrote, pack)

    def _create_one(self, source: str) -> EntryResult:
        made = self.drafts[source]
        condition = made.condition if self.push.can.conditional_create else None
        body = fhir_json.loads(written.named(self.lines[source], self.push.urns))
        self.push.ctx.lease.before_write()
        try:
            answer = self.push.server.create(body, if_none_exist=condition)
        except PermanentError as error:
            if error.status_code != 412:
                raise
            return EntryResult(made.urn, 200)  # several hold the identifier: which, a search says
        return EntryResult(made.urn, answer.status, answer.location, answer.version)

    def _settle(self, results: Mapping[str, EntryResult], wrote: Mapping[str, str], pack: str) -> None:
        """Store what was written where; name what was refused; look for what the answer did not place."""
        placed = {source: each for source, each in results.items() if 200 <= each.status < 300 and each.location}
        # 200: it was there already, and may say something else
        there = {source: each.location or "" for source, each in placed.items() if each.status != 201}
        foreign = self._foreign(there)
        # what was made beside a foreign one may point to it: it is brought up to date when a person has decided
        self.push.to_update |= dict.fromkeys(placed if foreign else there)
        placed = {source: each for source, each in placed.items() if source not in foreign}
        rows = [self._link_of(source, result, wrote[source], pack) for source, result in placed.items()]
        self.push.store(rows, {source: result.status == 201 for source, result in placed.items()})
        if foreign:
            raise condition_ignored(self.push.endpoint, foreign.values())
        self._place({source: each for source, each in results.items() if source not in placed})

    def _foreign(self, there: Mapping[str, str]) -> dict[str, str]:
        """Those of ``{source: Type/id}`` that do not carry what the record is recognized by: the server ignored the condition."""
        if not there:
            return {}
        wanted = identities_of(map(self.push.resources.__getitem__, there), self.push.system)
        read = in_parallel(self.push.ctx, self.push.endpoint, self.push.server.read_if_there, there.values())
        found = {source: each for source, each in zip(there, read, strict=True) if each is not None}
        foreign = {each for each in found if each not in wanted or wanted[each] not in identifiers_in(found[each])}
        self.push.there |= {source: each for source, each in found.items() if source not in foreign}
        return {source: there[source] for source in foreign}

    def _link_of(self, source: str, result: EntryResult, digest: str, pack: str) -> Link:
        """Of what was not made now, or does not say everything yet, nobody knows what it was made of: it is brought up to date."""
        if result.status != 201:
            return Link(self.push.system, source, result.location or "", "created")
        made_of = {} if source in self.push.to_update else self.push.made_of(source)
        return Link(self.push.system, source, result.location or "", "created", result.version, digest, pack, **made_of)

    def _place(self, results: Mapping[str, EntryResult]) -> None:
        refused = {source: each for source, each in results.items() if each.status >= 300}
        for source, result in refused.items():
            if verdict_of_status(result.status) is not Verdict.PERSON:
                raise TemporaryError(
                    f"{self.push.endpoint} answers {result.status} for {source}",
                    endpoint=self.push.endpoint,
                    status_code=result.status,
                )
            words = "; ".join(safe_issues(result.outcome or {}))
            self.push.leave_refused(source, f"{result.status}{f' ({words})' if words else ''}")
        unplaced = [source for source in results if source not in refused]
        if not unplaced:
            return
        looked = search_by_identity(
            self.push.ctx,
            self.push.endpoint,
            identities_of([self.push.resources[source] for source in unplaced], self.push.system),
        )
        self._found(looked.found)
        nowhere = [source for source in unplaced if source not in self.push.names]
        if nowhere:
            raise UnknownOutcome(
                f"{self.push.endpoint} did not say where {nowhere[0]} is now, and does not show it by its identifier; it is "
                "looked for next time",
                endpoint=self.push.endpoint,
                cause="no-location",
            )
