"""A request against what its program takes: certain facts refuse, what is not known is asked."""

from dataclasses import fields, replace
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mappings.model.checklist import Said
from mappings.model.request import Code
from mappings.model.suitability import EMERGENCY, EVERYDAY, GO_ON, GoodReason, Known, Program, Requirement
from mappings.suitability import age_on, code_of, good_reasons, in_words, judge, known_of
from tests.mappings.mapping_factories import REQUEST

DAY = date(2026, 3, 2)
PROGRAM = Program("Remote opinions", says="its page, read 2026-01-05", minimum_age=18, maximum_age=90)
GOOD = frozenset({GoodReason.SERIOUS_DIAGNOSIS})


def said(what: str) -> Said:
    return Said(what, "olga", datetime(2026, 1, 7, tzinfo=UTC), "asked by phone")


def keys(found) -> tuple[set[str], set[str]]:
    return {each.key for each in found.refusals}, {each.key for each in found.questions}


def test_nobody_said_what_the_program_takes_so_nothing_is_refused():
    found = judge(None, Known(), DAY)
    assert keys(found) == (set(), {EVERYDAY}) and not found.stops


@pytest.mark.parametrize(
    ("born", "refused"),
    [
        (date(2008, 3, 2), False),  # 18 on the day
        (date(2008, 3, 3), True),
        (date(1935, 3, 3), False),
        (date(1935, 3, 2), True),
        (date(1934, 3, 2), True),
    ],
)
def test_age_is_that_on_the_day_of_the_visit(born, refused):
    found = judge(PROGRAM, Known(birth_date=born, reasons=GOOD), DAY)
    assert found.stops is refused and not found.questions
    assert "2008" not in found.message and "1934" not in found.message


def test_born_on_the_leap_day():
    assert [age_on(date(2008, 2, 29), day) for day in (date(2026, 2, 28), date(2026, 3, 1))] == [17, 18]


def test_an_unknown_age_is_asked_and_a_no_refuses():
    assert keys(judge(PROGRAM, Known(reasons=GOOD), DAY)) == (set(), {"age"})
    assert keys(judge(PROGRAM, Known(reasons=GOOD, answers={"age": said("no")}), DAY)) == ({"age"}, set())
    assert keys(judge(PROGRAM, Known(reasons=GOOD, answers={"age": said("yes")}), DAY)) == (set(), set())


@pytest.mark.parametrize(
    ("icd10", "refuses", "only", "expected"),
    [
        (("C50.9",), ("C50",), (), ({"diagnosis-refused"}, set())),
        (("C18.7",), ("C50",), (), (set(), set())),
        ((), ("C50",), (), (set(), {"diagnosis-refused"})),
        (("C18.7",), (), ("C00-C97",), (set(), set())),
        (("M54.5",), (), ("C00-C97",), ({"diagnosis-only"}, set())),
        ((), (), ("C00-C97",), (set(), {"diagnosis-only"})),
        (("C97.1", "M54.5"), (), ("C00-C97",), (set(), set())),
    ],
)
def test_diagnoses_by_icd_10(icd10, refuses, only, expected):
    program = Program("P", refused_diagnoses=refuses, only_diagnoses=only)
    assert keys(judge(program, Known(icd10=icd10, all_coded=bool(icd10), reasons=GOOD), DAY)) == expected


def test_a_specialty_that_it_does_not_take():
    program = Program("P", only_specialties=("394593009",), refused_specialties=("394609007",))
    for specialty, expected in (
        ("394593009", (set(), set())),
        ("394609007", ({"specialty"}, set())),
        ("394579002", ({"specialty"}, set())),
        (None, (set(), {"specialty"})),
    ):
        assert keys(judge(program, Known(specialty=specialty, reasons=GOOD), DAY)) == expected


def test_what_no_request_tells_is_asked():
    program = Program(
        "P",
        requires=frozenset(Requirement),
        states=("MA",),
        insurers=("Medicare",),
        self_pay=True,
        in_person=True,
    )
    refused, asked = keys(judge(program, Known(reasons=GOOD, has_diagnosis=True), DAY))
    assert refused == set()
    assert asked == {"treating-physician", "plan-of-treatment", "state", "in-person", "self-pay"}
    assert "insurer" in keys(judge(replace(program, self_pay=False), Known(reasons=GOOD), DAY))[1]


def test_everyday_care_is_asked_and_refused_only_where_the_program_says_so():
    answers = {EVERYDAY: said("yes")}
    asks = judge(Program("P"), Known(answers=answers), DAY)
    assert not asks.stops and asks.cautions
    assert judge(Program("P", refuses_everyday_care=True), Known(answers=answers), DAY).stops
    assert not judge(Program("P", refuses_everyday_care=True), Known(answers=answers, reasons=GOOD), DAY).stops


def test_a_person_may_go_on_but_never_with_an_emergency():
    known = Known(birth_date=date(2020, 1, 1), reasons=GOOD, answers={GO_ON: said("yes")})
    assert judge(PROGRAM, known, DAY).refusals and not judge(PROGRAM, known, DAY).stops
    emergency = replace(known, answers={GO_ON: said("yes"), EMERGENCY: said("yes")})
    found = judge(PROGRAM, emergency, DAY)
    assert found.stops and found.is_emergency and "911" in found.message
    assert judge(PROGRAM, replace(known, answers={GO_ON: said("no")}), DAY).stops


def test_the_sentence_says_which_program_and_who_says_so():
    message = judge(PROGRAM, Known(birth_date=date(2020, 1, 1), reasons=GOOD), DAY).message
    assert message.startswith("Remote opinions does not take this request: it takes patients from 18 to 90 years old")
    assert message.endswith("(so says its page, read 2026-01-05)")


def test_the_four_reasons_are_codes_of_a_request():
    codes = tuple(map(code_of, GoodReason))
    assert good_reasons(codes) == frozenset(GoodReason)
    assert good_reasons((Code(system="http://snomed.info/sct", code="serious-diagnosis"),)) == frozenset()
    request = REQUEST.model_copy(update={"reasons": codes[:1]})
    assert known_of(request, {}).reasons == {GoodReason.SERIOUS_DIAGNOSIS}


def test_what_a_program_takes_is_told_in_lines():
    words = in_words(replace(PROGRAM, self_pay=True, in_person=True, refuses_everyday_care=True, states=("MA", "NH")))
    assert words[0] == "takes patients from 18 to 90 years old" and "takes patients who live in MA, NH" in words
    assert words[-1] == "so says its page, read 2026-01-05" and in_words(Program("P")) == ()


programs = st.builds(
    Program,
    name=st.just("P"),
    minimum_age=st.none() | st.integers(0, 40),
    maximum_age=st.none() | st.integers(41, 99),
    requires=st.frozensets(st.sampled_from(list(Requirement))),
    only_diagnoses=st.sampled_from([(), ("C00-C97",)]),
    refused_diagnoses=st.sampled_from([(), ("C50",)]),
    only_specialties=st.sampled_from([(), ("1",)]),
    states=st.sampled_from([(), ("MA",)]),
    self_pay=st.booleans(),
    in_person=st.booleans(),
    refuses_everyday_care=st.booleans(),
)


@settings(max_examples=60)
@given(programs, st.dates(date(2025, 1, 1), date(2030, 1, 1)))
def test_what_is_not_known_never_refuses(program, day):
    assert judge(program, Known(), day).refusals == ()


@settings(max_examples=60)
@given(programs, st.dates(date(1930, 1, 1), date(2024, 1, 1)), st.integers(0, 4000), st.integers(0, 4000))
def test_whom_a_minimum_age_takes_it_takes_on_every_later_day(program, born, first, more):
    young = replace(program, maximum_age=None)
    day = date(2025, 1, 1) + timedelta(days=first)
    known = Known(birth_date=born, reasons=GOOD)
    if "age" not in keys(judge(young, known, day))[0]:
        assert "age" not in keys(judge(young, known, day + timedelta(days=more)))[0]


@settings(max_examples=60)
@given(programs, st.dates(date(1930, 1, 1), date(2024, 1, 1)))
def test_every_question_is_settled_by_an_answer(program, born):
    known = Known(birth_date=born, icd10=("C18.7",), all_coded=True)
    asked = judge(program, known, DAY).questions
    answered = replace(
        known, answers={each.key: said("yes") for each in asked if each.key != EVERYDAY} | {EVERYDAY: said("no")}
    )
    assert judge(program, answered, DAY).questions == ()
    assert {each.name for each in fields(Known)} >= {"answers"}
