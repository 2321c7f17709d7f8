"""Whose software an endpoint is, and which road a report takes there."""

import pytest

from mappings.advice import Reached, guessed_profile, report_road
from mappings.model.profiles import PROFILES
from mappings.model.roads import Level, RoadName


@pytest.mark.parametrize(
    ("software", "profile"),
    [
        ("Epic", "epic"), ("Epic 2026 May", "epic"), ("Epicenter", None), ("Cerner Millennium", "oracle-health"),
        ("Oracle Health Millennium Platform", "oracle-health"), ("athenahealth FHIR", "athenahealth"),
        ("MEDITECH Expanse", "meditech"), ("HAPI FHIR Server", "hapi"), ("Medplum", "medplum"), (None, None), ("Vendor", None),
    ],
)  # fmt: skip
def test_the_software_says_whose_it_is_or_nothing_is_guessed(software, profile):
    assert guessed_profile(software) == profile and (profile is None or profile in PROFILES)


def test_the_road_of_a_report_and_its_evidence_follow_from_what_was_tried():
    generic, epic = PROFILES["generic"], PROFILES["epic"]
    seen = {"create DocumentReference": True, "read back": True}
    assert report_road(generic, True, seen) == Reached(RoadName.FHIR_DOCUMENT, Level.READ_BACK, True)
    assert report_road(generic, True, {}) == Reached(RoadName.FHIR_DOCUMENT, Level.READ_BACK, False)
    assert report_road(generic, True, seen | {"read back": False}).level is Level.UNVERIFIABLE
    assert report_road(generic, True, {"create DocumentReference": False}).road is RoadName.DOWNLOAD
    assert report_road(epic, True, {"create DocumentReference": False}) == Reached(
        RoadName.HL7V2, Level.ACCEPTED, False
    )
    assert report_road(PROFILES["meditech"], False, {}).road is RoadName.HL7V2
