"""What a patient agreed to: the newest statement decides, every field that is wrong has its sentence, and no kind is forgotten."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mappings.model.consent import (
    CAUSES,
    Consent,
    How,
    RecordKind,
    Said,
    Standing,
    Statement,
    TypedConsent,
    kinds_of,
    read_consent,
    standing,
    why_not_to,
)

TODAY = date(2026, 5, 3)
PLACES = {"alice", "bob"}
RIGHT = {
    "said": "given",
    "kinds": ("notes", "results"),
    "recipients": ("bob",),
    "until": "2026-06-30",
    "how": "in-person",
    "by": " the patient, Ågot ",
}
KINDS, DAYS = st.frozensets(st.sampled_from(RecordKind)), st.dates(TODAY - timedelta(40), TODAY + timedelta(40))
CONSENTS = st.builds(
    Consent,
    st.sampled_from(Said),
    st.none() | KINDS,
    st.none() | st.frozensets(st.sampled_from(sorted(PLACES))),
    st.none() | DAYS,
)
LABEL = {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "HIV"}


def read(newest: int | None = None, by_patient: bool = False, **typed):
    said = TypedConsent(**{**RIGHT, **typed})
    return read_consent(said, newest=newest, possible=PLACES, today=TODAY, by_patient=by_patient)


def test_what_is_right_is_kept_and_everything_chosen_is_no_limit():
    kept = Consent(Said.GIVEN, frozenset({RecordKind.NOTES, RecordKind.RESULTS}), frozenset({"bob"}), date(2026, 6, 30))
    assert read() == (Statement(kept, How.IN_PERSON, "the patient, Ågot"), {})
    said, _ = read(kinds=tuple(RecordKind), recipients=("alice", "bob"), until="")
    assert said.consent == Consent(Said.GIVEN)
    said, wrong = read(said="withdrawn", kinds=(), recipients=(), until="yesterday")
    assert wrong == {} and said.consent == Consent(Said.WITHDRAWN), "a withdrawal has no limits"
    assert read(how="own-page", by_patient=True)[0].how is How.PAGE


@pytest.mark.parametrize(
    ("field", "typed"),
    [
        ("said", {"said": "maybe"}),
        ("seen", {"seen": "3"}),
        ("kinds", {"kinds": ()}),
        ("kinds", {"kinds": ("notes", "secrets")}),
        ("recipients", {"recipients": ()}),
        ("recipients", {"recipients": ("the world",)}),
        ("until", {"until": "30.6.2026"}),
        ("until", {"until": "2026-05-02"}),
        ("until", {"until": "2226-05-02"}),
        ("how", {"how": ""}),
        ("how", {"how": "own-page"}),
        ("by", {"by": " "}),
        ("by", {"by": "x" * 201}),
        ("note", {"note": "x" * 1001}),
    ],
)
def test_each_mistake_has_its_sentence(field, typed):
    said, wrong = read(**typed)
    assert said is None and list(wrong) == [field] and len(wrong[field]) > 15


def test_somebody_elses_statement_is_not_written_over():
    assert list(read(newest=4)[1]) == ["seen"] and read(newest=4, seen="4")[1] == {}


@given(CONSENTS, st.sampled_from(sorted(PLACES)), st.booleans())
def test_nothing_leaves_but_by_a_consent_that_stands_and_includes_them(consent, place, is_required):
    why = why_not_to(consent, place, TODAY, is_required=is_required)
    stands = standing(consent, TODAY) in (Standing.GIVEN, Standing.LIMITED)
    assert (why == "") == (stands and (consent.recipients is None or place in consent.recipients))
    assert why in ("", *CAUSES)


def test_without_a_statement_only_an_endpoint_that_asks_for_one_gets_nothing():
    assert why_not_to(None, "bob", TODAY, is_required=False) == ""
    assert why_not_to(None, "bob", TODAY, is_required=True) == "consent-required"


@pytest.mark.parametrize(
    ("day", "stands"), [(TODAY, Standing.LIMITED), (TODAY - timedelta(1), Standing.EXPIRED), (None, Standing.LIMITED)]
)
def test_the_last_day_counts(day, stands):
    assert standing(Consent(Said.GIVEN, frozenset({RecordKind.NOTES}), until=day), TODAY) is stands


@given(KINDS, st.sampled_from(["Observation", "Media", "DocumentReference", "Basic", "Condition", "MedicationRequest"]))
def test_a_record_leaves_when_all_that_it_is_may(kinds, resource_type):
    consent = Consent(Said.GIVEN, kinds)
    plain = {"resourceType": resource_type}
    labeled = {"resourceType": resource_type, "meta": {"security": [LABEL]}}
    assert consent.lets_go(plain) == (kinds_of(plain) <= kinds)
    assert consent.lets_go(labeled) == (consent.lets_go(plain) and RecordKind.SENSITIVE in kinds)
    assert set(consent.left_home) == set(RecordKind) - kinds
    assert consent.lets_go({"resourceType": "Patient", "meta": {"security": [LABEL]}}), (
        "without them nothing can be read"
    )


@pytest.mark.parametrize("odd", [{"meta": None}, {"meta": {"security": "R"}}, {"meta": {"security": [None, 3]}}, {}])
def test_odd_labels_are_no_labels(odd):
    assert kinds_of({"resourceType": "Observation", **odd}) == {RecordKind.RESULTS}
