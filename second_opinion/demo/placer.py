"""Plays the primary care EHR: puts the synthetic chart there over FHIR, and an order for a second opinion."""

import re
from datetime import date, timedelta
from importlib.resources import files
from typing import Any

import requests
import simplejson

NPI = "http://hl7.org/fhir/sid/us-npi"
REQUESTER, CONSULTANT = "Synthetic-Álvarez", "Synthetic-Brontë"  # in the chart
ORDERED_ON = date(2026, 6, 1)  # the day on which the chart was written; it is moved to today
KEPT = ("birthDate", "data")  # a person's birthday stays; bytes are no dates
_DAY = re.compile(r"^(\d{4}-\d{2}-\d{2})(?=$|T)")
_MONTH = re.compile(r"^\d{4}-\d{2}$")


def load_chart(base: str, today: date, token: str) -> tuple[int, bool]:
    """Put the chart into the EHR at ``base``, once, and an order for a second opinion unless one is active.

    Every date is moved so that the order is of ``today``. Returns how many resources the chart has, and whether a new
    order was placed: when an earlier loop is closed, a new order makes a new request about the same patient.
    """
    ehr = requests.Session()
    ehr.headers["Authorization"] = f"Bearer {token}"
    chart = moved(_data("chart.json"), today - ORDERED_ON)
    patient = next(entry["resource"] for entry in chart["entry"] if entry["resource"]["resourceType"] == "Patient")
    mrn = f"{patient['identifier'][0]['system']}|{patient['identifier'][0]['value']}"
    if not _get(ehr, f"{base}/Patient", {"identifier": mrn}).get("entry"):
        _post(ehr, base, chart)
    places = {
        word: _get(ehr, f"{base}/{kind}", {"identifier": token})["entry"][0]["resource"]["id"]
        for word, kind, token in (
            ("PATIENT-ID", "Patient", mrn),
            ("REQUESTER-ID", "Practitioner", _npi_of(chart, REQUESTER)),
            ("CONSULTANT-ID", "Practitioner", _npi_of(chart, CONSULTANT)),
        )
    }
    return len(chart["entry"]), _order(ehr, base, places, today)


def _order(ehr: requests.Session, base: str, places: dict[str, str], today: date) -> bool:
    """Place an order unless one is active. True when one was placed."""
    patient = f"Patient/{places['PATIENT-ID']}"
    if _get(ehr, f"{base}/ServiceRequest", {"patient": patient, "status": "active"}).get("entry"):
        return False
    orders = len(_get(ehr, f"{base}/ServiceRequest", {"patient": patient, "_count": "200"}).get("entry", ()))
    text = simplejson.dumps(moved(_data("service_request.json"), today - ORDERED_ON), use_decimal=True)
    for word, value in {**places, "SO-2026-0001": f"SO-{today.year}-{orders + 1:04d}"}.items():
        text = text.replace(word, value)
    _post(ehr, f"{base}/ServiceRequest", simplejson.loads(text, use_decimal=True))
    return True


def moved(value: Any, by: timedelta) -> Any:
    """FHIR JSON with every date, date-time and month moved by whole days; birthdays and bytes stay."""
    if isinstance(value, list):
        return [moved(each, by) for each in value]
    if isinstance(value, dict):
        return {key: each if key in KEPT else moved(each, by) for key, each in value.items()}
    if not isinstance(value, str):
        return value
    if _MONTH.match(value):
        return (date.fromisoformat(f"{value}-15") + by).strftime("%Y-%m")
    return _DAY.sub(lambda found: (date.fromisoformat(found[1]) + by).isoformat(), value)


def _npi_of(chart: dict, family: str) -> str:
    """The search token of a practitioner of the chart."""
    person = next(
        entry["resource"]
        for entry in chart["entry"]
        if entry["resource"]["resourceType"] == "Practitioner" and entry["resource"]["name"][0]["family"] == family
    )
    return f"{NPI}|{person['identifier'][0]['value']}"


def _data(name: str) -> dict:
    """FHIR JSON that is shipped with the demo, decimals kept."""
    return simplejson.loads((files(__package__) / "data" / name).read_bytes(), use_decimal=True)


def _get(ehr: requests.Session, url: str, params: dict) -> dict:
    response = ehr.get(url, params=params, timeout=60)
    response.raise_for_status()
    return response.json()


def _post(ehr: requests.Session, url: str, body: dict) -> None:
    response = ehr.post(
        url,
        data=simplejson.dumps(body, use_decimal=True).encode(),
        timeout=60,
        headers={"Content-Type": "application/fhir+json"},
    )
    response.raise_for_status()
