"""The patient makes a link, sees who opened it and ends it; and reads about the diagnosis, on their own page and in their language."""

import io
import re
from html import unescape

import pytest
from pypdf import PdfReader

from integration.health_links.making import Wanted, make
from integration.store import private_links
from integration.views.own_english import ENGLISH
from integration.visit_reading import House
from mappings.model.private_link import TypedLink
from tests.integration.health_links.reader import link_of, payload_of
from tests.integration.web.patient.test_door import inside, link, patient
from tests.integration.web.patient.test_own_page import post
from tests.integration.web.test_health_links import PATIENT, ask
from tests.servers.infobutton import Infobutton

pytestmark = pytest.mark.postgres


def test_a_link_is_made_opened_seen_and_ended_by_the_patient(site):
    made = link(site)
    client = inside(site, made)
    refused = post(client, "/p/links", days="30")
    assert refused.status_code == 409 and "cannot make a link right now" in unescape(refused.text)
    site.packet(made.link.request_id, PATIENT)
    for days in ("0", "9999", "soon", ""):
        assert post(client, "/p/links", days=days).status_code == 400
    page = unescape(post(client, "/p/links", days="7").text)
    own, code = link_of(page), re.search(r"<strong>(\d{4} \d{4})</strong>", page).group(1).replace(" ", "")
    assert payload_of(own)["flag"] == "P" and ENGLISH["links.plainly"] in page and '<svg role="img"' in page
    assert ask(site, own, passcode=code).json["files"]
    ask(site, own, 401, passcode="00000000x")
    page = re.sub(r"</?bdi>", "", unescape(client.get("/p").text))
    assert "Dr. Bob, Mercy opened it on" in page and "Dr. Bob, Mercy tried a wrong code on" in page and own not in page
    link_id = re.search(r'name="link" value="(\w+)"', page).group(1)
    assert client.post("/p/links/end", data={"link": link_id}).status_code == 403
    assert "We ended the link." in post(client, "/p/links/end", link=link_id).text
    ask(site, own, 404, passcode=code)
    assert post(client, "/p/links/end", link=link_id).status_code == 200
    assert site.audited("health-link.revoked")[0].actor == made_by(site) == site.audited("health-link.made")[0].actor


def made_by(site) -> str:
    return site.audited("own-page.looked-at")[0].actor


def test_a_link_of_another_request_is_not_ended(site):
    mine, other = link(site), site.request("another")
    site.packet(other, PATIENT)
    house = House(site.engine, site.payloads, site.config)
    theirs = make(house, other, Wanted(is_theirs=True), "http://localhost", actor="ann")
    post(inside(site, mine), "/p/links/end", link=theirs.row.id)
    assert ask(site, theirs.link, passcode=theirs.passcode).json["files"]


def test_it_is_read_in_the_language_of_the_page_which_names_no_diagnosis_itself(site):
    service = Infobutton()
    try:
        library = site.config.health_library.model_copy(update={"address": service.address})
        object.__setattr__(site.config, "health_library", library)
        code = {"system": "http://hl7.org/fhir/sid/icd-10-cm", "code": "S83.511A"}
        first = {"doctor": {"name": {"family": "Charlie"}}, "diagnosis": {"text": "Torn", "codes": [code]}}
        request_id = site.request("k1", patient=patient(), first_opinion=first)
        with site.engine.begin() as conn:
            made = private_links.make(conn, request_id, TypedLink("birth-date", language="es"), actor="ann")
        client = inside(site, made)
        page = unescape(client.get("/p").text)
        assert "Leer sobre su diagnóstico" in page and "Torn" not in page and service.asked == []
        page = unescape(client.get("/p/reading").text)
        assert "Lesiones y enfermedades de la rodilla" in page and "No saben quién es usted." in page
        assert site.audited("library.looked-at")
    finally:
        service.close()


def test_without_a_library_or_a_code_there_is_no_door_to_it(site):
    client = inside(site, link(site))
    assert "/p/reading" not in client.get("/p").text
    assert "We found nothing to read right now." in client.get("/p/reading").text


@pytest.mark.parametrize(
    ("opened_by", "language", "words"),
    [
        ("code", "es", ("Su propia página", "No lo escriba en esta hoja", "Llame a Dr Alice: +1 555 0199")),
        ("birth-date", "en", ("Your own page", "asks for your birth date", "Call Dr Alice: +1 555 0199")),
    ],
)
def test_a_patient_without_email_gets_a_sheet_with_the_link_and_not_with_what_opens_it(
    site, opened_by, language, words
):
    alice = site.config.endpoints["alice"].model_copy(update={"phone": "+1 555 0199"})
    site.app.extensions["second_opinion"]["config"] = site.config.model_copy(
        update={"endpoints": {**site.config.endpoints, "alice": alice}}
    )
    born = {"identifiers": [{"system": "urn:test:mrn", "value": "M1"}], "name": {"family": "Zaunkoenig", "given": ["Ada"]}, "birth_date": "1950-01-02"}  # fmt: skip
    request_id = site.request(patient=born)
    there = f"/requests/{request_id}/private-links"
    token = re.search(r'name="token" value="([^"]+)"', site.get(there)).group(1)
    made = site.client.post(
        there, data={"token": token, "opened_by": opened_by, "days": "14", "language": language}
    ).text
    link = re.search(r'name="link" value="([^"]+)"', made).group(1)
    answer = site.client.post(f"{there}/letter", data={"token": token, "link": link})
    assert answer.content_type == "application/pdf" and answer.headers["Cache-Control"] == "no-store"
    [page] = PdfReader(io.BytesIO(answer.data)).pages
    text = " ".join(page.extract_text().split())
    assert all(each in text for each in words), text
    assert f"/p/{link}" in page.extract_text().replace("\n", "")
    code = re.search(r"<code>([A-Z0-9]{4}-[A-Z0-9]{4})</code>", made)
    secret = [code.group(1)] if code else ["1950"]
    for unsaid in (*secret, "Zaunkoenig", "surgery", "opinion", "opinión", "M1", request_id):
        assert unsaid not in text, unsaid
    assert len(site.audited("private-link.letter")) == 1
    other = site.request("another")
    for path, wrong in ((there, "x" * 43), (f"/requests/{other}/private-links", link)):
        assert site.client.post(f"{path}/letter", data={"token": token, "link": wrong}).status_code == 409
    assert site.client.post(f"{there}/letter", data={"link": link}).status_code == 403
