"""Small charts by hand, as an EHR writes them."""

from datetime import UTC, date, datetime
from itertools import count

from integration.settings.checklist_files import load_catalog
from mappings.checklists.chart import Chart
from mappings.checklists.judging import judge
from mappings.model.checklist import Facts, Item, Said, State

VISIT = date(2026, 6, 15)
PATIENT = {"resourceType": "Patient", "id": "p", "birthDate": "1961-04-12"}
CATALOG = load_catalog()
_NUMBERS = count(1)
RAD = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0074", "code": "RAD"}]}


def loinc(code: str, text: str = "") -> dict:
    return {"coding": [{"system": "http://loinc.org", "code": code}], **({"text": text} if text else {})}


def record(kind: str, **values) -> dict:
    made = {"resourceType": kind, "id": f"r{next(_NUMBERS)}", "subject": {"reference": "Patient/p"}, **values}
    if kind in ("AllergyIntolerance", "FamilyMemberHistory"):
        made["patient"] = made.pop("subject")
    return made


def document(code: str, day: str = "2026-06-01", text: str = "", **values) -> dict:
    return record("DocumentReference", status="current", type=loinc(code, text), date=f"{day}T09:00:00Z", **values)


def report(code: str, day: str = "2026-06-01", text: str = "", **values) -> dict:
    return record(
        "DiagnosticReport", **{"status": "final", "code": loinc(code, text), "effectiveDateTime": day, **values}
    )


def result(code: str, day: str = "2026-06-01", **values) -> dict:
    return record("Observation", **{"status": "final", "code": loinc(code), "effectiveDateTime": day, **values})


def scan(modality: str, day: str = "2026-06-01", text: str = "", body: str = "") -> dict:
    series = {"uid": "1.2", "modality": {"code": modality}, **({"bodySite": {"display": body}} if body else {})}
    return record("ImagingStudy", status="available", started=day, description=text, series=[series])


def diagnosis(code: str, *, clinical: str = "active", verified: str = "confirmed", system: str = "") -> dict:
    return record(
        "Condition",
        code={"coding": [{"system": system or "http://hl7.org/fhir/sid/icd-10-cm", "code": code}]},
        clinicalStatus={"coding": [{"system": "c", "code": clinical}]},
        verificationStatus={"coding": [{"system": "v", "code": verified}]},
    )


def said(what: str, why: str = "") -> Said:
    return Said(what, "A. Reader", datetime(2026, 6, 2, tzinfo=UTC), why)


def items(checklist: str, *resources: dict, facts: Facts = Facts(), visit: date = VISIT, patient: dict = PATIENT):
    """{kind: Item}"""
    chart = Chart.of(resources, patient)
    return {each.rule.kind: each for each in judge(CATALOG.checklists[checklist], CATALOG, chart, facts, visit)}


def item(checklist: str, kind: str, *resources: dict, **more) -> Item:
    return items(checklist, *resources, **more)[kind]


def state(checklist: str, kind: str, *resources: dict, **more) -> State:
    return item(checklist, kind, *resources, **more).state
