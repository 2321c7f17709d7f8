"""What the hosted endpoint says it can do, made from the tables that route and search.

https://hl7.org/fhir/R4/capabilitystatement.html
"""

from collections.abc import Iterable
from importlib.metadata import version
from typing import Any

from integration.hosted.bodies import FHIR_JSON
from integration.hosted.parameters import COMMON, OF_TYPE

FHIR_VERSION = "4.0.1"
# When what is stated here last changed.
STATED_ON = "2026-11-29"
# Where tokens are given stands in .well-known/smart-configuration: in here it is deprecated.
SECURITY = {
    "service": [
        {
            "coding": [
                {
                    "system": "http://terminology.hl7.org/CodeSystem/restful-security-service",
                    "code": "SMART-on-FHIR",
                }
            ]
        }
    ],
    "description": "SMART Backend Services, or a token of the practice; see .well-known/smart-configuration.",
}


def to_capability_statement(
    name: str, base: str, *, of_type: Iterable[str], of_system: Iterable[str]
) -> dict[str, Any]:
    """``of_type`` and ``of_system`` are the interaction codes that are routed."""
    type_codes = [{"code": code} for code in of_type]
    return {
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": STATED_ON,
        "kind": "instance",
        "software": {"name": "Second Opinion Exchange", "version": version("second-opinion-exchange")},
        "implementation": {"description": f"FHIR endpoint of {name}", "url": base},
        "fhirVersion": FHIR_VERSION,
        "format": ["json", FHIR_JSON],
        "rest": [
            {
                "mode": "server",
                "security": SECURITY,
                "resource": [_resource(type_, type_codes) for type_ in OF_TYPE],
                "interaction": [{"code": code} for code in of_system],
            }
        ],
    }


def _resource(type_: str, interactions: list[dict]) -> dict[str, Any]:
    kinds = COMMON | {parameter.name: parameter.kind for parameter in OF_TYPE[type_].values()}
    return {
        "type": type_,
        "interaction": interactions,
        "versioning": "versioned",
        "readHistory": True,
        "updateCreate": False,
        "conditionalCreate": True,
        "conditionalRead": "not-supported",
        "conditionalUpdate": False,
        "conditionalDelete": "not-supported",
        "searchParam": [{"name": name, "type": kind} for name, kind in kinds.items()],
    }
