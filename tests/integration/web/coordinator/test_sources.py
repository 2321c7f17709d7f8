"""Asking for what is missing, and slides on their way, on the pages: nothing typed is lost, nothing is said twice, letters leave on record."""

import io
import re
from datetime import UTC, datetime, timedelta
from html import unescape

import pypdf
import pytest
from click.testing import CliRunner

import second_opinion
from tests.integration.web.site import Site
from tests.mappings.checklists.charts import report

pytestmark = pytest.mark.postgres
OFFICES = """
  lab: {base_url: "https://lab.example.org/fhir", role: both, name: County Laboratory, identifier_system: "urn:test:lab",
    patient_identifier_systems: ["urn:test:mrn"],
    records_office: {name: Slide file room, address: [2 Elm Street, "Springfield, IL 62701"], phone: "+1 555 0199"}}
  clinic: {base_url: "https://clinic.example.org/fhir", role: fulfiller, name: Lake Clinic, identifier_system: "urn:test:clinic",
    records_office: {name: Intake, address: [3 Oak Street], fax: "+1 555 0142"}}
"""
ACCESSION = {"type": {"coding": [{"code": "ACSN"}]}, "system": "urn:test:lab", "value": "S26-1234"}


def day(ahead: int = 0) -> str:
    return (datetime.now(UTC).date() + timedelta(days=ahead)).isoformat()


@pytest.fixture
def site(tmp_path, database) -> Site:
    return Site(tmp_path, database, OFFICES)


def page_of(site, request_id, topic="sources"):
    return unescape(site.get(f"/requests/{request_id}/{topic}"))


def post(site, request_id, at="sources", **fields):
    topic = at.partition("/")[0]
    token = re.search(r'name="token" value="([^"]+)"', site.get(f"/requests/{request_id}/{topic}")).group(1)
    return site.client.post(f"/requests/{request_id}/{at}", data={"token": token, **fields})


def ask(site, request_id, **more):
    fields = {
        "item": ["glass-slides", "pathology-report"],
        "source": "lab",
        "road": "letter",
        "due": day(9),
        "reason": "the visit",
    }
    return post(site, request_id, **fields | more)


def text_of(data: bytes) -> str:
    return " ".join(" ".join(page.extract_text() for page in pypdf.PdfReader(io.BytesIO(data)).pages).split())


def test_a_letter_says_whose_what_by_when_and_where_to_and_nothing_of_the_illness(site):
    person = {
        "identifiers": [{"system": "urn:test:mrn", "value": "M1"}],
        "name": {"family": "Núñez", "given": ["José"]},
        "birth_date": "1960-01-01",
    }
    request_id = site.request(fulfiller="clinic", patient=person)
    path = report("11526-1", "2026-06-01", "Pathology", status="preliminary", identifier=[ACCESSION])
    site.packet(request_id, path)
    assert "Asked" in site.told(ask(site, request_id, what="outside slides of 2025"))
    assert "The letter is not sent yet" in page_of(site, request_id)
    answer = post(site, request_id, "sources/1/letter")
    assert answer.status_code == 200 and answer.mimetype == "application/pdf"
    words = text_of(answer.data)
    for wanted in (
        "Slide file room",
        "2 Elm Street",
        "not photographs, scans or a disc",
        "Accession number: S26-1234",
        "Lake Clinic, Intake",
        "Fax +1 555 0142",
        "outside slides of 2025",
        "Name: José Núñez",
        "Date of birth: 1960-01-01",
        "Your record number: M1",
        f"{request_id}-1",
    ):
        assert wanted in words, (wanted, words)
    assert "diagnosis" not in words and "surgery" not in words.lower()
    [left] = site.audited("data.leaves")
    assert left.request_id == request_id and left.subject == "lab" and left.detail["items"] == [f"{request_id}-ask-1"]
    assert site.audited("source.letter")[0].actor


def test_who_sent_it_how_and_when_is_kept_and_the_second_is_told_who_was_first(site):
    request_id = site.request(fulfiller="clinic")
    ask(site, request_id)
    wrong = post(site, request_id, "sources/1/say", word="sent", after="0", on=day(1), by="", by_way="fax")
    page = unescape(wrong.text)
    assert wrong.status_code == 400 and "say who sent it, by name" in page and f"is after {day()}" in page
    sent = dict(word="sent", after="0", on=day(), by="Ann Reed", by_way="fax")
    assert "Kept" in site.told(post(site, request_id, "sources/1/say", **sent))
    assert "Kept" in site.told(post(site, request_id, "sources/1/say", **sent))  # the form came twice
    late = post(site, request_id, "sources/1/say", word="called-off", after="0", note="typed by somebody else")
    assert late.status_code == 409 and "said sent at" in late.text and "typed by somebody else" in late.text
    assert page_of(site, request_id).count("Ann Reed") == 1
    assert "County Laboratory, Slide file room was asked" in page_of(site, request_id)
    post(site, request_id, "sources/1/say", word="promised", after="1", on=day(5))
    assert "on its way" in page_of(site, request_id, "checklist")


@pytest.mark.parametrize(
    "fields, status, says",
    [
        ({"item": []}, 400, "choose at least one thing"),
        ({"due": day(-1)}, 400, "is before"),
        ({"due": "soon"}, 400, "is no day"),
        ({"source": "mercy"}, 400, "there is no address, fax or portal of Mercy Hospital"),
        ({"source": "nobody"}, 400, "is not connected here: choose one from the list"),
        ({"source": "", "place": "Elm Hospital"}, 400, "a letter needs an address or a fax number"),
        ({"source": "", "place": "", "address": "1 Main"}, 400, "say who has the records"),
        ({"item": ["no-such-thing"]}, 400, "no checklist has an item"),
        ({"reason": ""}, 400, "Say why"),
        ({"token": "forged"}, 403, ""),
    ],
)
def test_what_is_wrong_is_said_and_what_was_typed_is_kept(site, fields, status, says):
    request_id = site.request(fulfiller="clinic")
    answer = ask(site, request_id, what="typed once", **fields)
    page = unescape(answer.text)
    assert answer.status_code == status and 'role="alert"' in page and "typed once" in page
    assert says in page or says == "Say why"
    assert "built-in" not in page
    assert not site.audited("source.asked")


def test_it_is_asked_once_until_a_person_asks_again(site):
    request_id = site.request(fulfiller="clinic")
    ask(site, request_id)
    again = ask(site, request_id)
    assert again.status_code == 409 and "was asked for glass-slides, pathology-report already" in again.text
    post(site, request_id, "sources/1/say", word="sent", after="0", on=day(), by="Ann", by_way="mail")
    post(site, request_id, "sources/1/say", word="rejected", after="1", note="they keep none")
    assert "refused: they keep none" in page_of(site, request_id) and "Ask again or elsewhere" in page_of(
        site, request_id
    )
    assert "Asked" in site.told(post(site, request_id, "sources/1/again", due=day(12), reason="called them"))
    assert post(site, request_id, "sources/1/again", due=day(12), reason="called them").status_code == 409
    elsewhere = ask(site, request_id, item=["glass-slides"], source="", place="Elm Hospital", address="4 Elm", fax="")
    assert "Asked" in site.told(elsewhere) and "Elm Hospital" in page_of(site, request_id)


def test_a_letter_that_nobody_could_answer_is_not_made(site, tmp_path, database):
    request_id = site.request()  # Mercy Hospital and Dr Alice say nothing of where records are sent
    ask(site, request_id)
    refused = post(site, request_id, "sources/1/letter")
    assert refused.status_code == 409 and "records_office for endpoints.mercy" in refused.text
    other = site.request(
        "k2",
        fulfiller="clinic",
        patient={"identifiers": [{"system": "urn:test:mrn", "value": "M9"}], "name": {"family": "李", "given": ["伟"]}},
    )
    ask(site, other)
    refused = post(site, other, "sources/2/letter")
    assert refused.status_code == 409 and "cannot be shown in a PDF" in refused.text
    assert not site.audited("data.leaves")
    file = tmp_path / "letter.pdf"
    third = site.request("k3", fulfiller="clinic")
    ask(site, third)
    run = CliRunner(env={"SECOND_OPINION_DATABASE_URL": database.url}).invoke(
        second_opinion.cli,
        ["--config", str(tmp_path / "config.yaml"), "sources", "letter", third, "3", str(file), "--json"],
    )
    assert run.exit_code == 0 and file.read_bytes().startswith(b"%PDF"), run.output


def test_slides_are_counted_on_arrival_and_a_mismatch_is_incomplete(site):
    request_id = site.request(fulfiller="clinic")
    assert "Kept" in site.told(
        post(site, request_id, "parcels", kind="glass-slides", what="S26-1234 A1-A10", source="Lab", reason="x")
    )
    shipped = dict(word="shipped", after="0", by="Lab", carrier="FedEx", tracking="1Z 999-AA1", pieces="10", on=day())
    wrong = post(site, request_id, "parcels/1", **shipped | {"tracking": "📦"})
    assert wrong.status_code == 400 and "is no tracking number" in wrong.text and 'value="10"' in wrong.text
    assert "Kept" in site.told(post(site, request_id, "parcels/1", **shipped))
    assert "1Z999AA1" in page_of(site, request_id, "parcels") and "on its way" in page_of(site, request_id, "checklist")
    many = post(site, request_id, "parcels/1", word="counted", after="1", by="Intake", pieces="12")
    assert many.status_code == 400 and "12 is more than the 10 that were sent" in unescape(many.text)
    post(site, request_id, "parcels/1", word="counted", after="1", by="Intake", pieces="8", note="A9 and A10 missing")
    page = page_of(site, request_id, "parcels")
    assert "8 of 10 counted" in page and "not as many as were sent" in page and "A9 and A10 missing" in page
    assert "8 of 10 were in it when it was counted" in page_of(site, request_id, "checklist")
    late = post(site, request_id, "parcels/1", word="lost", after="1", by="Lab")
    assert late.status_code == 409 and "said counted at" in late.text
    assert [row.subject for row in site.audited("parcel.moved")] == ["parcel 1 shipped", "parcel 1 counted"]


def test_what_is_no_courier_thing_and_other_requests_things_are_refused(site):
    request_id, other = site.request(fulfiller="clinic"), site.request("k2", fulfiller="clinic")
    assert post(site, request_id, "parcels", kind="labs-cbc").status_code == 400
    post(site, request_id, "parcels", kind="blocks", reason="x")
    assert post(site, other, "parcels/1", word="shipped", after="0", by="x", carrier="y").status_code == 409
    ask(site, request_id)
    assert post(site, other, "sources/1/letter").status_code == 409
    for topic in ("sources", "parcels"):
        site.get(f"/requests/nobody/{topic}", 404)
