"""Searches are tried with what nobody has and with what is there: ignored, blind, refused and silent servers are told apart."""

import pytest

from integration.checks.searches import searches
from mappings.model.trials import Trial, by_identifier
from tests.integration.checks.server import PATIENT, running, says, worked

OURS = [{"system": "urn:x", "value": "1"}]


def tried_of(server, **more):
    return {each.what: each for each in searches(server(**more))}


def test_where_all_is_well_it_looks_and_what_is_there_is_found():
    with running() as (small, trying):
        small.put("Observation", "o1", identifier=OURS, subject={"reference": PATIENT})
        found = tried_of(trying, patient=PATIENT)
        assert found[by_identifier("Observation")].says == "found by it"
        assert found[by_identifier("Task")].worked is True and "none is there" in found[by_identifier("Task")].says
        assert found[Trial.BY_PATIENT].worked and found[Trial.SINCE].worked and found[Trial.FOCUS].worked
        assert found[by_identifier("Encounter")].worked is False, "it says that it does not search it"


def test_an_identifier_that_is_ignored_is_seen_and_what_to_write_is_learned():
    with running(ignores=("identifier",)) as (small, trying):
        small.put("DocumentReference", "d1")
        small.put("Task", "t1")
        found = tried_of(trying)
        one = found[by_identifier("DocumentReference")]
        assert one.worked is False and "ignored" in one.says
        assert one.learned == {"document.finds_by_identifier": False, "capabilities.conditional_create": False}
        assert found[by_identifier("Task")].learned == {"capabilities.task": False}


def test_a_server_that_says_that_it_looks_and_never_finds_is_found_out_by_what_is_there():
    with running(blind=("Observation",)) as (small, trying):
        small.put("Observation", "o1", identifier=OURS)
        found = tried_of(trying)[by_identifier("Observation")]
        assert found.worked is False and "does not find Observation/o1" in found.says


def test_a_server_that_does_not_say_what_it_looked_for_is_not_believed_either_way():
    with running(no_echo=True) as (_, trying):
        found = tried_of(trying)
        assert found[by_identifier("Task")].worked is None and found[Trial.FOCUS].worked is None
        assert "do not say" in found[Trial.BY_PATIENT].says


def test_each_type_that_travels_as_a_resource_is_looked_for_too():
    with running() as (_, trying):
        types = ("Observation", "Patient")
        assert by_identifier("Patient") in tried_of(trying, types=types, accepts="resources")
        assert by_identifier("Patient") not in tried_of(trying, types=types, accepts="documents")


@pytest.mark.parametrize(
    ("parameter", "what", "words"),
    [
        ("patient", Trial.BY_PATIENT, "IGNORED for Observation"),
        ("_lastUpdated", Trial.SINCE, "ignored"),
        ("focus", Trial.FOCUS, "ignored"),
    ],
)
def test_another_parameter_that_is_ignored_is_seen(parameter, what, words):
    with running(ignores=(parameter,)) as (small, trying):
        small.put("Observation", "o1", subject={"reference": PATIENT})
        small.put("Task", "t1", focus={"reference": "ServiceRequest/1"})
        found = tried_of(trying)[what]
        assert found.worked is False and words in found.says


def test_nothing_is_told_of_a_parameter_where_nothing_is_there_to_be_shown():
    with running() as (_, trying):
        assert tried_of(trying)[Trial.SINCE].worked is None and "--patient" in tried_of(trying)[Trial.SINCE].says


def test_what_no_time_is_left_for_is_said_and_asks_nothing():
    with running() as (_, trying):
        late = trying()
        object.__setattr__(late, "until", 0.0)
        found = list(searches(late))
        assert set(worked(found).values()) == {None} and all("not tried" in each for each in says(found).values())
