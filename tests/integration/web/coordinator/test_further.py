"""Ask another doctor: a draft in the same case, what the patient said of the opinions so far, and the case side by side."""

import re
from html import unescape

import pytest
from sqlalchemy import select

from integration.store import requests as store
from integration.store.tables import drafts, requests
from tests.integration.web.coordinator.desk import hidden, shown_fields
from tests.integration.web.coordinator.test_opinion import with_report

pytestmark = pytest.mark.postgres


def words(page: str) -> str:
    return unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", "", page)))


def ask(site, request_id: str):
    page = site.get(f"/cases/{request_id}")
    token = re.search(r'name="token" value="([^"]+)"', page).group(1)
    return site.client.post(f"/requests/{request_id}/ask-another", data={"token": token})


def do(site, draft: str, step: str, word: str, **typed):
    page = site.client.get(f"{draft}/{step}").text
    fields = {**shown_fields(page), **{path.replace("__", "."): value for path, value in typed.items()}}
    return site.client.post(f"{draft}/{step}", data={**fields, **hidden(page), "do": word})


def begun(site, request_id: str) -> str:
    answer = ask(site, request_id)
    assert answer.status_code == 303
    return answer.headers["Location"].partition("?")[0].rpartition("/")[0]


def sent(site) -> store.Request:
    with site.engine.connect() as conn:
        rows = conn.execute(select(requests).order_by(requests.c.created_at)).all()
    return store.Request.from_row(rows[-1])


def finish(site, draft: str) -> None:
    do(site, draft, "asked", "next", fulfiller="mercy", specialty__code="394593009")


def test_a_draft_takes_over_what_stays_the_same_and_nothing_else(site):
    first = with_report(site, b"we agree")
    draft = begun(site, first)
    page = words(site.get(f"{draft}/first"))
    assert "synthetic diagnosis" in page and "Opinion 2" in page and "Do they go along" in page
    finish(site, draft)
    review = words(site.get(f"{draft}/review"))
    assert "Nobody has said whether the earlier opinions go along, so they do not." in review
    assert do(site, draft, "review", "").status_code == 303
    row = sent(site)
    made, before = store.content(row), store.content(store.Request.from_row(_row(site, first)))
    assert (row.case, made.follows, made.opinion_number, made.fulfiller) == (first, first, 3, "mercy")
    assert made.earlier_opinions is None and made.consent is None and made.wanted_by is None
    assert (made.question, made.patient, made.first_opinion) == (before.question, before.patient, before.first_opinion)


def _row(site, request_id: str):
    with site.engine.connect() as conn:
        return conn.execute(select(requests).where(requests.c.id == request_id)).one()


def test_what_the_patient_said_is_kept_with_who_and_when(site):
    first = with_report(site, b"we agree")
    draft = begun(site, first)
    do(site, draft, "first", "next", earlier_opinions__answer="yes", earlier_opinions__said_by="Ada herself")
    finish(site, draft)
    review = words(site.get(f"{draft}/review"))
    assert "Something is missing" in review and "On which day" in review
    do(site, draft, "first", "next", earlier_opinions__said_on="2026-05-02")
    review = words(site.get(f"{draft}/review"))
    assert "The earlier opinions go along: Ada herself said so on 2026-05-02." in review
    assert do(site, draft, "review", "").status_code == 303
    said = store.content(sent(site)).earlier_opinions
    assert (said.answer, said.said_by, str(said.said_on)) == ("yes", "Ada herself", "2026-05-02")
    page = words(site.get(f"/cases/{first}"))
    assert "Opinions of this case" in page and "Opinion 3" in page and "Yes, they go along" in page
    assert "said by Ada herself, 2026-05-02" in page


def test_pressed_twice_it_is_one_draft(site):
    first = with_report(site, b"we agree")
    draft = begun(site, first)
    assert begun(site, first) == draft
    with site.engine.connect() as conn:
        assert len(conn.execute(select(drafts)).all()) == 1
    assert site.audited("draft.filled-in")[0].request_id == first


def test_a_declined_request_is_no_opinion(site):
    first = site.request("k1")
    draft = begun(site, first)
    finish(site, draft)
    assert do(site, draft, "review", "").status_code == 303
    assert store.content(sent(site)).opinion_number == 2


def test_a_foreign_form_begins_nothing(site):
    first = with_report(site, b"we agree")
    site.get(f"/cases/{first}")
    assert site.client.post(f"/requests/{first}/ask-another", data={"token": "x"}).status_code == 303
    with site.engine.connect() as conn:
        assert conn.execute(select(drafts)).all() == []


def test_the_choice_is_corrected_only_where_there_is_a_case(site):
    first = with_report(site, b"we agree")
    token = re.search(r'name="token" value="([^"]+)"', site.get(f"/cases/{first}")).group(1)
    page = site.client.post(f"/requests/{first}/correct", data={"token": token, "reason": "x"}).text
    assert "earlier_opinions.answer" not in page
    draft = begun(site, first)
    finish(site, draft)
    do(site, draft, "review", "")
    later = sent(site).id
    page = site.client.post(f"/requests/{later}/correct", data={"token": token, "reason": "x"}).text
    assert "earlier_opinions.answer" in page


def test_the_api_says_the_same(site):
    first = with_report(site, b"we agree")
    later = site.request("k3", fulfiller="mercy", follows=first, opinion_number=3)
    found = site.client.get(f"/api/cases/{later}").json["opinions"]
    assert [(each["request_id"], each["number"], each["report_state"]) for each in found] == [
        (first, 2, "final"),
        (later, 3, None),
    ]
    assert found[1]["earlier_go_along"] is None
