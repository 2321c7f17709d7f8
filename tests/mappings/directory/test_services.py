"""What a directory states of a service: as it stands there, and held against a request: coded ages refuse, words are asked."""

import json
from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mappings.directory.fhir import Known, missing, of_role
from mappings.directory.services import Service, in_words, of_service
from mappings.directory.stated import stated
from mappings.model.suitability import GoodReason
from mappings.model.suitability import Known as KnownRequest
from mappings.suitability import judge
from tests.mappings.directory.test_fhir import ROLE, SERVER
from tests.mappings.test_suitability import PROGRAM, said

NDH = "http://hl7.org/fhir/us/ndh/StructureDefinition"
DAY = date(2026, 3, 2)
GOOD = frozenset({GoodReason.SERIOUS_DIAGNOSIS})


def years(low=None, high=None, unit="a", name="base-ext-ndh-age-range"):
    ends = {end: {"value": value, "code": unit} for end, value in (("low", low), ("high", high)) if value is not None}
    inner = [{"url": f"{NDH}/{name}", "valueRange": ends}]
    return {"extension": [{"url": f"{NDH}/base-ext-service-or-program-requirement", "extension": inner}]}


SERVICE = {
    "resourceType": "HealthcareService",
    "id": "h",
    "name": "Remote opinions",
    "program": [{"text": "Second opinion program"}],
    "eligibility": [{"code": {"text": "Pathology slides"}, "comment": "No older than a year."}, {"comment": "Adults"}],
    "specialty": [{"coding": [{"system": "http://snomed.info/sct", "code": "394593009"}]}],
    "coverageArea": [{"reference": "Location/ma"}, {"display": "Greater Portland"}],
    "referralMethod": [{"coding": [{"code": "fax"}]}, {"coding": [{"code": "phone"}]}],
    "serviceProvisionCode": [{"coding": [{"code": "cost"}]}],
    "appointmentRequired": True,
    "comment": "Closed in August.",
    **years(18, 90),
}
PLACES = {"Location/ma": {"resourceType": "Location", "id": "ma", "name": "The state", "address": {"state": "MA"}}}


def entry_of(service, server=SERVER):
    [entry], findings = of_role(ROLE, Known({**server, **PLACES, "HealthcareService/h": service}))
    return entry, findings


def program_of(*services, specialty=None):
    return stated(
        [each for one in services for each in entry_of(one)[0].services], "Cancer Center", "entry 1", specialty
    )


def held(born, answers=None, program=None, *services):
    listed = program_of(*(services or (SERVICE,)), specialty="394593009")
    return judge(program, KnownRequest(birth_date=born, reasons=GOOD, answers=answers or {}), DAY, listed)


def test_all_that_is_stated_is_read():
    [entry] = entry_of(SERVICE)[0].services
    assert entry == Service(
        name="Remote opinions",
        is_for_second_opinions=True,
        programs=("Second opinion program",),
        eligibility=("Pathology slides: No older than a year.", "Adults"),
        minimum_age=18,
        maximum_age=90,
        specialties=("207RX0202X",),
        areas=("Massachusetts", "Greater Portland"),
        referral_methods=("fax", "phone"),
        provision=("fees apply",),
        appointment_required=True,
        comment="Closed in August.",
    )
    assert Service.from_json(json.loads(json.dumps(entry.to_json()))) == entry
    assert dict(in_words(entry))["area"] == "Massachusetts, Greater Portland"


def test_a_service_that_is_no_longer_given_states_nothing():
    entry, _ = entry_of({**SERVICE, "active": False})
    assert entry.services is None and entry.second_opinions is None


def test_where_its_patients_live_is_read_one_by_one_and_a_finding_when_it_is_not_there():
    server = {**SERVER, "HealthcareService/h": SERVICE}
    assert list(missing(ROLE, Known(server))) == ["Location/ma"]
    _, [finding] = of_role(ROLE, Known(server))
    assert finding.cause == "reference-unresolved" and "coverageArea" in finding.message


@pytest.mark.parametrize(
    ("range_", "ages", "words"),
    [
        (years(18), (18, None), ()),
        (years(None, 17, "year"), (None, 17), ()),
        (years(1, 17, name="age-range"), (1, 17), ()),
        (years(6, 24, "mo"), (None, None), ("age: from 6 mo to 24 mo",)),
        (years(18.5), (None, None), ("age: from 18.5 a",)),
        (years(90, 18), (None, None), ("age: from 90 a to 18 a",)),
        (years("18"), (None, None), ("age: from 18 a",)),
    ],
)
def test_an_age_counts_where_it_is_coded_in_whole_years_and_is_words_elsewhere(range_, ages, words):
    service = of_service({"name": "x", **range_}, {}, lambda *_: None)
    assert ((service.minimum_age, service.maximum_age), service.eligibility) == (ages, words)


def test_another_requirement_is_words():
    inner = [
        {
            "url": f"{NDH}/base-ext-ndh-age-group",
            "valueCodeableConcept": {"coding": [{"code": "adult", "display": "Adult"}]},
        },
        {"url": "insurance-status", "valueCodeableConcept": {"text": "Uninsured"}},
        {"url": "birthsex", "valueCode": "F"},
    ]
    extension = [{"url": f"{NDH}/base-ext-service-or-program-requirement", "extension": inner}]
    service = of_service({"extension": extension}, {}, lambda *_: None)
    assert service.eligibility == ("age group: Adult", "insurance: Uninsured", "sex at birth: F")


def test_a_coded_age_refuses_and_says_whose_word_it_is():
    found = held(date(2010, 1, 1))
    [refusal] = found.refusals
    assert found.stops and refusal.key == "listed-age" and refusal.sentence.endswith("as entry 1 lists")
    assert found.message.startswith("Remote opinions does not take this request")


def test_words_are_asked_and_never_refuse_by_themselves():
    found = held(date(1970, 1, 1))
    asked = [each.text for each in found.questions]
    assert not found.refusals and len(asked) == 4, asked
    assert any("Pathology slides: No older than a year. Does" in each for each in asked)
    assert any("Massachusetts, Greater Portland. Does the patient live there?" in each for each in asked)
    assert any("fees apply" in each for each in asked) and any("Adults" in each for each in asked)
    assert "fax, phone" in found.cautions[0]


def test_a_no_of_a_person_refuses_and_counts_for_those_words_alone():
    first = held(date(1970, 1, 1)).questions[0]
    found = held(date(1970, 1, 1), {first.key: said("no")})
    assert [each.key for each in found.refusals] == [first.key] and "Pathology slides" in found.message
    other = {**SERVICE, "eligibility": [{"comment": "Slides of the last two years"}]}
    assert not held(date(1970, 1, 1), {first.key: said("no")}, None, other).refusals


def test_an_answer_about_the_program_of_the_endpoint_is_none_about_the_one_that_is_listed():
    found = held(None, {"age": said("yes")}, PROGRAM)
    assert "listed-age" in {each.key for each in found.questions} and "age" not in {
        each.key for each in found.questions
    }
    assert not held(None, {"listed-age": said("no")}, PROGRAM).message.startswith("its")


def test_the_specialty_is_asked_where_it_is_not_among_those_listed():
    asked = {
        specialty: program_of(SERVICE, specialty=specialty).conditions
        for specialty in ("207RX0202X", "394579002", None)
    }
    words = {
        specialty: [each.words for each in every if "specialties" in each.words] for specialty, every in asked.items()
    }
    assert words == {
        "207RX0202X": [],
        "394579002": ["the specialties Medical oncology"],
        None: ["the specialties Medical oncology"],
    }


def test_of_several_services_that_for_second_opinions_counts_and_else_no_age_refuses():
    clinic = Service(name="Children", maximum_age=17)
    adults = Service(name="Adults", minimum_age=18)
    opinions = Service(name="Opinions", is_for_second_opinions=True, minimum_age=21)
    one = stated([clinic, opinions], "x", "entry 1", None)
    assert (one.name, one.minimum_age, one.maximum_age) == ("Opinions", 21, None)
    both = stated([clinic, adults], "x", "entry 1", None)
    assert both.minimum_age is None and both.maximum_age is None
    assert [each.words for each in both.conditions] == [
        "patients up to 17 years old (Children)",
        "patients 18 years and older (Adults)",
    ]


def test_who_states_nothing_is_no_program():
    assert stated([], "x", "entry 1", None) is None
    assert stated([Service(name="Clinic", is_for_second_opinions=True)], "x", "entry 1", None) is None


def test_a_text_that_is_too_long_is_cut_and_says_so():
    service = of_service({"comment": "a" * 5000}, {}, lambda *_: None)
    assert len(service.comment) < 1100 and service.comment.endswith("read it there)")


@settings(max_examples=150, deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from([*SERVICE, "url", "coding", "code", "low", "value"]), inner, max_size=4)
        ),
        max_leaves=12,
    )
)
def test_no_shape_of_a_service_breaks_the_reading_and_words_never_refuse(odd):
    service = odd if isinstance(odd, dict) else {"eligibility": odd, "extension": odd, "coverageArea": odd}
    made = of_service(service, {}, lambda *_: None)
    program = stated([Service(**{**made.__dict__, "minimum_age": None, "maximum_age": None})], "x", "entry 1", None)
    assert not judge(None, KnownRequest(reasons=GOOD), DAY, program).refusals
