"""What a draft holds: changes are told apart by version and name, and a pick stands in its place in the request."""

from hypothesis import given, settings
from hypothesis import strategies as st

from mappings.model.draft import OF_A_PATIENT, PARTS, Change, Content, Pick, part_at, with_picks

TEXTS = st.dictionaries(st.sampled_from(["question", "priority", "wanted_by"]), st.text(max_size=5))
PICKS = st.dictionaries(st.sampled_from(sorted(PARTS)), st.builds(Pick, st.integers(0, 3), st.just("w"), st.just("s")))


@settings(max_examples=60, deadline=None)
@given(TEXTS, PICKS, TEXTS)
def test_it_is_read_as_it_was_written_and_says_what_changed_since_a_version(first, picked, second):
    content = Content().changed(first, picked, version=2, actor="ann").changed(second, {}, version=3, actor="ben")
    assert Content.from_json(content.to_json()) == content
    changed = content.changed_after(2)
    assert set(changed) == {name for name, value in second.items() if value != first.get(name, "")}
    assert all(change == Change(3, "ben") for change in changed.values())


def test_a_pick_stands_in_its_place_beside_what_was_typed_and_is_taken_back():
    typed = {"first_opinion": {"given_on": "2026-01-01", "diagnosis": {"text": "typed"}}}
    pick = Pick({"text": "picked"}, "picked", "Condition/1 at clinic")
    whole = with_picks(typed, {"diagnosis": pick, "order": Pick("ServiceRequest/1", "", "")})
    assert whole["first_opinion"] == {"given_on": "2026-01-01", "diagnosis": {"text": "picked"}}
    assert whole["service_request"] == "ServiceRequest/1" and typed["first_opinion"]["diagnosis"] == {"text": "typed"}
    content = Content().changed({}, {"diagnosis": pick}, version=2, actor="ann")
    assert content.changed({}, {"diagnosis": None}, version=3, actor="ann").picked == {}
    found = [part_at(path) for path in ("first_opinion.diagnosis.codes[1].code", "coverage[0]", "question")]
    assert found == ["diagnosis", "coverage", None]


PATIENTS = st.one_of(
    st.none(), st.builds(Pick, st.just({}), st.just("w"), st.sampled_from(["Patient/1 at a", "Patient/2 at a"]))
)


@settings(max_examples=80, deadline=None)
@given(PICKS, PATIENTS, PATIENTS)
def test_what_was_picked_from_the_chart_of_one_patient_never_stays_for_another(picked, first, second):
    before = Content().changed({}, {**picked, "patient": first}, version=2, actor="ann")
    after = before.changed({}, {"patient": second}, version=3, actor="ben")
    is_same = first is None or (second is not None and first.source == second.source)
    assert (OF_A_PATIENT & after.picked.keys()) == (OF_A_PATIENT & picked.keys() if is_same else set())
    assert after.picked.keys() - OF_A_PATIENT - {"patient"} == picked.keys() - OF_A_PATIENT - {"patient"}
    assert set(after.changed_after(2)) >= before.picked.keys() - after.picked.keys()
