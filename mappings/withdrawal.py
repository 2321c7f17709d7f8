"""What left and is no longer this patient's record at its source: how that is told, and how a copy of it is marked.

A copy is never deleted: https://hl7.org/fhir/R4/lifecycle.html (entered-in-error).
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from mappings.addresses import Bases
from mappings.model.packet import Manifest, ManifestItem
from mappings.subject import SUBJECT_ELEMENTS, whose

GONE = "it was deleted at its source"
REFILED = "its source says now that it is about another patient"
A_FEW = 3  # so many records are taken back without asking, however small the chart is

_BY_STATUS = frozenset(
    """Account Appointment CarePlan CareTeam ChargeItem Claim ClaimResponse ClinicalImpression Communication
    CommunicationRequest Composition Consent Contract Coverage CoverageEligibilityRequest CoverageEligibilityResponse
    DetectedIssue Device DeviceRequest DeviceUseStatement DiagnosticReport DocumentManifest DocumentReference Encounter
    EnrollmentRequest EpisodeOfCare ExplanationOfBenefit FamilyMemberHistory Flag GuidanceResponse ImagingStudy Immunization
    ImmunizationEvaluation Invoice List Media Medication MedicationAdministration MedicationDispense MedicationRequest
    MedicationStatement NutritionOrder Observation Procedure QuestionnaireResponse RequestGroup RiskAssessment
    ServiceRequest Specimen SupplyDelivery SupplyRequest Task VisionPrescription""".split()
)
_BY_VERIFICATION = {
    "Condition": "http://terminology.hl7.org/CodeSystem/condition-ver-status",
    "AllergyIntolerance": "http://terminology.hl7.org/CodeSystem/allergyintolerance-verification",
}


@dataclass
class Carried:
    """What the packets of a request carried, as far as it still stands: the newest copy of each."""

    resources: dict[str, ManifestItem] = field(default_factory=dict)  # by Type/id
    attachments: dict[str, str] = field(default_factory=dict)  # Type/id#path -> SHA-256 of the bytes

    def may_be_withdrawn(self, source: str) -> bool:
        """True for records of a patient; a practitioner or a place is nobody's record."""
        return bool(SUBJECT_ELEMENTS.get(source.partition("/")[0]))


def carried(manifests: Iterable[Manifest]) -> Carried:
    """What stands after these packets, the oldest first."""
    stands = Carried()
    for manifest in manifests:
        said_anew = {item.source for item in manifest.items if item.kind in ("resource", "withdrawn")}
        for of in [each for each in stands.attachments if each.partition("#")[0] in said_anew]:
            del stands.attachments[of]
        for item in manifest.items:
            if item.kind == "resource":
                stands.resources[item.source] = item
            elif item.kind == "withdrawn":
                stands.resources.pop(item.source, None)
            elif item.kind == "attachment" and item.of:
                stands.attachments[item.of] = item.sha256
    return stands


def why_withdrawn(there: dict | None, patient: dict, bases: Bases) -> str | None:
    """Why a record that was carried is to be withdrawn; None when it still is this patient's, or nobody's by name.

    ``there``: what its source gives now, None when it says that it has it no longer (absent from a search says nothing).
    """
    if there is None:
        return GONE
    return REFILED if whose(there, patient, bases)[0] == "another" else None


def is_a_mass(withdrawn: int, carried_records: int, percent: int) -> bool:
    """True when more than a few, and more than ``percent`` of what was carried, are to be taken back at once.

    A source that was restored from an old backup, or shows an empty chart, looks the same as one that corrected itself.
    """
    return withdrawn > A_FEW and withdrawn * 100 > carried_records * percent


def withdrawn_item(carried_item: ManifestItem, why: str) -> ManifestItem:
    """The line of a manifest that takes back what an earlier packet carried."""
    return carried_item.model_copy(update={"kind": "withdrawn", "why": why})


def marked_in_error(resource: dict) -> dict | None:
    """The resource as one that should never have existed; None where its type has no such mark."""
    kind = resource.get("resourceType")
    if not isinstance(kind, str):
        return None
    if kind in _BY_VERIFICATION:  # con-5, ait-2: then it has no clinical status
        status = {"coding": [{"system": _BY_VERIFICATION[kind], "code": "entered-in-error"}]}
        kept = {name: value for name, value in resource.items() if name.lstrip("_") != "clinicalStatus"}
        return {**kept, "verificationStatus": status}
    if kind == "Goal":
        return {**resource, "lifecycleStatus": "entered-in-error"}
    if kind not in _BY_STATUS:
        return None
    marked = {**resource, "status": "entered-in-error"}
    return {**marked, "docStatus": "entered-in-error"} if kind == "DocumentReference" else marked


def is_marked_in_error(resource: dict) -> bool:
    """Whether a copy says already that it should never have existed."""
    return marked_in_error(resource) is not None and (
        "entered-in-error" in (resource.get("status"), resource.get("lifecycleStatus"))
        or any(each.get("code") == "entered-in-error" for each in _codings(resource.get("verificationStatus")))
    )


def _codings(concept: object) -> list[dict]:
    codings = concept.get("coding") if isinstance(concept, dict) else None
    return [each for each in codings if isinstance(each, dict)] if isinstance(codings, list) else []
