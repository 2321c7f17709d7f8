"""What insurers said: read from an order, typed by a person, judged for a visit, and written for the consultant."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from mappings.codes import EXTENSION_COVERAGE_ANSWER, EXTENSION_COVERAGE_INFORMATION
from mappings.coverage_answers import NOBODY_ASKED, stands, told
from mappings.coverage_extension import in_words, to_extensions
from mappings.coverage_information import read_order, to_extension, unknown_codes
from mappings.coverage_typed import AnswerNotRight, read_typed
from mappings.model.coverage import CoverageAnswer, OrderCoverage, Told
from mappings.service_request import to_service_request
from tests.mappings.mapping_factories import IDS, REFS, REQUEST, check_with_fhir_resources, check_with_fhirclient

NOW = datetime(2026, 3, 5, 18, 0, tzinfo=UTC)
TODAY, VISIT = NOW.date(), date(2026, 3, 20)
TYPED = {
    "answer": "covered",
    "asked": "Second opinion visit, oncology",
    "insurer": "Example Health Plan",
    "given_on": "2026-03-05",
    "given_time": "10:15",
    "zone": "America/Chicago",
}


def typed(**more: str) -> CoverageAnswer:
    return read_typed({**TYPED, **more}, answer_id=more.get("id", "answer-1"), by="nora", now=NOW)


def mistakes(**more: str) -> dict[str, str]:
    with pytest.raises(AnswerNotRight) as caught:
        typed(**more)
    return caught.value.mistakes


def an_answer(answer_id: str = "a", **more) -> Told:
    fields = {"source": "phone", "answer": "covered", "given": NOW, "authorization": "no", **more}
    return Told(answer_id, **fields)


def part(url: str, **value) -> dict:
    return {"url": url, **value}


def an_order(*parts: dict) -> dict:
    return {
        "resourceType": "ServiceRequest",
        "extension": [{"url": EXTENSION_COVERAGE_INFORMATION, "extension": list(parts)}],
    }


FULL = (
    part("coverage", valueReference={"reference": "Coverage/45"}),
    part("covered", valueCode="covered"),
    part("pa-needed", valueCode="satisfied"),
    part("doc-needed", valueCode="clinical"),
    part("doc-purpose", valueCode="withpa"),
    part("info-needed", valueCode="performer"),
    part("reason", valueCodeableConcept={"text": "gold-carded"}),
    part("billingCode", valueCoding={"system": "http://www.ama-assn.org/go/cpt", "code": "99245"}),
    part("date", valueDate="2026-03-01"),
    part("coverage-assertion-id", valueString="12345ABC"),
    part("satisfied-pa-id", valueString="Q8U119"),
    part("expiry-date", valueDate="2026-03-31"),
    part("contact", valueContactPoint={"system": "phone", "value": "+1 555 0100"}),
)


# --- typed ---------------------------------------------------------------------------------------------------------


def test_what_is_typed_is_kept_and_what_is_not_stays_unknown():
    answer = typed(reference="C-20417", authorization="yes", authorization_number="A-998", valid_to="2026-05-31")
    assert answer.given_at.isoformat() == "2026-03-05T10:15:00-06:00"
    assert (answer.network, answer.required, answer.person, answer.expires_on) == ("unknown", "unknown", None, None)
    assert answer.recorded_by == "nora" and answer.recorded_at == NOW


def test_an_answer_without_a_date_says_so_beside_the_field():
    assert "without a date" in mistakes(given_on="")["given_on"]


@pytest.mark.parametrize(
    ("more", "field", "words"),
    [
        ({"given_on": "2026-03-06"}, "given_on", "in the future"),
        ({"given_at": "2026-04-01T10:00:00Z"}, "given_at", "in the future"),
        ({"given_at": "2026-03-01T10:00:00"}, "given_at", "with its zone"),
        ({"given_at": "yesterday"}, "given_at", "with its zone"),
        ({"given_on": "2026-02-30"}, "given_on", "a day that exists"),
        ({"given_time": "25:00"}, "given_time", "such as 14:05"),
        ({"zone": "Mars/Olympus"}, "zone", "time zone"),
        ({"zone": "../../etc/passwd"}, "zone", "time zone"),
        ({"zone": ""}, "zone", "time zone"),
        ({"expires_on": "2026-03-04"}, "expires_on", "before it was given"),
        ({"valid_from": "2026-04-01", "valid_to": "2026-03-01"}, "valid_to", "before it begins"),
        ({"answer": "maybe"}, "answer", "Choose"),
        ({"answer": ""}, "answer", "Choose"),
        ({"network": "both"}, "network", "Choose"),
        ({"asked": "  "}, "asked", "what you asked"),
        ({"insurer": ""}, "insurer", "which insurer"),
        ({"note": "x" * 501}, "note", "500 characters"),
        ({"corrects": "answer-1"}, "correction", "what was wrong"),
    ],
)
def test_what_is_wrong_is_said_beside_its_field(more, field, words):
    found = mistakes(**more)
    assert words in found[field] and all(value not in found[field] for value in more.values() if len(value) > 12)


def test_all_mistakes_are_told_at_once():
    assert mistakes(asked="", insurer="", answer="", given_on="").keys() == {"asked", "insurer", "answer", "given_on"}


def test_an_answer_that_ends_before_it_was_given_is_none_by_whichever_road():
    with pytest.raises(ValidationError, match="before the answer was given"):
        CoverageAnswer(id="a", answer="covered", asked="x", insurer="y", given_at=NOW, expires_on=date(2026, 3, 1))


# --- judged --------------------------------------------------------------------------------------------------------


def test_nobody_asked():
    found = stands((), VISIT, TODAY)
    assert (found.current, found.next, found.newest, found.required) == ((), NOBODY_ASKED, None, "unknown")


def test_a_later_answer_counts_and_the_earlier_one_stays_visible():
    found = stands([an_answer("a"), an_answer("b", given=NOW + timedelta(hours=1), answer="not-covered")], VISIT, TODAY)
    assert [each.told.id for each in found.current] == ["b"] and found.older == {"a": "a later answer counts"}
    assert "ask whether to go on" in found.next


def test_each_insurance_has_its_own_last_word_unless_one_does_not_say_which():
    first, second = an_answer("a", coverage="Coverage/1"), an_answer("b", coverage="Coverage/2")
    assert len(stands([first, second], VISIT, TODAY).current) == 2
    later = an_answer("c", given=NOW + timedelta(hours=1))
    assert [each.told.id for each in stands([first, second, later], VISIT, TODAY).current] == ["c"]


def test_a_wrong_entry_never_counts_and_stays_visible():
    wrong, right = an_answer("a"), an_answer("b", given=NOW - timedelta(days=1), corrects="a", answer="conditional")
    found = stands([wrong, right], VISIT, TODAY)
    assert [each.told.id for each in found.current] == ["b"] and found.older == {"a": "corrected by a later entry"}


@pytest.mark.parametrize(
    ("more", "visit", "words"),
    [
        ({}, date(2026, 4, 1), "asked for March 2026, and the visit is in April 2026"),
        ({"service_on": date(2026, 4, 2)}, date(2026, 4, 1), None),
        ({"service_on": date(2026, 4, 2)}, VISIT, "asked for April 2026"),
        ({"given": datetime(2025, 3, 5, tzinfo=UTC)}, VISIT, "March 2025"),
        ({"expires_on": date(2026, 3, 19)}, VISIT, "holds until 2026-03-19"),
        ({"expires_on": VISIT}, VISIT, None),
        ({"valid_to": date(2026, 3, 19)}, VISIT, "authorization ends on 2026-03-19"),
        ({"valid_from": date(2026, 3, 21)}, VISIT, "authorization begins on 2026-03-21"),
        ({"given": None}, VISIT, "nobody knows when"),
        ({"given": date(2026, 2, 27)}, None, "today is in March 2026"),
    ],
)
def test_when_an_answer_has_to_be_asked_again(more, visit, words):
    [stand] = stands([an_answer(**more)], visit, TODAY).current
    assert (words is None) == (not stand.stale) and (words is None or words in "; ".join(stand.stale))


def test_what_a_person_does_next():
    def move(**more) -> str | None:
        return stands([an_answer(**more)], VISIT, TODAY).next

    assert move() is None and move(authorization="yes", authorization_number="A-998") is None
    assert "write its number down" in move(authorization="yes")
    assert "what it depends on" in move(answer="conditional") and "ask whether to go on" in move(answer="not-covered")
    assert move(wants=("clinical",)) == "Give the insurer what it wants: clinical"


days = st.dates(date(2026, 1, 1), date(2027, 12, 31))
answers = st.builds(
    Told,
    id=st.uuids().map(str),
    source=st.sampled_from(["phone", "order", "payer"]),
    answer=st.sampled_from(["covered", "not-covered", "conditional", "unclear"]),
    given=st.none() | days | st.datetimes(datetime(2026, 1, 1), datetime(2027, 12, 31), timezones=st.just(UTC)),
    authorization=st.sampled_from(["yes", "no", "unknown"]),
    coverage=st.none() | st.sampled_from(["Coverage/1", "Coverage/2"]),
    service_on=st.none() | days,
    expires_on=st.none() | days,
    valid_to=st.none() | days,
)
several = st.lists(answers, max_size=6, unique_by=lambda each: each.id)


@settings(max_examples=80)
@given(several, st.none() | days, days, st.randoms(use_true_random=False))
def test_nothing_is_lost_and_the_order_of_entry_does_not_matter(some, visit, today, random):
    found = stands(some, visit, today)
    assert sorted([*(each.told.id for each in found.current), *found.older]) == sorted(each.id for each in some)
    shuffled = list(some)
    random.shuffle(shuffled)
    assert stands(shuffled, visit, today) == found


@settings(max_examples=80)
@given(several, days, days, st.data())
def test_a_corrected_entry_never_counts(some, visit, today, data):
    if not some:
        return
    wrong = data.draw(st.sampled_from(some))
    correcting = an_answer("the right one", corrects=wrong.id)
    found = stands([*some, correcting], visit, today)
    assert wrong.id in found.older and wrong.id not in {each.told.id for each in found.current}


@settings(max_examples=80)
@given(answers, days, days)
def test_an_answer_stands_for_one_month_at_most(answer, visit, other):
    [one], [two] = stands([answer], visit, TODAY).current, stands([answer], other, TODAY).current
    if not one.stale and not two.stale:
        assert (visit.year, visit.month) == (other.year, other.month)


@settings(max_examples=60)
@given(answers, days, st.integers(0, 400))
def test_an_answer_that_holds_longer_is_not_older_for_it(answer, visit, more):
    if answer.expires_on is not None:
        longer = replace(answer, expires_on=answer.expires_on + timedelta(days=more))
        assert len(stands([longer], visit, TODAY).current[0].stale) <= len(
            stands([answer], visit, TODAY).current[0].stale
        )


# --- the order -----------------------------------------------------------------------------------------------------


def test_what_an_insurer_wrote_on_the_order_is_read_as_it_stands():
    [found] = read_order(an_order(*FULL))
    assert (found.coverage, found.covered, found.authorization) == ("Coverage/45", "covered", "satisfied")
    assert found.documentation == ("clinical for withpa",) and found.information == ("performer",)
    assert (found.stated_on, found.expires_on) == (date(2026, 3, 1), date(2026, 3, 31))
    assert (found.assertion_id, found.authorization_number) == ("12345ABC", "Q8U119")
    assert (
        found.reasons == ("gold-carded",) and found.billing_codes == ("99245",) and found.contacts == ("+1 555 0100",)
    )
    assert found.not_understood == () and unknown_codes(found) == ()


def test_an_insurance_at_another_address_of_the_server_is_the_same():
    order = an_order(part("coverage", valueReference={"reference": "https://ehr.example/fhir/Coverage/45"}))
    assert read_order(order, ("https://ehr.example/fhir",))[0].coverage == "Coverage/45"


def test_several_insurances_are_several_answers():
    order = {"extension": an_order(*FULL)["extension"] * 2}
    assert len(read_order(order)) == 2 and read_order({"resourceType": "ServiceRequest"}) == ()


def test_codes_that_are_not_known_are_kept_as_said_and_never_count_as_covered():
    order = an_order(
        part("covered", valueCode="perhaps"),
        part("pa-needed", valueCode="later"),
        part("date", valueDate="2026-03"),
        part("detail", extension=[part("code", valueString="x")]),
    )
    [found] = read_order(order)
    assert (found.covered, found.authorization, found.stated_on) == ("perhaps", "later", None)
    assert unknown_codes(found) == ("covered", "pa-needed") and found.not_understood == ("date", "detail")
    [stand] = stands(told((), [found]), VISIT, TODAY).current
    assert (stand.told.answer, stand.told.authorization) == ("unclear", "unknown") and stand.stale


@settings(max_examples=80)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=8),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["url", "extension", "valueCode", "valueReference", "reference", "valueDate", "text"]),
                inner,
                max_size=4,
            )
        ),
        max_leaves=10,
    )
)
def test_whatever_stands_on_an_order_breaks_nothing(junk):
    for order in ({"extension": junk}, an_order(*([junk] if isinstance(junk, dict) else []))):
        for found in read_order(order):
            assert OrderCoverage.model_validate_json(found.model_dump_json()) == found
            to_extension(found)


def test_the_phone_counts_instead_of_the_order_of_the_same_day():
    of_order = OrderCoverage(covered="covered", stated_on=date(2026, 3, 5))
    found = stands(told([typed(answer="not-covered")], [of_order]), VISIT, TODAY)
    assert [each.told.source for each in found.current] == ["phone"]


# --- for the consultant --------------------------------------------------------------------------------------------


def test_the_consultant_gets_what_counts_only_as_recorded_with_who_and_when():
    wrong, right = (
        typed(),
        typed(id="answer-2", corrects="answer-1", correction="other plan", required="yes", person="R. Example"),
    )
    request = REQUEST.model_copy(update={"coverage_answers": (wrong, right)})
    [extension] = to_extensions(request)
    values = {each["url"]: each for each in extension["extension"]}
    assert extension["url"] == EXTENSION_COVERAGE_ANSWER and values["required-by-insurer"]["valueCode"] == "yes"
    assert values["answered-by"]["valueString"] == "R. Example" and "valid-to" not in values
    [words] = in_words(request)
    assert "told by phone on 2026-03-05 10:15 CST" in words and "requires this second opinion" in words
    assert "network" not in words, "what nobody said is not said"


def test_what_was_on_the_order_travels_in_its_own_extension_and_is_valid():
    [found] = read_order(an_order(*FULL))
    request = REQUEST.model_copy(update={"order_coverage": (found,), "coverage_answers": ()})
    [extension] = to_extensions(request)
    assert extension["url"] == EXTENSION_COVERAGE_INFORMATION
    assert read_order({"extension": [extension]})[0].covered == "covered"
    assert "written on the order by the insurer" in next(in_words(request))


def test_the_service_request_with_both_is_structurally_right():
    [found] = read_order(an_order(*FULL))
    request = REQUEST.model_copy(
        update={
            "order_coverage": (found.model_copy(update={"coverage": "Coverage/9"}),),
            "coverage_answers": (typed(coverage="Coverage/45"),),
        }
    )
    made = to_service_request(request, request_id="r1", refs=REFS, identifier_system=IDS)
    check_with_fhir_resources(made)
    check_with_fhirclient(made)
    assert (
        len(
            [
                each
                for each in made["extension"]
                if each["url"] in (EXTENSION_COVERAGE_ANSWER, EXTENSION_COVERAGE_INFORMATION)
            ]
        )
        == 2
    )
