"""What a check of an endpoint advises: whose software it is, and by which road each of our writes reaches it with which evidence."""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from mappings.model.profiles import DocumentHabits
from mappings.model.roads import LEVELS, ROADS, Level, RoadName
from mappings.model.trials import Trial, by_identifier

_SOFTWARE = {
    "epic": r"\bepic\b",
    "oracle-health": r"cerner|oracle health|millennium",
    "athenahealth": r"athena",
    "meditech": r"meditech|expanse",
    "eclinicalworks": r"eclinicalworks|healow",
    "nextgen": r"nextgen",
    "medplum": r"medplum",
    "hapi": r"\bhapi\b",
}
_HOSTED = (
    ". Give this organization an endpoint that we host (`base_url: hosted:PRACTICE`), and its people work on our pages; or "
    "bring the packet there (`second-opinion packet download`)"
)


# Oracle Health and Meditech do not name themselves in their CapabilityStatements; these are hosts of the vendors' own.
_HOSTS = {
    "epic.com": "epic",
    "cerner.com": "oracle-health",
    "athenahealth.com": "athenahealth",
    "meditech.com": "meditech",
}


def guessed_profile(software: str | None, host: str | None = None) -> str | None:
    """The profile that a software name of a CapabilityStatement speaks for, else a vendor's own host. A guess: say so."""
    named = (key for key, words in _SOFTWARE.items() if software and re.search(words, software, re.I))
    lower = f".{(host or '').lower().rstrip('.')}"
    hosted = (key for domain, key in _HOSTS.items() if lower.endswith(f".{domain}"))
    return next(named, None) or next(hosted, None)


NAMED = 6  # of a list of types


class Write(StrEnum):
    """What we write at an endpoint: at a placer the report and the status, at a fulfiller the records and the request."""

    REPORT = "report"
    STATUS = "status"
    DOCUMENTS = "records as documents"
    RESOURCES = "records as resources"
    REQUEST = "request"


class OverFhir(StrEnum):
    """How what is no document goes over FHIR."""

    TRANSACTION = "fhir-transaction"
    SINGLE = "fhir-single"
    REQUEST = "fhir-resource"


class Says(Protocol):
    """What the server says of itself, corrected by config.yaml; integration/fhir/capabilities.py has it."""

    @property
    def creates(self) -> frozenset[str]: ...
    @property
    def updates(self) -> frozenset[str]: ...
    @property
    def transaction(self) -> bool: ...
    @property
    def conditional_create(self) -> bool: ...
    @property
    def task(self) -> bool: ...
    @property
    def takes_requests(self) -> bool: ...


class Party(Protocol):
    """An endpoint of config.yaml, as far as advice needs it."""

    @property
    def is_placer(self) -> bool: ...
    @property
    def is_fulfiller(self) -> bool: ...
    @property
    def accepts(self) -> str: ...
    @property
    def habits(self) -> DocumentHabits: ...
    @property
    def road_names(self) -> tuple[str, ...]: ...
    @property
    def closing_levels(self) -> frozenset[Level]: ...


@dataclass(frozen=True)
class Seen:
    """``worked``: what was tried, by its name; ``refused``: the names of what was said no to. ``missing``: roads that cannot be used here, with the sentence that says why."""

    says: Says
    worked: Mapping[str, bool | None]
    missing: Mapping[str, str]
    record_types: Sequence[str] = ()
    refused: Collection[str] = ()

    def cannot_look(self, kind: str) -> bool:
        """A create has to be preceded by a look that the server refuses: nothing of this type can be sent."""
        return not self.knows_conditions and by_identifier(kind) in self.refused

    @property
    def knows_conditions(self) -> bool:
        """A create under a condition makes no second copy, as far as that is known."""
        return self.says.conditional_create and self.worked.get(Trial.CONDITIONAL) is not False

    def ignored(self, kind: str) -> bool:
        """A search for that type by our identifier is ignored or refused."""
        return self.worked.get(by_identifier(kind)) is False

    @property
    def hidden(self) -> bool:
        """What was written could not be read."""
        return self.worked.get(Trial.READ_BACK) is False

    @property
    def takes_documents(self) -> bool:
        """As tried; else as it says."""
        written = self.worked.get(Trial.CREATE)
        return bool(written) or written is None and "DocumentReference" in self.says.creates


@dataclass(frozen=True)
class Reached:
    """The road that a write takes, and the best that can be known of it; ``road`` None: none takes it.

    ``tried`` False: it is only said, not seen. ``degrades``: sentences, what will not be as good as it could be, and how.
    """

    write: Write
    road: str | None
    level: Level | None
    tried: bool
    says: str
    degrades: tuple[str, ...] = ()


def writes(party: Party, seen: Seen) -> list[Reached]:
    """Each write that an endpoint of this role gets."""
    placer = (_report, _status) if party.is_placer else ()
    fulfiller = (_documents, _resources, _request) if party.is_fulfiller else ()
    return [each(party, seen) for each in (*placer, *fulfiller)]


def _report(party: Party, seen: Seen) -> Reached:
    """The first road that is possible, as jobs/target/sending.py walks them."""
    passed: list[str] = []
    for name in party.road_names:
        why = seen.missing.get(name) or ("" if name != RoadName.FHIR_DOCUMENT else _no_documents(seen))
        if not why:
            return _by(name, party, seen, tuple(passed))
        passed.append(f"{name}: {why}")
    return Reached(Write.REPORT, None, None, False, "no road takes it: each report waits for a person", tuple(passed))


def _by(name: str, party: Party, seen: Seen, passed: tuple[str, ...]) -> Reached:
    facts = ROADS.get(RoadName(name)) if name in set(RoadName) else None
    is_fhir = name == RoadName.FHIR_DOCUMENT
    level = None if facts is None else Level.UNVERIFIABLE if is_fhir and seen.hidden else facts.best
    says = "a road that this installation added" if facts is None else facts.words
    degrades = (*passed, *(_of_documents(party, seen) if is_fhir else ()), *_too_low(party, level, "report"))
    tried = is_fhir and Trial.READ_BACK in seen.worked
    return Reached(Write.REPORT, name, level, tried, _with(says, level), degrades)


def _too_low(party: Party, level: Level | None, each: str) -> Iterator[str]:
    if level is not None and level not in party.closing_levels:
        closes = ", ".join(sorted(party.closing_levels))
        yield f"what is known then is {level}, and the loop closes on {closes}: each {each} waits for a person"


def _no_documents(seen: Seen) -> str:
    if seen.takes_documents:
        return ""
    how = "refused one that was tried" if Trial.CREATE in seen.worked else "says that it takes none"
    return f"the server {how} (DocumentReference)"


def _of_documents(party: Party, seen: Seen) -> Iterator[str]:
    habits = party.habits
    if habits.finds_by_identifier is False or seen.ignored("DocumentReference"):
        yield "no search finds our identifier: after a lost answer it is looked for by its words, or a person is asked"
    elif not seen.knows_conditions:
        yield "no conditional create: it is looked for before each send"
    if seen.hidden:
        yield "we may not read it there: nobody but a person can see that it arrived"
    if habits.formats:
        yield f"only as {', '.join(habits.formats)}"
    if habits.encounter == "required":
        yield "it has to name an encounter of the patient; where none is clear a person is asked"


def _status(party: Party, seen: Seen) -> Reached:
    shown = [
        *(["ServiceRequest.status"] if "ServiceRequest" in seen.says.updates else []),
        *(["Task.status and businessStatus"] if seen.says.task else []),
    ]
    if not shown:
        said = "not shown in this EHR; it stands on our pages and in the API"
        return Reached(Write.STATUS, None, None, False, said)
    lost = () if seen.says.task else ("only how it ended is shown: what happens before, Task alone could say",)
    said = f"an update of {' and '.join(shown)}"
    return Reached(Write.STATUS, OverFhir.SINGLE, Level.ACCEPTED, False, _with(said, Level.ACCEPTED), lost)


def _documents(party: Party, seen: Seen) -> Reached:
    """In the shape that the system takes, as a report, by the same road."""
    why = _no_request(seen) or _no_documents(seen)
    if why:
        return _impossible(Write.DOCUMENTS, why)
    level = Level.UNVERIFIABLE if seen.hidden else Level.READ_BACK
    tried = Trial.READ_BACK in seen.worked
    said = _with(f"{_unless(party, 'documents')}a summary and each original document, a DocumentReference each", level)
    degrades = (*_of_documents(party, seen), *_too_low(party, level, "one"))
    return Reached(Write.DOCUMENTS, RoadName.FHIR_DOCUMENT, level, tried, said, degrades)


def _no_request(seen: Seen) -> str:
    return "" if seen.says.takes_requests else "no consultant can be asked there (request), and nothing goes without"


def _unless(party: Party, form: str) -> str:
    """Before the form of records that is not the one configured."""
    return "" if party.accepts == form else f"(not now: accepts is {party.accepts}) "


def _no_look(seen: Seen, kinds: Collection[str]) -> str:
    blind = [kind for kind in kinds if seen.cannot_look(kind)]
    what = f"the server takes no conditional create and refuses to look for {_few(blind)} by our identifier"
    return f"{what}: nobody could tell whether it is there before it is sent" if blind else ""


def _few(names: Sequence[str]) -> str:
    """The first of many."""
    return ", ".join(names[:NAMED]) + (f" and {len(names) - NAMED} more" if len(names) > NAMED else "")


def _resources(party: Party, seen: Seen) -> Reached:
    wanted = seen.record_types or sorted(seen.says.creates)
    taken = [kind for kind in wanted if kind in seen.says.creates]
    none = "" if taken else "the server says that it takes no type of record"
    if why := _no_request(seen) or none or _no_look(seen, taken):
        return _impossible(Write.RESOURCES, why)
    level = Level.UNVERIFIABLE if seen.hidden else Level.READ_BACK
    way, how = (OverFhir.TRANSACTION, "in transactions") if seen.says.transaction else (OverFhir.SINGLE, "one by one")
    refused = [kind for kind in wanted if kind not in taken]
    short = [f"not taken: {_few(refused)}; a chart with one of them waits for a person"] if refused else []
    said = _with(f"{_unless(party, 'resources')}each record as a resource, {how}", level)
    return Reached(Write.RESOURCES, way, level, False, said, (*short, *_of_records(seen, taken)))


def _request(party: Party, seen: Seen) -> Reached:
    if not seen.says.takes_requests:
        why = "the server does not take ServiceRequest and Task from us, by which a consultant is asked"
        return _impossible(Write.REQUEST, why, _HOSTED)
    level = Level.UNVERIFIABLE if seen.hidden else Level.READ_BACK
    ignored = [kind for kind in ("ServiceRequest", "Task") if seen.ignored(kind)]
    by_words = "after a lost answer it is looked for among the patient's by what it says, or a person is asked"
    lost = (f"no search finds our identifier for {_few(ignored)}: {by_words}",) if ignored else ()
    degrades = (*lost, *_of_records(seen, []))
    said = _with("a ServiceRequest, the patient's questions, and last the Task", level)
    return Reached(Write.REQUEST, OverFhir.REQUEST, level, False, said, degrades)


def _of_records(seen: Seen, kinds: Collection[str]) -> Iterator[str]:
    ignored = [kind for kind in kinds if seen.ignored(kind)]
    if ignored:
        yield (
            f"no search finds our identifier for {_few(ignored)}: what was written is known by what we remember of it "
            "only, and after a lost answer a person is asked"
        )
    if not seen.knows_conditions:
        yield "no conditional create: the server is searched before each create"
    if seen.hidden:
        yield "we may not read it there: the step waits for a person, because it goes on with what was read back only"


def _impossible(write: Write, why: str, instead: str = "") -> Reached:
    return Reached(write, None, None, False, f"not possible: {why}{instead}")


def _with(says: str, level: Level | None) -> str:
    if level is None:
        return f"{says}; what is known then, it says itself"
    words = LEVELS[level]
    return f"{says}; {words[0].lower()}{words[1:]}"
