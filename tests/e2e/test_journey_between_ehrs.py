"""The whole journey between two EHRs, HAPI servers of their own: asked on our pages, read, answered in the consultant's EHR, found in
the primary one, read and decided, and a third opinion in the same case with the patient's leave for the second to go along."""

import base64
from datetime import UTC, datetime
from urllib.parse import urlsplit

import pytest

from integration.store import reports
from mappings.model.request import Code
from mappings.model.written_report import Agreement, Answer, Point, Test, WrittenReport
from mappings.written_report import read_written_report, to_extension
from second_opinion.demo.visitor import Visitor, said
from tests.e2e.before_visit import Coordinator
from tests.e2e.journey import Consultant, Patient, PrimaryDoctor
from tests.e2e.test_before_the_visit import load_chart
from tests.jobs.exchange import Exchange, report_on

pytestmark = [pytest.mark.postgres, pytest.mark.hapi]
QUESTION, NEXT_QUESTION = "Is surgery needed before chemotherapy?", "Would you operate first?"
WORDS = "I would not operate before chemotherapy. Invented by a test."
OTHER_WORDS = "I would operate first. Invented by a test."
CONSULT_NOTE = "http://loinc.org|11488-4"
WRITTEN = WrittenReport(
    diagnosis=Agreement.AGREES,
    plan=Agreement.DIFFERS,
    summary=WORDS,
    points=(Point("Surgery first", Agreement.DIFFERS, "chemotherapy first"),),
    tests=(Test("MSI testing", Code(system="http://loinc.org", code="81695-9")),),
    answers=(Answer(QUESTION, "No."),),
    signed_by="Dr. Bob Example",
)


@pytest.fixture
def exchange(make_exchange) -> Exchange:
    return make_exchange()


def visitor(exchange: Exchange) -> Visitor:
    """A browser of their own: nobody shares cookies."""
    return Visitor(f"http://127.0.0.1:{exchange.server.port}")


def asked(exchange: Exchange, number: str) -> Coordinator:
    """A request from the empty form, with what the primary EHR shows, up to the consultant's EHR."""
    someone = Coordinator(visitor(exchange))
    someone.begin("alice")
    someone.find_by_number(number)
    someone.choose_first_opinion("Cancer of the sigmoid colon", "Cleo Charlie")
    someone.choose_insurance("Synthetic Health Plan")
    someone.at.press("Save and continue", {"Consulting organization": "Dr Bob", "Specialty": "Medical oncology"})
    someone.say_why("The diagnosis is serious")
    someone.ask(QUESTION, "Alice")
    exchange.drain()
    return someone


def accept(exchange: Exchange) -> dict:
    """The consultant's EHR takes the Task that waits; the Task as it stands there."""
    task = exchange.change("bob", exchange._requested(), status="accepted")
    exchange.watch()
    return task


def file_report(exchange: Exchange, task: dict, words: str, written: WrittenReport | None = None) -> dict:
    """The consultant's EHR files a report, in parts where ``written``, and completes the Task with it."""
    report = report_on(task, words)
    report["date"] = "2026-06-18T16:30:00-07:00"
    if written is not None:
        report["extension"] = [to_extension(written)]
    made = exchange.put("bob", report)
    output = {"type": {"text": "report"}, "valueReference": {"reference": f"DocumentReference/{made['id']}"}}
    exchange.change("bob", task, status="completed", output=[output])
    exchange.watch()
    return made


def must_be_closed(exchange: Exchange, request_id: str) -> None:
    view = exchange.view(request_id)
    told = [(each["kind"], each["status"], each["cause"], each["message"]) for each in view["owed"]]
    assert view["closed"] and view["report_verified"], told
    assert view["gathered"] == view["sent"] == view["verified"] > 0, told


def words_at_the_primary_ehr(exchange: Exchange, request_id: str) -> list[str]:
    """What the standing copies of a request's report say there, each found by its type as a person would."""
    found = exchange.find("alice", "DocumentReference", type=CONSULT_NOTE)
    ours = [each for each in found if any(request_id in one["value"] for one in each.get("identifier", ()))]
    return [base64.b64decode(each["content"][0]["attachment"]["data"]).decode() for each in ours]


def test_from_the_empty_form_to_the_third_opinion_beside_the_second(exchange):
    number = f"J{datetime.now(UTC):%H%M%S%f}"
    load_chart(exchange, number, "Wanda", f"Journey{number}")  # nobody of this name stands there from another test
    patient = f"Wanda Journey{number}"
    coordinator = asked(exchange, number)
    second = coordinator.request_id
    consultant = Consultant(visitor(exchange), second)
    consultant.request(patient).must_read("Dr Bob answers in its own EHR")
    task = accept(exchange)
    assert exchange.view(second)["status"] == "accepted"
    consultant.read_the_packet(patient, QUESTION, "Cancer of the sigmoid colon", "synthetic penicillin")
    file_report(exchange, task, WORDS, WRITTEN)
    must_be_closed(exchange, second)
    assert words_at_the_primary_ehr(exchange, second) == [WORDS]
    must_stand_in_parts(exchange, second)

    doctor = PrimaryDoctor(visitor(exchange), second)
    doctor.opinion().must_read(WORDS, "Nobody has said that they read this report.", "Surgery first", "MSI testing")
    doctor.acknowledge("Dr. Alice Example", "Ask for another opinion")
    doctor.release("Dr. Alice Example")
    link = urlsplit(doctor.link_for_the_patient()).path  # this world's address is not the configured one
    assert said(Patient(visitor(exchange)).enter(link, "1960-01-01").page).count(WORDS) == 1

    third = doctor.ask_another(NEXT_QUESTION)
    exchange.drain()
    task = accept(exchange)
    must_go_along(exchange, task)
    other = Consultant(visitor(exchange), third)
    other.read_the_packet(patient, NEXT_QUESTION, "Cancer of the sigmoid colon")
    file_report(exchange, task, OTHER_WORDS)
    must_be_closed(exchange, third)
    assert words_at_the_primary_ehr(exchange, third) == [OTHER_WORDS]
    coordinator.case().must_read("Opinions of this case", "Opinion 2", "Opinion 3", "Yes, they go along")
    PrimaryDoctor(visitor(exchange), third).opinion().must_read(OTHER_WORDS)
    with exchange.engine.connect() as conn:
        assert [len(reports.of_request(conn, each)) for each in (second, third)] == [1, 1]


def must_stand_in_parts(exchange: Exchange, request_id: str) -> None:
    """What the consultant coded, as it was read back from the primary EHR."""
    held = [each for each in exchange.find("alice", "Composition") if request_id in each["identifier"]["value"]]
    assert [read_written_report(each).report for each in held] == [WRITTEN]
    [entry] = held[0]["section"][-1]["entry"]
    assert exchange.find("alice", "DocumentReference", _id=entry["reference"].partition("/")[2])
    causes = exchange.causes()
    assert not causes & {"report-beside-left", "report-parts-stay"}, causes


def must_go_along(exchange: Exchange, task: dict) -> None:
    """The second opinion is among the records that the third consultant's EHR holds of this patient."""
    held = exchange.find("bob", "DocumentReference", subject=task["for"]["reference"])
    data = [one["attachment"].get("data", "") for each in held for one in each["content"]]
    assert any(WORDS in base64.b64decode(each).decode("utf-8", "replace") for each in data), len(held)
