"""The match that never guesses: a hundred near misses, none of them sure."""

import copy
import json
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mappings.model.errors import MappingError
from mappings.model.request import HumanName, Identifier, PatientRef
from mappings.names import fold
from mappings.patient import Numbers, doubts, from_patient, is_namesake, to_patient
from mappings.patient import match as match_with
from tests.mappings.mapping_factories import DATA, needs_data
from tests.mappings.mapping_strategies import patients

MRN = "https://harbour.example/mrn"
OTHER = "https://summit.example/mrn"
SSN = "http://hl7.org/fhir/sid/us-ssn"
TYPES = "http://terminology.hl7.org/CodeSystem/v2-0203"
POLICY = "https://insurer.example/policy"
NUMBERS = Numbers(named=frozenset({MRN, OTHER}))


def match(wanted, candidates, numbers=NUMBERS):
    """With the systems that the request names."""
    return match_with(wanted, candidates, numbers)


def typed(code, value, system=MRN):
    return {"system": system, "value": value, "type": {"coding": [{"system": TYPES, "code": code}]}}


def identifier(value, system=MRN, **more):
    return {"system": system, "value": value, **more}


def name(family="Smith", given=("Jane", "Ann"), **more):
    return {"family": family, "given": list(given), **more}


def patient(**changes):
    made = {
        "resourceType": "Patient",
        "id": "p1",
        "identifier": [identifier("0042")],
        "name": [name()],
        "birthDate": "1980-02-29",
        "gender": "female",
        **changes,
    }
    return {key: value for key, value in made.items() if value is not None}


WANTED = patient(id="source")
REF = PatientRef(
    identifiers=(Identifier(system=MRN, value="0042"),),
    sex="female",
    birth_date=date(1980, 2, 29),
    name=HumanName(family="Smith", given=("Jane", "Ann")),
)

# What a candidate may differ in and still be the same person.
SAME = {
    "equal": patient(),
    "capital letters": patient(name=[name("SMITH", ("JANE", "ANN"))]),
    "middle initial": patient(name=[name(given=("Jane", "A."))]),
    "no middle name": patient(name=[name(given=("Jane",))]),
    "given in one string": patient(name=[name(given=("Jane Ann",))]),
    "an initial and the name it begins": patient(name=[name(given=("Jane", "A"))]),
    "birth among twins on one side": patient(multipleBirthInteger=2),
    "sex unknown": patient(gender="unknown"),
    "no sex": patient(gender=None),
    "a former name beside": patient(name=[name("Jones", use="maiden"), name()]),
    "another system beside": patient(identifier=[identifier("7", OTHER), identifier("0042")]),
    "active": patient(active=True, deceasedBoolean=False),
    "it replaces another": patient(link=[{"other": {"reference": "Patient/x"}, "type": "replaces"}]),
    "a second number in the same system": patient(identifier=[identifier("0042"), identifier("0099")]),
}


@pytest.mark.parametrize("what", SAME)
@pytest.mark.parametrize("wanted", [WANTED, REF], ids=["resource", "ref"])
def test_it_is_sure_of_the_same_person(what, wanted):
    found = match(wanted, [SAME[what]])
    assert (found.why, found.sure) == ("sure", SAME[what])


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Núñez", "NUNEZ"),
        ("O'Brien", "OBrien"),
        ("O’Brien", "O'Brien"),
        ("Garcia-Lopez", "Garcia Lopez"),
        ("Groß", "GROSS"),
        ("Alcántar", "Alcantar"),
        ("St. John", "St John"),
        ("Lopez\u00a0Diaz", "López-Díaz"),
        ("Ｓｍｉｔｈ", "Smith"),
        ("Παπαδόπουλος", "ΠΑΠΑΔΟΠΟΥΛΟΣ"),
        ("Фёдоров", "ФЕДОРОВ"),
        ("מֹשֶׁה", "משה"),
        ("مُحَمَّد", "محمد"),
        ("김", "\u1100\u1175\u11b7"),
        ("Smi\u200bth", "Smith"),
        ("Ångström", "Angstrom"),
    ],
)
def test_accents_case_and_punctuation_do_not_make_another_name(one, other):
    assert fold(one) == fold(other)
    assert match(patient(name=[name(one)]), [patient(name=[name(other)])]).sure


def one_digit_off():
    """Every neighbour of the number and of the birth date that a slip of the finger makes."""
    for at, digit in ((at, digit) for at in range(4) for digit in "135789"):
        yield f"number digit {at} is {digit}", "0042"[:at] + digit + "0042"[at + 1 :]
    yield from {
        "number swapped": "0024",
        "number longer": "00420",
        "number without zeros": "42",
        "number with a space in it": "00 42",
        "number with a prefix": "MR0042",
    }.items()


NEAR = {
    **{what: patient(identifier=[identifier(value)]) for what, value in one_digit_off()},
    **{
        f"birth date {each}": patient(birthDate=each)
        for each in (
            "1980-02-28",
            "1980-02-27",
            "1980-02-20",
            "1980-02-19",
            "1980-03-29",
            "1980-01-29",
            "1980-12-29",
            "1981-02-28",
            "1979-02-28",
            "1990-02-28",
            "1908-02-29",
            "1880-02-29",
            "2080-02-29",
            "1980-02",
            "1980",
            "29.02.1980",
            "19800229",
        )
    },
    "no birth date": patient(birthDate=None),
    **{
        f"family name {each}": patient(name=[name(each)])
        for each in (
            "Smyth",
            "Smithe",
            "Smit",
            "Smith-Jones",
            "Smith Jr",
            "Jones",
            "Schmidt",
            "Smitn",
            "Mith",
            "Smiths",
            "",
        )
    },
    **{
        f"given names {'-'.join(each)}": patient(name=[name(given=each)])
        for each in (
            ("Joan", "Ann"),
            ("Janet", "Ann"),
            ("Jan", "Ann"),
            ("J", "Ann"),
            ("Jayne",),
            ("Jean",),
            ("John",),
            ("Ann", "Jane"),
            ("Jane", "Amy"),
            ("Jane", "B."),
            ("Jane", "Anna"),
            ("June",),
            ("Jane-Marie",),
        )
    },
    "no given name": patient(name=[{"family": "Smith"}]),
    "an initial for the given name": patient(name=[name(given=("J.",))]),
    "a twin without her middle name": patient(name=[name(given=("Jane",))], multipleBirthBoolean=True),
    "a twin with her middle initial": patient(name=[name(given=("Jane", "A"))], multipleBirthInteger=1),
    "given and family swapped": patient(name=[name("Jane", ("Smith",))]),
    "family as given": patient(name=[name("Ann", ("Jane", "Smith"))]),
    "only text": patient(name=[{"text": "Jane Ann Smith"}]),
    "no name": patient(name=None),
    "only a maiden name agrees": patient(name=[name(use="maiden"), name("Jones")]),
    "only an old name agrees": patient(name=[name(use="old"), name("Jones")]),
    "only a nickname agrees": patient(name=[name(use="nickname"), name("Jones")]),
    "only an ended name agrees": patient(name=[name(period={"end": "2010-01-01"}), name("Jones")]),
    "a man": patient(gender="male"),
    "sex other": patient(gender="other"),
    "same number, other system": patient(identifier=[identifier("0042", OTHER)]),
    "same number, no system": patient(identifier=[{"value": "0042"}]),
    "same number, old system spelling": patient(identifier=[identifier("0042", MRN + "/")]),
    "same number, http": patient(identifier=[identifier("0042", MRN.replace("https", "http"))]),
    "a system without a number": patient(identifier=[{"system": MRN}]),
    "no identifier": patient(identifier=None),
    "only by name": patient(identifier=[identifier("7", OTHER)]),
    "a former number": patient(identifier=[identifier("0042", use="old")]),
    "a temporary number": patient(identifier=[identifier("0042", use="temp")]),
    "an ended number": patient(identifier=[identifier("0042", period={"end": "2011-01-01"})]),
    "inactive": patient(active=False),
    "replaced by another": patient(link=[{"other": {"reference": "Patient/x"}, "type": "replaced-by"}]),
    "refers to another": patient(link=[{"other": {"reference": "Patient/x"}, "type": "refer"}]),
    "dead, though we ask for the living": patient(deceasedBoolean=True),
    "died on a day": patient(deceasedDateTime="2020-01-01"),
    "Jr": patient(name=[name(suffix=["Jr"])]),
    "Sr": patient(name=[name(suffix=["Sr"])]),
    "III": patient(name=[name(suffix=["III"])]),
    "another resource": {**patient(), "resourceType": "Person"},
    "twin sister": patient(identifier=[identifier("0043")], name=[name(given=("Joan",))]),
    "twin brother with her number": patient(name=[name(given=("James",))], gender="male"),
    "mother": patient(identifier=[identifier("0041")], birthDate="1955-02-28"),
    "daughter with her number": patient(birthDate="2008-02-29"),
    "namesake of the same day": patient(identifier=[identifier("8812")]),
}
HER_SSN = patient(identifier=[identifier("0042"), identifier("999-00-1234", SSN)])
PAIRS = [
    *((what, WANTED, [candidate]) for what, candidate in NEAR.items()),
    ("no candidate", WANTED, []),
    ("two of her", WANTED, [patient(), patient(id="p2")]),
    ("her and her twin", WANTED, [patient(), {**NEAR["twin sister"], "id": "p2"}]),
    ("two without ids", WANTED, [patient(id=None), patient(id=None, gender=None)]),
    (
        "the other identifier contradicts",
        HER_SSN,
        [patient(identifier=[identifier("0042"), identifier("999-00-4321", SSN)])],
    ),
    (
        "only the other identifier agrees",
        HER_SSN,
        [patient(identifier=[identifier("0099"), identifier("999-00-1234", SSN)])],
    ),
    ("we ask without a name", patient(name=None), [patient()]),
    ("we ask without a birth date", patient(birthDate=None), [patient()]),
    ("we ask for a dead one", patient(deceasedBoolean=True), [patient()]),
    ("we ask for one merged away", patient(link=[{"type": "replaced-by"}]), [patient()]),
    ("we ask for one out of use", patient(active=False), [patient()]),
    ("Jr asked, Sr found", patient(name=[name(suffix=["Jr."])]), [patient(name=[name(suffix=["Sr."])])]),
    ("Jr asked, none found", patient(name=[name(suffix=["Jr."])]), [patient()]),
    ("the second of twins", patient(multipleBirthInteger=1), [patient(multipleBirthInteger=2)]),
    ("a twin and one born alone", patient(multipleBirthBoolean=True), [patient(multipleBirthBoolean=False)]),
    ("the third, and one born alone", patient(multipleBirthInteger=3), [patient(multipleBirthBoolean=False)]),
    ("A and A Maria", patient(name=[name(given=("A",))]), [patient(name=[name(given=("A", "Maria"))])]),
    ("A on both sides", patient(name=[name(given=("A",))]), [patient(name=[name(given=("A",))])]),
    ("no given name on both sides", patient(name=[name(given=())]), [patient(name=[name(given=())])]),
    (
        "a policy number in common",
        patient(identifier=[identifier("P", POLICY)]),
        [patient(identifier=[identifier("P", POLICY)])],
    ),
    ("a member number in common", patient(identifier=[typed("MB", "P")]), [patient(identifier=[typed("MB", "P")])]),
    (
        "a number that one side types as the family's",
        patient(identifier=[typed("SN", "P")]),
        [patient(identifier=[identifier("P")])],
    ),
    ("Kato and Gato", patient(name=[name("かとう", ("はな",))]), [patient(name=[name("がとう", ("はな",))])]),
    ("Tamil with and without its vowel sign", patient(name=[name("கமல்")]), [patient(name=[name("கமல")])]),
    ("an empty family name on both sides", patient(name=[name("'")]), [patient(name=[name("-")])]),
]


def test_there_are_a_hundred_near_misses_and_more():
    assert len(PAIRS) >= 100


@pytest.mark.parametrize(("what", "wanted", "candidates"), PAIRS, ids=[pair[0] for pair in PAIRS])
def test_it_is_never_sure_of_a_near_miss(what, wanted, candidates):
    found = match(wanted, candidates)
    assert (found.sure, found.candidates) == (None, tuple(candidates))
    assert found.why not in ("", "sure")


# What a PatientRef cannot say, it cannot contradict.
SILENT = {"Jr", "Sr", "III", "dead, though we ask for the living", "died on a day"}


@pytest.mark.parametrize("what", sorted(set(NEAR) - SILENT))
def test_it_is_never_sure_with_a_request_file_either(what):
    assert match(REF, [NEAR[what]]).sure is None


def test_the_same_resource_found_by_two_searches_is_one_candidate():
    assert match(WANTED, [patient(), patient()]).sure


@pytest.mark.parametrize(
    ("candidates", "why"),
    [
        ([], "none"),
        ([patient(), patient(id="p2")], "several"),
        ([NEAR["inactive"]], "inactive"),
        ([NEAR["replaced by another"]], "replaced"),
        ([NEAR["no identifier"]], "no-shared-identifier"),
        ([NEAR["number swapped"]], "identifier-differs"),
        ([NEAR["no name"]], "name-unknown"),
        ([NEAR["family name Jones"]], "name-differs"),
        ([NEAR["no birth date"]], "birth-date-unknown"),
        ([NEAR["birth date 1980-02-28"]], "birth-date-differs"),
        ([NEAR["a man"]], "sex-differs"),
        ([NEAR["died on a day"]], "deceased-differs"),
    ],
)
def test_it_says_why_in_one_word(candidates, why):
    assert match(WANTED, candidates).why == why


def test_matching_changes_nothing():
    candidate = patient()
    before = copy.deepcopy(candidate)
    match(WANTED, [candidate])
    assert candidate == before


def test_numbers_that_an_endpoint_configures_are_the_only_ones_that_count():
    only_other = Numbers(systems=frozenset({OTHER}), named=frozenset({MRN}))
    assert match(WANTED, [patient()], only_other).why == "no-shared-identifier"
    both = patient(identifier=[identifier("0042"), identifier("7", OTHER)])
    assert match(both, [both], only_other).sure


BY_NUMBER = PatientRef(identifiers=(Identifier(system=MRN, value="0042"),))


@pytest.mark.parametrize(
    ("candidate", "why"),
    [
        (patient(identifier=[typed("MR", "0042")]), "sure"),
        (patient(identifier=[identifier("0042")]), "no-shared-identifier"),
        (patient(identifier=[typed("MB", "0042")]), "no-shared-identifier"),
        (patient(identifier=[{**typed("MR", "0042"), "use": "old"}]), "no-shared-identifier"),
        (patient(identifier=[{**typed("MR", "0042"), "use": "old"}, typed("MR", "0099")]), "identifier-differs"),
        (patient(identifier=[typed("MR", "0042")], active=False), "inactive"),
        (patient(identifier=[typed("MR", "0042")], link=[{"type": "replaced-by"}]), "replaced"),
    ],
)
def test_a_request_that_gives_numbers_alone_obeys_the_same_rules(candidate, why):
    assert match(BY_NUMBER, [candidate]).why == why


def test_a_second_number_that_contradicts_is_not_outvoted():
    two = BY_NUMBER.model_copy(update={"identifiers": (*BY_NUMBER.identifiers, Identifier(system=SSN, value="999"))})
    there = patient(identifier=[typed("MR", "0042"), identifier("111", SSN)])
    assert match(two, [there]).why == "identifier-differs"


def test_numbers_alone_are_sure_where_the_endpoint_configures_their_system():
    assert match(BY_NUMBER, [patient()], Numbers(systems=frozenset({MRN}))).sure


PEOPLE = st.fixed_dictionaries(
    {
        "resourceType": st.just("Patient"),
        "id": st.just("p1"),
        "identifier": st.lists(
            st.builds(identifier, st.sampled_from(["0042", "0043"]), st.sampled_from([MRN, OTHER, POLICY, SSN])),
            max_size=3,
        ),
        "name": st.lists(
            st.builds(
                name,
                st.sampled_from(["Smith", "SMITH", "Smith-Jones"]),
                st.sampled_from([(), ("Jane",), ("Jane", "Ann"), ("J",), ("Joan",)]),
                use=st.sampled_from(["official", "old", "usual"]),
            ),
            max_size=2,
        ),
    },
    optional={
        "birthDate": st.sampled_from(["1980-02-29", "1980-02", "1980-02-28"]),
        "gender": st.sampled_from(["female", "male", "unknown"]),
        "active": st.booleans(),
        "multipleBirthInteger": st.sampled_from([1, 2]),
        "deceasedBoolean": st.booleans(),
    },
)
CONTRADICTIONS = (
    {"identifier": [typed("MR", "0042"), identifier("9", "https://x.example")]},
    {"birthDate": "1999-09-09"},
    {"gender": "male"},
    {"name": [name("Other")]},
    {"active": False},
    {"link": [{"type": "replaced-by"}]},
    {"deceasedBoolean": True},
    {"multipleBirthInteger": 2},
)


@settings(max_examples=300, deadline=None)
@given(PEOPLE, PEOPLE)
def test_whether_two_are_one_does_not_depend_on_who_asks(one, other):
    assert set(doubts(one, other, NUMBERS)) == set(doubts(other, one, NUMBERS)) or not_both_in_use(one, other)


def not_both_in_use(one, other):
    return (one.get("active") is False) or (other.get("active") is False)


@settings(max_examples=300, deadline=None)
@given(PEOPLE, PEOPLE)
def test_sure_means_the_same_first_name_birth_date_and_a_number(one, other):
    if match(one, [other]).sure:
        assert one["birthDate"] == other["birthDate"] and len(one["birthDate"]) == 10
        assert {each["value"] for each in one["identifier"]} & {each["value"] for each in other["identifier"]}
        assert {each["given"][0] for each in one["name"] if each["given"]} & {"Jane", "Joan"}


@settings(max_examples=200, deadline=None)
@given(PEOPLE, st.sampled_from(CONTRADICTIONS))
def test_a_contradiction_never_makes_a_match_surer(one, contradiction):
    """A copy of a person, then the same copy with something that this person surely is not."""
    full = {
        **patient(multipleBirthInteger=1, deceasedBoolean=False),
        "identifier": [typed("MR", "0041"), identifier("8", "https://x.example")],
    }
    assert match(full, [full]).sure
    assert match(full, [{**full, **contradiction}]).sure is None
    before = doubts(one, one, NUMBERS)
    changed = {**one, **contradiction}
    assert len(doubts(one, changed, NUMBERS)) >= (1 if before else 0)


@settings(max_examples=200, deadline=None)
@given(PEOPLE, PEOPLE, st.sampled_from(["identifier", "name", "birthDate"]))
def test_knowing_less_never_makes_a_match_sure(one, other, forgotten):
    assert match({**one, forgotten: None}, [{**other, forgotten: None}]).sure is None


@pytest.mark.parametrize(
    ("one", "other", "namesakes"),
    [
        (patient(), patient(identifier=None), True),
        (patient(birthDate=None), patient(), True),
        (patient(birthDate="1980"), patient(), True),
        (patient(birthDate=None), patient(name=[name(given=("Zoe",))]), False),
        (patient(birthDate=None, name=[{"family": "Smith"}]), patient(), True),
        (patient(), patient(birthDate="1991-01-01"), False),
        (patient(), patient(name=[name("Smith Jones", ("Zoe",))]), True),
        (patient(), patient(name=[name("Jones"), name("Smith", use="maiden")]), True),
        (patient(), patient(name=[name("Smithers")]), False),
    ],
)
def test_who_may_be_a_namesake_is_not_created_beside(one, other, namesakes):
    assert is_namesake(one, other) is namesakes


@settings(max_examples=100, deadline=None)
@given(patients)
def test_a_patient_survives_the_return_trip(ref):
    assert from_patient(to_patient(ref)) == ref


@settings(max_examples=100, deadline=None)
@given(patients, patients)
def test_two_patients_without_a_shared_identifier_are_never_one(one, other):
    if not {each.system for each in one.identifiers} & {each.system for each in other.identifiers}:
        assert match(one, [to_patient(other)]).sure is None


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"identifier": [{"value": "0042"}]}, "Patient.identifier"),
        ({"identifier": None}, "Patient.identifier"),
        ({"gender": "banana"}, "Patient.gender"),
        ({"birthDate": "19800229"}, "Patient.birthDate"),
        ({"birthDate": 1980.5}, "Patient.birthDate"),
    ],
)
def test_what_it_does_not_understand_is_an_error_without_the_value(change, path):
    with pytest.raises(MappingError) as caught:
        from_patient(patient(**change))
    assert caught.value.path == path
    assert "0042" not in str(caught.value) and "1980" not in str(caught.value)


def test_a_partial_birth_date_is_left_out_and_not_completed():
    assert from_patient(patient(birthDate="1980-02")).birth_date is None


def test_a_source_patient_loses_only_what_belongs_to_its_server():
    source = patient(
        meta={"versionId": "3", "lastUpdated": "2026-01-01T00:00:00Z", "security": [{"code": "R"}]},
        telecom=[{"value": "555-0100"}],
    )
    assert to_patient(source) == {
        **patient(id=None),
        "meta": {"security": [{"code": "R"}]},
        "telecom": [{"value": "555-0100"}],
    }


@needs_data
def test_no_two_people_of_the_real_charts_and_examples_are_taken_for_one():
    found = [
        each
        for path in sorted(Path(DATA, "synthea").glob("*.json"))
        for entry in json.loads(path.read_text("utf-8"))["entry"]
        if (each := entry["resource"])["resourceType"] == "Patient"
    ]
    assert len(found) == 7
    for one in found:
        sure = [other["id"] for other in found if match(one, [other]).sure]
        assert sure == [one["id"]]
        assert match(from_patient(one), [one]).sure
