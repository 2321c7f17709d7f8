"""From a packet's records to its key facts: what is shown first, and everything else listed, so that nothing is left out silently."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, TypeVar

from mappings.medications import medications
from mappings.model.packet import Manifest
from mappings.reading import charted, examinations, medicines, results, timeline
from mappings.reading.cancer_codes import is_marker, is_stage
from mappings.reading.changes import since_before, since_first_opinion
from mappings.reading.elements import Remembering, unread, wrong
from mappings.reading.model import (
    VERSION,
    Asked,
    Change,
    Count,
    Fact,
    KeyFacts,
    Kind,
    Medication,
    Trend,
    Trouble,
    Wrong,
)
from mappings.received import PREFIX
from mappings.rendition.names import names_of, source_of
from mappings.rendition.tables import table_of
from mappings.rendition.words import Words

_T = TypeVar("_T")
Troubles = dict[str, set[Asked]]  # by source: what a record could not be asked
# How much of each stands on the page; what is beyond it is listed.
DIAGNOSES, STAGES, MARKERS, ALLERGIES, MEDICATIONS, RECORDS = 40, 20, 20, 60, 60, 6
EXAMINATIONS, STUDIES, TRENDS, FLAGGED, DOCUMENTS, UNDATED, WRONG = 16, 20, 24, 40, 40, 30, 40
_KINDS = {
    "conditions": Kind.CONDITIONS,
    "allergies": Kind.ALLERGIES,
    "medications": Kind.MEDICATIONS,
    "medications-said": Kind.MEDICATIONS,
    "results": Kind.RESULTS,
    "observations": Kind.RESULTS,
    "reports": Kind.REPORTS,
    "documents": Kind.DOCUMENTS,
    "imaging": Kind.IMAGING,
    "procedures": Kind.PROCEDURES,
    "immunizations": Kind.IMMUNIZATIONS,
    "encounters": Kind.VISITS,
}
_MAKERS = {
    Kind.ALLERGIES: charted.allergy,
    Kind.MEDICATIONS: medicines.record,
    Kind.FLAGGED: charted.result,
    Kind.RESULTS: charted.result_in_list,
    Kind.DOCUMENTS: charted.document,
    Kind.CONDITIONS: charted.condition,
    Kind.IMAGING: charted.study,
}
_ACTIVE = frozenset({"active", "recurrence", "relapse"})  # https://hl7.org/fhir/R4/valueset-condition-clinical.html


def key_facts(
    manifests: Sequence[Manifest],
    resources: Iterable[dict],
    *,
    words_of: examinations.WordsOf = lambda place: None,
    versions: Callable[[str], tuple[dict, dict]] = lambda source: ({}, {}),
    given_on: date | None = None,
) -> KeyFacts:
    """The key facts of a request's packets together.

    ``manifests``: of its packets, the oldest first, at least one; ``resources``: each record as the newest of them has it,
    without what was withdrawn; ``words_of``: the words of a stored document, by the place that a manifest names it with;
    ``versions``: (before, now) of a record that the newest packet corrects; ``given_on``: when the first opinion was given.
    Each record is on the page or in ``rest``, once.
    """
    chart = _Chart.of(resources)
    newest, facts = manifests[-1], _of_kinds(chart)
    wrongs = [_line(chart, each) for each in chart.wrongs]
    trends = tuple(_trends(chart))
    in_trends = {source for trend in trends for source in _of_trend(trend)}
    flagged = [each for each in facts[Kind.FLAGGED] if each.source not in in_trends]
    listed = medications(chart.right)
    events = [event for each in chart.right if (event := _event(chart, each)) is not None]
    years = timeline.years(events)
    made: dict[str, Any] = dict(
        diagnoses=tuple(sorted(_newest(facts[Kind.CONDITIONS]), key=_is_over)[:DIAGNOSES]),
        stages=_cut(_results(chart, is_stage), STAGES),
        markers=_cut(_results(chart, is_marker), MARKERS),
        allergies=_cut(facts[Kind.ALLERGIES], ALLERGIES),
        medications=tuple(map(_cut_records, medicines.grouped(listed, chart.by_source, chart.words)))[:MEDICATIONS],
        said_of_medications=_cut(_by_people(facts[Kind.MEDICATIONS]), MEDICATIONS),
        examinations=tuple(_examinations(chart, words_of)),
        studies=_cut(facts[Kind.IMAGING], STUDIES),
        trends=trends,
        flagged=_cut(flagged, FLAGGED),
        documents=_cut(facts[Kind.DOCUMENTS], DOCUMENTS),
        years=years,
        earlier_events=sum(bool(each.date.dated) for each in events) - len(timeline.on_it(years)),
        undated=tuple(_line(chart, chart.by_source[each.date.source]) for each in events if not each.date.dated)[
            :UNDATED
        ],
        wrong=_cut(wrongs, WRONG),
    )
    shown = set(_shown(made))
    rest = {kind: _cut((_line(chart, each) for each in chart.of_kind(kind, shown)), None) for kind in Kind}
    everything = (_line(chart, each) for each in chart.right)
    return KeyFacts(
        newest.packet_id,
        VERSION,
        newest.gathered_at,
        **made,
        changes=since_before(manifests, chart.name_of, versions),
        since=since_first_opinion(everything, chart.kinds, given_on),
        waived=tuple(
            dict.fromkeys(
                Change(each.source, each.source, "waived", why=each.why or "") for m in manifests for each in m.waived
            )
        ),
        rest=rest,
        counts=tuple(chart.count(kind, shown) for kind in Kind),
        troubles=tuple(Trouble(source, tuple(sorted(what))) for source, what in sorted(chart.troubles.items()))[:WRONG],
        troubled=len(chart.troubles),
    )


@dataclass
class _Chart:
    """The records with what is asked of them again and again; ``right``: without those that are wrong."""

    resources: list[dict]
    by_source: dict[str, dict]
    words: Words
    kinds: dict[str, Kind]
    right: list[dict]
    troubles: Troubles
    lines: dict[str, Fact] = field(default_factory=dict)

    @classmethod
    def of(cls, resources: Iterable[dict]) -> "_Chart":
        by_source = {source_of(each): each for each in resources}
        every = list(by_source.values())
        troubles: Troubles = {}
        kinds = {source: _kind(each, troubles) for source, each in by_source.items()}
        right = [each for each in every if _guarded(troubles, Asked.WRONG, wrong, each, Wrong.NONE) is Wrong.NONE]
        return cls(every, by_source, Remembering(names_of(every)), kinds, right, troubles)

    def ask(self, what: Asked, question: Callable[[dict], _T], resource: dict, otherwise: _T) -> _T:
        """As `_guarded`."""
        return _guarded(self.troubles, what, question, resource, otherwise)

    @property
    def wrongs(self) -> Iterator[dict]:
        """Those that say of themselves that they are no facts."""
        right = set(map(id, self.right))
        return (each for each in self.resources if id(each) not in right)

    def of_kind(self, kind: Kind, without: set[str]) -> Iterator[dict]:
        """Its records that are not among ``without``."""
        return (each for source, each in self.by_source.items() if self.kinds[source] is kind and source not in without)

    def count(self, kind: Kind, shown: set[str]) -> Count:
        """How many of a kind are shown, how many listed."""
        every = [source for source, each in self.kinds.items() if each is kind]
        there = sum(source in shown for source in every)
        return Count(kind, there, len(every) - there)

    def name_of(self, source: str) -> str:
        """What to call a record; of one that is gone its source."""
        return self.words.names.get(source, source)


def _kind(resource: dict, troubles: Troubles) -> Kind:
    kind = _KINDS.get(table_of(resource).key, Kind.OTHER)
    asks = kind is Kind.RESULTS
    return Kind.FLAGGED if asks and _guarded(troubles, Asked.FLAG, results.is_flagged, resource, False) else kind


def _guarded(troubles: Troubles, what: Asked, ask: Callable[[dict], _T], resource: dict, otherwise: _T) -> _T:
    """The answer of a question to a record that may have any shape; one that it could not be asked is among ``troubles``."""
    try:
        return ask(resource)
    except Exception:  # whatever another system put into it
        troubles.setdefault(source_of(resource), set()).add(what)
        return otherwise


def _line(chart: _Chart, resource: dict) -> Fact:
    """A record as its kind is shown, made once; one that is too wrong to be read says so."""
    source = source_of(resource)
    if source not in chart.lines:
        make = _MAKERS.get(chart.kinds[source], charted.anything)
        try:
            chart.lines[source] = make(resource, chart.words)
        except Exception:  # whatever another system put into it
            chart.troubles.setdefault(source, set()).add(Asked.LINE)
            chart.lines[source] = unread(resource)
    return chart.lines[source]


def _of_kinds(chart: _Chart) -> dict[Kind, list[Fact]]:
    found: dict[Kind, list[Fact]] = {kind: [] for kind in Kind}
    for each in chart.right:
        found[chart.kinds[source_of(each)]].append(_line(chart, each))
    return found


def _newest(facts: Iterable[Fact]) -> list[Fact]:
    return sorted(facts, key=lambda each: (each.dated, each.source), reverse=True)


def _cut(facts: Iterable[Fact], most: int | None) -> tuple[Fact, ...]:
    """The newest."""
    return tuple(_newest(facts)[:most])


def _is_over(fact: Fact) -> bool:
    """No clinical status of it says that it is there; which comes first is all that hangs on it."""
    return not any(each.label == "clinical" and each.value.words.casefold() in _ACTIVE for each in fact.said)


def _results(chart: _Chart, takes: Callable[[dict], bool]) -> Iterator[Fact]:
    for each in chart.right:
        if each.get("resourceType") == "Observation" and chart.ask(Asked.CANCER, takes, each, False):
            yield chart.ask(Asked.LINE, lambda one: charted.result(one, chart.words), each, unread(each))


def _by_people(facts: Iterable[Fact]) -> list[Fact]:
    return [each for each in facts if each.source.startswith(f"MedicationStatement/{PREFIX}")]


def _cut_records(medication: Medication) -> Medication:
    return Medication(medication.name, medication.is_over, medication.records[:RECORDS])


def _trends(chart: _Chart) -> list[Trend]:
    found: list[results.Measured] = []
    for each in chart.right:
        if each.get("resourceType") == "Observation" and each.get("status") != "cancelled":
            measured = list[results.Measured]()
            found += chart.ask(Asked.TREND, lambda one: list(results.measured(one, chart.words)), each, measured)
    return results.trends(found)[:TRENDS]


def _of_trend(trend: Trend) -> Iterator[str]:
    yield from (each.source for each in trend.points)
    yield from (each.source for each in trend.unplotted)


def _event(chart: _Chart, resource: dict) -> timeline.Happened | None:
    return chart.ask(Asked.DAY, lambda one: timeline.happened(one, chart.words), resource, None)


def _examinations(chart: _Chart, words_of: examinations.WordsOf) -> Iterator[examinations.Examinations]:
    reports = [each for each in chart.right if chart.ask(Asked.EXAMINATION, examinations.is_examination, each, False)]
    found = examinations.examinations(reports, chart.by_source, chart.words, words_of)
    for _, each in zip(range(EXAMINATIONS), found, strict=False):
        yield each


def _shown(made: Mapping[str, tuple]) -> Iterator[str]:
    """The source of every record that stands on the page."""
    facts = ("diagnoses", "stages", "markers", "allergies", "said_of_medications", "studies", "flagged", "documents")
    for name in (*facts, "undated", "wrong"):
        yield from (each.source for each in made[name])
    yield from (each.source for medication in made["medications"] for each in medication.records)
    for kind in made["examinations"]:
        for each in kind.last:
            yield each.fact.source
            yield from (one.source for one in each.impressions)
    yield from (source for trend in made["trends"] for source in _of_trend(trend))
    yield from timeline.on_it(made["years"])
