"""Codes once, and every one explained."""

from pathlib import Path

import pytest

from mappings import codes
from mappings.model.errors import MappingError
from mappings.model.request import Code
from mappings.task import DIALECTS

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "codes.md"
NAMED = {name: value for name, value in vars(codes).items() if isinstance(value, Code)}


@pytest.mark.parametrize("name", NAMED)
def test_every_code_is_on_the_reference_page(name):
    page = PAGE.read_text("utf-8")
    assert f"`{NAMED[name].code}`" in page, f"add {name} to docs/reference/codes.md"
    assert NAMED[name].system in page


@pytest.mark.parametrize("pair", DIALECTS)
def test_every_business_status_is_on_the_reference_page(pair):
    assert f"`{pair[1]}`" in PAGE.read_text("utf-8"), f"add {pair} to docs/reference/codes.md"


@pytest.mark.parametrize("name", [name for name in vars(codes) if name.startswith("EXTENSION_")])
def test_every_extension_is_on_the_reference_page(name):
    assert getattr(codes, name) in PAGE.read_text("utf-8")


def test_a_code_is_never_recognised_by_its_display():
    assert not codes.has_code({"coding": [{"display": "Second Opinion"}]}, codes.REASON_SECOND_OPINION)
    assert codes.has_code(
        {"coding": [{"system": codes.SYSTEM_REFERRAL_REASON, "code": "S", "display": "x"}]}, codes.REASON_SECOND_OPINION
    )


@pytest.mark.parametrize("value", ["banana", None, 1, ["routine"], "Núñez, Pía, born 1980-02-29, MRN 0042"])
def test_an_unknown_code_names_the_path_and_not_a_sentence_from_the_record(value):
    with pytest.raises(MappingError) as caught:
        codes.one_of(value, ("routine",), "ServiceRequest.priority")
    assert caught.value.path == "ServiceRequest.priority"
    assert "Núñez" not in str(caught.value)


@pytest.mark.parametrize("value", ["20260620", "2026-6-2", "2026-02-30", "2026-06", "", None, 20260620, "2026-W01-1"])
def test_only_a_whole_fhir_date_is_a_date(value):
    with pytest.raises(MappingError, match="x: is not a date"):
        codes.to_date(value, "x")
