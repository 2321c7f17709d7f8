"""Asking a source and counting slides, in a real browser at phone and desk width, with axe, and the letter."""

import pytest

from tests.browser.test_pages import is_too_wide, picture, serious_problems
from tests.mappings.checklists.charts import report

pytestmark = [pytest.mark.browser, pytest.mark.postgres]


def test_a_coordinator_asks_by_letter_and_writes_down_where_the_slides_are(page, site):
    request_id = site.request("sources", fulfiller="mercy")
    site.packet(request_id, report("11526-1", "2026-06-01"))
    page.goto(f"{site.address}/requests/{request_id}/checklist")
    page.get_by_role("link", name="Ask for what is missing").click()
    page.get_by_label("Who has it").select_option(label="another place, typed below")
    page.get_by_label("Name of the place").fill("County Laboratory, slide file room")
    page.get_by_label("Needed by").fill("2090-01-01")
    page.get_by_role("textbox", name="Reason").fill("the visit")
    page.get_by_role("button", name="Ask", exact=True).click()
    page.get_by_text("a letter needs an address or a fax number to go to").wait_for()
    assert not serious_problems(page) and not is_too_wide(page)
    picture(page, "sources-mistake")
    page.get_by_label("Its address, line by line").fill("2 Elm Street\nSpringfield, IL 62701")
    page.get_by_role("button", name="Ask", exact=True).click()
    page.get_by_text("The letter is not sent yet").wait_for()
    assert not serious_problems(page) and not is_too_wide(page)
    picture(page, "sources")
    page.goto(f"{site.address}/requests/{request_id}/parcels")
    page.get_by_label("Which exactly").fill("S26-1234 A1-A4")
    page.get_by_role("button", name="Keep it").click()
    page.get_by_text("Say below what happened to it").wait_for()
    page.locator("summary", has_text="Say what happened to it").click()
    page.get_by_label("What happened").select_option("shipped")
    page.get_by_label("Who did it").fill("Pat Lee")
    page.get_by_label("How many").fill("4")
    page.get_by_label("With whom it travels").fill("FedEx")
    page.locator("li.panel").get_by_role("button", name="Keep it").click()
    page.get_by_text("with FedEx").wait_for()
    assert not serious_problems(page) and not is_too_wide(page)
    picture(page, "parcels")
