"""The demo chart is whole, literal, synthetic, and what its script makes."""

import base64
import hashlib
import io
import json
import re
import tomllib
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
import requests
from fhir.resources.R4B import get_fhir_model_class
from pypdf import PdfReader

from integration import fhir_json
from mappings.service_request import from_service_request
from second_opinion.demo import consultant as consultant_module
from second_opinion.demo import make_chart
from second_opinion.demo.placer import ORDERED_ON, moved

DEMO = Path(make_chart.__file__).parent


@pytest.fixture(scope="module")
def chart() -> dict:
    return fhir_json.loads((DEMO / "data" / "chart.json").read_bytes())


@pytest.fixture(scope="module")
def script():
    return make_chart


def resources(chart: dict, kind: str | None = None) -> list[dict]:
    found = [entry["resource"] for entry in chart["entry"]]
    return [resource for resource in found if kind in (None, resource["resourceType"])]


def without_pdf_bytes(value):
    """Another reportlab or zlib may write the same page with other bytes."""
    if isinstance(value, list):
        return [without_pdf_bytes(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        key: without_pdf_bytes(item)
        for key, item in value.items()
        if not (key in {"data", "hash", "size"} and "application/pdf" in value.values())
    }


def test_it_is_what_its_script_makes(chart, script):
    made = fhir_json.loads(fhir_json.dumps(script.make()))
    assert without_pdf_bytes(made) == without_pdf_bytes(chart)


def test_the_script_makes_the_same_bytes_twice(script):
    assert fhir_json.dumps(script.make()) == fhir_json.dumps(script.make())


def test_it_has_at_least_160_resources_that_r4b_accepts(chart):
    assert len(chart["entry"]) >= 160
    for resource in resources(chart):
        get_fhir_model_class(resource["resourceType"]).model_validate(resource)


def test_every_reference_is_inside_the_bundle(chart):
    full_urls = [entry["fullUrl"] for entry in chart["entry"]]
    assert len(full_urls) == len(set(full_urls))
    text = json.dumps(chart, default=str)
    assert set(re.findall(r"urn:uuid:[0-9a-f-]{36}", text)) == set(full_urls)
    assert '"reference": "' in text
    assert not re.findall(r'"reference": "(?!urn:uuid:)', text)


def test_it_has_a_cycle_of_two(chart):
    by_url = {entry["fullUrl"]: entry["resource"] for entry in chart["entry"]}
    visits = [
        (url, diagnosis["condition"]["reference"])
        for url, resource in by_url.items()
        for diagnosis in resource.get("diagnosis", ())
        if resource["resourceType"] == "Encounter"
    ]
    assert any(by_url[condition]["encounter"]["reference"] == url for url, condition in visits)


def test_decimals_keep_their_zeros(chart):
    text = (DEMO / "data" / "chart.json").read_text(encoding="utf-8")
    for literal in ("1.10", "6.30", "0.50"):
        assert f'"value": {literal},' in text
    values = [
        resource["valueQuantity"]["value"]
        for resource in resources(chart, "Observation")
        if "valueQuantity" in resource
    ]
    assert len(values) > 100 and all(isinstance(value, Decimal | int) for value in values)


def test_both_pdfs_are_shown_twice_and_match_their_hash(chart):
    by_url = {entry["fullUrl"]: entry["resource"] for entry in chart["entry"]}
    cards = [resource["content"][0]["attachment"] for resource in resources(chart, "DocumentReference")]
    forms = [form for resource in resources(chart, "DiagnosticReport") for form in resource.get("presentedForm", ())]
    urls = {card["url"] for card in cards if "url" in card}
    assert urls == {form["url"] for form in forms} and len(urls) == 2
    for card in [*cards, *forms]:
        data = base64.b64decode(by_url[card["url"]]["data"] if "url" in card else card["data"])
        assert card["size"] == len(data)
        assert card["hash"] == base64.b64encode(hashlib.sha1(data).digest()).decode()


def test_the_pdfs_can_be_read(chart):
    for binary in resources(chart, "Binary"):
        page = PdfReader(io.BytesIO(base64.b64decode(binary["data"]))).pages[0].extract_text()
        assert "SYNTHETIC" in page


def test_every_npi_has_a_right_check_digit(chart):
    for practitioner in resources(chart, "Practitioner"):
        digits = [int(digit) for digit in "80840" + practitioner["identifier"][0]["value"]]
        doubled = sum(sum(divmod(digit * 2, 10)) for digit in digits[-2::-2])
        assert (doubled + sum(digits[::-2])) % 10 == 0


def test_every_resource_is_marked_as_test_data(chart):
    assert all(resource["meta"]["tag"][0]["code"] == "HTEST" for resource in resources(chart))
    assert resources(chart, "Patient")[0]["name"][0]["family"].startswith("Synthetic-")


def test_the_order_has_the_second_opinion_codes(script):
    order = script.service_request("Patient/1", "Practitioner/2", "Practitioner/3")
    get_fhir_model_class("ServiceRequest").model_validate(order)
    template = fhir_json.loads((DEMO / "data" / "service_request.json").read_bytes())
    assert {**order, "subject": 0, "requester": 0, "performer": 0} == {
        **template,
        "subject": 0,
        "requester": 0,
        "performer": 0,
    }
    codes = set(re.findall(r'"code": "([^"]+)"', json.dumps(order)))
    assert {"77406008", "3457005", "S", "SO", "WR"} <= codes
    assert [order[key]["reference"] for key in ("subject", "requester")] == ["Patient/1", "Practitioner/2"]
    assert order["performer"] == [{"reference": "Practitioner/3"}]


def test_the_order_can_be_read_as_a_request(script):
    order = script.service_request("Patient/1", "Practitioner/2", "Practitioner/3") | {"id": "9"}
    request = from_service_request(
        order,
        placer="riverside",
        fulfiller="hillcrest",
        included={
            "Patient/1": script.patient() | {"id": "1"},
            "Practitioner/2": script.first_doctor() | {"id": "2"},
            "Practitioner/3": script.consultant() | {"id": "3"},
        },
    )
    assert request.question == script.QUESTION
    assert request.first_opinion.doctor.name.family == "Synthetic-Nguyen"
    assert request.first_opinion.diagnosis.codes[0].code == "C18.7"


class FakeServer:
    """A FHIR server in memory, behind the session the consultant's script is handed."""

    def __init__(self) -> None:
        self.stored: dict[str, dict] = {}
        self.writes: list[tuple[str, str]] = []

    def put(self, resource: dict) -> None:
        key = f"{resource['resourceType']}/{resource['id']}"
        version = int(self.stored.get(key, {}).get("meta", {}).get("versionId", 0)) + 1
        self.stored[key] = resource | {"meta": {"versionId": str(version)}}

    def request(self, method, url, *, json=None, headers=None, timeout=None):
        assert timeout, "every call has a timeout"
        path = url.split("/fhir/")[1]
        if method == "GET":
            return self._answer(200, self._get(path))
        self.writes.append((method, path))
        if method == "PUT":
            if headers["If-Match"] != f'W/"{self.stored[path]["meta"]["versionId"]}"':
                return self._answer(412, {})
            self.put(json)
            return self._answer(200, self.stored[path])
        self.put(json | {"id": "r1"})
        return self._answer(201, None, Location=f"http://consult.example/fhir/{path}/r1/_history/1")

    def _get(self, path):
        if "?" not in path:
            return self.stored[path]
        kind, query = path.split("?")
        found = [resource for key, resource in self.stored.items() if key.startswith(kind + "/")]
        if query.startswith("status="):
            found = [resource for resource in found if resource["status"] == query[len("status=") :]]
        return {"resourceType": "Bundle", "type": "searchset", "entry": [{"resource": resource} for resource in found]}

    @staticmethod
    def _answer(status, body, **headers):
        answer = requests.Response()
        answer.status_code, answer._content = status, json.dumps(body).encode()
        answer.headers.update(headers)
        return answer


@pytest.fixture
def consultant():
    return consultant_module


@pytest.fixture
def server():
    server = FakeServer()
    server.put({"resourceType": "ServiceRequest", "id": "9", "reasonCode": [{"text": "Is 1.10 mg/dL enough?"}]})
    server.put(
        {
            "resourceType": "Task",
            "id": "7",
            "status": "requested",
            "focus": {"reference": "ServiceRequest/9"},
            "for": {"reference": "Patient/1"},
            "businessStatus": {"text": "request-sent"},
        }
    )
    return server


def test_the_consultant_accepts_reads_reports_and_completes(consultant, server):
    said: list[str] = []
    assert consultant.act("http://consult.example/fhir", session=server, on_event=said.append) == 1
    task, report = server.stored["Task/7"], server.stored["DocumentReference/r1"]
    assert task["status"] == "completed"
    assert task["output"][-1]["valueReference"] == {"reference": "DocumentReference/r1"}
    assert report["context"]["related"] == [{"reference": "ServiceRequest/9"}]
    assert report["subject"] == {"reference": "Patient/1"}
    get_fhir_model_class("DocumentReference").model_validate(report)
    page = PdfReader(io.BytesIO(base64.b64decode(report["content"][0]["attachment"]["data"]))).pages[0]
    assert "Is 1.10 mg/dL enough?" in page.extract_text()
    assert [path for method, path in server.writes] == ["Task/7", "Task/7", "DocumentReference", "Task/7"]


def test_the_consultant_answers_no_task_twice(consultant, server):
    consultant.act("http://consult.example/fhir", session=server, on_event=lambda text: None)
    assert consultant.act("http://consult.example/fhir", session=server, on_event=lambda text: None) == 0


def test_the_consultant_leaves_a_task_alone_that_somebody_else_changed(consultant, server):
    old = server.stored["Task/7"]
    server.put(old)
    server._get_real, server._get = (
        server._get,
        lambda path: {"entry": [{"resource": old}]} if path.startswith("Task?") else server._get_real(path),
    )
    assert consultant.act("http://consult.example/fhir", session=server, on_event=lambda text: None) == 0
    assert server.stored["Task/7"]["status"] == "requested"


def test_the_consultant_imports_nothing_of_ours():
    text = (DEMO / "consultant.py").read_text(encoding="utf-8")
    assert not re.search(r"^\s*(from|import) (mappings|integration|jobs|second_opinion)", text, re.MULTILINE)


def test_every_date_but_a_birthday_is_moved_so_that_the_order_is_of_today(chart):
    today = date(2031, 2, 28)
    later = moved(chart, today - ORDERED_ON)
    order = moved(fhir_json.loads((DEMO / "data" / "service_request.json").read_bytes()), today - ORDERED_ON)
    assert order["authoredOn"] == "2031-02-28T09:00:00-07:00" and order["occurrencePeriod"] == {"end": "2031-03-25"}
    assert resources(later, "Patient") == resources(chart, "Patient")
    assert all(
        "2026-0" not in json.dumps(each, default=str) for each in resources(later) if each["resourceType"] != "Patient"
    )
    assert moved("2025-11", timedelta(days=365)) == "2026-11" and moved("SO-2026-0001", timedelta(1)) == "SO-2026-0001"


def test_what_the_demo_needs_is_packaged():
    """It runs from an installed wheel too, where no examples folder stands beside it."""
    shipped = tomllib.loads((DEMO.parents[1] / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]
    assert "demo/data/*.json" in shipped["second_opinion"]
    assert {each.name for each in (DEMO / "data").iterdir()} == {"chart.json", "service_request.json"}
