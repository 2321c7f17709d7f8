"""The first page: the list of requests, the strip of alarms above it, and a search box that opens what it is given."""

import re
from datetime import UTC, datetime, timedelta

from sqlalchemy import update

from integration.store import alarms, request_list
from integration.store.request_list import Wanted
from integration.store.tables import requests as request_table
from integration.views.request_list import lines
from integration.views.texts import t
from mappings.model.alarms import RULES


def keys_on(page: str) -> list[str]:
    return re.findall(r'<th scope="row"><a href="/requests/[^"]+"><bdi>([^<]+)</bdi>', page)


def test_the_first_page_lists_requests_newest_first_with_what_each_waits_for(site):
    first, second = site.request("hillside-1"), site.request("hillside-2", fulfiller="bob")
    site.step(
        "match_people", "mercy", request_id=first, cause="patient-none", message="mercy does not know this patient"
    )
    page = site.get("/")
    assert keys_on(page) == ["hillside-2", "hillside-1"]
    assert "Dr Alice" in page and "Mercy Hospital" in page and "207RX0202X" in page
    assert "A person</span> Match patient and people" in page
    assert "Synthetic-Test" not in page and "M1" not in page, "no patient on a list"
    assert f"/requests/{second}" in page


def test_a_request_is_found_by_its_own_number_and_an_id_in_any_case_opens_it(site):
    request_id = site.request("Hillside-2026-0042")
    site.request("hillside-2026-0043")
    for typed in (request_id, request_id.upper(), "hillside-2026-0042", "Hillside-2026-0042", f"  {request_id} "):
        answer = site.client.get("/", query_string={"find": typed})
        assert (answer.status_code, answer.headers.get("Location")) == (303, f"/requests/{request_id}"), typed
    assert keys_on(site.get("/?find=hillside-2026")) == ["hillside-2026-0043", "Hillside-2026-0042"]
    assert "No request has the number 100%" in site.get("/?find=100%25")


def test_the_tabs_tell_apart_what_needs_a_person_what_is_open_and_what_is_closed(site):
    ids = {key: site.request(key) for key in ("parked", "open", "closed", "refused")}
    site.step("push_records", request_id=ids["parked"])
    with site.engine.begin() as conn:
        now = datetime.now(UTC)
        for key, values in {
            "closed": {"status": "completed", "closed_at": now},
            "refused": {"status": "rejected"},
        }.items():
            conn.execute(update(request_table).where(request_table.c.id == ids[key]).values(**values))
        assert request_list.counts(conn, Wanted()) == {"attention": 1, "open": 2, "closed": 1, "all": 4}
    shown = {tab: set(keys_on(site.get(f"/?show={tab}"))) for tab in request_list.TABS}
    assert shown == {
        "attention": {"parked"},
        "open": {"parked", "open"},
        "closed": {"closed"},
        "all": {"parked", "open", "closed", "refused"},
    }
    assert keys_on(site.get("/?show=all&status=rejected")) == ["refused"]


def test_pages_of_the_list_lose_no_request_of_the_same_second(site):
    with site.engine.begin() as conn:
        keys = {f"k{number:03}" for number in range(60)}
    for key in keys:
        site.request(key)
    with site.engine.begin() as conn:
        conn.execute(update(request_table).values(created_at=datetime(2026, 3, 1, tzinfo=UTC)))
    seen, address = [], "/"
    while address:
        page = site.get(address)
        seen += keys_on(page)
        found = re.search(r'rel="next" href="([^"]+)"', page)
        address = found and found[1].replace("&amp;", "&")
    assert len(seen) == 60 and set(seen) == keys


def test_the_strip_has_five_lines_the_worst_first_with_links_and_whom_to_call(site):
    now = datetime.now(UTC)
    with site.engine.begin() as conn:
        for number in range(14):
            alarms.raise_alarm(
                conn, "deadline-late", f"r{number:020}", "records were due", now - timedelta(hours=number)
            )
        alarms.raise_alarm(conn, "endpoint-down", "bob", "bob has not answered for an hour", now)
        alarms.raise_alarm(conn, "database-away", "database", "the database did not answer", now)
        for rule in ("parked", "silence", "loop-open", "unknown-kind"):
            alarms.raise_alarm(conn, rule, "mercy", f"{rule} at mercy", now)
    page = site.get("/")
    strip = re.search(r'<section class="strip".*?</section>', page, re.S)[0]
    assert strip.count("<li>") == 5
    order = [strip.index(rule) for rule in ("database-away", "endpoint-down", "deadline-late", "rule=parked")]
    assert order == sorted(order)
    assert "Records late (14)" in strip and "2 more open alarms" in strip
    assert "Dr Bob: IT desk, +1 555 0100" in strip, "whom to call"
    assert 'href="/alarms?rule=endpoint-down"' in strip
    assert "Endpoint down" in site.get("/queue"), "the queue has the same strip"


def test_an_old_address_of_the_queue_leads_to_it(site):
    answer = site.client.get("/?q=state:parked&after=x")
    assert answer.status_code == 301 and answer.headers["Location"] == "/queue?q=state:parked&after=x"


def test_only_what_the_queue_takes_goes_on_from_its_old_address(site):
    answer = site.client.get("/?q=state:parked&endpoint=x&_external=1&_scheme=ftp")
    assert answer.status_code == 301 and answer.headers["Location"] == "/queue?q=state:parked"


def test_what_waits_is_what_a_person_must_do_before_what_is_due_next(site):
    request_id = site.request("k1")
    site.step("watch_chart", "alice", "waiting", request_id=request_id, attempts=0, cause=None)
    parked = site.step("push_records", "mercy", "parked", request_id=request_id)
    with site.engine.connect() as conn:
        [line], following = lines(conn, Wanted())
    assert line.waits.id == parked and following is None and line.is_open and line.stands == "draft"


def test_every_alarm_rule_has_its_words_on_the_strip():
    assert [rule for rule in RULES if not t.has(f"rule.{rule}")] == []
