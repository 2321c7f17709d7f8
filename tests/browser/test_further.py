"""Another doctor is asked in the same case, in a real browser at phone and desk width, with axe."""

import re

import pytest

from tests.browser.test_pages import is_too_wide, picture, serious_problems
from tests.integration.web.coordinator.test_opinion import with_report

pytestmark = [pytest.mark.browser, pytest.mark.postgres]


def looked_at(page, name: str) -> None:
    picture(page, f"further-{name}")
    assert serious_problems(page) == [] and not is_too_wide(page), name


def test_a_coordinator_asks_another_doctor(page, site):
    first = with_report(site, b"Impression: stage III is confirmed.", key="further")
    page.goto(f"{site.address}/requests/{first}/opinion")
    page.get_by_role("button", name="Ask another doctor").click()
    page.get_by_role("heading", name="First opinion", level=1).wait_for()
    looked_at(page, "first")
    page.get_by_label("Do they go along to who is asked now?").select_option("Yes, send the reports along")
    page.get_by_label("Who said so").fill("the patient")
    page.get_by_label("On which day").fill("2026-05-02")
    page.get_by_role("button", name="Save and continue").click()
    page.get_by_role("link", name="Who is asked").click()
    page.get_by_label("Consulting organization").select_option("Mercy Hospital")
    page.get_by_label("Specialty", exact=True).select_option(index=1)
    page.get_by_role("button", name="Save and continue").click()
    page.get_by_role("link", name="Review and send").click()
    page.get_by_text("The earlier opinions go along: the patient said so on 2026-05-02.").wait_for()
    looked_at(page, "review")
    page.get_by_role("button", name="Submit request").click()
    page.wait_for_url(re.compile("/requests/r"))
    page.goto(f"{site.address}/cases/{first}")
    page.get_by_role("heading", name="Opinions of this case").wait_for()
    assert page.get_by_text("Yes, they go along").count() == 1
    looked_at(page, "case")
