"""A site adds a road by an entry point of a package of its own: config.yaml takes its word, and ours stay ours."""

import sys

import pytest
from pydantic import ValidationError

from integration.roads import open as opening
from integration.roads.fhir_document import FhirDocument
from integration.settings.added import added_roads
from integration.settings.endpoints import Endpoint
from tests.integration.roads.attempts import way_to

MODULE = """
from integration.roads.download import Download


class Courier(Download):
    name = "courier"
"""
ENTRIES = """[second_opinion.roads]
courier = site_roads:Courier
fhir-document = site_roads:Courier
"""


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """A package as pip leaves it."""
    (tmp_path / "site_roads.py").write_text(MODULE)
    folder = tmp_path / "site_roads-1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: site-roads\nVersion: 1.0\n")
    (folder / "entry_points.txt").write_text(ENTRIES)
    monkeypatch.syspath_prepend(str(tmp_path))
    added_roads.cache_clear()
    yield
    added_roads.cache_clear()
    sys.modules.pop("site_roads", None)


def endpoint(*roads: str) -> Endpoint:
    return Endpoint.model_validate({"base_url": "https://ehr.example.org/fhir", "role": "placer", "roads": list(roads)})


def test_its_word_is_taken_and_its_road_is_made(installed):
    assert endpoint("courier", "download").road_names == ("courier", "download")
    made = opening.road_for(way_to("https://ehr.example.org/fhir"), "courier")
    assert made is not None and (made.name, made.sends) == ("courier", False)


def test_one_of_ours_is_not_replaced(installed):
    assert isinstance(opening.road_for(way_to("https://ehr.example.org/fhir"), "fhir-document"), FhirDocument)


def test_a_word_that_no_package_adds_is_refused_by_a_sentence():
    with pytest.raises(
        ValidationError, match="is no road; there are fhir-document, vendor-rest, hl7v2, hosted, download"
    ):
        endpoint("courier")


def test_a_road_that_is_gone_is_no_road():
    assert opening.road_for(way_to("https://ehr.example.org/fhir"), "courier") is None
