"""Whose software an endpoint is, and which road each of our writes takes there."""

from dataclasses import dataclass

import pytest

from integration.roads.fhir_resource import NAME
from integration.settings.endpoints import Endpoint
from mappings.advice import OverFhir, Seen, Write, guessed_profile, writes
from mappings.model.profiles import PROFILES
from mappings.model.roads import Level, RoadName
from mappings.model.trials import Trial, by_identifier


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


@dataclass(frozen=True)
class Server:
    """A server where all is well, as it says of itself."""

    creates: frozenset[str] = frozenset({"DocumentReference", "ServiceRequest", "Task", "Observation"})
    updates: frozenset[str] = frozenset({"ServiceRequest", "Task"})
    transaction: bool = True
    conditional_create: bool = True
    task: bool = True

    @property
    def takes_requests(self):
        return self.task and "ServiceRequest" in self.creates


READS_ONLY = Server(frozenset(), frozenset(), False, False, False)


@pytest.mark.parametrize(
    ("host", "profile"),
    [
        ("fhir-ehr.cerner.com", "oracle-health"), ("greenfield-apis.MEDITECH.com", "meditech"), ("cerner.com", "oracle-health"),
        ("cerner.com.example.org", None), ("notcerner.com", None), ("epic.hospital.org", None), (None, None),
    ],
)  # fmt: skip
def test_a_vendors_own_host_speaks_for_it_where_its_software_is_not_named(host, profile):
    assert guessed_profile(None, host) == profile
    assert guessed_profile("HAPI FHIR Server", host) == "hapi", "what it says of itself counts more"


SEEN = {Trial.CREATE: True, Trial.READ_BACK: True}


def party(profile="generic", **more):
    """An endpoint of config.yaml that asks and answers."""
    return Endpoint.model_validate(
        {"key": "ehr", "base_url": "https://ehr.example", "role": "both", "profile": profile, **more}
    )


def advised(one, says=Server(), worked=SEEN, missing=None, types=("Observation",), refused=()):
    return {each.write: each for each in writes(one, Seen(says, worked, missing or {}, types, refused))}


def reached(found, write):
    return found[write].road, found[write].level


def test_where_all_is_well_each_write_has_a_road_and_is_read_back():
    found = advised(party())
    assert reached(found, Write.REPORT) == (RoadName.FHIR_DOCUMENT, Level.READ_BACK) and found[Write.REPORT].tried
    assert reached(found, Write.DOCUMENTS) == (RoadName.FHIR_DOCUMENT, Level.READ_BACK)
    assert reached(found, Write.RESOURCES) == (OverFhir.TRANSACTION, Level.READ_BACK)
    assert reached(found, Write.REQUEST) == (OverFhir.REQUEST, Level.READ_BACK) and OverFhir.REQUEST == NAME
    assert reached(found, Write.STATUS) == (OverFhir.SINGLE, Level.ACCEPTED)
    assert [each.degrades for each in found.values()] == [()] * 5
    assert not advised(party(), worked={})[Write.REPORT].tried


@pytest.mark.parametrize(
    ("role", "expected"),
    [("placer", {Write.REPORT, Write.STATUS}), ("fulfiller", {Write.DOCUMENTS, Write.RESOURCES, Write.REQUEST})],
)
def test_only_what_an_endpoint_of_its_role_gets_is_advised(role, expected):
    assert set(advised(party(role=role))) == expected


def test_a_report_goes_by_the_next_road_when_one_is_refused_or_not_here_and_each_is_said():
    refused = {Trial.CREATE: False}
    missing = {"hl7v2": "this installation has no such road"}
    assert reached(advised(party("epic"), worked=refused), Write.REPORT) == (RoadName.HL7V2, Level.ACCEPTED)
    found = advised(party("epic"), worked=refused, missing=missing)[Write.REPORT]
    assert (found.road, found.level) == (RoadName.DOWNLOAD, Level.HANDED_OVER)
    assert "refused one that was tried" in found.degrades[0] and "hl7v2: this installation" in found.degrades[1]
    none = advised(party(roads=["hl7v2"]), missing=missing)[Write.REPORT]
    assert (none.road, none.level) == (None, None) and "waits for a person" in none.says


def test_a_report_that_nobody_may_read_there_closes_no_loop_and_that_is_said():
    found = advised(party(), worked=SEEN | {Trial.READ_BACK: False})[Write.REPORT]
    assert found.level is Level.UNVERIFIABLE and "the loop closes on handed-over, read-back" in " ".join(found.degrades)
    agreed = advised(party(closes_on=["unverifiable"]), worked=SEEN | {Trial.READ_BACK: False})[Write.REPORT]
    assert "loop closes" not in " ".join(agreed.degrades)


def test_what_was_refused_when_tried_counts_more_than_what_the_server_says():
    assert advised(party(), worked={Trial.CREATE: False})[Write.REPORT].road is RoadName.DOWNLOAD
    assert advised(party(), READS_ONLY, {Trial.CREATE: True})[Write.REPORT].road == RoadName.FHIR_DOCUMENT


def test_a_server_that_only_reads_gets_no_request_and_is_told_of_a_hosted_one():
    found = advised(party(), READS_ONLY, {})
    for write in (Write.DOCUMENTS, Write.RESOURCES, Write.REQUEST):
        assert found[write].road is None, write
    assert "hosted:PRACTICE" in found[Write.REQUEST].says and "packet download" in found[Write.REQUEST].says
    assert found[Write.STATUS].road is None and "our pages" in found[Write.STATUS].says


def test_a_server_without_task_cannot_hold_a_request_and_shows_only_how_it_ended():
    found = advised(party(), Server(task=False))
    for write in (Write.REQUEST, Write.DOCUMENTS, Write.RESOURCES):  # what nobody is asked about is not sent
        assert "asked" in found[write].says and found[write].road is None
    assert found[Write.STATUS].road and "how it ended" in found[Write.STATUS].degrades[0]


def test_types_that_are_not_taken_are_named():
    found = advised(party(), types=("Observation", "Goal"))[Write.RESOURCES]
    assert found.road == OverFhir.TRANSACTION and "not taken: Goal" in found.degrades[0]
    assert advised(party(), Server(transaction=False))[Write.RESOURCES].road == OverFhir.SINGLE


def test_records_as_documents_take_the_shape_and_the_evidence_of_a_report():
    found = advised(party("oracle-health"), worked=SEEN | {Trial.READ_BACK: False})[Write.DOCUMENTS]
    assert (found.road, found.level) == (RoadName.FHIR_DOCUMENT, Level.UNVERIFIABLE)
    assert "name an encounter" in " ".join(found.degrades) and "each one waits for a person" in " ".join(found.degrades)
    assert "only as text/plain" in advised(party("epic"))[Write.DOCUMENTS].degrades


def test_an_identifier_that_no_search_finds_is_said_for_each_write_that_it_degrades():
    ignored = {by_identifier("DocumentReference"): False, by_identifier("Task"): False}
    found = advised(party(), worked=SEEN | ignored)
    assert "no search finds our identifier" in found[Write.REPORT].degrades[0]
    assert "for Task" in found[Write.REQUEST].degrades[0] and not found[Write.RESOURCES].degrades


def test_where_no_condition_is_taken_and_looking_is_refused_no_resources_of_a_chart_can_be_sent():
    names = [by_identifier(kind) for kind in ("DocumentReference", "Task", "Observation")]
    found = advised(party(), Server(conditional_create=False), SEEN | dict.fromkeys(names, False), refused=names)
    assert found[Write.RESOURCES].road is None and "refuses to look" in found[Write.RESOURCES].says
    for write in (Write.REPORT, Write.DOCUMENTS, Write.REQUEST):
        assert found[write].road, "those are looked for by what they say"
    ignored = advised(party(), Server(conditional_create=False), SEEN | dict.fromkeys(names, False))
    assert ignored[Write.REQUEST].road, "an answer that ignores the identifier is no refusal"


def test_the_form_of_records_that_is_not_configured_says_so_and_long_lists_are_cut():
    found = advised(party(accepts="resources"), types=("Observation", *"ABCDEFGH"))
    assert (
        "not now: accepts is resources" in found[Write.DOCUMENTS].says and "not now" not in found[Write.RESOURCES].says
    )
    assert "not taken: A, B, C, D, E, F and 2 more" in found[Write.RESOURCES].degrades[0]


def test_a_road_that_a_site_added_is_named_and_nothing_is_said_of_what_it_reaches():
    found = advised(party().model_copy(update={"roads": ("courier",)}))[Write.REPORT]
    assert (found.road, found.level) == ("courier", None) and "added" in found.says
