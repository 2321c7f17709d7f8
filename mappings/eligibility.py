"""A CoverageEligibilityRequest that asks a payer about one second opinion, and the answer as an insurer's answer is kept.

https://hl7.org/fhir/R4/coverageeligibilityrequest.html, https://hl7.org/fhir/R4/coverageeligibilityresponse.html. Only what a payer
needs to know whom it insures goes along. An answer is "covered" only where an item of the response is about what was asked, of an
insurance that the response calls in force, and does not exclude it; amounts of money are not read.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

from mappings.addresses import Bases, local_reference
from mappings.codes import SYSTEM_X12_SERVICE_TYPE, as_dict, as_dicts, as_text, codings_in
from mappings.model.coverage import AnswerWord, Network, YesNo
from mappings.model.request import PatientRef
from mappings.times import in_utc

LONGEST = 400
# Of one code list, by the two addresses that payers write; "3" of another list is another thing.
SERVICE_TYPES = frozenset({SYSTEM_X12_SERVICE_TYPE, "https://x12.org/codes/service-type-codes"})
# Of a Coverage only who is insured with which number, and until when; no class, no cost, no contract.
OF_COVERAGE = ("identifier", "status", "type", "subscriberId", "dependent", "relationship", "period")


@dataclass(frozen=True)
class Answered:
    """What a response says, in the words of an insurer's answer; ``given``: an instant as the response has it, or None."""

    answer: AnswerWord
    note: str
    authorization: YesNo = "unknown"
    authorization_number: str | None = None
    network: Network = "unknown"
    ends: date | None = None
    given: str | None = None


def to_eligibility_request(
    patient: PatientRef,
    coverage: dict,
    *,
    identifier: dict,
    service: str,
    day: date | None,
    asks: str,
    insurer: str,
    created: str,
) -> dict:
    """The question. Patient, insurance and who asks stand inside of it, so nothing else is made at the payer's system.

    ``coverage``: the Coverage as the EHR has it; ``asks``: the practice's name; ``created``: a dateTime.
    """
    return {
        "resourceType": "CoverageEligibilityRequest",
        "contained": [
            _patient(patient),
            {"resourceType": "Organization", "id": "asks", "name": asks},
            {"resourceType": "Organization", "id": "insurer", "name": insurer},
            _coverage(coverage),
        ],
        "identifier": [identifier],
        "status": "active",
        "purpose": ["auth-requirements", "benefits", "validation"],
        "patient": {"reference": "#patient"},
        **({"servicedDate": day.isoformat()} if day else {}),
        "created": created,
        "provider": {"reference": "#asks"},
        "insurer": {"reference": "#insurer"},
        "insurance": [{"focal": True, "coverage": {"reference": "#coverage"}}],
        "item": [{"category": {"coding": [{"system": SYSTEM_X12_SERVICE_TYPE, "code": service}]}}],
    }


def _patient(patient: PatientRef) -> dict:
    name = patient.name
    return {
        "resourceType": "Patient",
        "id": "patient",
        **({"name": [{"family": name.family, "given": list(name.given)}]} if name else {}),
        **({"gender": patient.sex} if patient.sex else {}),
        **({"birthDate": patient.birth_date.isoformat()} if patient.birth_date else {}),
    }


def _coverage(coverage: dict) -> dict:
    return {
        "resourceType": "Coverage",
        "id": "coverage",
        **{name: coverage[name] for name in OF_COVERAGE if name in coverage},
        "beneficiary": {"reference": "#patient"},
        "payor": [{"reference": "#insurer"}],
    }


def is_about(response: dict, request: str, bases: Bases) -> bool:
    """True when a response answers the request ``CoverageEligibilityRequest/id``."""
    return (
        response.get("resourceType") == "CoverageEligibilityResponse"
        and response.get("status") == "active"
        and local_reference(as_dict(response.get("request")).get("reference"), bases) == request
    )


def read_answer(response: dict, service: str) -> Answered | None:
    """What it says; None while it is queued: a payer that has not decided has said nothing."""
    outcome = response.get("outcome")
    if outcome == "queued":
        return None
    notes = [*_disposition(response), *_errors(response)]
    given = in_utc(response.get("created"))
    when = given.isoformat() if given else None
    if outcome != "complete":
        notes.insert(0, f"The payer's system answers {as_text(outcome) or 'without an outcome'}.")
        return Answered("unclear", _joined(notes), given=when)
    insurances = as_dicts(response.get("insurance"))
    if len(insurances) != 1:
        notes.insert(0, f"It answers about {len(insurances) or 'no'} insurances, and one was asked about.")
        return Answered("unclear", _joined(notes), given=when)
    return _of_insurance(response, insurances[0], service, notes, when)


def _of_insurance(response: dict, insurance: dict, service: str, notes: list[str], when: str | None) -> Answered:
    inforce = insurance.get("inforce")
    ends = _ends(insurance)
    if inforce is False:
        return Answered("not-covered", _joined(["The insurance is not in force.", *notes]), given=when)
    items = [each for each in as_dicts(insurance.get("item")) if _is_of(each, service)]
    if len(items) != 1:
        says = "says nothing about what was asked" if not items else "says more than one thing about what was asked"
        force = "The insurance is in force" if inforce is True else "Whether the insurance is in force is not said"
        return Answered("unclear", _joined([f"{force}; the answer {says}.", *notes]), ends=ends, given=when)
    item = items[0]
    notes += _item_words(item)
    needs: YesNo = "unknown"
    if isinstance(wanted := item.get("authorizationRequired"), bool):
        needs = "yes" if wanted else "no"
    answer: AnswerWord = "unclear"
    if item.get("excluded") is True:
        answer = "not-covered"
    elif inforce is True and item.get("excluded", False) is False:
        answer = "covered"
    return Answered(
        answer,
        _joined(notes),
        needs,
        as_text(response.get("preAuthRef")),
        _network(item),
        ends,
        when,
    )


def _is_of(item: dict, service: str) -> bool:
    """Its own category is what was asked; a wider one ("30", the whole plan) says nothing of a part."""
    return any(
        each["code"] == service and each.get("system") in SERVICE_TYPES for each in codings_in(item.get("category"))
    )


def _network(item: dict) -> Network:
    codes = {each["code"] for each in codings_in(item.get("network"))}
    return "in" if codes == {"in"} else "out" if codes == {"out"} else "unknown"


def _item_words(item: dict) -> Iterator[str]:
    for name in ("name", "description"):
        if words := as_text(item.get(name)):
            yield words
    for concept in as_dicts(item.get("authorizationSupporting")):
        codes = ", ".join(each["code"] for each in codings_in(concept))
        if words := as_text(concept.get("text")) or codes:
            yield f"It wants: {words}."
    if url := as_text(item.get("authorizationUrl")):
        yield f"More at {url}"


def _disposition(response: dict) -> Iterator[str]:
    if words := as_text(response.get("disposition")):
        yield words


def _errors(response: dict) -> Iterator[str]:
    for error in as_dicts(response.get("error")):
        concept = as_dict(error.get("code"))
        code = next((each["code"] for each in codings_in(concept)), None)
        yield f"Error: {as_text(concept.get('text')) or code or 'without a code'}."


def _ends(insurance: dict) -> date | None:
    text = as_text(as_dict(insurance.get("benefitPeriod")).get("end"))
    try:
        return date.fromisoformat(text) if text and len(text) == 10 else None
    except ValueError:
        return None


def _joined(notes: list[str]) -> str:
    return " ".join(notes)[:LONGEST]
