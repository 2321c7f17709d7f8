"""Free times in a real browser at phone and desk width, with axe: shown, asked about, chosen."""

import threading
from datetime import UTC, datetime, timedelta

import pytest

from integration.store import patient_links
from integration.web.server import create_servers
from tests.browser.test_pages import is_too_wide, picture, serious_problems
from tests.integration.web.coordinator.test_free_times import CONFIG
from tests.integration.web.site import Site
from tests.servers.scheduling import Scheduling, schedule, slot

pytestmark = [pytest.mark.browser, pytest.mark.postgres]
HOUR = timedelta(hours=1)


def days(count: int, first: int):
    """So many working days from one on, at 16:00 UTC."""
    day = datetime.now(UTC).replace(hour=16, minute=0, second=0, microsecond=0) + timedelta(days=first)
    while count:
        if day.weekday() < 5:
            yield day
            count -= 1
        day += timedelta(days=1)


@pytest.fixture
def server():
    times = [*days(2, 2), *days(4, 60)]
    with Scheduling(schedule(), *(slot(n, at, at + HOUR) for n, at in enumerate(times, start=1))) as made:
        yield made


@pytest.fixture
def site(tmp_path, database, server):
    """The pages at a loopback address, before a server that has free times."""
    made = Site(tmp_path, database, CONFIG.format(address=server.address))
    pages = create_servers(made.app, host="127.0.0.1", port=0, threads=8)
    made.address = f"http://127.0.0.1:{pages.port}"
    threading.Thread(target=pages.run, daemon=True).start()
    yield made
    pages.close()


def test_a_coordinator_looks_is_asked_about_an_early_time_and_books_a_later_one(page, site, server):
    request_id = site.request("times", fulfiller="chicago", placer="denver")
    with site.engine.begin() as conn:
        patient_links.set_link(conn, request_id, "chicago", "Patient/p1", origin="person", actor="ann")
    page.goto(f"{site.address}/requests/{request_id}/visit")
    page.get_by_role("link", name="Free times at Lakeside").click()
    page.get_by_role("heading", name="Free times at Lakeside").wait_for()
    assert not serious_problems(page) and not is_too_wide(page)
    picture(page, "free-times")
    page.get_by_role("link", name="Show earlier ones", exact=False).click()
    page.get_by_text("Before the records can be there").first.wait_for()
    picture(page, "free-times-early")
    page.get_by_role("button", name="Book", exact=False).first.click()
    page.get_by_role("heading", name="Book this time all the same").wait_for()
    assert not serious_problems(page) and not is_too_wide(page)
    picture(page, "free-times-asked")
    page.get_by_role("link", name="The visit", exact=True).first.click()
    page.get_by_role("link", name="Free times at Lakeside").click()
    page.get_by_role("button", name="Book", exact=False).first.click()
    page.get_by_text("Lakeside is being asked for", exact=False).first.wait_for()
    assert not serious_problems(page) and not is_too_wide(page)
    picture(page, "visit-asked-for")
