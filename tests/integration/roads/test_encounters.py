"""The encounter of a document: said by a person, the order's own, one by rule, or asked for; never one of another patient."""

import pytest

from integration.roads.encounters import encounter_for
from mappings.model.errors import NeedsPerson
from tests.integration.roads.attempts import document, way_to
from tests.servers.vendors.charts import load
from tests.servers.vendors.epic import Epic


@pytest.fixture
def epic():
    with Epic() as started:
        yield started


def visit(epic, patient, start, *, doctor=None, **more) -> str:
    people = {"participant": [{"individual": {"reference": doctor}}]} if doctor else {}
    made = {"resourceType": "Encounter", "status": "finished", "subject": {"reference": patient}, **people, **more}
    return f"Encounter/{epic.put({**made, 'period': {'start': start}})['id']}"


def order(epic, patient, **more) -> dict:
    made = epic.put({"resourceType": "ServiceRequest", "status": "active", "subject": {"reference": patient}, **more})
    return {"context": {"related": [{"reference": f"ServiceRequest/{made['id']}"}]}}


def chosen(epic, item, **habits) -> str | None:
    found = encounter_for(way_to(epic.url, "epic", document=habits), "ehr", item)
    return f"Encounter/{found['id']}" if found else None


def asked(epic, item, **habits) -> NeedsPerson:
    with pytest.raises(NeedsPerson) as said:
        chosen(epic, item, **habits)
    return said.value


def test_what_a_person_said_comes_first(epic):
    patient, said = load(epic)
    own = visit(epic, patient, "2026-07-01T09:00:00Z")
    assert chosen(epic, document(patient, encounter=said, **order(epic, patient, encounter={"reference": own}))) == said


def test_then_the_orders_own(epic):
    patient, _ = load(epic)
    own = visit(epic, patient, "2026-01-01T09:00:00Z")
    assert chosen(epic, document(patient, **order(epic, patient, encounter={"reference": own}))) == own


def test_then_the_newest_of_whoever_asked(epic):
    patient, _ = load(epic)
    doctor = f"Practitioner/{epic.put({'resourceType': 'Practitioner'})['id']}"
    visit(epic, patient, "2026-04-01T00:30:00+02:00", doctor=doctor)
    newest = visit(epic, patient, "2026-03-31T23:00:00Z", doctor=doctor)
    visit(epic, patient, "2026-06-01T09:00:00Z")
    visit(epic, patient, "2026-10-01T09:00:00Z", doctor=doctor, status="cancelled")
    item = document(patient, **order(epic, patient, requester={"reference": doctor}))
    assert chosen(epic, item) == newest


@pytest.mark.parametrize("habits", [{}, {"encounter_choice": "ask"}])
def test_else_a_person_is_asked_with_the_command(epic, habits):
    patient, _ = load(epic)
    said = asked(epic, document(patient), **habits)
    assert said.cause == "encounter-unclear" and "second-opinion requests encounter R-77 Encounter/ID" in str(said)


def test_the_newest_of_the_patient_where_that_is_configured(epic):
    patient, old = load(epic)
    newest = visit(epic, patient, "2026-07-01T09:00:00Z")
    other, _ = load(epic, 2)
    visit(epic, other, "2026-11-01T09:00:00Z")
    assert chosen(epic, document(patient), encounter_choice="newest") == newest


def test_two_that_began_together_are_for_a_person(epic):
    patient, _ = load(epic)
    for _ in range(2):
        visit(epic, patient, "2026-07-01T09:00:00Z")
    assert "3 encounters could be meant" in str(asked(epic, document(patient), encounter_choice="newest"))


def test_an_encounter_of_another_patient_stops_everything(epic):
    patient, _ = load(epic)
    _, theirs = load(epic, 2)
    assert asked(epic, document(patient, encounter=theirs)).cause == "encounter-other-patient"
    named = order(epic, patient, encounter={"reference": theirs})
    assert asked(epic, document(patient, **named)).cause == "encounter-other-patient"


def test_one_that_is_not_there_is_for_a_person(epic):
    patient, _ = load(epic)
    assert asked(epic, document(patient, encounter="Encounter/nobody")).cause == "encounter-unclear"


def test_where_none_is_demanded_none_is_looked_for(epic):
    patient, _ = load(epic)
    assert chosen(epic, document(patient), encounter="if-known") is None
    assert chosen(epic, document(patient, encounter="Encounter/nobody"), encounter="if-known") is None
    before = len(epic.log)
    assert chosen(epic, document(patient), encounter="never") is None
    assert len(epic.log) == before
