"""The Task that tracks fulfilment: written for the fulfiller, and read from whichever dialect it comes back in.

https://hl7.org/fhir/R4/task.html. Task.status drives; a business status only refines within it. Where the two
disagree nothing is applied (``inbound.conflict``).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mappings import codes
from mappings.addresses import type_of
from mappings.codes import as_dict, as_dicts, as_list, as_text, concept
from mappings.identifiers import placer_identifier, source_identifier
from mappings.model.errors import MappingError
from mappings.model.request import Code
from mappings.model.states import BSER_CODE, BUSINESS_STATUS, NEEDS_REASON, OPEN, Status

S = Status
# What the fulfiller moves on in a Task; all else of it is ours.
THEIRS = ("status", "businessStatus", "statusReason", "owner", "output", "note", "executionPeriod", "lastModified")
ENDED = ("completed", "rejected", "cancelled", "failed", "entered-in-error")
_STARTED = frozenset({S.ACCEPTED, S.IN_PROGRESS, S.ON_HOLD})

# Our word -> the statuses it can refine. Words of a final status stand with that status alone.
REFINES: dict[str, frozenset[Status]] = {
    **dict.fromkeys(BUSINESS_STATUS, _STARTED),
    "intake": frozenset({S.DRAFT}),
    # BSeR's initiator already sends `received`; ODE keeps `requested` once receipt is confirmed.
    "request-sent": frozenset({S.REQUESTED, S.RECEIVED}),
    "receipt-confirmed": frozenset({S.REQUESTED, S.RECEIVED}),
    "accepted": frozenset({S.ACCEPTED, S.IN_PROGRESS}),
    "awaiting-information": OPEN,
    "cancellation-requested": OPEN,
    "declined": frozenset({S.REJECTED}),
    "opinion-reported": frozenset({S.COMPLETED}),
    "cancelled": frozenset({S.CANCELLED}),
    "failed": frozenset({S.FAILED}),
    "entered-in-error": frozenset({S.ENTERED_IN_ERROR}),
}

# (system, code) -> our word, or None where the code is known and changes nothing for us.
DIALECTS: dict[tuple[str, str], str | None] = {
    **{(codes.SYSTEM_BUSINESS_STATUS, word): word for word in BUSINESS_STATUS},
    (codes.SYSTEM_BSER_STATUS, "2.0"): "request-sent",
    (codes.SYSTEM_BSER_STATUS, "3.0"): "accepted",
    (codes.SYSTEM_BSER_STATUS, "4.0"): "declined",
    (codes.SYSTEM_BSER_STATUS, "5.1"): None,  # in BSeR's transition table, missing from its CodeSystem
    (codes.SYSTEM_BSER_STATUS, "5.1.1"): "appointment-booked",
    (codes.SYSTEM_BSER_STATUS, "5.1.2"): "appointment-noshow",
    (codes.SYSTEM_BSER_STATUS, "5.1.3"): "appointment-cancelled",
    (codes.SYSTEM_BSER_STATUS, "5.1.4"): "visit-completed",
    (codes.SYSTEM_BSER_STATUS, "5.2"): "cancellation-requested",
    (codes.SYSTEM_BSER_STATUS, "6.0"): "cancelled",
    (codes.SYSTEM_BSER_STATUS, "7.0"): "opinion-reported",
    (codes.SYSTEM_COW_STATUS, "visit-scheduled"): "appointment-booked",
    (codes.SYSTEM_COW_STATUS, "visit-complete"): "visit-completed",
    (codes.SYSTEM_COW_STATUS, "preliminary-outcome"): "visit-completed",
    (codes.SYSTEM_COW_STATUS, "awaiting-information"): "awaiting-information",
    (codes.SYSTEM_COW_STATUS, "awaiting-interpretation"): None,
    (codes.SYSTEM_COW_STATUS, "specimen-collected"): None,
    (codes.SYSTEM_COW_STATUS, "new-order"): None,
    (codes.SYSTEM_COW_STATUS, "order-update"): None,
}


@dataclass(frozen=True)
class TaskInput:
    """One thing the Task hands over: what it is (a code, words, or both) and a reference to it."""

    reference: str
    code: Code | None = None
    text: str | None = None


@dataclass(frozen=True)
class TaskReading:
    """What an inbound Task says, in our words. ``findings`` are cause words (inbound.conflict, ...).

    ``status`` None: nothing may be applied. ``reason`` is the other side's free text: show it, never log it.
    ``business_raw`` is the first business code as it came ("system|code").
    """

    status: Status | None
    version: str | None
    last_updated: str | None
    business_code: str | None
    reason: str | None
    outputs: tuple[str, ...]
    owner: str | None
    findings: tuple[str, ...]
    business_raw: str | None = None


def to_task(
    *,
    request_id: str,
    identifier_system: str,
    service_request: str,
    patient: str,
    requester: str | None,
    owner: str | None,
    authored_at: str,
    wanted_by: str | None,
    inputs: Sequence[TaskInput] = (),
    status: str = "requested",
    business_status: str = "request-sent",
    case: str | None = None,
    status_reason: str | None = None,
    outputs: Sequence[TaskInput] = (),
) -> dict:
    """The Task for one request; ``wanted_by``: a date or dateTime, the visit where there is one, ``case`` defaults to the request itself."""
    made = {
        "resourceType": "Task",
        "identifier": [placer_identifier(identifier_system, "Task", request_id)],
        "groupIdentifier": source_identifier(identifier_system, "case", case or request_id),
        "status": _to_status(status, status_reason),
        "statusReason": concept(text=status_reason) if status_reason else None,
        "businessStatus": to_business_status(business_status),
        "intent": "order",
        "code": concept(codes.TASK_FULFILL),
        "focus": {"reference": service_request},
        "for": {"reference": patient},
        "authoredOn": authored_at,
        "requester": {"reference": requester} if requester else None,
        "owner": {"reference": owner} if owner else None,
        "restriction": {"period": {"end": wanted_by}} if wanted_by else None,
        "input": [_to_parameter(each, "Task.input.type") for each in inputs],
        "output": [_to_parameter(each, "Task.output.type") for each in outputs],
    }
    return {name: value for name, value in made.items() if value not in (None, [])}


def to_business_status(word: str) -> dict:
    """Our word with the BSeR code beside it, where BSeR has one."""
    codes.one_of(word, BUSINESS_STATUS, "Task.businessStatus")
    made = [codes.coding(codes.SYSTEM_BUSINESS_STATUS, word)]
    if word in BSER_CODE:
        made.append(codes.coding(codes.SYSTEM_BSER_STATUS, BSER_CODE[word]))
    return concept(*made)


def read_task(task: dict) -> TaskReading:
    """What the Task says; never raises, whatever another system put into it."""
    task, meta = as_dict(task), as_dict(as_dict(task).get("meta"))
    status, findings = _read_status(task.get("status"))
    word, raw, more = _read_business(task.get("businessStatus"), status)
    if "inbound.conflict" in more:
        status = None
    outputs, strange = _read_outputs(task.get("output"))
    reason = _read_reason(task.get("statusReason"))
    findings = [*findings, *more, *strange, *_missing(status, reason, outputs)]
    return TaskReading(
        status=status,
        version=as_text(meta.get("versionId")),
        last_updated=as_text(meta.get("lastUpdated")),
        business_code=word,
        reason=reason,
        outputs=outputs,
        owner=as_text(as_dict(task.get("owner")).get("reference")),
        findings=tuple(dict.fromkeys(findings)),
        business_raw=raw,
    )


def wanted_until(task: dict, wanted_by: str | None) -> dict:
    """The Task with the date or dateTime by which it is wanted, and without one where there is none."""
    if wanted_by:
        return {**task, "restriction": {"period": {"end": wanted_by}}}
    return {name: value for name, value in task.items() if name != "restriction"}


def with_note(task: dict, text: str) -> dict:
    """The Task with a note for whoever works from it."""
    return {**task, "note": [*as_dicts(task.get("note")), {"text": text}]}


def renewed_task(there: dict, before: dict, after: dict) -> dict:
    """The Task as it stands at the fulfiller, with what we wrote ``before`` brought up to ``after``.

    Only elements that differ between those two are touched, and of the fulfiller's own only those still as we wrote
    them. Notes are added to theirs.
    """
    made = dict(there)
    for name in sorted((before.keys() | after.keys()) - {"id", "meta", "note"}):
        moved_on = name in THEIRS and there.get(name) != before.get(name)
        if before.get(name) == after.get(name) or moved_on:
            continue
        made.pop(name, None)
        if name in after:
            made[name] = after[name]
    notes = as_dicts(there.get("note"))
    known = {note.get("text") for note in notes}
    notes = [*notes, *(note for note in as_dicts(after.get("note")) if note["text"] not in known)]
    return {**made, "note": notes} if notes else made


def _to_status(status: str, reason: str | None) -> str:
    codes.one_of(status, tuple(Status), "Task.status")
    if status in NEEDS_REASON and not reason:
        raise MappingError("Task.statusReason", f"is required with status {status}")
    return str(status)


def _to_parameter(each: TaskInput, path: str) -> dict:
    if each.code is None and not each.text:
        raise MappingError(path, "needs a code or words")
    kind = concept(each.code, text=each.text) if each.code else concept(text=each.text)
    return {"type": kind, "valueReference": {"reference": each.reference}}


def _read_status(value: Any) -> tuple[Status | None, list[str]]:
    if value == "ready":
        # R4: ready stands for accepted where "request assignment and acceptance is a given".
        return S.ACCEPTED, ["inbound.ready-as-accepted"]
    if isinstance(value, str) and value in tuple(Status):
        return Status(value), []
    return None, ["inbound.unknown-status"]


def _read_business(found: Any, status: Status | None) -> tuple[str | None, str | None, list[str]]:
    """Our word, the raw coding, findings. The first coding that has a word of ours gives it; all must agree."""
    pairs = [(each["system"].strip(), each["code"].strip()) for each in codes.codings_in(found)]
    known = [DIALECTS[pair] for pair in pairs if pair in DIALECTS]
    words = [word for word in known if word]
    raw = "|".join(pairs[0]) if pairs else None
    if status and not all(status in REFINES[word] for word in words):
        return None, raw, ["inbound.conflict"]
    if not all(_same_word(words[0], word) for word in words[1:]):
        return None, raw, ["inbound.conflict"]
    unknown = ["inbound.unknown-business-status"] if pairs and not known else []
    return (words[0] if words else None), raw, unknown


def _same_word(one: str, other: str) -> bool:
    # BSeR has one code for request-sent and receipt-confirmed.
    return one == other or (one in BSER_CODE and BSER_CODE[one] == BSER_CODE.get(other))


def handed_over(task: dict, name: str) -> dict | None:
    """What a Task holds itself under ``#output[n]`` (bytes, or an address of a file) or ``#id`` (contained), as a report.

    It has no version and no time of its own: the Task's change with every step. None when it holds no such thing.
    """
    if not name.startswith("#output["):
        inside = next((each for each in as_dicts(task.get("contained")) if each.get("id") == name[1:]), None)
        return inside and {**inside, "id": f"{task.get('id')}-{name[1:]}"}
    number = name.removeprefix("#output[").removesuffix("]")
    outputs = as_list(task.get("output"))
    if not number.isdigit() or int(number) >= len(outputs):
        return None
    output = as_dict(outputs[int(number)])
    attachment = as_dict(output.get("valueAttachment")) or {"url": _address(output)}
    made = {
        "resourceType": "DocumentReference",
        "id": f"{task.get('id')}-output-{number}",
        "status": "current",
        "type": output.get("type"),
        "subject": task.get("for"),
        "content": [{"attachment": attachment}],
        "context": {"related": [as_dict(task.get("focus"))]},
    }
    return {key: value for key, value in made.items() if value}


def _read_outputs(found: Any) -> tuple[tuple[str, ...], list[str]]:
    """Each output by the reference it gives, or as ``#output[n]`` where the Task holds it, or a file's address, itself."""
    listed = found if isinstance(found, list) else as_dicts(found)
    names = [_output_name(number, as_dict(each)) for number, each in enumerate(listed)]
    strange = ["inbound.output-not-a-reference"] if None in names else []
    return tuple(dict.fromkeys(each for each in names if each)), strange


def _output_name(number: int, output: dict) -> str | None:
    address = _address(output)
    kind = type_of(address.split("/_history/")[0]) if address else None
    is_file = address is not None and not address.startswith("#") and kind in (None, "Binary")
    return f"#output[{number}]" if is_file or as_dict(output.get("valueAttachment")) else address


def _address(output: dict) -> str | None:
    """The reference, or the URL, that an output gives."""
    said = as_text(as_dict(output.get("valueReference")).get("reference"))
    return said or next(
        (text for name in ("valueUrl", "valueUri", "valueCanonical") if (text := as_text(output.get(name)))), None
    )


def _read_reason(found: Any) -> str | None:
    coded = codes.first_code(found)
    return as_text(as_dict(found).get("text")) or ((coded.display or coded.code) if coded else None)


def _missing(status: Status | None, reason: str | None, outputs: tuple[str, ...]) -> list[str]:
    findings = ["inbound.reason-missing"] if status in NEEDS_REASON and not reason else []
    return [*findings, "inbound.report-missing"] if status is S.COMPLETED and not outputs else findings
