"""Which records go into which section, and which elements its columns show. Everything else becomes details."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from mappings.codes import as_dicts
from mappings.received import PREFIX
from mappings.rendition.model import Column

LABORATORY = "laboratory"


@dataclass(frozen=True)
class Table:
    """One section to be: ``types`` it takes, its columns, which elements hold the name and the date to sort by.

    ``always`` shows it when it is empty: the reader of a chart looks for it. An element ``onset[x]`` is any choice.
    """

    key: str
    title: str
    types: frozenset[str]
    columns: tuple[Column, ...]
    name: str = "code"
    dates: tuple[str, ...] = ()
    by_name: bool = False
    always: bool = False
    takes: Callable[[dict], bool] = lambda resource: True


def _table(key: str, title: str, types: str, *columns: tuple[str, int, str], **more: Any) -> Table:
    return Table(
        key,
        title,
        frozenset(types.split()),
        tuple(Column(name, share, tuple(elements.split())) for name, share, elements in columns),
        **more,
    )


def is_laboratory(resource: dict) -> bool:
    """True for a result that the source itself calls a laboratory's."""
    return any(
        coding.get("code") == LABORATORY
        for concept in as_dicts(resource.get("category"))
        for coding in as_dicts(concept.get("coding"))
    )


_RESULT = (
    ("Test", 30, "code"),
    ("Value", 16, "value[x] dataAbsentReason component"),
    ("Reference range", 14, "referenceRange"),
    ("Flag as sent", 9, "interpretation"),
    ("Date", 21, "effective[x]"),
    ("Status", 10, "status"),
)
_RESULT_DATES = ("effective[x]", "issued")

TABLES = (
    _table(
        "conditions",
        "Problems and diagnoses",
        "Condition",
        ("Problem", 40, "code"),
        ("Clinical status", 12, "clinicalStatus"),
        ("Verification", 14, "verificationStatus"),
        ("Began", 12, "onset[x]"),
        ("Ended", 11, "abatement[x]"),
        ("Recorded", 11, "recordedDate"),
        dates=("onset[x]", "recordedDate"),
        always=True,
    ),
    _table(
        "allergies",
        "Allergies and intolerances",
        "AllergyIntolerance",
        ("Substance", 30, "code"),
        ("Reaction", 34, "reaction"),
        ("Criticality", 12, "criticality"),
        ("Clinical status", 12, "clinicalStatus"),
        ("Verification", 12, "verificationStatus"),
        dates=("recordedDate", "onset[x]"),
        always=True,
    ),
    _table(
        "medications-said",
        "Medications as the patient or the practice says they are taken",
        "MedicationStatement",
        ("Medication", 30, "medication[x]"),
        ("Taken", 10, "status"),
        ("In their words", 24, "dosage"),
        ("Said by", 16, "informationSource"),
        ("Date", 20, "dateAsserted"),
        name="medication[x]",
        dates=("dateAsserted",),
        takes=lambda resource: str(resource.get("id")).startswith(PREFIX),
    ),
    _table(
        "medications",
        "Medications",
        "MedicationRequest MedicationStatement MedicationAdministration MedicationDispense",
        ("Medication", 34, "medication[x]"),
        ("Dosage", 22, "dosageInstruction dosage"),
        ("Date", 21, "authoredOn effective[x] whenHandedOver"),
        ("Status", 10, "status"),
        ("By", 13, "requester informationSource"),
        name="medication[x]",
        dates=("authoredOn", "effective[x]", "whenHandedOver", "dateAsserted"),
        always=True,
    ),
    _table(
        "results",
        "Laboratory results",
        "Observation",
        *_RESULT,
        dates=_RESULT_DATES,
        by_name=True,
        always=True,
        takes=is_laboratory,
    ),
    _table(
        "observations", "Vital signs and other observations", "Observation", *_RESULT, dates=_RESULT_DATES, by_name=True
    ),
    _table(
        "reports",
        "Reports",
        "DiagnosticReport Composition ClinicalImpression",
        ("Report", 34, "code type"),
        ("Date", 20, "effective[x] date"),
        ("Status", 10, "status"),
        ("Category", 16, "category"),
        ("By", 20, "performer author assessor"),
        name="code",
        dates=("effective[x]", "date", "issued"),
        always=True,
    ),
    _table(
        "documents",
        "Documents",
        "DocumentReference Media",
        ("Document", 26, "type"),
        ("Date", 20, "date created[x]"),
        ("Status", 10, "status docStatus"),
        ("Author", 18, "author operator"),
        ("Original", 26, "content"),
        name="type",
        dates=("date", "created[x]"),
        always=True,
    ),
    _table(
        "imaging",
        "Imaging studies",
        "ImagingStudy",
        ("Study", 28, "description"),
        ("Started", 20, "started"),
        ("Status", 10, "status"),
        ("Procedure", 26, "procedureCode procedureReference"),
        ("Extent", 16, "numberOfSeries numberOfInstances"),
        name="procedureCode",
        dates=("started",),
        always=True,
    ),
    _table(
        "procedures",
        "Procedures",
        "Procedure",
        ("Procedure", 36, "code"),
        ("Performed", 21, "performed[x]"),
        ("Status", 10, "status"),
        ("Reason", 16, "reasonCode reasonReference"),
        ("By", 17, "performer"),
        dates=("performed[x]",),
        always=True,
    ),
    _table(
        "immunizations",
        "Immunizations",
        "Immunization",
        ("Vaccine", 42, "vaccineCode"),
        ("Date", 22, "occurrence[x]"),
        ("Status", 12, "status"),
        ("Lot", 12, "lotNumber"),
        ("Dose", 12, "doseQuantity"),
        name="vaccineCode",
        dates=("occurrence[x]",),
        always=True,
    ),
    _table(
        "encounters",
        "Visits",
        "Encounter",
        ("Visit", 33, "type"),
        ("Period", 24, "period"),
        ("Class", 12, "class"),
        ("Status", 10, "status"),
        ("Reason", 21, "reasonCode reasonReference"),
        name="type",
        dates=("period",),
    ),
    _table(
        "plans",
        "Plans, goals and orders",
        "CarePlan Goal CareTeam ServiceRequest NutritionOrder DeviceRequest",
        ("What", 44, "title code description category"),
        ("Status", 12, "status lifecycleStatus"),
        ("Date", 18, "period start[x] authoredOn"),
        ("By", 26, "author requester participant"),
        dates=("period", "authoredOn", "startDate"),
    ),
    _table(
        "family",
        "Family history",
        "FamilyMemberHistory",
        ("Relative", 24, "relationship name"),
        ("Condition", 52, "condition"),
        ("Status", 12, "status"),
        ("Date", 12, "date"),
        name="relationship",
        dates=("date",),
    ),
    _table(
        "people",
        "People and places",
        "Patient Practitioner PractitionerRole RelatedPerson Person Organization Location HealthcareService",
        ("Name", 32, "name practitioner"),
        ("Identifier", 30, "identifier"),
        ("Contact", 22, "telecom"),
        ("Address", 16, "address"),
        name="",
    ),
    _table(
        "other",
        "Other records",
        "",
        ("Kind", 22, "resourceType"),
        ("What", 36, "code type title description"),
        ("Date", 18, "date created recorded authored sent dateTime"),
        ("Status", 24, "status"),
        dates=("date", "created", "recorded", "authored", "sent", "dateTime"),
    ),
)


def table_of(resource: dict) -> Table:
    """The section a resource belongs to; anything unknown is an other record."""
    kind = resource.get("resourceType")
    return next((table for table in TABLES if kind in table.types and table.takes(resource)), TABLES[-1])
