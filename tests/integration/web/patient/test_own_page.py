"""What the patient reads and says on their own page: in plain words, in both languages, nothing typed is lost, little to load."""

import json
import re
from html import unescape
from pathlib import Path

import pytest
from click.testing import CliRunner

import second_opinion
from integration.store import consents, requests
from integration.store.tables import requests as request_table
from integration.views.own_spanish import SPANISH
from tests.integration.web.coordinator.test_opinion import with_report
from tests.integration.web.patient.test_door import inside, link

pytestmark = pytest.mark.postgres
SCRIPTS = "Will it hurt? ¿Dolerá? Тяжело ли это? 痛いですか。 هل سيؤلمني؟ "
STYLE = Path(__file__).parents[4] / "integration/web/static/own_page.css"


def token_of(page: str) -> str:
    return re.search(r'name="token" value="([^"]+)"', page).group(1)


def post(client, path: str, **data):
    page = client.get("/p").text
    given = {name: found.group(1) for name in ("version", "seen", "list", "after")
             if (found := re.search(rf'name="{name}" value="([^"]*)"', page))}  # fmt: skip
    return client.post(path, data={"token": token_of(page), **given, **data})


def test_it_says_where_things_stand_and_what_comes_next_and_names_no_diagnosis(site):
    made = link(site)
    client = inside(site, made)
    page = unescape(client.get("/p").text)
    assert "is getting your records ready for" in page and "What comes next:" in page
    assert "Nothing has been sent yet." in page and "We have not asked for your list of medicines yet." in page
    assert "There is no second opinion yet." in page and "no day for a visit yet" in page
    assert site.audited("own-page.looked-at")[0].actor == f"patient, link {made.link.id}"
    assert "<script" not in page and not re.search(r'(src|href)="(https?:)?//', page), "no third party"


def test_the_page_is_small(site):
    client = inside(site, link(site))
    page = client.get("/p").data
    assert len(page) < 20_000 and len(STYLE.read_bytes()) < 5_000, (len(page), len(STYLE.read_bytes()))


def test_it_speaks_spanish_and_what_is_missing_is_english_and_told_to_operators(site, monkeypatch):
    client = inside(site, link(site, language="es"))
    page = unescape(client.get("/p").text)
    assert '<html lang="es">' in page and "Cómo va todo" in page and "Where things stand" not in page
    monkeypatch.delitem(SPANISH, "visit.none")
    page = client.get("/p").text
    assert '<span lang="en">There is no day for a visit yet.' in page
    client.get("/p")
    with site.engine.connect() as conn:
        found = conn.exec_driver_sql("select path from findings where cause = 'own-page-text-missing'").all()
    assert [each.path for each in found] == ["visit.none"], "once"
    post(client, "/p/language", language="en")
    assert '<html lang="en">' in client.get("/p").text


def test_questions_of_ten_thousand_characters_in_five_scripts_are_kept_in_their_order(site):
    made = link(site)
    client = inside(site, made)
    long = (SCRIPTS * 200)[:10_000].strip()
    moved = post(client, "/p/questions", question=["Nummer zwei", long], press="up 1")
    assert "Not sent yet" in unescape(moved.text) and unescape(moved.text).index(long[:40]) < unescape(
        moved.text
    ).index("Nummer zwei")
    assert post(client, "/p/questions", question=[long, "Nummer zwei"], press="save").status_code == 200
    with site.engine.connect() as conn:
        row = requests.get(conn, made.link.request_id)
    assert requests.content(row).patient_questions == (long, "Nummer zwei")
    stale = client.post(
        "/p/questions",
        data={"token": token_of(client.get("/p").text), "version": "1", "question": "third", "press": "save"},
    )
    assert stale.status_code == 409 and "third" in stale.text, "nothing typed is lost"
    too_long = post(client, "/p/questions", question="x" * 20_001, press="save")
    assert too_long.status_code == 409 and "x" * 20_001 in too_long.text
    assert post(client, "/p/questions", question=[long, "Nummer zwei"], press="save").status_code == 200, (
        "the same again"
    )


def test_consent_is_given_limited_and_withdrawn_on_the_page(site):
    made = link(site)
    client, request_id = inside(site, made), made.link.request_id
    bad = post(client, "/p/consent", said="given", kinds=[], recipients=["alice"])
    assert bad.status_code == 400 and "choose at least one thing" in unescape(bad.text)
    places = re.findall(r'name="recipients" value="([^"]+)"', client.get("/p").text)
    good = post(client, "/p/consent", said="given", kinds=["notes"], recipients=places)
    assert good.status_code == 200 and "You said yes to some of it." in unescape(good.text)
    page = client.get("/p").text
    again = {"token": token_of(page), "said": "withdrawn", "seen": ""}
    assert client.post("/p/consent", data=again).status_code == 409, "it was opened before"
    gone = post(client, "/p/consent", said="withdrawn")
    assert "You said no. Nothing more is sent." in unescape(gone.text)
    with site.engine.connect() as conn:
        said = consents.of_request(conn, request_id)
    assert [(each.said, each.how) for each in said] == [("given", "own-page"), ("withdrawn", "own-page")]
    assert said[-1].actor == f"patient, link {made.link.id}"
    assert "On the patient's own page" in unescape(site.get(f"/requests/{request_id}/consent"))


def test_the_report_is_there_once_the_doctor_released_it_and_gone_when_taken_back(site, tmp_path, database):
    made = link(site)
    client, request_id = inside(site, made), made.link.request_id
    with_report(site, b"Impression: all is well <b>", key="other")
    from tests.integration.web.patient.test_door import patient  # the same person

    assert patient()
    with site.engine.begin() as conn:
        conn.exec_driver_sql("update reports set request_id = %s", (request_id,))
    page = unescape(client.get("/p").text)
    assert "Your doctor reads it first" in page and "all is well" not in page
    staff = site.get(f"/requests/{request_id}/release")
    data = {"token": token_of(staff), "revision": "1"}
    assert site.client.post(f"/requests/{request_id}/release", data=data | {"by": ""}).status_code == 409
    assert (
        site.client.post(f"/requests/{request_id}/release", data=data | {"by": "Dr. Lee", "revision": "2"}).status_code
        == 409
    )
    assert "the patient may read it" in site.told(
        site.client.post(f"/requests/{request_id}/release", data=data | {"by": "Dr. Lee"})
    )
    page = client.get("/p").text
    assert "Impression: all is well &lt;b&gt;" in page and "Dr. Lee" in site.get(f"/requests/{request_id}/release")
    assert site.audited("report.released")[0].subject == "report 1"
    assert (
        site.client.post(f"/requests/{request_id}/release/take-back", data={"token": data["token"]}).status_code == 400
    )
    undone = site.client.post(f"/api/requests/{request_id}/release/take-back", json={"reason": "talk first"})
    assert undone.json["changed"] and "all is well" not in client.get("/p").text
    api = site.client.post(f"/api/requests/{request_id}/release", json={"revision": 1, "by": "Dr. Lee"})
    assert api.json["changed"] and "all is well" in client.get("/p").text
    for words, shown in (
        (("take-back", request_id, "--reason", "talk first"), {"request_id": request_id}),
        (("report", request_id, "--revision", "1", "--by", "Dr. Lee"), {"request_id": request_id, "changed": True}),
    ):
        runner = CliRunner(env={"SECOND_OPINION_DATABASE_URL": database.url})
        called = ["--config", str(tmp_path / "config.yaml"), "release", *words, "--json"]
        assert json.loads(runner.invoke(second_opinion.cli, called).stdout) == shown
    assert "all is well" in client.get("/p").text
    with site.engine.begin() as conn:
        conn.exec_driver_sql("update reports set state = 'retracted'")
    assert "all is well" not in client.get("/p").text


def test_a_request_that_is_over_takes_no_questions_and_says_so(site):
    made = link(site)
    client = inside(site, made)
    with site.engine.begin() as conn:
        conn.execute(request_table.update().values(status="completed"))
    page = unescape(client.get("/p").text)
    assert "The questions cannot be changed now." in page and "It is on its way to" in page


def test_leaving_ends_the_session(site):
    client = inside(site, link(site))
    assert "You have closed the page." in post(client, "/p/leave").text
    assert client.get("/p").status_code == 303
