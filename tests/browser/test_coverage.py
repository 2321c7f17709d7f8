"""Insurance, and Should I ask?, in a real browser at phone and desk width, with axe and by keyboard."""

import pytest

from tests.browser.test_pages import is_too_wide, picture, serious_problems

pytestmark = [pytest.mark.browser, pytest.mark.postgres]


def test_a_coordinator_writes_down_a_call_and_mends_what_is_wrong(page, site):
    request_id = site.request("coverage", fulfiller="mercy")
    page.goto(f"{site.address}/requests/{request_id}")
    page.get_by_role("link", name="Insurance", exact=True).click()
    page.locator("#insurer").fill("Example Health Plan")
    page.get_by_label("What you asked").fill("Second opinion visit, oncology")
    page.locator("#answer").select_option("covered")
    page.locator("#given_time").fill("10:15")
    page.locator("#zone").select_option("America/Chicago")
    page.get_by_role("button", name="Keep this answer").press("Enter")
    page.get_by_text("without a date nobody knows").first.wait_for()
    assert not serious_problems(page) and not is_too_wide(page)
    picture(page, "coverage-mistake")
    page.locator("#given_on").fill("2026-01-05")
    page.locator("#reference").fill("C-20417")
    page.locator("#required").select_option("yes")
    page.get_by_role("button", name="Keep this answer").click()
    page.get_by_text("The insurer requires this second opinion.").wait_for()
    assert not serious_problems(page) and not is_too_wide(page)
    picture(page, "coverage")


def test_a_coordinator_answers_whether_to_ask(page, site):
    request_id = site.request("suitability", fulfiller="mercy")
    page.goto(f"{site.address}/requests/{request_id}/suitability")
    page.get_by_label("The diagnosis is serious").check()
    page.get_by_role("button", name="Keep these reasons").click()
    page.get_by_text("a good reason is named").wait_for()
    page.get_by_role("button", name="This is an emergency").click()
    page.get_by_text("It is no emergency after all").wait_for()
    assert not serious_problems(page) and not is_too_wide(page)
    picture(page, "suitability")
