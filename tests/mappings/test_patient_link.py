"""Whether a link still holds, walked over every way it was made and everything that may have happened since."""

from dataclasses import dataclass

import pytest

from mappings.patient import Numbers
from mappings.patient_link import compared, in_words, side_by_side, why_it_ends, why_refused
from tests.mappings.test_patient import NEAR, NUMBERS, PAIRS, REF, WANTED, doubts, identifier, name, patient

OTHER_NAME = patient(name=[name("Married")])


@dataclass(frozen=True)
class Link:
    origin: str = "matched"
    confirmed: bool = False
    described: str | None = None
    found: str | None = None
    merges: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()


def link(origin, there, described=WANTED, **more):
    """As it was kept when the two were compared."""
    now = compared(described, there, NUMBERS)
    return Link(origin, described=now.described, found=now.found, merges=now.merges, doubts=now.doubts, **more)


def ends(kept, there, described=WANTED):
    return why_it_ends(kept, described, there, NUMBERS)


@pytest.mark.parametrize("origin", ["matched", "created", "person"])
def test_nothing_happened_and_it_holds(origin):
    assert ends(link(origin, patient()), patient()) == ()
    assert ends(link(origin, patient(), REF), patient(), REF) == ()


@pytest.mark.parametrize("origin", ["matched", "created", "person"])
@pytest.mark.parametrize(
    ("there", "why"),
    [
        (None, "gone"),
        (patient(active=False), "inactive"),
        (patient(link=[{"type": "replaced-by"}]), "replaced"),
        (patient(active=False, link=[{"type": "refer"}]), "replaced"),
        (patient(link=[{"type": "replaces", "other": {"reference": "Patient/2"}}]), "merged"),
        (patient(link=[{"type": "seealso", "other": {"reference": "Patient/2"}}]), "merged"),
        ({**patient(), "resourceType": "Person"}, "not-a-patient"),
        (patient(birthDate="1999-09-09"), "birth-date-differs"),
        (patient(identifier=[identifier("0099")]), "identifier-differs"),
    ],
)
def test_what_happened_there_since_ends_it(origin, there, why):
    assert ends(link(origin, patient(), confirmed=True), there)[0] == why


@pytest.mark.parametrize("what", sorted(set(NEAR) - {"another resource"}))
def test_no_match_and_no_unconfirmed_word_survives_a_near_miss(what):
    for kept in (link("matched", patient()), link("person", patient()), Link("person")):
        assert ends(kept, NEAR[what])


@pytest.mark.parametrize("origin", ["matched", "created", "person"])
def test_a_chart_retired_at_the_source_ends_it(origin):
    assert ends(link(origin, patient()), patient(), patient(active=False)) == ("inactive",)


def test_an_old_merge_that_was_there_when_it_was_linked_is_no_news():
    merged = patient(link=[{"type": "replaces", "other": {"reference": "Patient/2"}}])
    assert ends(link("matched", merged), merged) == ()


def test_a_correction_at_the_source_travels_to_the_patient_we_created_while_nobody_changed_it_there():
    assert ends(link("created", patient()), patient(), OTHER_NAME) == ()
    assert ends(link("created", patient()), patient(gender="male"), OTHER_NAME) == ("name-differs", "sex-differs")
    assert ends(link("matched", patient()), patient(), OTHER_NAME) == ("name-differs",)


def test_what_nobody_knows_is_no_doubt_about_the_patient_we_created():
    nameless = patient(birthDate=None)
    assert ends(link("created", nameless, nameless), {**nameless, "gender": "unknown"}, nameless) == ()


def test_a_person_who_was_not_compared_yet_needs_a_second_word_where_they_differ():
    assert ends(Link("person"), OTHER_NAME) == ("name-differs",)
    assert ends(Link("person", confirmed=True), OTHER_NAME) == ()
    assert ends(Link("person"), patient()) == ()


def test_what_a_person_confirmed_holds_while_both_are_as_they_saw_them():
    kept = link("person", OTHER_NAME, confirmed=True)
    assert ends(kept, {**OTHER_NAME, "telecom": [{"value": "555-0100"}]}) == ()
    assert ends(kept, patient(name=[name("Third")])) == ("name-differs",)
    assert ends(kept, OTHER_NAME, patient(birthDate="1980-02-28"))
    assert ends(kept, patient(), WANTED) == (), "now they are surely one"
    more = {**OTHER_NAME, "identifier": [identifier("0099")]}
    assert ends(kept, more)[0] == "identifier-differs", "a doubt that nobody confirmed"


def test_a_number_alone_notices_that_who_has_it_changed():
    number = REF.model_copy(update={"name": None, "birth_date": None, "sex": None})
    strong = Numbers(systems=NUMBERS.named)
    now = compared(number, patient(), strong)
    kept = Link("matched", described=now.described, found=now.found)
    assert why_it_ends(kept, number, patient(), strong) == ()
    assert why_it_ends(kept, number, OTHER_NAME, strong) == ("changed",)


def test_what_no_second_word_can_open():
    def refused(there, at="Patient/p1", chart="Patient/9"):
        return why_refused(at, WANTED, there, NUMBERS, chart)

    assert refused(None) == "gone" and refused(patient(active=False)) == "inactive"
    assert refused(OTHER_NAME) == "" and refused(OTHER_NAME, chart="Patient/p1") == "same-id"
    assert refused(patient(), chart="Patient/p1") == "", "small numbers are the same on many servers"


def test_two_persons_side_by_side_say_what_agrees():
    other = patient(name=[name("Married")], birthDate=None, telecom=[{"value": "555-0100"}])
    lines = {line.name: line.agrees for line in side_by_side(WANTED, other, NUMBERS)}
    assert lines == {
        "name": False,
        "birth_date": None,
        "sex": True,
        "identifiers": True,
        "deceased": None,
        "birth_order": None,
        "address": None,
        "telecom": None,
    }


def test_every_word_of_doubt_has_a_sentence():
    found = {why for _, wanted, candidates in PAIRS for each in candidates for why in doubts(wanted, each, NUMBERS)}
    assert len(found) > 10 and all(map(in_words, found))
