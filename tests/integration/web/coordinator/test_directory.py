"""The pages and the API of the directory: what is not stated is said so, corrections stand beside the source's word, nothing typed is lost."""

import re
from datetime import date
from html import unescape
from urllib.parse import quote

import pytest
from sqlalchemy import text

from integration.directory.loading import Wanted, load
from integration.store import drafts, zip_points
from tests import directory_files as files

pytestmark = pytest.mark.postgres
WEEK = "npidata_pfile_20261109-20261115.csv"


def words(page: str) -> str:
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", page)).split())


@pytest.fixture
def doctors(site, tmp_path):
    """Two in Seattle, and where that is."""
    point = dict(city="Seattle", state="WA", kind="STANDARD", active=True)
    with site.engine.begin() as conn:
        zip_points.fill(conn, [{"zip": "98101", "lat": 47.61, "lon": -122.33, **point}])

    def load_(*rows, name="npidata_pfile_20050523-20261108.csv"):
        load(site.engine, files.write(tmp_path / name, rows), Wanted(), actor="t", progress=lambda done, total: None)

    load_(files.row(1), files.row(2, **{"Provider Last Name (Legal Name)": "O'BRIEN", "Provider Sex Code": "U"}))
    site.load = load_
    site.ids = dict(site.engine.connect().execute(text("SELECT npi, id FROM directory_entries")).all())
    site.one, site.two = site.ids[files.npi(1)], site.ids[files.npi(2)]
    return site


def test_who_states_it_comes_first_and_who_does_not_is_shown_apart(doctors):
    page = words(doctors.get("/directory?zip=98101&gender=female&specialty=Medical+oncology"))
    assert (
        page.index("State what you asked for") < page.index("Ana Smith, M.D.") < page.index("Do not state everything")
    )
    assert page.index("Do not state everything") < page.index("Ana O'Brien, M.D.")
    assert "Not stated: gender." in page and "NPPES, file of 2026-11-08" in page and "0.0 miles" in page
    assert "1 Main St, Seattle, WA 98101" in page and "Languages: not stated" in page


def test_mistakes_stand_beside_their_fields_and_nothing_typed_is_lost(doctors):
    page = doctors.get("/directory?zip=9810&language=Elvish&name=smith", 400)
    assert "is no ZIP code: it has five digits" in unescape(page) and "is no language that is known here" in page
    assert 'value="9810"' in page and 'value="Elvish"' in page and 'value="smith"' in page
    assert page.count('aria-invalid="true"') == 2


def test_a_profile_says_what_is_known_and_what_is_not(doctors):
    page = words(doctors.get(f"/directory/{doctors.two}"))
    assert "Ana O'Brien, M.D." in page and "Gender not stated" in page and "Second opinions not stated" in page
    assert "A license in a state that is not listed here may exist" in page
    doctors.load(files.deactivated(2), name=WEEK)
    assert "no longer active, since 2026-02-03" in words(doctors.get(f"/directory/{doctors.two}"))
    assert "no such entry" in doctors.get("/directory/99999", 404)


def correct(site, entry, **typed):
    page = site.get(f"/directory/{entry}/correct")
    fields = dict(re.findall(r'<input[^>]* name="([^"]+)"[^>]* value="([^"]*)"', page))
    fields |= dict(re.findall(r'<select[^>]* name="([^"]+)".*?value="([^"]*)" selected', page))
    return site.client.post(f"/directory/{entry}/correct", data={**fields, "reason": "asked her office", **typed})


def test_a_correction_holds_whatever_a_later_file_says_and_both_are_shown(doctors):
    told = doctors.told(correct(doctors, doctors.one, languages="Spanish, en", second_opinions="yes", city="Tacoma"))
    assert told == "The entry is corrected."
    doctors.load(files.row(1, **{"Provider Last Name (Legal Name)": "MARRIED"}), name=WEEK)
    page = words(doctors.get(f"/directory/{doctors.one}"))
    assert "Ana Married" in page and "Languages Spanish English" in page and "Second opinions yes" in page
    assert "City: Tacoma; the source says SEATTLE. By web: asked her office" in page
    assert "Languages: es, en; the source says not stated." in page
    assert "Ana Married" in words(doctors.get("/directory?language=es&stated_only=yes&second_opinions=yes"))
    doctors.told(correct(doctors, doctors.one, city="SEATTLE"))
    assert "City: Tacoma" not in words(doctors.get(f"/directory/{doctors.one}"))
    assert [each.detail["fields"] for each in doctors.audited("directory.corrected")] == [
        ["city", "languages", "second_opinions", "spoken"],
        ["city"],
    ]


def test_the_second_of_two_is_told_and_loses_nothing(doctors):
    doctors.told(correct(doctors, doctors.one, phone="2065550111"))
    late = correct(doctors, doctors.one, phone="2065550122", revision="1")
    assert late.status_code == 409 and "somebody changed this entry" in late.text and "2065550122" in late.text
    wrong = correct(doctors, doctors.one, languages="Elvish", reason="heard so")
    assert wrong.status_code == 400 and "is no language" in wrong.text and 'value="heard so"' in wrong.text
    assert correct(doctors, doctors.one, reason="").status_code == 400


def test_somebody_is_entered_by_hand(doctors):
    page = doctors.get("/directory/new")
    [token] = re.findall(r'name="token" value="([^"]*)"', page)
    typed = {"family": "Lopez", "npi": files.npi(7), "postal_code": "98101", "specialties": "Neurosurgery"}
    sent = {**typed, "token": token, "reason": "our neighbor"}
    wrong = doctors.client.post("/directory/new", data={**sent, "npi": "1234567890"})
    assert wrong.status_code == 400 and "fails its check digit" in wrong.text and 'value="Lopez"' in wrong.text
    assert doctors.told(doctors.client.post("/directory/new", data=sent)) == "The doctor is entered."
    again = doctors.client.post("/directory/new", data=sent)
    assert again.status_code == 409 and "somebody entered this one already" in again.text
    found = words(doctors.get("/directory?specialty=207T00000X&zip=98101"))
    assert "Lopez" in found and "entered by web on" in found


def test_the_api_gives_null_for_what_is_not_stated_and_a_problem_for_what_is_wrong(doctors):
    page = doctors.client.get("/api/directory?zip=98101&gender=female&limit=1").json
    assert [each["group"] for each in page["items"]] == ["stated"] and page["items"][0]["languages"] is None
    after = doctors.client.get(f"/api/directory?zip=98101&gender=female&limit=1&after={quote(page['next'])}").json
    assert [(each["group"], each["not_stated"]) for each in after["items"]] == [("not-stated", ["gender"])]
    assert after["next"] is None
    wrong = doctors.client.get("/api/directory?zip=9810")
    assert wrong.status_code == 400 and wrong.json["errors"][0]["path"] == "zip"
    body = {"values": {"accepting": "no"}, "reason": "their page says so", "seen": 1}
    assert doctors.client.post(f"/api/directory/{doctors.one}/correct", json=body).json["changed"] is True
    assert doctors.client.post(f"/api/directory/{doctors.one}/correct", json=body).status_code == 409
    entry = doctors.client.get(f"/api/directory/{doctors.one}").json
    assert entry["accepting_patients"] is False and entry["corrections"][0]["source_says"] is None
    made = doctors.client.post("/api/directory", json={"values": {"family": "Roe"}, "reason": "new here"})
    assert made.status_code == 201 and doctors.client.get(f"/api/directory/{made.json['id']}").json["family"] == "Roe"
    assert doctors.client.get("/api/directory/99999").status_code == 404
    refused = doctors.client.post("/api/directory", json={"values": {"shoe": "9"}, "reason": "x"})
    assert refused.status_code == 400 and refused.json["errors"][0]["path"] == "shoe"
    assert date.fromisoformat(entry["updated_on"]) == date(2026, 3, 1)


def a_draft(site) -> str:
    with site.engine.begin() as conn:
        return drafts.begin(conn, "alice", actor="web").id


def choose(site, entry: int, draft_id: str):
    page = site.get(f"/directory/{entry}?draft_id={draft_id}")
    token = re.search(r'name="token" value="([^"]+)"', page).group(1)
    return site.client.post(f"/directory/{entry}/choose", data={"token": token, "draft_id": draft_id})


def test_a_doctor_becomes_the_consultant_of_a_draft_with_what_is_known_and_no_more(doctors):
    draft_id = a_draft(doctors)
    assert f"/directory?draft_id={draft_id}" in doctors.get(f"/new/{draft_id}/asked")
    found = doctors.get(f"/directory?name=O%27BRIEN&draft_id={draft_id}")
    assert f"/directory/{doctors.two}?draft_id={draft_id}" in found
    assert "is asked in this request" in doctors.told(choose(doctors, doctors.two, draft_id))
    with doctors.engine.begin() as conn:
        picked = drafts.get(conn, draft_id).content.picked["consultant"]
    assert picked.value["identifiers"][0]["value"] == files.npi(2) and picked.value["name"]["family"] == "O'Brien"
    assert f"entry {doctors.two} of the directory" in picked.source
    assert "O'Brien" in words(doctors.get(f"/new/{draft_id}/asked"))


def test_nobody_is_chosen_for_a_draft_that_is_gone_or_by_another_sites_form(doctors):
    draft_id = a_draft(doctors)
    assert choose(doctors, doctors.two, "none").status_code in (404, 409)
    forged = doctors.client.post(f"/directory/{doctors.two}/choose", data={"token": "x", "draft_id": draft_id})
    assert forged.status_code == 403
    with doctors.engine.begin() as conn:
        assert "consultant" not in drafts.get(conn, draft_id).content.picked
