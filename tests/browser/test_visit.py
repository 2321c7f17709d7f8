"""The visit of a request in a real browser at phone and desk width, with axe: recorded, asked about, moved."""

from datetime import UTC, datetime, timedelta

import pytest

from tests.browser.test_pages import is_too_wide, picture, serious_problems

pytestmark = [pytest.mark.browser, pytest.mark.postgres]


def workday(days: int) -> str:
    day = datetime.now(UTC).date() + timedelta(days=days)
    while day.weekday() > 4:
        day += timedelta(days=1)
    return day.isoformat()


def fill(form, **typed: str) -> None:
    for label, value in typed.items():
        form.get_by_label(label.replace("_", " "), exact=True).fill(value)


def test_a_coordinator_records_a_visit_is_asked_why_so_early_and_moves_it(page, site):
    request_id = site.request("visit", fulfiller="mercy")
    page.goto(f"{site.address}/requests/{request_id}")
    page.get_by_role("link", name="The visit", exact=True).click()
    page.get_by_text("No visit is known yet.").wait_for()
    form = page.locator("section", has=page.get_by_role("heading", name="Record the visit"))
    fill(
        form,
        Day=workday(2),
        Time="10:30",
        Where="200 Main Street",
        With_whom="Dr. Lake",
        Who_told_you="Scheduling desk",
    )
    form.get_by_role("button", name="Keep this time").click()
    page.get_by_role("alert").get_by_text("The earliest visit with everything there", exact=False).or_(
        page.get_by_role("alert").get_by_text("the earliest visit with everything there", exact=False)
    ).first.wait_for()
    assert not serious_problems(page) and not is_too_wide(page)
    picture(page, "visit-asked")
    form = page.locator("section", has=page.get_by_role("heading", name="Record the visit"))
    assert form.get_by_label("Where", exact=True).input_value() == "200 Main Street"  # nothing typed is lost
    form.get_by_label("The records need until", exact=False).check()
    fill(form, Reason="the only time before the operation")
    form.get_by_role("button", name="Keep this time").click()
    page.get_by_text("Kept. The records are due", exact=False).wait_for()
    assert (
        page.get_by_text("200 Main Street").count() and page.get_by_text("told by Scheduling desk", exact=False).count()
    )
    assert not serious_problems(page) and not is_too_wide(page)
    picture(page, "visit")
    page.get_by_text("Another time").click()
    form = page.locator("details", has_text="Another time")
    fill(form, Day=workday(60), Time="09:00", Who_told_you="Scheduling desk", Reason="the consultant is away")
    form.get_by_role("button", name="Keep this time").click()
    page.get_by_text("Kept. The records are due", exact=False).wait_for()
    assert page.get_by_text("In time", exact=True).count()
    picture(page, "visit-moved")
