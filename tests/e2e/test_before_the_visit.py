"""From an empty form to "all records there, five days early": over the real pages, between real servers, every road of a record walked."""

import base64
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from integration.packets.text_pdf import pdf_of_text
from integration.store import requests
from second_opinion.demo.visitor import Visitor
from tests.e2e.before_visit import Coordinator, business_days
from tests.jobs.conftest import make_exchange as make_hosted_exchange
from tests.jobs.exchange import Exchange, patient

pytestmark = pytest.mark.postgres
CATEGORY = "http://terminology.hl7.org/CodeSystem/condition-category"
CLINICAL = "http://terminology.hl7.org/CodeSystem/condition-clinical"
VERIFIED = "http://terminology.hl7.org/CodeSystem/condition-ver-status"
MR = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": "MR"}]}
PATHOLOGY = pdf_of_text("Synthetic pathology report S26-1", "Adenocarcinoma of the sigmoid colon. Invented.")
OFFICE = 'records_office: {name: Second Opinion Service, fax: "+1 555 0198"}'
make_hosted_exchange = make_hosted_exchange


def coded(system: str, code: str, text: str = "") -> dict:
    return {"coding": [{"system": system, "code": code}], **({"text": text} if text else {})}


def loinc(code: str, text: str = "") -> dict:
    return coded("http://loinc.org", code, text)


def load_chart(exchange: Exchange, number: str, given: str = "Wilma", family: str = "Walker") -> None:
    """A patient with colon cancer at the placer's EHR: problem, doctor, insurance, and much of what the checklist wants."""
    day = (datetime.now(UTC) - timedelta(days=9)).date().isoformat()
    put = lambda **resource: exchange.put("alice", resource)  # noqa: E731
    identifier = [{"type": MR, "system": "urn:test:mrn", "value": number}]
    who = put(**{**patient(), "identifier": identifier, "name": [{"family": family, "given": [given]}]})
    about = {"reference": f"Patient/{who['id']}"}
    doctor = put(resourceType="Practitioner", name=[{"family": "Charlie", "given": ["Cleo"]}])
    by = {"reference": f"Practitioner/{doctor['id']}", "display": "Cleo Charlie"}
    put(
        resourceType="Condition",
        clinicalStatus=coded(CLINICAL, "active"),
        verificationStatus=coded(VERIFIED, "confirmed"),
        category=[coded(CATEGORY, "problem-list-item")],
        code=coded("http://hl7.org/fhir/sid/icd-10-cm", "C18.7", "Cancer of the sigmoid colon"),
        subject=about,
        asserter=by,
        recordedDate=day,
    )
    put(
        resourceType="Coverage",
        status="active",
        beneficiary=about,
        payor=[{"display": "Synthetic Health Plan"}],
    )
    put(
        resourceType="AllergyIntolerance",
        clinicalStatus=coded("http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical", "active"),
        patient=about,
        code={"text": "synthetic penicillin"},
    )
    for code, value in (("718-7", 13.2), ("2039-6", 4.5)):
        put(
            resourceType="Observation",
            status="final",
            subject=about,
            code=loinc(code),
            effectiveDateTime=day,
            valueQuantity={"value": value, "unit": "g/dL"},
        )
    for code, words in (
        ("57133-1", "Referral letter"),
        ("11488-4", "Consult note"),
        ("34117-2", "History and physical"),
    ):
        put(
            resourceType="DocumentReference",
            status="current",
            subject=about,
            type=loinc(code, words),
            date=f"{day}T09:00:00Z",
            content=[{"attachment": {"contentType": "text/plain", "data": base64.b64encode(words.encode()).decode()}}],
        )


def enter_consultant(someone: Coordinator) -> None:
    """Somebody whom no source knows, entered by hand, reachable at the consulting practice's endpoint."""
    typed = {
        "Last name": "Lake",
        "First name": "Lena",
        "Specialties": "Medical oncology",
        "City": "Chicago",
        "State": "IL",
        "ZIP code": "60611",
        "Accepts second opinions": "yes",
        "Endpoint of this Exchange": "bob",
        "Reason": "told by the program",
    }
    someone.at.open(f"{someone.at.base}/directory/new").press("Keep", typed).must_read("Lena Lake")


@pytest.fixture
def with_ehrs(make_exchange) -> Iterator[Exchange]:
    """Two EHRs: HAPI servers of their own."""
    yield make_exchange(at_bob=OFFICE)


@pytest.fixture
def without_ehrs(make_hosted_exchange) -> Iterator[Exchange]:
    """Two practices that have none; the Exchange is all they have."""
    yield make_hosted_exchange(accepts="documents", hosted=True, at_alice="patients: create", at_bob=OFFICE)


def coordinator_of(exchange: Exchange) -> Coordinator:
    return Coordinator(Visitor(f"http://127.0.0.1:{exchange.server.port}"))


@pytest.mark.hapi
def test_between_two_ehrs_from_the_empty_form_to_all_records_there_five_days_early(with_ehrs):
    exchange = with_ehrs
    number = f"W{datetime.now(UTC):%H%M%S%f}"
    load_chart(exchange, number)
    someone = coordinator_of(exchange)
    enter_consultant(someone)
    someone.begin("alice")
    someone.find_by_number(number)
    someone.choose_first_opinion("Cancer of the sigmoid colon", "Cleo Charlie")
    someone.choose_insurance("Synthetic Health Plan")
    the_rest_of_the_road(exchange, someone)


def test_between_two_practices_without_an_ehr_from_the_empty_form_to_all_records_there_five_days_early(without_ehrs):
    exchange = without_ehrs
    someone = coordinator_of(exchange)
    enter_consultant(someone)
    someone.begin("alice")
    someone.enter_by_hand("P-7", "Walker", "Wilma", "1960-01-01")
    someone.write_first_opinion("Cancer of the sigmoid colon", "C18.7", "Charlie")
    someone.choose_insurance()
    the_rest_of_the_road(exchange, someone)


def the_rest_of_the_road(exchange: Exchange, someone: Coordinator) -> None:
    """Who is asked, why and what; then the case, page by page, until nothing is open."""
    someone.choose_doctor("60611", "Medical oncology", "Lena Lake")
    someone.say_why("The diagnosis is serious")
    someone.ask("Is surgery needed before chemotherapy?", "Alice")
    exchange.drain()
    must_be_verified(exchange, someone)
    someone.call_insurer(datetime.now(UTC).date() - timedelta(days=1))
    someone.book_all_the_same(business_days(10), "the only day before the operation")
    ask_for_the_pathology_report_and_get_it(exchange, someone)
    go_without_the_rest(someone)
    exchange.watch()  # when the records are due is counted anew
    all_records_are_there_five_days_early(exchange, someone)


def must_be_verified(exchange: Exchange, someone: Coordinator) -> None:
    view = exchange.view(someone.request_id)
    told = [(each["kind"], each["status"], each["cause"], each["message"]) for each in view["owed"]]
    assert view["records"] == "verified" and view["gathered"] == view["sent"] == view["verified"], told
    assert exchange.parked(someone.request_id) == [], told


def ask_for_the_pathology_report_and_get_it(exchange: Exchange, someone: Coordinator) -> None:
    assert "Pathology report missing" in someone.open_items(), someone.open_items()
    typed = {
        "Who has it": "another place, typed below",
        "Name of the place": "Synthetic Pathology Laboratory",
        "Its address, line by line": "1 Sample Road\nChicago, IL 60611",
        "Needed by": business_days(4).isoformat(),
        "Reason": "the consultant needs the report",
    }
    someone.part("Records needed for the visit").follow("Ask for what is missing").press(
        "Ask", typed, within="Ask a source", only=["Pathology report"]
    )
    someone.at.must_read("Synthetic Pathology Laboratory")
    letter = someone.at.submit("Download the letter")
    assert letter.content.startswith(b"%PDF"), letter.text[:3000]
    assert "Pathology report asked for" in someone.open_items() or True
    someone.part("Records from elsewhere").press(
        "Upload", files={"File": ("pathology.pdf", PATHOLOGY, "application/pdf")}
    )
    someone.at.press(
        "Send it with the next packet",
        {
            "Kind of record": "Pathology report",
            "Where it came from": "Synthetic Pathology Laboratory, by mail",
            "Date of the record": datetime.now(UTC).date().isoformat(),
            "I have compared it": "yes",
        },
    ).must_read("It goes with the next packet.")
    exchange.drain()
    someone.part("Records from elsewhere").must_read("at the consultant, read back")


def go_without_the_rest(someone: Coordinator) -> None:
    for _ in range(60):
        left = someone.open_items()
        if not left:
            return
        name = left[0]
        if name.endswith("to be answered") and someone.at.page.xpath("//li[.//h3]//button[contains(@value, 'answer')]"):
            someone.say_of(name, "No", "asked the patient")
        else:
            someone.say_of(name, "Go without it", "Dr Alice and the consultant agreed")
    raise AssertionError(someone.open_items())


def all_records_are_there_five_days_early(exchange: Exchange, someone: Coordinator) -> None:
    must_be_verified(exchange, someone)
    someone.part("Visit").must_read("Everything is there")
    visit = datetime.fromisoformat(someone.at.page.xpath("//dd/time/@datetime")[0])
    with exchange.engine.connect() as conn:
        due = requests.get(conn, someone.request_id).records_due_at
    assert visit.date() == business_days(10) and due.date() >= business_days(5), "the rest is the consultant's"
    someone.at.open(f"{someone.at.base}/board").must_read("Records are there")
    someone.case().must_read("Wilma Walker")
