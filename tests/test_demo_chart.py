"""The demo chart is whole, literal, synthetic, and what its script makes."""
import base64
import hashlib
import importlib.util
import io
import json
import re
import sys
from decimal import Decimal
from pathlib import Path

import pytest
from fhir.resources.R4B import get_fhir_model_class
from pypdf import PdfReader

from integration import fhir_json

DEMO = Path(__file__).parent.parent / "examples" / "demo"


@pytest.fixture(scope="module")
def chart() -> dict:
    return fhir_json.loads((DEMO / "chart.json").read_bytes())


@pytest.fixture(scope="module")
def script(monkeypatch_module):
    monkeypatch_module.syspath_prepend(str(DEMO))
    spec = importlib.util.spec_from_file_location("make_chart", DEMO / "make_chart.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    sys.modules.pop("chart_parts", None)


@pytest.fixture(scope="module")
def monkeypatch_module():
    with pytest.MonkeyPatch.context() as patch:
        yield patch


def resources(chart: dict, kind: str | None = None) -> list[dict]:
    found = [entry["resource"] for entry in chart["entry"]]
    return [resource for resource in found if kind in (None, resource["resourceType"])]


def without_pdf_bytes(value):
    """Another reportlab or zlib may write the same page with other bytes."""
    if isinstance(value, list):
        return [without_pdf_bytes(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {key: without_pdf_bytes(item) for key, item in value.items()
            if not (key in {"data", "hash", "size"} and "application/pdf" in value.values())}


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
    assert set(re.findall(r"urn:uuid:[0-9a-f-]{36}", text)) == set(full_urls) | set()
    assert '"reference": "' in text
    assert not re.findall(r'"reference": "(?!urn:uuid:)', text)


def test_it_has_a_cycle_of_two(chart):
    by_url = {entry["fullUrl"]: entry["resource"] for entry in chart["entry"]}
    visits = [(url, diagnosis["condition"]["reference"]) for url, resource in by_url.items()
              for diagnosis in resource.get("diagnosis", ()) if resource["resourceType"] == "Encounter"]
    assert any(by_url[condition]["encounter"]["reference"] == url for url, condition in visits)


def test_decimals_keep_their_zeros(chart):
    text = (DEMO / "chart.json").read_text(encoding="utf-8")
    for literal in ("1.10", "6.30", "0.50"):
        assert f'"value": {literal},' in text
    values = [resource["valueQuantity"]["value"] for resource in resources(chart, "Observation")
              if "valueQuantity" in resource]
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
    template = fhir_json.loads((DEMO / "service_request.json").read_bytes())
    assert {**order, "subject": 0, "requester": 0, "performer": 0} == {**template, "subject": 0, "requester": 0,
                                                                     "performer": 0}
    codes = set(re.findall(r'"code": "([^"]+)"', json.dumps(order)))
    assert {"77406008", "3457005", "S", "SO", "WR"} <= codes
    assert [order[key]["reference"] for key in ("subject", "requester")] == ["Patient/1", "Practitioner/2"]
    assert order["performer"] == [{"reference": "Practitioner/3"}]
