"""Records of another provider in the packet of a request: under names of our own, about the patient of the chart, with their origin.

What they are called at their source is an identifier of each (https://hl7.org/fhir/R4/datatypes.html#Identifier), with the
source's name as its assigner. Two servers may give one id to two records: so none keeps its id, and what refers to one follows.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from mappings.addresses import is_elsewhere
from mappings.codes import as_dict, as_dicts, as_text
from mappings.identifiers import append_identifier, identifiers_in, source_identifier
from mappings.received import ELSEWHERE
from mappings.references import Resolution, rewrite

_Key = tuple[str, str, str]  # type, system, value


@dataclass(frozen=True)
class Origin:
    """Where records come from. ``number``: of the row that says so; ``bases``: every address of its server, where it is asked first."""

    number: int
    name: str
    system: str
    bases: tuple[str, ...]
    patient: str  # Patient/id there


def beginning(number: int) -> str:
    """How the ids of all records begin that came under this row."""
    return f"{ELSEWHERE}{number}-"


def name_of(number: int, source: str) -> str:
    """``Type/id`` in our packets of what is ``source`` (Type/id) there."""
    kind = source.partition("/")[0]
    return f"{kind}/{beginning(number)}{hashlib.sha256(source.encode()).hexdigest()[:24]}"


def is_of(number: int, name: str) -> bool:
    """Whether a record of a packet came under this row."""
    return name.partition("/")[2].startswith(beginning(number))


def translated(
    resources: Iterable[tuple[str, dict]], sources: Iterable[str], origin: Origin, patient: str, same: Mapping[str, str]
) -> Iterator[tuple[str, dict]]:
    """(name, resource) of each record, about ``patient``; ``sources``: all there are; ``same``: what the chart has itself, by its name.

    What refers to something that is not there names it at its own server, so that it is never taken for a record of the chart.
    """
    names = {source: name_of(origin.number, source) for source in sources} | dict(same) | {origin.patient: patient}

    def resolve(target: str) -> Resolution:
        if is_elsewhere(target):
            return Resolution("keep")
        return Resolution("copy", names.get(target) or f"{origin.bases[0]}/{target}")

    for source, resource in resources:
        if source != origin.patient and source not in same:
            made, _ = rewrite(resource, resolve, source_base=list(origin.bases))
            called = source_identifier(origin.system, *source.split("/", 1)) | {"assigner": {"display": origin.name}}
            named, _ = append_identifier({**made, "id": names[source].partition("/")[2]}, called)
            yield names[source], named


def said_origin(resource: Mapping) -> str:
    """The name of the place that a record of a packet came from; empty for one of the chart itself."""
    if not str(resource.get("id")).startswith(ELSEWHERE):
        return ""
    given = [as_dict(each.get("assigner")).get("display") for each in as_dicts(resource.get("identifier"))]
    return next((name for name in map(as_text, reversed(given)) if name), "another provider")


def same_records(
    ours: Iterable[tuple[str, dict]], theirs: Iterable[tuple[str, dict]], our_system: str
) -> dict[str, str]:
    """``{Type/id there: Type/id here}`` of what the chart has itself: by a business identifier that names one record on each side.

    A number that several records carry (of an order, of a visit) says nothing. Patients are never told by it.
    """
    here = _by_identifier((source, [*_keys(source, each), _own(source, our_system)]) for source, each in ours)
    there = _by_identifier((source, _keys(source, each)) for source, each in theirs)
    return {there[key]: here[key] for key in there.keys() & here.keys()}


def _own(source: str, system: str) -> _Key:
    return source.partition("/")[0], system, source


def _keys(source: str, resource: dict) -> list[_Key]:
    kind = source.partition("/")[0]
    return [(kind, each.system, each.value) for each in identifiers_in(resource)] if kind != "Patient" else []


def _by_identifier(records: Iterable[tuple[str, list[_Key]]]) -> dict[_Key, str]:
    found: dict[_Key, str] = {}
    times: Counter[_Key] = Counter()
    for source, keys in records:
        times.update(set(keys))
        found |= dict.fromkeys(keys, source)
    return {key: source for key, source in found.items() if times[key] == 1}
