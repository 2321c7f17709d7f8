"""A request as a conversation: the patient is found and chosen, the chart offers, drafts are saved, and one request comes of it."""

import json
import logging
import re
from datetime import date
from html import unescape

import pytest
from sqlalchemy import select, text

from integration.directory.loading import Wanted, load
from integration.directory.syncing import load_bundle
from integration.store import drafts as store
from integration.store import requests as request_store
from integration.store import zip_points
from integration.store.tables import drafts, requests
from mappings.codes import SYSTEM_NUCC
from tests.integration.web.coordinator.desk import Desk, condition, hidden, patient
from tests.mappings.directory.test_fhir import PERSON, PLACE, ROLE
from tests.mappings.directory.test_services import PLACES, SERVICE

pytestmark = pytest.mark.postgres
NUMBER, FAMILY, BORN = "patient.identifiers[0].value", "patient.name.family", "patient.birth_date"


@pytest.fixture
def desk(tmp_path, database):
    made = Desk(tmp_path, database)
    yield made
    made.close()


def only_request(desk):
    with desk.engine.connect() as conn:
        [row] = conn.execute(select(requests)).all()
    return request_store.content(row)


def draft_row(desk, draft: str):
    with desk.engine.connect() as conn:
        return store.get(conn, draft.rpartition("/")[2])


def words(page) -> str:
    return unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", "", page.text if hasattr(page, "text") else page)))


def fill_rest(desk, draft: str) -> None:
    """Steps 4 and 5, typed."""
    assert desk.do(draft, "asked", "next", fulfiller="bob", specialty__code="394593009").status_code == 303
    typed = {"question": "Is surgery needed?", "requester__name__family": "Alice", "priority": "urgent"}
    assert (
        desk.do(draft, "question", "next", **typed, patient_questions="Can I wait?\nDoes it hurt?").status_code == 303
    )


def test_a_diagnosis_of_one_patient_does_not_go_with_another(desk):
    anna = desk.put("clinic", patient())
    other = desk.put("clinic", {**patient(), "birthDate": "1971-02-03", "identifier": [{"system": "urn:test:mrn", "value": "00777"}]})  # fmt: skip
    problem = desk.put("clinic", condition(anna))
    draft = desk.begin()
    desk.do(draft, "patient", "find", **{FAMILY: "synthetic", BORN: "1960-01-01"})
    assert desk.do(draft, "patient", f"pick {anna}").status_code == 303
    assert desk.do(draft, "first", f"pick diagnosis {problem}").status_code == 303
    page = desk.do(draft, "patient", f"pick {other}")
    assert page.status_code == 200 and "taken out: Diagnosis" in words(page)
    assert draft_row(desk, draft).content.picked.keys() == {"patient"} and draft_row(desk, draft).chart == other


def test_from_an_empty_form_to_a_request_at_a_practice_with_an_ehr(desk, caplog):
    caplog.set_level(logging.INFO)
    doctor = desk.put("clinic", {"resourceType": "Practitioner", "name": [{"family": "Charlie", "given": ["Cleo"]}],
                                 "identifier": [{"system": "http://hl7.org/fhir/sid/us-npi", "value": "1234567893"}]})  # fmt: skip
    person = desk.put("clinic", patient())
    problem = desk.put("clinic", condition(person, asserter={"reference": doctor, "display": "Dr Charlie"}))
    insurance = desk.put("clinic", {"resourceType": "Coverage", "status": "active", "beneficiary": {"reference": person},
                                    "payor": [{"display": "Synthetic Health Plan"}]})  # fmt: skip
    draft = desk.begin()
    found = desk.do(draft, "patient", "find", **{FAMILY: "synthetic", BORN: "1960-01-01"})
    assert found.status_code == 200 and "This is the patient" in words(found) and "00123" in words(found)
    assert draft_row(desk, draft).chart is None, "found is not chosen"
    assert desk.do(draft, "patient", f"pick {person}").status_code == 303
    assert draft_row(desk, draft).chart == person
    assert desk.do(draft, "patient", "next").headers["Location"].endswith("/first")
    page = desk.get(f"{draft}/first")
    assert "synthetic diagnosis" in page and "ICD-10-CM C18.7" in page and "confirmed" in page and "Dr Charlie" in page
    assert desk.do(draft, "first", f"pick diagnosis {problem}").status_code == 303
    assert desk.do(draft, "first", f"pick doctor {doctor}").status_code == 303
    assert desk.do(draft, "chart", f"pick coverage {insurance}").status_code == 303
    fill_rest(desk, draft)
    page = desk.get(f"{draft}/review")
    assert "Everything needed is here" in page and "From the EHR of Clinic" in words(page)
    sent = desk.do(draft, "review", "")
    assert "is received" in desk.told(sent)
    made = only_request(desk)
    assert made.patient.identifiers[0].system == "urn:test:mrn" and made.patient.name.family == "Synthetic-Test"
    assert made.first_opinion.diagnosis.codes[0].code == "C18.7" and made.coverage == (insurance,)
    assert made.first_opinion.doctor.identifiers[0].value == "1234567893" and made.patient_questions == (
        "Can I wait?",
        "Does it hurt?",
    )
    assert "was received before" in desk.told(desk.client.get(f"{draft}/review"))
    assert not [each for each in caplog.records if re.search("synthetic|1960-01-01", str(vars(each)), re.I)]
    [searched] = desk.audited("draft.patient-searched")
    assert searched.detail == {"by": "name", "found": [person]} and "clinic" in searched.subject
    with desk.engine.connect() as conn:
        everything = str(conn.execute(text("SELECT * FROM audit")).all())
    assert "Synthetic" not in everything and "1960" not in everything


def test_from_an_empty_form_to_a_request_at_a_practice_without_an_ehr(desk):
    draft = desk.begin("small")
    nobody = desk.do(draft, "patient", "find", **{NUMBER: "P-7"})
    assert "knows nobody like that" in words(nobody)
    typed = {NUMBER: "P-7", FAMILY: "Παπαδοπούλου", BORN: "1971-03-04", "patient.name.given[0]": "Ελένη"}
    assert desk.do(draft, "patient", "hand", **typed, patient__sex="female").status_code == 303
    chart = draft_row(desk, draft).chart
    assert chart and chart.startswith("Patient/")
    [entered] = desk.audited("draft.patient-entered")
    assert entered.detail == {"reference": chart}
    first = {"first_opinion.diagnosis.text": "synthetic diagnosis", "first_opinion.doctor.name.family": "Charlie"}
    assert desk.do(draft, "first", "next", **first).status_code == 303
    fill_rest(desk, draft)
    assert "is received" in desk.told(desk.do(draft, "review", ""))
    made = only_request(desk)
    assert made.patient.identifiers[0].system == "urn:test:small/mrn" and made.patient.name.given == ("Ελένη",)
    # the next one by the same number is not entered twice
    again = desk.begin("small")
    similar = desk.do(again, "patient", "hand", **typed)
    assert "Somebody like that is there already" in words(similar) and "None of these" not in words(similar)
    other = {**typed, NUMBER: "P-8"}
    assert "None of these" in words(desk.do(again, "patient", "hand", **other))
    assert desk.do(again, "patient", "hand-anyway", **other).status_code == 303
    assert draft_row(desk, again).chart != chart


def test_the_second_of_two_is_shown_what_the_first_changed_and_loses_nothing(desk):
    draft = desk.begin()
    page = desk.get(f"{draft}/question")
    ann, ben = (
        {"question": "Ann's question?", "priority": "urgent"},
        {"question": "Ben's question?", "patient_questions": "Ben asks"},
    )
    assert desk.do(draft, "question", "next", page=page, **ann).status_code == 303
    answer = desk.do(draft, "question", "next", page=page, **ben)
    said = words(answer)
    assert answer.status_code == 409 and "Ann's question?" in said and "You changed this too" in said
    assert ">Ben&#39;s question?</textarea>" in answer.text and ">Ben asks</textarea>" in answer.text
    assert '<option value="urgent" selected>' in answer.text, "what Ben left alone is as Ann saved it"
    assert draft_row(desk, draft).content.typed["question"] == "Ann's question?"
    assert desk.do(draft, "question", "next", page=answer.text).status_code == 303
    kept = draft_row(desk, draft).content.typed
    assert (
        kept["question"] == "Ben's question?"
        and kept["priority"] == "urgent"
        and kept["patient_questions"] == "Ben asks"
    )


def test_what_is_missing_is_said_at_its_step_with_a_link(desk):
    draft = desk.begin()
    desk.do(draft, "patient", "save", **{BORN: "yesterday"})
    page = desk.get(f"{draft}/review")
    assert "Something is missing" in page and "Submit request" not in page
    assert f"{draft}/question?missing=#question" in page and f"{draft}/patient?missing=#patient-birth_date" in page
    assert "name a specialty or a consultant" in page and f"{draft}/asked?missing=" in page
    step = desk.get(f"{draft}/question?missing=")
    assert re.search(r'id="question"[^>]*aria-invalid="true"', step)
    assert re.search(r'id="patient-birth_date"[^>]*aria-invalid="true"', desk.get(f"{draft}/patient"))
    answer = desk.client.post(f"{draft}/review", data=hidden(step))
    assert answer.status_code == 400 and "Something is missing" in answer.text


def test_a_draft_is_listed_resumed_and_discarded_with_a_reason(desk):
    draft = desk.begin()
    told = desk.told(desk.do(draft, "asked", "save", consultant__name__family="Bob"))
    page = desk.get("/new")
    assert (
        "is saved" in told
        and f'href="{draft}/asked"' in page
        and "Bob" not in page.split("drafts")[1].split("</main>")[0].replace("Dr Bob", "")
    )
    draft_id = draft.rpartition("/")[2]
    refused = desk.client.post(
        f"/new/{draft_id}/discard", data={"token": re.search(r'name="token" value="([^"]*)"', page)[1]}
    )
    assert refused.status_code == 400
    fields = {"token": re.search(r'name="token" value="([^"]*)"', page)[1], "reason": "entered for the wrong patient"}
    assert "is discarded" in desk.told(desk.client.post(f"/new/{draft_id}/discard", data=fields))
    assert [row.reason for row in desk.audited("draft.discarded")] == ["entered for the wrong patient"]
    assert desk.client.get(f"{draft}/asked").status_code in (404, 409)


def test_a_draft_that_nobody_touches_is_removed_and_that_is_told_before(desk):
    draft = desk.begin()
    with desk.engine.begin() as conn:
        conn.execute(text("UPDATE drafts SET updated_at = now() - interval '55 days'"))
    assert "it is removed on" in desk.get("/new")
    with desk.engine.begin() as conn:
        assert store.prune(conn, 60) == 0
        conn.execute(text("UPDATE drafts SET updated_at = now() - interval '61 days'"))
        assert store.prune(conn, 60) == 1 and conn.execute(select(drafts)).all() == []
    assert [row.subject for row in desk.audited("draft.pruned")] == [draft.rpartition("/")[2]]


def test_a_form_from_elsewhere_changes_nothing_and_loses_nothing(desk):
    draft = desk.begin()
    page = desk.get(f"{draft}/question").replace('name="token" value="', 'name="token" value="forged')
    answer = desk.do(draft, "question", "next", page=page, question="Mine?")
    assert answer.status_code == 403 and ">Mine?</textarea>" in answer.text
    assert "question" not in draft_row(desk, draft).content.typed


def test_the_directory_puts_a_consultant_into_a_draft(desk):
    draft = desk.begin()
    person = {
        "identifiers": [{"system": "http://hl7.org/fhir/sid/us-npi", "value": "1234567893"}],
        "name": {"family": "Rivera"},
    }
    with desk.engine.begin() as conn:
        store.set_consultant(
            conn,
            draft.rpartition("/")[2],
            person,
            "Rivera, Lakeview",
            "PractitionerRole/1 in the directory",
            actor="ann",
        )
    page = desk.get(f"{draft}/asked")
    assert "Rivera, Lakeview" in page and "Last name, if you ask" not in page
    assert desk.do(draft, "asked", "unpick consultant").status_code == 303
    assert "Rivera" not in desk.get(f"{draft}/asked")


def test_what_the_directory_states_of_a_service_is_held_against_the_request_of_who_was_chosen_there(desk, tmp_path):
    entry = an_entry_with_a_service(desk, tmp_path)
    profile = words(desk.get(f"/directory/{entry}"))
    assert (
        "Remote opinions" in profile
        and "Pathology slides: No older than a year." in profile
        and "fax, phone" in profile
    )
    api = desk.client.get(f"/api/directory/{entry}").json
    assert {"what": "eligibility", "words": "patients from 18 to 90 years old"} in api["services"][0]["states"]
    draft = desk.begin("small")
    typed = {NUMBER: "P-7", FAMILY: "Synthetic", BORN: "2020-03-04", "patient.name.given[0]": "Ada"}
    assert desk.do(draft, "patient", "hand", **typed, patient__sex="female").status_code == 303
    first = {"first_opinion.diagnosis.text": "synthetic diagnosis", "first_opinion.doctor.name.family": "Charlie"}
    assert desk.do(draft, "first", "next", **first).status_code == 303
    fill_rest(desk, draft)
    form = hidden(desk.get(f"/directory/{entry}?draft_id={draft.rpartition('/')[2]}"))
    chosen = desk.client.post(f"/directory/{entry}/choose", data={**form, "draft_id": draft.rpartition("/")[2]})
    assert chosen.status_code == 303
    review = words(desk.get(f"{draft}/review"))
    assert "it takes patients from 18 to 90 years old" in review and "Pathology slides: No older than a year" in review
    assert "Pathology slides" in words(desk.get(f"{draft}/reasons"))
    assert "is received" in desk.told(desk.do(draft, "review", ""))
    with desk.engine.connect() as conn:
        [row] = conn.execute(select(requests)).all()
        parked = conn.execute(text("SELECT cause FROM steps WHERE status = 'parked'")).scalars().all()
    assert row.directory_entry == entry and parked == ["program-refuses"]
    page = words(desk.get(f"/requests/{row.id}/suitability"))
    assert f"as entry {entry} of the directory" in page and "Does the patient live there?" in page
    answer = desk.client.get(f"/api/requests/{row.id}/suitability").json
    assert answer["listed"]["program"] == "Remote opinions" and answer["program"] is None
    assert [each["key"] for each in answer["refusals"]] == ["listed-age"]


def test_a_typed_npi_that_the_directory_knows_says_its_conditions_before_the_request_is_sent(desk, tmp_path):
    an_entry_with_a_service(desk, tmp_path)
    draft = desk.begin("small")
    typed = {"fulfiller": "bob", "consultant.identifiers[0].value": PERSON["identifier"][0]["value"]}
    assert desk.do(draft, "asked", "next", **typed).status_code == 303
    assert "Pathology slides: No older than a year" in words(desk.get(f"{draft}/reasons"))
    typed = {NUMBER: "P-7", FAMILY: "Synthetic", BORN: "2020-03-04", "patient.name.given[0]": "Ada"}
    assert desk.do(draft, "patient", "hand", **typed, patient__sex="female").status_code == 303
    first = {"first_opinion.diagnosis.text": "synthetic diagnosis", "first_opinion.doctor.name.family": "Charlie"}
    assert desk.do(draft, "first", "next", **first).status_code == 303
    fill_rest(desk, draft)
    assert "it takes patients from 18 to 90 years old" in words(desk.get(f"{draft}/review"))


def an_entry_with_a_service(desk, tmp_path) -> int:
    """Dr. Lopez of a FHIR directory, in a service that states whom it takes."""
    point = dict(city="Seattle", state="WA", kind="STANDARD", active=True)
    named = {**ROLE, "endpoint": []}
    path = tmp_path / "directory.json"
    resources = [named, PERSON, PLACE, SERVICE, *PLACES.values()]
    entries = [{"resource": each} for each in resources]
    path.write_text(json.dumps({"resourceType": "Bundle", "type": "collection", "entry": entries}))
    with desk.engine.begin() as conn:
        zip_points.fill(conn, [{"zip": "98101", "lat": 47.61, "lon": -122.33, **point}])
    load_bundle(desk.engine, path, "plan", date(2026, 11, 29), actor="t", whole=True, fewer=False)
    with desk.engine.connect() as conn:
        return conn.execute(text("SELECT id FROM directory_entries")).scalar_one()


def test_a_first_name_is_asked_for_unless_the_patient_has_one_name_only(desk):
    draft = desk.begin("small")
    typed = {NUMBER: "P-9", FAMILY: "Sukarno", BORN: "1971-03-04"}
    asked = desk.do(draft, "patient", "hand", **typed)
    assert "The first name is missing" in words(asked) and 'value="hand-one-name"' in asked.text
    assert "Sukarno" in asked.text and not desk.audited("draft.patient-entered")
    assert desk.do(draft, "patient", "hand-one-name", **typed).status_code == 303
    assert len(desk.audited("draft.patient-entered")) == 1


def test_nuccs_own_file_extends_the_specialties_that_forms_offer(desk, tmp_path):
    path = tmp_path / "nucc_taxonomy_261.csv"
    path.write_text(
        "Code,Grouping,Classification,Specialization,Definition,Notes,Display Name,Section\n"
        "2083X0100X,Allopathic & Osteopathic Physicians,Preventive Medicine,Occupational Medicine,,,"
        "Occupational Medicine Physician,Individual\n"
        "282N00000X,Hospitals,General Acute Care Hospital,,,,General Acute Care Hospital,Non-Individual\n"
    )
    before = desk.get(f"{desk.begin('small')}/asked")
    assert "Occupational Medicine Physician" not in before and "Medical oncology" in before
    load(desk.engine, path, Wanted(), actor="t", progress=lambda done, total: None)
    draft = desk.begin("small")
    after = desk.get(f"{draft}/asked")
    assert "Occupational Medicine Physician" in after and "Medical oncology" in after
    assert "General Acute Care Hospital" not in after, "nobody asks a hospital for an opinion, but somebody in it"
    typed = {NUMBER: "P-7", FAMILY: "Synthetic", BORN: "1971-03-04", "patient.name.given[0]": "Ada"}
    assert desk.do(draft, "patient", "hand", **typed, patient__sex="female").status_code == 303
    first = {"first_opinion.diagnosis.text": "synthetic diagnosis", "first_opinion.doctor.name.family": "Charlie"}
    assert desk.do(draft, "first", "next", **first).status_code == 303
    fill_rest(desk, draft)
    assert desk.do(draft, "asked", "next", fulfiller="bob", specialty__code="2083X0100X").status_code == 303
    assert "is received" in desk.told(desk.do(draft, "review", ""))
    asked = only_request(desk).specialty
    assert (asked.system, asked.code, asked.display) == (SYSTEM_NUCC, "2083X0100X", "Occupational Medicine Physician")
    assert "Occupational Medicine Physician" in desk.get("/")
