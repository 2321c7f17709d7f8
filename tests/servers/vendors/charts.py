"""A synthetic chart for a vendor-like server, and a note as its client would write it."""

import base64
from typing import Any

from tests.servers.vendors.vendor import Vendor

MRN = "urn:vendor:mrn"


def person(number: int = 1, **more: Any) -> dict:
    """A synthetic patient."""
    return {
        "resourceType": "Patient",
        "identifier": [
            {
                "system": MRN,
                "value": f"M{number}",
                "type": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": "MR"}]},
            }
        ],
        "name": [{"use": "official", "family": f"Synthetic{number}", "given": ["Ada"]}],
        "birthDate": "1960-01-01",
        "gender": "female",
        "telecom": [{"system": "phone", "value": f"555-010{number % 10}", "use": "home"}],
        "address": [{"line": [f"{number} Test Street"], "city": "Testville", "state": "MA", "postalCode": "01001"}],
        **more,
    }


def load(vendor: Vendor, number: int = 1, results: int = 2) -> tuple[str, str]:
    """A patient with a visit that is over and some results; ``Patient/id``, ``Encounter/id``."""
    patient = f"Patient/{vendor.put(person(number))['id']}"
    subject = {"subject": {"reference": patient}}
    visit = vendor.put(
        {
            "resourceType": "Encounter",
            "status": "finished",
            "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"},
            "period": {"start": "2026-05-01T09:00:00Z", "end": "2026-05-01T09:30:00Z"},
            **subject,
        }
    )
    for index in range(results):
        vendor.put(
            {
                "resourceType": "Observation",
                "status": "final",
                "category": [{"coding": [{"code": "laboratory"}]}],
                "code": {"text": f"result {index}"},
                "valueQuantity": {"value": 1.5, "unit": "g/dL"},
                **subject,
            }
        )
    return patient, f"Encounter/{visit['id']}"


def note(patient: str, encounter: str | None, text: str = "We agree.\nSOE ref r1-1", **more: Any) -> dict:
    """A note as Epic takes it, and with the period that Oracle Health demands."""
    visit = {"encounter": [{"reference": encounter}]} if encounter else {}
    return {
        "resourceType": "DocumentReference",
        "identifier": [{"system": "https://second-opinion.example/ids", "value": "DocumentReference/r1-report-1"}],
        "status": "current",
        "docStatus": "final",
        "type": {"coding": [{"system": "http://loinc.org", "code": "11488-4"}]},
        "subject": {"reference": patient},
        "context": {**visit, "period": {"end": "2026-06-01T10:00:00Z"}},
        "content": [attachment(text.encode())],
        **more,
    }


def attachment(data: bytes, content_type: str = "text/plain; charset=utf-8") -> dict:
    """One content with its bytes inline."""
    return {"attachment": {"contentType": content_type, "data": base64.b64encode(data).decode()}}
