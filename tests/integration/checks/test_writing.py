"""A marked document is written and taken away; what stays there is said, and nothing is believed that was not looked at."""

import base64

import pytest

from integration.checks.writing import writes
from mappings.model.trials import Trial
from tests.integration.checks.server import PATIENT, running, says, worked

ALL = {Trial.CREATE, Trial.READ_BACK, Trial.CONDITIONAL, Trial.UPDATE, Trial.DELETE, Trial.SIZE}


def test_where_all_is_well_each_thing_works_and_nothing_stays():
    with running() as (small, trying):
        tried = list(writes(trying(PATIENT)))
        assert worked(tried) == dict.fromkeys(ALL, True)
        assert small.stored == {} and not any(each.left or each.learned for each in tried)
        assert "4096 bytes are taken and read back" in says(tried)[Trial.SIZE]


def test_what_is_written_says_that_it_is_a_test_in_its_words_and_in_its_marks():
    with running(no_delete=True) as (small, trying):
        list(writes(trying(PATIENT)))
        [there] = small.stored.values()
        text = base64.b64decode(there["content"][0]["attachment"]["data"]).decode()
        assert text.startswith("TEST ONLY.") and "SOE ref check-" in text and len(text) == 1024
        assert there["meta"].get("tag") or there["status"] == "entered-in-error"
        assert there["description"].startswith("TEST ONLY") and there["subject"]["reference"] == PATIENT


def test_a_server_that_doubles_is_found_out_and_both_copies_are_removed():
    with running(doubles=True) as (small, trying):
        tried = {each.what: each for each in writes(trying(PATIENT))}
        assert tried[Trial.CONDITIONAL].worked is False and small.stored == {}
        assert tried[Trial.CONDITIONAL].learned == {"capabilities.conditional_create": False}


def test_a_server_that_is_known_to_double_is_not_made_to():
    with running(doubles=True) as (small, trying):
        tried = list(writes(trying(PATIENT, capabilities={"conditional_create": False})))
        assert Trial.CONDITIONAL not in worked(tried)


def test_a_server_that_hides_what_it_took_verifies_nothing_and_what_may_stand_there_is_said():
    with running(hides=True) as (_, trying):
        tried = {each.what: each for each in writes(trying(PATIENT))}
        assert tried[Trial.READ_BACK].worked is False and "can be verified" in tried[Trial.READ_BACK].says
        assert tried[Trial.DELETE].left, "it said yes, and nobody can look"


def test_bytes_that_come_back_as_an_address_that_leads_nowhere_are_said():
    with running(moves=True) as (_, trying):
        assert worked(writes(trying(PATIENT)))[Trial.READ_BACK] is None


def test_where_nothing_is_deleted_it_is_said_what_stays_where_and_how_it_is_found():
    with running(no_delete=True) as (small, trying):
        tried = {each.what: each for each in writes(trying(PATIENT))}
        [reference] = small.stored
        assert tried[Trial.DELETE].worked is False and tried[Trial.DELETE].left[0].startswith(reference)
        words = tried[Trial.DELETE].says
        assert small.origin in words and "marked entered-in-error" in words and "SOE ref check-" in words
        assert tried[Trial.SIZE].worked is None and "cannot be taken away" in tried[Trial.SIZE].says


@pytest.mark.parametrize(("habit", "what"), [("keeps", Trial.DELETE), ("deaf", Trial.UPDATE)])
def test_a_server_that_says_yes_and_does_nothing_is_not_believed(habit, what):
    with running(**{habit: True}) as (_, trying):
        assert worked(writes(trying(PATIENT)))[what] is False


def test_a_size_that_is_refused_is_tried_smaller_and_learned():
    with running(most=2 << 20) as (small, trying):
        tried = {each.what: each for each in writes(trying(PATIENT, limits={"max_inline_bytes": 4 << 20}))}
        assert tried[Trial.SIZE].worked is False and tried[Trial.SIZE].learned == {"limits.max_inline_bytes": 1 << 20}
        assert "4194304 bytes are refused" in tried[Trial.SIZE].says and small.stored == {}


def test_an_answer_without_an_address_leaves_something_that_a_person_can_search_for():
    with running(silent=True) as (_, trying):
        [tried] = writes(trying(PATIENT))
        assert tried.worked is None and "SOE ref check-" in tried.says and tried.left


VISIT = {"document": {"encounter": "required"}}


def test_a_document_that_has_to_name_a_visit_names_the_one_that_was_given():
    with running(no_delete=True) as (small, trying):
        small.put("Encounter", "e1", subject={"reference": PATIENT})
        tried = worked(writes(trying(PATIENT, **VISIT), "Encounter/e1"))
        [there] = [each for each in small.stored.values() if each["resourceType"] == "DocumentReference"]
        assert tried[Trial.CREATE] and there["context"]["encounter"] == [{"reference": "Encounter/e1"}]


@pytest.mark.parametrize(
    ("visit", "words"),
    [(None, "--encounter"), ("Encounter/of-another", "is not of"), ("Encounter/none", "cannot be read")],
)
def test_without_a_visit_of_that_patient_nothing_is_written(visit, words):
    with running() as (small, trying):
        small.put("Encounter", "of-another", subject={"reference": "Patient/another"})
        [tried] = writes(trying(PATIENT, **VISIT), visit)
        assert tried.worked is None and words in tried.says and list(small.stored) == ["Encounter/of-another"]
