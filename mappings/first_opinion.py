"""The first opinion inside a ServiceRequest: its doctor, diagnosis and date, for which R4 has no element.

Written as one extension of ours; read from it, else from the Condition that reasonReference names, whose asserter or
recorder gave it. Nothing else tells who gave a first opinion: the requester often did not.
"""

from collections.abc import Mapping

from mappings import codes
from mappings.addresses import Bases
from mappings.codes import as_dict, as_dicts, as_text, concept, to_date
from mappings.identifiers import look_up
from mappings.model.errors import MappingError
from mappings.model.request import Code, Diagnosis, FirstOpinion, PractitionerRef
from mappings.practitioner import contained, from_reference

PATH = "ServiceRequest.extension(first-opinion)"


def to_first_opinion(first: FirstOpinion, inside: list[dict]) -> dict:
    """The extension; the doctor is added to the contained resources ``inside``."""
    parts = []
    if first.doctor is not None:
        made, reference = contained(first.doctor, "first-doctor")
        inside.extend(made)
        parts.append({"url": "doctor", "valueReference": reference})
    diagnosis = concept(*first.diagnosis.codes, text=first.diagnosis.text)
    parts.append({"url": "diagnosis", "valueCodeableConcept": diagnosis})
    if first.given_on:
        parts.append({"url": "given-on", "valueDate": first.given_on.isoformat()})
    return {"url": codes.EXTENSION_FIRST_OPINION, "extension": parts}


def from_first_opinion(resource: dict, included: Mapping[str, dict], base: Bases) -> FirstOpinion | None:
    """Who gave the first opinion and what it was; None when the order does not tell, as those of most EHRs do not.

    Who gave it may stay unknown. A MappingError when what it tells is not understood.
    """
    for extension in as_dicts(resource.get("extension")):
        if extension.get("url") == codes.EXTENSION_FIRST_OPINION:
            return _from_extension(extension, resource, included, base)
    for reference in as_dicts(resource.get("reasonReference")):
        condition = as_dict(look_up(reference, resource, included, base))
        if condition.get("resourceType") == "Condition" and _has_words(condition.get("code")):
            return _from_condition(condition, resource, included, base)
    return None


def _from_extension(extension: dict, resource: dict, included: Mapping[str, dict], base: Bases) -> FirstOpinion:
    parts = {str(each.get("url")): each for each in as_dicts(extension.get("extension"))}
    given_on = as_dict(parts.get("given-on")).get("valueDate")
    doctor = as_dict(as_dict(parts.get("doctor")).get("valueReference"))
    return FirstOpinion(
        doctor=from_reference(doctor, f"{PATH}.doctor", within=resource, included=included, base=base)
        if doctor
        else None,
        diagnosis=_diagnosis(as_dict(parts.get("diagnosis")).get("valueCodeableConcept"), f"{PATH}.diagnosis"),
        given_on=to_date(given_on, f"{PATH}.given-on") if given_on is not None else None,
    )


def _from_condition(condition: dict, resource: dict, included: Mapping[str, dict], base: Bases) -> FirstOpinion:
    if codes.has_code(condition.get("verificationStatus"), _ENTERED_IN_ERROR):
        raise MappingError("ServiceRequest.reasonReference", "names a Condition that was entered in error")
    recorded = as_text(condition.get("recordedDate"))
    return FirstOpinion(
        doctor=_asserter(condition, resource, included, base),
        diagnosis=_diagnosis(condition.get("code"), "Condition.code"),
        given_on=to_date(recorded.split("T")[0], "Condition.recordedDate")
        if recorded and len(recorded) >= 10
        else None,
    )


def _asserter(condition: dict, resource: dict, included: Mapping[str, dict], base: Bases) -> PractitionerRef | None:
    for element in ("asserter", "recorder"):
        reference = as_dict(condition.get(element))
        if reference:
            return from_reference(reference, f"Condition.{element}", within=resource, included=included, base=base)
    return None


def _has_words(found: object) -> bool:
    return _words(found, tuple(codes.to_code(each) for each in codes.codings_in(found))) is not None


def _words(found: object, coded: tuple[Code, ...]) -> str | None:
    return as_text(as_dict(found).get("text")) or next((code.display for code in coded if code.display), None)


def _diagnosis(found: object, path: str) -> Diagnosis:
    """Words are needed: the text, else a display; codes alone would have to be translated by us."""
    coded = tuple(codes.to_code(each) for each in codes.codings_in(found))
    text = _words(found, coded)
    if text is None:
        raise MappingError(path, "has no words: give its text or a display")
    return Diagnosis(text=text, codes=coded)


_ENTERED_IN_ERROR = Code(system="http://terminology.hl7.org/CodeSystem/condition-ver-status", code="entered-in-error")
