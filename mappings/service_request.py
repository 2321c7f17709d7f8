"""The clinical request itself: recognize a second opinion, write it as a ServiceRequest, read it back.

https://hl7.org/fhir/R4/servicerequest.html (US Core 9: us-core-servicerequest). Codes: docs/reference/codes.md.
The question is the text of the reason coded "Second Opinion"; what the first opinion was travels as a further reason
for every reader, and with its doctor and date in an extension of ours, because R4 has no element for them.
"""

import calendar
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from pydantic import ValidationError

from mappings import codes
from mappings.addresses import Bases
from mappings.codes import as_dict, as_dicts, as_text, concept, to_date
from mappings.communication import from_questions
from mappings.coverage_extension import to_extensions as coverage_extensions
from mappings.coverage_information import read_order
from mappings.first_opinion import from_first_opinion, to_first_opinion
from mappings.identifiers import local_reference, look_up, placer_identifier, source_identifier
from mappings.model.errors import MappingError
from mappings.model.request import Code, FirstOpinion, PatientRef, PractitionerRef, RecordsWanted, SecondOpinionRequest
from mappings.model.states import Status
from mappings.patient import from_patient
from mappings.practitioner import contained, from_reference

PRIORITIES = ("routine", "urgent", "asap")
STAT_REFUSED = (
    "stat is refused: the Exchange is not for emergencies. Call the consultant, or send the patient to "
    "emergency care; then ask with priority asap, urgent or routine"
)
ORDERS = ("order", "original-order", "reflex-order", "filler-order", "instance-order")

# Where the request stands -> ServiceRequest.status, which is the authorization and not the progress.
REQUEST_STATUS: dict[Status, str] = {
    Status.DRAFT: "draft",
    Status.REQUESTED: "active",
    Status.RECEIVED: "active",
    Status.ACCEPTED: "active",
    Status.IN_PROGRESS: "active",
    Status.ON_HOLD: "active",
    Status.COMPLETED: "completed",
    Status.REJECTED: "revoked",
    Status.CANCELLED: "revoked",
    Status.FAILED: "revoked",
    Status.ENTERED_IN_ERROR: "entered-in-error",
}


@dataclass(frozen=True)
class Refs:
    """References that hold at the target. A person without one travels contained.

    ``case`` is shared by all opinions on one matter (default: this request's id); ``based_on`` names earlier
    ServiceRequests, as references or, for one on another server, as Reference objects with an identifier.
    """

    patient: str
    requester: str | None = None
    performer: str | None = None
    supporting_info: tuple[str, ...] = ()
    insurance: tuple[str, ...] = ()
    case: str | None = None
    based_on: tuple[Any, ...] = ()


def is_second_opinion(resource: dict, local_codes: Iterable[str | Code] = ()) -> bool:
    """True when a code says so: one of ours, or a ``local_codes`` entry (Code, or "system|code"). Never free text."""
    if as_dict(resource).get("resourceType") != "ServiceRequest":
        return False
    known = codes.SECOND_OPINION_CODES | {_pair(each) for each in local_codes}
    return any((found["system"].strip(), found["code"].strip()) in known for found in _codings(resource))


def opinion_number(resource: dict) -> int | None:
    """Which opinion is asked for, as the resource says it (2, 3, ...); None when it is no second opinion.

    Whoever can edit the resource can edit this: where the chain of requests is known, count that.
    """
    number = _extension(resource, codes.EXTENSION_OPINION_NUMBER).get("valuePositiveInt")
    if isinstance(number, int) and not isinstance(number, bool) and number >= 2:
        return number
    if codes.has_code(as_dict(resource).get("category"), codes.X12_THIRD_OPINION):
        return 3
    return 2 if is_second_opinion(resource) else None


def to_service_request(
    request: SecondOpinionRequest,
    *,
    request_id: str,
    refs: Refs,
    identifier_system: str,
    status: Status = Status.REQUESTED,
) -> dict:
    """The request as a ServiceRequest for the system where ``refs`` hold."""
    inside: list[dict] = []
    made = {
        "resourceType": "ServiceRequest",
        "extension": _to_extensions(request, inside),
        "identifier": [placer_identifier(identifier_system, "ServiceRequest", request_id)],
        "basedOn": [_reference(each) for each in refs.based_on],
        "requisition": source_identifier(identifier_system, "case", refs.case or request_id),
        "status": REQUEST_STATUS[status],
        "intent": "order",
        "category": _to_category(request),
        "priority": request.priority,
        "code": _to_code(request),
        "orderDetail": [concept(codes.DISPOSITION_SECOND_OPINION), concept(codes.DISPOSITION_WRITTEN_REPORT)],
        "subject": {"reference": refs.patient},
        "occurrencePeriod": {"end": request.wanted_by.isoformat()} if request.wanted_by else None,
        "authoredOn": request.authored_at,
        "requester": _to_person(request.requester, refs.requester, "requester", inside),
        "performerType": concept(request.specialty) if request.specialty else None,
        "performer": _to_performers(request, refs, inside),
        "reasonCode": _to_reasons(request),
        "insurance": [_reference(each) for each in refs.insurance],
        "supportingInfo": [_reference(each) for each in refs.supporting_info],
    }
    made["contained"] = inside
    return {name: value for name, value in made.items() if value not in (None, [])}


def reason_texts(resource: dict) -> set[str]:
    """The words of every reason, the question among them, without the whitespace that does not show."""
    texts = (as_text(each.get("text")) for each in as_dicts(resource.get("reasonCode")))
    return {" ".join(text.split()) for text in texts if text}


def from_service_request(
    resource: dict,
    *,
    placer: str,
    fulfiller: str,
    included: Mapping[str, dict],
    first_opinion: FirstOpinion | None = None,
    base: Bases = None,
) -> SecondOpinionRequest:
    """A placer's ServiceRequest as a request; a MappingError names what is not understood.

    What the order does not tell stays unknown (`unknown_parts`): a person is asked, nothing is invented.

    ``included`` holds what the resource refers to ("Type/id" -> resource); ``first_opinion`` completes a
    ServiceRequest that does not tell it; ``base`` is the server's address, for absolute references into itself.
    """
    _refuse_what_we_cannot_act_on(resource)
    read = _Reader(resource, included, base)
    logical_id = as_text(resource.get("id"))
    if logical_id is None:
        raise MappingError("ServiceRequest.id", "is missing; read the resource from its server")
    first = first_opinion or from_first_opinion(resource, included, base)
    try:
        return SecondOpinionRequest(
            key=f"{placer}:ServiceRequest/{logical_id}",
            service_request=f"ServiceRequest/{logical_id}",
            placer=placer,
            fulfiller=fulfiller,
            patient=read.patient(),
            requester=read.requester(),
            first_opinion=first,
            question=read.question(),
            reasons=read.reasons(first),
            specialty=codes.first_code(resource.get("performerType")),
            consultant=read.consultant(),
            priority=read.priority(),
            authored_at=as_text(resource.get("authoredOn")),
            wanted_by=read.wanted_by(),
            patient_questions=read.patient_questions(),
            records=read.records(),
            consent=read.consent(),
            coverage=read.references("insurance"),
            order_coverage=read_order(resource, base),
            opinion_number=opinion_number(resource) or 2,
        )
    except ValidationError as error:
        raise MappingError("ServiceRequest", _why(error)) from None


class _Reader:
    """The parts of one inbound ServiceRequest."""

    def __init__(self, resource: dict, included: Mapping[str, dict], base: Bases):
        self.resource, self.included, self.base = resource, included, base

    def patient(self) -> PatientRef:
        found = as_dict(look_up(self.resource.get("subject"), self.resource, self.included, self.base))
        if found.get("resourceType") != "Patient":
            raise MappingError("ServiceRequest.subject", "names no Patient that was fetched")
        return from_patient(found)

    def requester(self) -> PractitionerRef | None:
        reference = as_dict(self.resource.get("requester"))
        if not reference or not self._is_person(reference):
            return None  # an organization or a device is not who asks
        return self._clinician(reference, "ServiceRequest.requester")

    def consultant(self) -> PractitionerRef | None:
        people = [
            (index, each)
            for index, each in enumerate(as_dicts(self.resource.get("performer")))
            if self._is_person(each)
        ]
        return self._clinician(people[0][1], f"ServiceRequest.performer[{people[0][0]}]") if people else None

    def priority(self) -> str:
        # R4: "If missing, this task should be performed with normal priority".
        value = self.resource.get("priority", "routine")
        if value == "stat":
            raise MappingError("ServiceRequest.priority", STAT_REFUSED)
        return codes.one_of(value, PRIORITIES, "ServiceRequest.priority")

    def question(self) -> str | None:
        """The words of whoever asks: of the reason coded "Second Opinion", else the notes, else reasons in words alone."""
        asked = [as_text(each.get("text")) for each in self._reason_codes() if _asks(each)]
        notes = [as_text(each.get("text")) for each in as_dicts(self.resource.get("note"))]
        uncoded = [
            as_text(each.get("text")) for each in self._reason_codes() if not any(True for _ in codes.codings_in(each))
        ]
        return next(("\n\n".join(filter(None, words)) for words in (asked, notes, uncoded) if any(words)), None)

    def reasons(self, first: FirstOpinion | None) -> tuple[Code, ...]:
        others = [each for each in self._reason_codes() if not _asks(each)]
        shown = None
        if first is not None:
            diagnosis = {(code.system, code.code) for code in first.diagnosis.codes}
            shown = next((each for each in others if _is_diagnosis(each, diagnosis, first.diagnosis.text)), None)
        return tuple(codes.to_code(found) for each in others if each is not shown for found in codes.codings_in(each))

    def wanted_by(self) -> date | None:
        if as_dict(self.resource.get("occurrencePeriod")).get("end") is not None:
            return _last_day(self.resource["occurrencePeriod"]["end"], "ServiceRequest.occurrencePeriod.end")
        value = self.resource.get("occurrenceDateTime")
        return _last_day(value, "ServiceRequest.occurrenceDateTime") if value is not None else None

    def patient_questions(self) -> tuple[str, ...]:
        return tuple(text for each in self.included.values() if self._is_ours(each) for text in from_questions(each))

    def records(self) -> RecordsWanted:
        parts = as_dicts(_extension(self.resource, codes.EXTENSION_RECORDS_WANTED).get("extension"))
        since = [part.get("valueDate") for part in parts if part.get("url") == "since"]
        path = "ServiceRequest.extension(records-wanted).since"
        return RecordsWanted(
            types=tuple(part["valueCode"] for part in parts if as_text(part.get("valueCode"))),
            since=to_date(since[0], path) if since else None,
        )

    def consent(self) -> str | None:
        return next((each for each in self.references("supportingInfo") if each.startswith("Consent/")), None)

    def references(self, element: str) -> tuple[str, ...]:
        found = (each.get("reference") for each in as_dicts(self.resource.get(element)))
        return tuple(
            local_reference(each, self.base) or each for each in found if isinstance(each, str) and each.strip()
        )

    def _clinician(self, reference: dict, path: str) -> PractitionerRef:
        return from_reference(reference, path, within=self.resource, included=self.included, base=self.base)

    def _is_person(self, reference: dict) -> bool:
        """True also for a name alone: whoever asks, or is asked, by name is a person unless the Reference says otherwise."""
        found = look_up(reference, self.resource, self.included, self.base)
        kind = found.get("resourceType") if found else reference.get("type") or reference.get("reference")
        if kind is None:
            return as_text(reference.get("display")) is not None or "identifier" in reference
        return re.search(r"(^|/)Practitioner(Role)?(/|$)", str(kind)) is not None

    def _reason_codes(self) -> list[dict]:
        return as_dicts(self.resource.get("reasonCode"))

    def _is_ours(self, candidate: dict) -> bool:
        """A Communication about this request: it is based on it, or the request lists it."""
        if candidate.get("resourceType") != "Communication":
            return False
        based_on = [local_reference(each.get("reference"), self.base) for each in as_dicts(candidate.get("basedOn"))]
        listed = f"Communication/{candidate.get('id')}" in self.references("supportingInfo")
        return listed or f"ServiceRequest/{self.resource.get('id')}" in based_on


def _to_extensions(request: SecondOpinionRequest, inside: list[dict]) -> list[dict]:
    made = [to_first_opinion(request.first_opinion, inside)] if request.first_opinion else []
    made.append({"url": codes.EXTENSION_OPINION_NUMBER, "valuePositiveInt": request.opinion_number})
    wanted: list[dict] = [{"url": "type", "valueCode": each} for each in request.records.types]
    if request.records.since:
        wanted.append({"url": "since", "valueDate": request.records.since.isoformat()})
    made += [{"url": codes.EXTENSION_RECORDS_WANTED, "extension": wanted}] if wanted else []
    return [*made, *coverage_extensions(request)]


def _to_category(request: SecondOpinionRequest) -> list[dict]:
    made = [concept(codes.CONFIRMATORY_CONSULTATION, text="Second opinion")]
    return [*made, concept(codes.X12_THIRD_OPINION)] if request.opinion_number == 3 else made


def _to_code(request: SecondOpinionRequest) -> dict:
    field = request.specialty.display if request.specialty else None
    return concept(codes.PATIENT_REFERRAL, text=f"{field}: second opinion" if field else "Second opinion")


def _to_person(ref: PractitionerRef | None, reference: str | None, name: str, inside: list[dict]) -> dict | None:
    if reference:
        return {"reference": reference}
    return None if ref is None else _to_contained(ref, name, inside)


def _to_contained(ref: PractitionerRef, name: str, inside: list[dict]) -> dict:
    made, to_it = contained(ref, name)
    inside.extend(made)
    return to_it


def _to_performers(request: SecondOpinionRequest, refs: Refs, inside: list[dict]) -> list[dict]:
    known = [{"reference": refs.performer}] if refs.performer else []
    if request.consultant is None or (refs.performer or "").startswith(("Practitioner/", "PractitionerRole/")):
        return known
    return [*known, _to_contained(request.consultant, "consultant", inside)]


def _to_reasons(request: SecondOpinionRequest) -> list[dict]:
    diagnosis = request.diagnosis
    return [
        concept(codes.REASON_SECOND_OPINION, text=request.question),
        *([concept(*diagnosis.codes, text=diagnosis.text)] if diagnosis else []),
        *(concept(reason, text=reason.display) for reason in request.reasons if not _is_asking(reason)),
    ]


def _reference(value: str | dict) -> dict:
    return dict(value) if isinstance(value, dict) else {"reference": value}


def _refuse_what_we_cannot_act_on(resource: dict) -> None:
    if as_dict(resource).get("resourceType") != "ServiceRequest":
        raise MappingError("ServiceRequest", "is another kind of resource")
    if resource.get("status") != "active":
        raise MappingError("ServiceRequest.status", "is not active: nothing to do yet, or no longer")
    if resource.get("intent") not in ORDERS:
        raise MappingError("ServiceRequest.intent", "is no order: nobody has authorized it yet")
    if resource.get("doNotPerform", False) is not False:
        raise MappingError("ServiceRequest.doNotPerform", "asks that it is not done")
    if resource.get("modifierExtension"):
        raise MappingError("ServiceRequest.modifierExtension", "changes the meaning in a way we do not understand")


def _codings(resource: dict) -> Iterable[dict]:
    for element in ("category", "code", "reasonCode", "orderDetail"):
        yield from codes.codings_in(resource.get(element))


def _pair(code: str | Code) -> tuple[str, str]:
    if isinstance(code, Code):
        return code.system, code.code
    system, _, value = code.rpartition("|")
    return system, value


def _extension(resource: Any, url: str) -> dict:
    found = as_dicts(as_dict(resource).get("extension"))
    return next((each for each in found if each.get("url") == url), {})


def _is_asking(reason: Code) -> bool:
    return (reason.system, reason.code) == (codes.REASON_SECOND_OPINION.system, codes.REASON_SECOND_OPINION.code)


def _asks(reason: dict) -> bool:
    return codes.has_code(reason, codes.REASON_SECOND_OPINION)


def _is_diagnosis(reason: dict, wanted: set[tuple[str, str]], text: str) -> bool:
    pairs = {(found["system"].strip(), found["code"].strip()) for found in codes.codings_in(reason)}
    return pairs == wanted and (bool(pairs) or as_text(reason.get("text")) == text)


def _last_day(value: Any, path: str) -> date:
    """The day of a FHIR dateTime; a year or month means its last day, as R4 says of Period.end."""
    text = value if isinstance(value, str) else ""
    if re.fullmatch(r"\d{4}", text):
        return to_date(f"{text}-12-31", path)
    if re.fullmatch(r"\d{4}-(0[1-9]|1[0-2])", text):
        return to_date(f"{text}-{calendar.monthrange(int(text[:4]), int(text[5:]))[1]}", path)
    return to_date(text.split("T")[0], path)


def _why(error: ValidationError) -> str:
    """The first problem as the model words it, without the value."""
    first = error.errors(include_input=False, include_url=False)[0]
    where = ".".join(str(each) for each in first["loc"])
    message = first["msg"].removeprefix("Value error, ")
    return f"{where}: {message}" if where else message
