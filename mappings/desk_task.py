"""What a consulting practice says, in the Task that it was given: the fulfiller's part of it and nothing else.

https://hl7.org/fhir/R4/task.html (status, statusReason, businessStatus, owner, output)
"""

from collections.abc import Sequence

from mappings import codes
from mappings.codes import as_dicts, coding, concept
from mappings.model.desk import DECLINE_WORDS, Answer, Said
from mappings.model.states import Status
from mappings.task import to_business_status

_BECOMES = {
    Answer.ACCEPT: (Status.ACCEPTED, "accepted"),
    Answer.DECLINE: (Status.REJECTED, "declined"),
    Answer.ASK: (Status.ON_HOLD, "awaiting-information"),
}


def answered(task: dict, said: Said, at: str, *, asked_for: Sequence[str] = ()) -> dict:
    """The Task with the answer in it; ``at`` an instant, ``asked_for`` the labels of the items that are asked for."""
    made = {**task, "lastModified": at}
    if said.answer in _BECOMES:
        status, word = _BECOMES[said.answer]
        made |= {"status": status.value, "businessStatus": to_business_status(word)}
        made.pop("statusReason", None)
    if said.answer is Answer.DECLINE and said.reason is not None:
        code = coding(codes.SYSTEM_DECLINE_REASON, said.reason, DECLINE_WORDS[said.reason])
        made["statusReason"] = concept(code, text=said.why)
    if said.answer is Answer.ASK:
        wanted = f"Asked for: {', '.join(asked_for)}" if asked_for else ""
        made["statusReason"] = concept(text=". ".join(filter(None, (wanted, said.why))))
    if said.people:
        made["owner"] = {"display": ", ".join(said.people)}
    return made


def reported(task: dict, report: str, at: str) -> dict:
    """The Task as completed with a report (``Type/id``) as its newest output; earlier outputs stay."""
    outputs = [each for each in as_dicts(task.get("output")) if each.get("valueReference") != {"reference": report}]
    made = {name: value for name, value in task.items() if name != "statusReason"}
    return {
        **made,
        "status": Status.COMPLETED.value,
        "businessStatus": to_business_status("opinion-reported"),
        "lastModified": at,
        "output": [*outputs, {"type": concept(codes.CONSULTATION_NOTE), "valueReference": {"reference": report}}],
    }
