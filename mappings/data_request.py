"""A Task that asks a source for records, after HRex's data request, and what came of it.

http://hl7.org/fhir/us/davinci-hrex/StructureDefinition/hrex-task-data-request: no focus, one input, an output when it is done.
The words of the input are for a person there; a server that knows what to do with them is rare.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from mappings import codes
from mappings.addresses import Bases, local_reference
from mappings.codes import as_dict, as_dicts, concept
from mappings.identifiers import placer_identifier
from mappings.model.request import PractitionerRef
from mappings.model.source_ask import AskWord
from mappings.model.states import Status
from mappings.source_letter import Wanted
from mappings.subject import SUBJECT_ELEMENTS, whose
from mappings.task import TaskReading, handed_over

S = Status
_WORD_OF: dict[Status, AskWord] = {
    **dict.fromkeys((S.ACCEPTED, S.RECEIVED, S.IN_PROGRESS, S.ON_HOLD), AskWord.ACCEPTED),
    **dict.fromkeys((S.REJECTED, S.FAILED, S.CANCELLED, S.ENTERED_IN_ERROR), AskWord.REJECTED),
}


@dataclass(frozen=True)
class Given:
    """One record that the source gave. ``resource``: what it is, where the Task itself holds it; None: it is read by its name."""

    source: str
    resource: dict | None = None


def to_data_request(
    *,
    name: str,
    identifier_system: str,
    patient: str,
    requester: PractitionerRef | None,
    asks: str,
    owner: str,
    wanted: Iterable[Wanted],
    note: str,
    authored_at: str,
    due: date,
) -> dict:
    """The Task; ``name``: of ours, ``patient``: Patient/id there, ``asks``, ``owner``: the names of both places."""
    words = [_words(each) for each in wanted] + ([note] if note else [])
    return {
        "resourceType": "Task",
        "identifier": [placer_identifier(identifier_system, "Task", name)],
        "status": "requested",
        "intent": "order",
        "code": concept(codes.DATA_REQUEST),
        "description": "Records for a second opinion",
        "for": {"reference": patient},
        "authoredOn": authored_at,
        "requester": _requester(requester, asks),
        "owner": {"display": owner},
        "reasonCode": concept(codes.REASON_SECOND_OPINION),
        "restriction": {"period": {"end": due.isoformat()}},
        "input": [{"type": concept(codes.DATA_CODE), "valueCodeableConcept": concept(text="; ".join(words))}],
    }


def _words(wanted: Wanted) -> str:
    numbers = f"accession number {', '.join(wanted.numbers)}" if wanted.numbers else ""
    since = f"dated {wanted.since} or later" if wanted.since else ""
    return ", ".join(filter(None, (wanted.label, numbers, since)))


def _requester(person: PractitionerRef | None, asks: str) -> dict:
    """By name and number, never by reference: who asks need not be a record there."""
    name = " ".join([*person.name.given, person.name.family]) if person and person.name else ""
    made: dict = {"display": ", ".join(filter(None, (name, asks)))}
    number = next(iter(person.identifiers), None) if person else None
    return made | ({"identifier": {"system": number.system, "value": number.value}} if number else {})


def word_of(reading: TaskReading) -> AskWord | None:
    """What the Task says of the ask; None: nothing new, or nothing that is understood. A completed one is read by its outputs."""
    if reading.status is None:
        return None
    if reading.status is S.COMPLETED:
        return AskWord.ANSWERED if reading.outputs else AskWord.NOTHING
    return _WORD_OF.get(reading.status)


def given_in(task: dict, outputs: Sequence[str], bases: Bases) -> tuple[list[Given], list[str]]:
    """What a Task's outputs hold or name, and the outputs that nothing can be made of: another server's, or not there."""
    found: list[Given] = []
    strange: list[str] = []
    for name in outputs:
        local = local_reference(name, bases)
        held = None if local else handed_over(task, name) if name.startswith("#") else None
        if held is not None and held.get("resourceType") == "Bundle":
            found += of_bundle(held)
        elif held is not None and _is_record(held.get("resourceType")):
            made = {key: value for key, value in held.items() if key != "context"} if "[" in name else held
            found.append(Given(f"{held['resourceType']}/{held.get('id')}", made))
        elif local and _is_record(local.partition("/")[0]):
            found.append(Given(local))
        elif not (local and local.startswith("Bundle/")):
            strange.append(name)
    return found, strange


def _is_record(kind: object) -> bool:
    """A type that says whose it is; who and where somebody is comes with what refers to it."""
    return isinstance(kind, str) and bool(SUBJECT_ELEMENTS.get(kind))


def bundles_in(outputs: Iterable[str], bases: Bases) -> list[str]:
    """``Bundle/id`` of the source that outputs name: what is in them is what was given."""
    return [local for name in outputs if (local := local_reference(name, bases)) and local.startswith("Bundle/")]


def given_elsewhere(strange: Iterable[str], servers: Mapping[str, Bases]) -> tuple[dict[str, list[str]], list[str]]:
    """Of outputs that are not the source's own: {endpoint: addresses} of records of a server that we know, and the rest."""
    found: dict[str, list[str]] = {}
    rest: list[str] = []
    for name in strange:
        where = next((key for key, bases in servers.items() if "://" in name and local_reference(name, bases)), None)
        local = local_reference(name, servers[where]) if where else None
        if where and local and _is_record(local.partition("/")[0]):
            found.setdefault(where, []).append(name)
        else:
            rest.append(name)
    return found, rest


def of_bundle(bundle: dict) -> list[Given]:
    """The records of a searchset or collection; what a server remarks on its own search is none."""
    resources = [as_dict(entry.get("resource")) for entry in as_dicts(bundle.get("entry"))]
    kept = (each for each in resources if _is_record(each.get("resourceType")))
    return [Given(f"{each['resourceType']}/{each.get('id')}", each) for each in kept]


def not_theirs(given: Iterable[Given], patient: dict, bases: Bases) -> list[str]:
    """Names of those that are another patient's, or do not say for certain whose they are. Each has its resource."""
    return [
        each.source for each in given if each.resource is None or whose(each.resource, patient, bases)[0] != "theirs"
    ]
