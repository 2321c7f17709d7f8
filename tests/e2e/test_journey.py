"""The whole journey between two practices that have no EHR: asked, read, answered on our pages, returned, read, decided."""

from datetime import UTC, datetime

import pytest

from integration.store import reports
from second_opinion.demo.visitor import Visitor, said
from tests.e2e.before_visit import Coordinator
from tests.e2e.journey import Consultant, Patient, PrimaryDoctor
from tests.jobs.conftest import make_exchange as make_hosted_exchange
from tests.jobs.exchange import Exchange

pytestmark = pytest.mark.postgres
make_hosted_exchange = make_hosted_exchange
PATIENT = "Wilma Walker"
WORDS = "I would not operate before chemotherapy. Invented by a test."
OTHER_WORDS = "I would operate first. Invented by a test."


@pytest.fixture
def exchange(make_hosted_exchange) -> Exchange:
    return make_hosted_exchange(accepts="resources", hosted=True, at_alice="patients: create")


def visitor(exchange: Exchange) -> Visitor:
    """A browser of their own: nobody shares cookies."""
    return Visitor(f"http://127.0.0.1:{exchange.server.port}")


def asked(exchange: Exchange) -> Coordinator:
    """A request from the empty form, up to the consultant's inbox."""
    someone = Coordinator(visitor(exchange))
    someone.begin("alice")
    someone.enter_by_hand("P-7", "Walker", "Wilma", "1960-01-01")
    someone.write_first_opinion("Cancer of the sigmoid colon", "C18.7", "Charlie")
    someone.choose_insurance()
    someone.at.press("Save and continue", {"Consulting organization": "Dr Bob", "Specialty": "Medical oncology"})
    someone.say_why("The diagnosis is serious")
    someone.ask("Is surgery needed before chemotherapy?", "Alice")
    exchange.drain()
    return someone


def test_from_the_empty_form_to_the_decision(exchange):
    coordinator = asked(exchange)
    request_id = coordinator.request_id
    consultant = Consultant(visitor(exchange), request_id)
    consultant.accept(PATIENT, "Dr. Bob Example")
    exchange.watch()
    assert exchange.view(request_id)["status"] == "accepted"
    consultant.read_the_packet(PATIENT, "Is surgery needed before chemotherapy?")
    consultant.write_and_sign(PATIENT, "Dr. Bob Example", "agrees", "partly agrees", WORDS)
    exchange.watch()
    view = exchange.view(request_id)
    assert view["closed"] and view["report_verified"], view["owed"]
    doctor = PrimaryDoctor(visitor(exchange), request_id)
    doctor.opinion().must_read(WORDS, "Nobody has said that they read this report.")
    doctor.acknowledge("Dr. Alice Example", "Ask for another opinion")
    doctor.release("Dr. Alice Example")
    patient = Patient(visitor(exchange))
    link = doctor.link_for_the_patient()
    assert said(patient.enter(link, "1960-01-01").page).count(WORDS) == 1, "a text and its PDF are read once"
    third = doctor.ask_another("Would you operate first?")
    exchange.drain()
    other = Consultant(visitor(exchange), third)
    other.accept(PATIENT, "Dr. Bella Example")
    exchange.watch()
    other.write_and_sign(PATIENT, "Dr. Bella Example", "agrees", "agrees", OTHER_WORDS)
    exchange.watch()
    assert exchange.view(third)["closed"], exchange.view(third)["owed"]
    coordinator.case().must_read("Opinions of this case", "Opinion 2", "Opinion 3", "Yes, they go along")
    with exchange.engine.connect() as conn:
        assert len(reports.of_request(conn, request_id)) == 1
    there, _ = exchange.find("alice", "DocumentReference", type="http://loinc.org|11488-4")
    assert there["docStatus"] == "final" and there["date"] <= f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
