"""Something to read about a diagnosis: only the code leaves, at its pace and once a day; whatever the service does, the page stands."""

import json
import re
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from html import unescape

import pytest
from sqlalchemy import func, select, update

from integration import health_library
from integration.store import tables
from mappings.model.request import Code, Diagnosis, FirstOpinion, HumanName, PractitionerRef
from tests.integration.web.site import Site
from tests.servers.infobutton import Infobutton

pytestmark = pytest.mark.postgres
KNEE = Diagnosis(
    text="Torn ligament of Pía Núñez", codes=(Code(system="http://hl7.org/fhir/sid/icd-10-cm", code="S83.511A"),)
)
DOCTOR = PractitionerRef(name=HumanName(family="Charlie"))
OTHER = Diagnosis(text="Rare", codes=(Code(system="http://hl7.org/fhir/sid/icd-10-cm", code="Q99.9"),))


@pytest.fixture
def service():
    made = Infobutton()
    yield made
    made.close()


@pytest.fixture
def site(tmp_path, database, service) -> Site:
    return Site(tmp_path, database, f"health_library: {{address: '{service.address}', requests_per_minute: 5}}\n")


def with_diagnosis(site: Site, diagnosis: Diagnosis, key: str = "k1") -> str:
    return site.request(key, first_opinion=FirstOpinion(doctor=DOCTOR, diagnosis=diagnosis))


def about(site: Site, diagnosis: Diagnosis | None = KNEE, language: str = "en") -> health_library.Shelf:
    return health_library.about(site.engine, site.config.health_library, diagnosis, language)


def age(site: Site, hours: float) -> None:
    with site.engine.begin() as conn:
        conn.execute(update(tables.library_answers).values(read_at=func.now() - timedelta(hours=hours)))
        conn.execute(update(tables.library_asks).values(until=func.now() - timedelta(seconds=1)))


def test_the_page_shows_what_it_has_safe_and_with_its_source(site, service):
    page = site.get(f"/requests/{with_diagnosis(site, KNEE)}/library")
    assert "Knee Injuries and Disorders" in page and "From MedlinePlus" in page and "<b>tear</b>" in page
    assert 'href="https://medlineplus.gov/kneeinjuries.html" rel="noopener noreferrer nofollow"' in page
    summary = re.search(r'<div class="words library">.*?</div>', page, re.S).group()
    for unsafe in (
        "script",
        "Canary",
        "img",
        "onclick",
        "javascript",
        "plain.example",
        "iframe",
        "target",
    ):
        assert unsafe not in summary
    assert (
        summary.count("<a ") == summary.count("<a") == 1 and "no plain" in summary
    )  # a link that leads nowhere is words
    assert len(site.audited("library.looked-at")) == 1
    request_id = re.search(r"/requests/([^/\"]+)/library", page).group(1)
    found = site.client.get(f"/api/requests/{request_id}/library").json
    assert found["state"] == "found" and found["readings"][0]["href"].startswith("https://")
    assert site.client.get(f"/api/requests/{request_id}/library?language=xx").json["language"] == found["languages"][0]
    assert [each.reason for each in site.audited("library.looked-at")] == [None, "API", "API"]


def test_only_the_code_leaves(site, service):
    about(site)
    [asked] = service.asked
    assert set(asked) == {
        "mainSearchCriteria.v.cs",
        "mainSearchCriteria.v.c",
        "informationRecipient.languageCode.c",
        "knowledgeResponseType",
    }
    [headers] = service.headers
    assert not {"Cookie", "Referer", "Authorization"} & set(headers) and "Pía" not in str(service.headers)


def test_an_answer_is_kept_for_a_day_for_every_process_and_each_language_is_asked_for(site, service):
    assert about(site).state == about(site).state == "found" and len(service.asked) == 1
    assert about(site, language="es").readings[0].title.startswith("Lesiones") and len(service.asked) == 2
    assert about(site, language="<x>").language == "en"
    age(site, 23.9)
    assert about(site).state == "found" and len(service.asked) == 2
    age(site, 24.1)
    assert about(site).state == "found" and len(service.asked) == 3


def test_it_is_never_asked_more_often_than_configured_whoever_asks_at_once(site, service):
    codes = [Diagnosis(text="x", codes=(Code(system="http://snomed.info/sct", code=str(each)),)) for each in range(12)]
    with ThreadPoolExecutor(8) as pool:
        states = list(pool.map(lambda each: about(site, each).state, codes))
    assert len(service.asked) == 5 and states.count("away") == 7 and states.count("empty") == 5


@pytest.mark.parametrize(
    "answer",
    [
        lambda: (500, {}, b""),
        lambda: (429, {}, b""),
        lambda: (200, {}, b""),
        lambda: (200, {}, b"<html>maintenance</html>"),
        lambda: (200, {}, b'{"feed": {'),
        lambda: (200, {"Content-Length": "900"}, b"{"),
        lambda: (302, {"Location": "http://169.254.169.254/"}, b""),
        lambda: (200, {}, b"[" * 10_000),
        lambda: (200, {}, b'{"feed": "' + b"x" * 3_000_000 + b'"}'),
    ],
)
def test_what_it_does_wrong_is_said_keeps_what_was_there_and_it_rests(site, service, answer):
    service.answer = answer
    assert about(site).state == "away"
    asked = len(service.asked)
    assert about(site).state == "away" and len(service.asked) == asked  # it is left alone for a while
    service.answer = None
    age(site, 0)
    assert about(site).state == "found"
    age(site, 30)
    service.answer = answer
    shelf = about(site)
    assert shelf.state == "old" and shelf.readings


def test_a_slow_one_holds_no_page_for_long(site, service, monkeypatch):
    monkeypatch.setattr(health_library, "SECONDS", 1.0)
    service.delay = 5
    began = time.monotonic()
    page = unescape(site.get(f"/requests/{with_diagnosis(site, KNEE)}/library"))
    assert time.monotonic() - began < 4 and "does not answer just now" in page


def test_what_there_is_nothing_for_is_said(site, service):
    assert "MedlinePlus has nothing for this code" in site.get(f"/requests/{with_diagnosis(site, OTHER)}/library")
    words = Diagnosis(text="In words alone")
    page = site.get(f"/requests/{with_diagnosis(site, words, 'k2')}/library")
    assert "has no code that a library can be asked for" in page and len(service.asked) == 1


def test_it_is_off_unless_it_is_configured(tmp_path, database, service):
    site = Site(tmp_path, database)
    assert "No health library is connected here" in site.get(f"/requests/{with_diagnosis(site, KNEE)}/library")
    assert service.asked == []
    with site.engine.connect() as conn:
        assert conn.execute(select(func.count()).select_from(tables.library_answers)).scalar_one() == 0


def test_what_is_kept_is_of_no_patient(site):
    with_diagnosis(site, KNEE)
    about(site)
    with site.engine.connect() as conn:
        [row] = conn.execute(select(tables.library_answers)).all()
    assert (row.code, row.language) == ("S83.511A", "en") and json.loads(bytes(row.body))["feed"]
    assert not {"request_id", "patient"} & set(tables.library_answers.c.keys())


def test_the_visit_sheet_has_its_links_when_asked_for_and_names_no_diagnosis_else(site, service):
    there = f"/requests/{with_diagnosis(site, KNEE)}/visit-sheet"
    plain = unescape(site.get(there))
    assert "Knee Injuries" not in plain and "Add what there is to read" in plain and not service.asked
    page = unescape(site.get(f"{there}?library=yes"))
    assert "Knee Injuries and Disorders: https://medlineplus.gov/kneeinjuries.html" in page
    assert "/visit-sheet/pdf?library=yes" in page and site.client.get(f"{there}/pdf?library=yes").data[:5] == b"%PDF-"
