"""The page of a check: the last one with its time, what changed, and a button that holds nobody."""

import json
from datetime import UTC, datetime

import pytest

from integration.store import endpoint_checks

pytestmark = pytest.mark.postgres
FOUND = {
    "endpoint": "mercy",
    "problems": [],
    "changed_since": ["it ran Epic May 2026, and runs Epic <b>August</b>"],
    "compared_with": "2026-05-01T12:00:00+00:00",
    "tried": [{"what": "read back", "worked": False, "says": "answers 403"}],
    "writes": [
        {
            "write": "report",
            "road": None,
            "level": None,
            "tried": False,
            "says": "no road takes it",
            "degrades": ["hl7v2: none"],
        }
    ],
    "left_there": ["DocumentReference/7 (SOE ref check-1-1)"],
    "config_yaml": "  mercy:\n    profile: epic",
}


def keep(site, found=FOUND):
    with site.engine.begin() as conn:
        endpoint_checks.keep(conn, "mercy", found, datetime.now(UTC), actor="ann")


def test_an_endpoint_that_was_not_checked_says_so_and_offers_it(site):
    assert "not checked yet" in site.get("/endpoints")
    page = site.get("/endpoints/mercy/check")
    assert "not checked yet" in page and "/actions/check-endpoint?at=mercy" in page
    assert site.client.get("/endpoints/nobody/check").status_code == 404


def test_the_last_check_stands_with_its_roads_its_time_and_what_changed(site):
    keep(site)
    board, page = site.get("/endpoints"), site.get("/endpoints/mercy/check")
    assert "1 change" in board and "usable" in board
    for words in ("no road takes it", "hl7v2: none", "answers 403", "DocumentReference/7", "profile: epic", "ann"):
        assert words in page, words
    assert "runs Epic &lt;b&gt;August" in page, "what a server says of itself is text"


def test_one_that_reached_nothing_says_why(site):
    keep(site, {"endpoint": "mercy", "problems": ["it does not answer"], "changed_since": [], "compared_with": None})
    assert "NOT usable" in site.get("/endpoints") and "it does not answer" in site.get("/endpoints/mercy/check")


def test_the_button_makes_a_step_due_once_and_the_page_says_that_it_waits(site):
    told = site.told(site.press("/actions/check-endpoint?at=mercy", reason="they upgraded"))
    assert "Mercy Hospital is being checked" in told
    again = site.told(site.press("/actions/check-endpoint?at=mercy", reason="again"))
    assert "already" in again
    assert "not done yet" in site.get("/endpoints/mercy/check") and "under way" in site.get("/endpoints")
    assert [json.loads(json.dumps(row.reason)) for row in site.audited("endpoint.check-asked")] == ["they upgraded"]
