"""``Patient/$match`` with Epic's habits: certain or nothing, by phone and address, never by a number.

https://hl7.org/fhir/R4/patient-operation-match.html
"""

import json

from tests.servers.vendors.messages import Told, issue, outcome


def match(body: bytes, people: list[dict], base: str) -> Told:
    """At most one certain match; what is less than certain is an error."""
    given = {each.get("name"): each for each in json.loads(body).get("parameter", ())}
    only = given.get("onlyCertainMatches", {})
    if "valueBoolean" not in only:
        return _fatal("59102", "Content invalid against the specification or a profile.", "onlyCertainMatches")
    if only["valueBoolean"] is not True:
        return _fatal("59138", "onlyCertainMatches false is not supported", "onlyCertainMatches")
    wanted = given.get("resource", {}).get("resource", {})
    similar = [each for each in people if _who(each) == _who(wanted)]
    certain = [each for each in similar if _where(wanted) and _where(each) == _where(wanted)]
    if len(certain) > 1:
        return _fatal("59011", "Multiple high-confidence matches were found.")
    if similar and not certain:
        return _fatal("59013", "Only low-confidence matches were found.")
    remarks = [
        issue("information", "informational", "identifier is not supported for this interaction", vendor_code="59109")
        for _ in wanted.get("identifier", ())
    ]
    if not certain:
        remarks.append(issue("warning", "processing", "Resource request returns no results", vendor_code="4101"))
    return Told(200, _bundle(certain, remarks, base))


def _bundle(certain: list[dict], remarks: list[dict], base: str) -> dict:
    grade = {"url": "http://hl7.org/fhir/StructureDefinition/match-grade", "valueCode": "certain"}
    entries = [
        {
            "fullUrl": f"{base}/Patient/{each['id']}",
            "resource": each,
            "search": {"extension": [grade], "mode": "match", "score": 1},
        }
        for each in certain
    ]
    if remarks:
        entries.append(
            {"resource": {"resourceType": "OperationOutcome", "issue": remarks}, "search": {"mode": "outcome"}}
        )
    return {"resourceType": "Bundle", "type": "searchset", "total": len(certain), "entry": entries}


def _who(patient: dict) -> tuple:
    name = next((each for each in patient.get("name", ()) if each.get("family")), {})
    return (
        str(name.get("family", "")).casefold(),
        str((name.get("given") or [""])[0]).casefold(),
        patient.get("birthDate"),
        patient.get("gender"),
    )


def _where(patient: dict) -> tuple | None:
    """Phone and address; None without either."""
    phone = next((each.get("value") for each in patient.get("telecom", ()) if each.get("system") == "phone"), None)
    address = next(iter(patient.get("address", ())), {})
    place = (tuple(address.get("line", ())), address.get("city"))
    return (phone, place) if phone and place[1] else None


def _fatal(number: str, words: str, at: str = "") -> Told:
    return Told(400, outcome("fatal", "processing", words, vendor_code=number, at=at))
