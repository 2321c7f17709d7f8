"""The queue page: what needs a person, tabs that obey the filter, paging that loses nothing."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import insert, text

from integration.store.filters import STATES, parse
from integration.store.requests import patient_hash
from integration.store.search import count_matching, counts, rows
from integration.store.steps import set_priority
from integration.store.tables import steps

pytestmark = pytest.mark.postgres
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
SOUP = [
    {"status": status, "attempts": attempts}
    for status in ("waiting", "due", "leased", "parked", "done", "cancelled")
    for attempts in (0, 2)
]


def soup(site) -> list[int]:
    """Steps in every status, failed and not, at two endpoints, late and not."""
    made = []
    for number, values in enumerate(SOUP):
        for endpoint in ("mercy", "bob"):
            request_id = site.request(f"{endpoint}{number}")
            made.append(
                site.step(
                    "push_records",
                    endpoint,
                    request_id=request_id,
                    cause="timeout" if values["attempts"] else None,
                    deadline=NOW + timedelta(days=number - 3),
                    finished_at=NOW if values["status"] in ("done", "cancelled") else None,
                    **values,
                )
            )
    return made


def shown(page: str) -> list[int]:
    return [int(one) for one in re.findall(r'id="step-(\d+)"', page)]


def test_the_first_view_is_what_needs_a_person(site):
    ours = {
        "parked": site.step(),
        "retrying": site.step("verify_records", "bob", "waiting", next_attempt_at=NOW + timedelta(days=900)),
        "late": site.step("send_request", "alice", "due", attempts=0, cause=None, deadline=NOW),
    }
    site.step("watch_fulfiller", "mercy", "waiting", attempts=0, deadline=NOW)
    site.step("gather_records", "alice", "due", attempts=0)
    assert set(shown(site.get("/queue"))) == set(ours.values())
    page = site.get("/queue")
    assert "The endpoint took too long to answer." in page and "What to do" in page and "late by" in page


def test_tab_counts_obey_the_filter_and_add_up(site):
    soup(site)
    with site.engine.connect() as conn:
        for typed in (
            "",
            "endpoint:mercy",
            "error:timeout",
            "-endpoint:mercy attempts:>1",
            "due:late",
            "endpoint:nowhere",
        ):
            wanted = parse(typed)
            found = counts(conn, wanted, NOW)
            for state in STATES:
                assert found[state] == len(rows(conn, wanted.with_state(state), NOW, limit=1000)[0]), (typed, state)
            disjoint = ("parked", "retrying", "running", "due", "waiting", "done", "cancelled")
            assert sum(found[state] for state in disjoint) == found["all"], typed


def test_the_page_shows_the_counts_of_its_tabs(site):
    for _ in range(3):
        site.step(request_id=site.request(f"k{_}"))
    page = site.get("/queue?q=endpoint:mercy")
    assert (
        re.search(r"Parked <span class=\"count\">3</span>", page)
        and 'href="/queue?q=state:parked+endpoint:mercy"' in page
    )


@pytest.mark.parametrize("state", ["parked", "done", "all"])
def test_paging_over_500_rows_of_the_same_second_loses_none(site, state):
    status = "done" if state == "done" else "parked"
    row = {
        "kind": "push_records",
        "endpoint": "mercy",
        "status": status,
        "deadline": NOW,
        "finished_at": NOW,
        "attempts": 1,
        "cause": "timeout",
    }
    with site.engine.begin() as conn:
        conn.execute(insert(steps), [{**row, "endpoint": f"e{number}"} for number in range(500)])
    seen, address, pages = [], f"/queue?q=state:{state}", 0
    while address:
        page = site.get(address)
        seen += shown(page)
        following = re.search(r'rel="next" href="([^"]+)"', page)
        address, pages = following.group(1).replace("&amp;", "&") if following else None, pages + 1
    assert len(seen) == 500 and len(set(seen)) == 500 and pages == 10


def test_a_place_that_is_none_shows_the_first_page(site):
    step = site.step()
    for after in ("x", "_", "2026_1", "2026-01-01T00:00:00_x", "_99999999999999999999", "%00"):
        assert shown(site.get(f"/queue?after={after}")) == [step]


def test_a_filter_that_is_wrong_says_where_and_keeps_what_was_typed(site):
    site.step()
    for answer in (
        site.client.get("/queue?q=endpoint:mercy+stat:x"),
        site.client.post("/search", data={"q": "endpoint:mercy stat:x"}),
    ):
        assert answer.status_code == 400
        assert (
            'value="endpoint:mercy stat:x"' in answer.text
            and "<mark>stat:x</mark>" in answer.text
            and "At character 16" in answer.text
        )


def test_what_no_database_keeps_is_refused_or_not_found(site):
    site.get("/queue?q=%00", 400)
    for address in (
        "/requests/r%00",
        "/requests/r1/deliveries/%00",
        "/actions/cancel?request=%00",
        "/actions/pause?at=%00",
    ):
        assert site.client.get(address).status_code in (404, 409), address


def test_a_patient_is_found_by_identifier_but_the_address_holds_only_the_hash(site):
    request_id = site.request("mine", patient={"identifiers": [{"system": "urn:test:mrn", "value": "M-777"}]})
    site.request("other")
    step = site.step(request_id=request_id)
    site.step("push_records", "bob", request_id=site.request("other"))
    with site.engine.begin() as conn:
        digest = patient_hash(conn, "M-777")
    for answer in (
        site.client.post("/search", data={"q": "state:parked patient:M-777"}),
        site.client.get("/queue?q=state:parked+patient:M-777"),
    ):
        assert answer.status_code == 303 and answer.headers["Location"] == f"/queue?q=state:parked+patient:{digest}"
    page = site.get(f"/queue?q=state:parked+patient:{digest}")
    assert shown(page) == [step] and "M-777" not in page


@pytest.mark.parametrize(
    ("typed", "number"),
    [
        ("state:all endpoint:mercy", 12),
        ("state:all endpoint:mercy,bob", 24),
        ("state:all -endpoint:mercy", 36),
        ("state:all kind:records", 48),
        ("state:all due:late", 6),
        ("state:all due:<1d", 8),
        ("state:all attempts:>1", 12),
        ("state:all attempts:0", 36),
        ("state:all error:time", 12),
        ("state:all error:%", 0),
        ("state:all error:_", 0),
        ("state:all priority:urgent", 0),
        ("state:all placer:alice", 48),
        ("state:all due:none", 24),
        ("state:all kind:gather_records", 24),
    ],
)
def test_every_qualifier_finds_what_it_names(site, typed, number):
    soup(site)
    with site.engine.connect() as conn:
        assert len(rows(conn, parse(typed), NOW, limit=1000)[0]) == number


def test_only_what_can_be_retried_is_counted_for_a_retry(site):
    soup(site)
    with site.engine.connect() as conn:
        found = count_matching(conn, parse("state:all"), NOW)
    assert [(row.endpoint, row.status, row.number) for row in found] == [
        ("bob", "parked", 2),
        ("bob", "waiting", 1),
        ("mercy", "parked", 2),
        ("mercy", "waiting", 1),
    ]


def test_failures_are_grouped_by_cause_and_endpoint(site):
    for number in range(3):
        site.step(request_id=site.request(f"k{number}"), attempts=number + 1)
    site.step("push_records", "bob", cause="http-503")
    page = site.get("/failures")
    assert page.index("The endpoint took too long") < page.index("The endpoint is down")
    address = re.search(r'href="(/actions/retry-matching[^"]+)"', page).group(1).replace("&amp;", "&")
    assert "Retry all 3 matching steps" in site.get(address)


def test_a_view_can_be_saved_and_forgotten(site):
    token = site.form("/queue?q=endpoint:mercy")["token"][0]
    assert "saved" in site.told(
        site.client.post("/views", data={"token": token, "name": "Mercy <night>", "q": "endpoint:mercy"})
    )
    page = site.get("/queue?q=endpoint:mercy")
    assert "Mercy &lt;night&gt;" in page
    assert "deleted" in site.told(site.client.post("/views/delete", data={"token": token, "name": "Mercy <night>"}))
    assert "Mercy &lt;night&gt;" not in site.get("/queue")


def test_hostile_text_is_escaped_isolated_and_shortened(site):
    nasty = "<script>alert(1)</script>\u202egnp.exe\u2066\x00".replace("\x00", "") + "A" * 1_000_000
    request_id = site.request()
    step = site.step(request_id=request_id, cause="<b>odd</b>", message=nasty, action=nasty)
    site.delivery(request_id, cause="x", message=nasty)
    for address in (
        "/",
        "/failures",
        f"/requests/{request_id}",
        f"/requests/{request_id}/deliveries/{request_id}-records-1",
        f"/actions/retry?step={step}:0:parked",
    ):
        page = site.get(address)
        assert "<script>alert" not in page and "<b>odd" not in page and "\u202e" not in page and "\u2066" not in page, (
            address
        )
        assert len(page) < 100_000, address
    assert "<bdi>&lt;script&gt;" in site.get("/queue")


def test_no_page_shows_patient_data(site):
    request_id = site.request(question="Is SECRET-QUESTION needed?")
    site.step(request_id=request_id)
    for address in ("/", "/queue?q=state:all", "/failures", f"/requests/{request_id}", "/deadlines"):
        page = site.get(address)
        assert not any(word in page for word in ("Synthetic-Test", "SECRET-QUESTION", "urn:test:mrn", "Ada"))


def test_a_strange_host_is_not_served(site):
    assert site.client.get("/", headers={"Host": "evil.example"}).status_code == 421
    assert site.client.get("/health/live", headers={"Host": "evil.example"}).status_code == 200


def test_pages_carry_no_inline_script_or_style(site):
    site.step()
    for address in ("/", "/numbers", "/endpoints"):
        page = site.get(address)
        assert not re.search(r"<script(?![^>]*src=)|<style|\sstyle=|\son[a-z]+=", page)


def test_steps_are_found_by_what_their_request_wants_now_also_those_of_an_older_version(site):
    urgent, routine = site.request("k1", priority="urgent"), site.request("k2")
    site.step(request_id=urgent, kind="verify_records")  # an older version says no priority
    site.step(request_id=routine, kind="verify_records")
    site.step(kind="prune")

    def found(priority: str) -> list[str]:
        with site.engine.begin() as conn:
            there, _ = rows(conn, parse(f"state:all priority:{priority}"), NOW)
            return sorted({row.request_id for row in there})

    assert found("urgent") == [urgent] and found("routine") == [routine]
    with site.engine.begin() as conn:
        conn.execute(text("UPDATE requests SET priority = 'asap' WHERE id = :id"), {"id": urgent})
        set_priority(conn, urgent, "asap")
    assert found("asap") == [urgent] and found("urgent") == []
