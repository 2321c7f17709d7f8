"""A coordinator's board and a case, in a real browser at phone and desk width, with axe and by keyboard."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import update

from integration.store.tables import requests
from tests.browser.test_pages import is_too_wide, picture, serious_problems
from tests.mappings.checklists.charts import report, result

pytestmark = [pytest.mark.browser, pytest.mark.postgres]


def test_a_coordinator_goes_from_the_board_to_what_is_next_in_a_case(page, site):
    request_id = site.request(
        "case", fulfiller="mercy", wanted_by=(datetime.now(UTC) + timedelta(days=9)).date().isoformat()
    )
    site.packet(request_id, report("11526-1", "2026-06-01"), result("718-7", "2020-01-01"))
    with site.engine.begin() as conn:  # the nearest of all, so that it is the first on the board
        soon = dict(records_due_at=datetime.now(UTC) - timedelta(days=9), records="gathering", status="accepted")
        conn.execute(update(requests).where(requests.c.id == request_id).values(soon))
    page.goto(f"{site.address}/board")
    page.get_by_role("heading", name="Cases").wait_for()
    assert not serious_problems(page) and not is_too_wide(page)
    picture(page, "board")
    page.get_by_role("link", name="Late").click()
    first = page.locator("article").first
    assert "late by" in first.inner_text()
    first.get_by_role("link").focus()
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="What is done, and what is next").wait_for()
    assert not serious_problems(page) and not is_too_wide(page)
    picture(page, "case")
    parts = page.locator("ol > li")
    assert "late" in parts.first.inner_text() and "Records on their way" in parts.first.inner_text()
    page.get_by_role("link", name="Records needed for the visit").click()
    page.get_by_text("Original glass slides with tissue").first.wait_for()
