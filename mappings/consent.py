"""What a patient agreed to, as an R4 Consent (https://hl7.org/fhir/R4/consent.html), in the words of HRex's and IHE PCF's profiles.

One resource for a request: each statement is a version of it. What is left out stands as an inner rule that denies, or, where
everything of no named kind is left out too, as the list of what is permitted.
"""

from collections.abc import Iterable, Mapping
from datetime import date, datetime
from typing import Any

from mappings.model.consent import ALWAYS, KIND_OF, SENSITIVE_LABELS, Consent, RecordKind, Said

_SCOPE = "http://terminology.hl7.org/CodeSystem/consentscope"
_ACT = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
_ACTION = "http://terminology.hl7.org/CodeSystem/consentaction"
_PARTICIPATION = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType"
_TYPES = "http://hl7.org/fhir/resource-types"


def to_consent(
    consent: Consent,
    *,
    identifier: Mapping[str, str],
    patient: str,
    at: datetime,
    organization: str,
    recipients: Iterable[str],
) -> dict[str, Any]:
    """The resource. ``patient``: Patient/id there; ``organization``, ``recipients``: names of practices that it is kept by, and for."""
    is_given = consent.said is Said.GIVEN
    made_at = at.isoformat(timespec="seconds")
    return {
        "resourceType": "Consent",
        "identifier": [dict(identifier)],
        "status": "active" if is_given else "inactive",
        "scope": _concept(_SCOPE, "patient-privacy"),
        "category": [_concept(_ACT, "IDSCL")],
        "patient": {"reference": patient},
        "dateTime": made_at,
        "organization": [{"display": organization}],
        "policyRule": _concept(_ACT, "OPTIN" if is_given else "OPTOUT"),
        "provision": _provision(consent, made_at, recipients),
    }


def _provision(consent: Consent, made_at: str, recipients: Iterable[str]) -> dict[str, Any]:
    if consent.said is Said.WITHDRAWN:
        return {"type": "deny", "period": {"start": made_at}, "action": [_concept(_ACTION, "disclose")]}
    made: dict[str, Any] = {
        "type": "permit",
        "period": {"start": made_at, **({"end": _end_of(consent.until)} if consent.until else {})},
        "actor": [{"role": _concept(_PARTICIPATION, "IRCP"), "reference": {"display": each}} for each in recipients],
        "action": [_concept(_ACTION, "disclose")],
    }
    return made | _limits(consent)


def _end_of(day: date) -> str:
    """The end of a day as an instant: to validators a day does not come after an instant of itself (R4, per-1)."""
    return f"{day.isoformat()}T23:59:59+00:00"


def _limits(consent: Consent) -> dict[str, Any]:
    kinds = consent.kinds
    if kinds is None:
        return {}
    inner: list[dict[str, Any]] = []
    made: dict[str, Any] = {}
    left_out = sorted(name for name, kind in KIND_OF.items() if kind not in kinds)
    if RecordKind.OTHER not in kinds:
        made["class"] = _types({name for name, kind in KIND_OF.items() if kind in kinds} | ALWAYS)
    elif left_out:
        inner.append({"type": "deny", "class": _types(left_out)})
    if RecordKind.SENSITIVE not in kinds:
        labels = [
            {"system": system, "code": code} for system, codes in SENSITIVE_LABELS.items() for code in sorted(codes)
        ]
        inner.append({"type": "deny", "securityLabel": labels})
    return made | ({"provision": inner} if inner else {})


def _types(names: Iterable[str]) -> list[dict[str, str]]:
    return [{"system": _TYPES, "code": each} for each in sorted(names)]


def _concept(system: str, code: str) -> dict[str, Any]:
    return {"coding": [{"system": system, "code": code}]}
