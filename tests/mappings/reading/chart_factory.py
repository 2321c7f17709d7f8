"""Small records for the tests of key facts; all invented."""

from mappings.model.packet import Manifest, ManifestItem

FLAG = "http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation"
UCUM = "http://unitsofmeasure.org"


def coded(code: str, text: str, system: str = "http://loinc.org") -> dict:
    return {"coding": [{"system": system, "code": code, "display": text}], "text": text}


def result(number: int, value: object, day: str = "2026-01-01", **more) -> dict:
    """A hemoglobin, of which a test changes one thing."""
    quantity = value if isinstance(value, dict) else {"value": value, "unit": "g/dL", "system": UCUM, "code": "g/dL"}
    made = {
        "resourceType": "Observation",
        "id": f"o{number}",
        "status": "final",
        "category": [{"coding": [{"code": "laboratory"}]}],
        "code": coded("718-7", "Hemoglobin"),
        "valueQuantity": quantity,
        "effectiveDateTime": day,
        **more,
    }
    return {key: each for key, each in made.items() if each is not None}


def flag(code: str) -> list[dict]:
    return [{"coding": [{"system": FLAG, "code": code}]}]


def status(name: str, code: str) -> dict:
    return {"coding": [{"system": f"http://terminology.hl7.org/CodeSystem/{name}", "code": code}]}


def condition(number: int, verification: str = "confirmed", **more) -> dict:
    return {
        "resourceType": "Condition",
        "id": f"c{number}",
        "code": coded("C50.911", "Breast cancer", "http://hl7.org/fhir/sid/icd-10-cm"),
        "clinicalStatus": status("condition-clinical", "active"),
        "verificationStatus": status("condition-ver-status", verification),
        "onsetDateTime": "2025",
        **more,
    }


def allergy(number: int, text: str = "Penicillin", verification: str = "confirmed") -> dict:
    return {
        "resourceType": "AllergyIntolerance",
        "id": f"a{number}",
        "code": {"text": text},
        "verificationStatus": status("allergyintolerance-verification", verification),
        "reaction": [{"manifestation": [{"text": "hives"}]}],
    }


def medication(number: int, **more) -> dict:
    return {
        "resourceType": "MedicationRequest",
        "id": f"m{number}",
        "status": "active",
        "intent": "order",
        "medicationCodeableConcept": coded("860975", "Metformin", "http://www.nlm.nih.gov/research/umls/rxnorm"),
        "dosageInstruction": [
            {"text": "1 tablet", "timing": {"repeat": {"boundsPeriod": {"start": "2025-03", "end": "2025-09-30"}}}}
        ],
        "authoredOn": "2025-03-02",
        **more,
    }


def report(number: int, day: str, conclusion: str | None = None, **more) -> dict:
    made = {
        "resourceType": "DiagnosticReport",
        "id": f"r{number}",
        "status": "final",
        "category": [{"coding": [{"code": "LP29684-5"}]}],
        "code": coded("24627-2", "CT Chest"),
        "effectiveDateTime": day,
        "conclusion": conclusion,
        **more,
    }
    return {key: each for key, each in made.items() if each is not None}


def manifest(*resources: dict, number: int = 1, sha: str = "0", items: tuple[ManifestItem, ...] = ()) -> Manifest:
    """Of a packet with these records; ``sha`` stands for their bytes."""
    held = (ManifestItem(source=f"{each['resourceType']}/{each['id']}", size=1, sha256=sha * 64) for each in resources)
    return Manifest(
        packet_id=f"r1-packet-{number}",
        request_id="r1",
        source_endpoint="alice",
        identifier_system="urn:test:alice",
        patient="Patient/p",
        gathered_at=f"2026-0{number}-01T09:00:00Z",
        items=(*held, *items),
    )
