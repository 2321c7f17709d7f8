"""What a check gives to paste is read by the loader of config.yaml, loses nothing that stood there, and lowers no bar."""

import pytest

from integration.checks.block import as_yaml, block
from integration.settings.config import load_config
from integration.settings.endpoints import Endpoint
from mappings.advice import Reached, Write
from mappings.model.roads import Level, RoadName

LEARNED = {
    "document.finds_by_identifier": False,
    "capabilities.conditional_create": False,
    "capabilities.max_page": 100,
    "limits.max_inline_bytes": 1048576,
}
MINE = {
    "document": {"type": ("urn:oid:1.2.3", "no"), "formats": ("application/pdf",)},
    "limits": {"concurrency": 2, "requests_per_second": 1.5},
    "capabilities": {"task": False},
}


def endpoint(**more):
    return Endpoint.model_validate({"key": "ehr", "base_url": "https://ehr.example/r4", "role": "both", **more})


def report(road, level=Level.READ_BACK):
    return Reached(Write.REPORT, road, level, True, "")


def loaded(folder, made):
    """The endpoint as config.yaml has it with the block pasted into it."""
    lines = as_yaml("ehr", made).splitlines()
    head = ["endpoints:", lines[0], "    base_url: https://ehr.example/r4", "    role: both"]
    (folder / "config.yaml").write_text("\n".join([*head, *lines[1:], ""]))
    return load_config(folder / "config.yaml", environ={}).endpoints["ehr"]


@pytest.mark.parametrize("profile", ["generic", "epic", "oracle-health", "athenahealth", "meditech", "nextgen"])
def test_it_is_read_by_the_loader_and_says_what_was_learned(tmp_path, profile):
    one, proposed = endpoint(**MINE), endpoint(**MINE, profile=profile)
    found = loaded(tmp_path, block(one, proposed, [report(RoadName.DOWNLOAD)], {}, LEARNED))
    assert found.profile == profile and found.road_names == ("download",)
    assert found.habits.finds_by_identifier is False and found.overrides["conditional_create"] is False
    assert (found.overrides["max_page"], found.limits.max_inline_bytes) == (100, 1048576)


def test_nothing_that_stood_there_is_lost(tmp_path):
    one = endpoint(**MINE, closes_on=["read-back", "accepted"])
    found = loaded(tmp_path, block(one, one, [report(RoadName.FHIR_DOCUMENT)], {}, LEARNED))
    assert found.document.type == ("urn:oid:1.2.3", "no") and found.document.formats == ("application/pdf",)
    assert (found.limits.concurrency, found.limits.requests_per_second) == (2, 1.5)
    assert found.overrides["task"] is False and found.closes_on == ("read-back", "accepted")


def test_what_the_profile_says_is_not_said_again():
    one = endpoint(profile="epic")
    assert "document" not in block(one, one, [], {}, {"document.finds_by_identifier": False}).values


def test_roads_begin_with_the_one_that_is_taken_and_name_none_that_is_not_here():
    one = endpoint(profile="epic")
    made = block(one, one, [report(RoadName.FHIR_DOCUMENT)], {"hl7v2": "not here"}, {})
    assert made.values["roads"] == ["fhir-document", "download"] and "hl7v2" in made.remarks["roads"]
    assert block(one, one, [report(RoadName.DOWNLOAD)], {}, {}).values["roads"] == ["download"]
    assert "roads" not in block(one, one, [report(None, None)], {}, {}).values, "an empty list would be refused"


def test_a_level_that_closes_no_loop_is_said_and_never_added():
    one = endpoint()
    made = block(one, one, [report(RoadName.FHIR_DOCUMENT, Level.UNVERIFIABLE)], {}, {})
    assert made.values["closes_on"] == ["read-back", "handed-over"] and "unverifiable" in made.remarks["closes_on"]


def test_a_fulfiller_gets_no_report_and_no_roads_are_said():
    assert set(block(endpoint(), endpoint(), [], {}, {}).values) == {"profile"}
