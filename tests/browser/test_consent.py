"""Consent in a real browser at phone and desk width, with axe: recorded with limits, refused, withdrawn."""

import pytest

from tests.browser.test_pages import is_too_wide, picture, serious_problems

pytestmark = [pytest.mark.browser, pytest.mark.postgres]


def test_a_coordinator_records_what_the_patient_says(page, site):
    request_id = site.request("consent")
    page.goto(f"{site.address}/cases/{request_id}")
    page.get_by_role("link", name="Consent").click()
    page.get_by_text("Nobody has recorded what the patient agrees to.").wait_for()
    assert not serious_problems(page) and not is_too_wide(page)
    picture(page, "consent")
    page.get_by_label("Agrees", exact=True).check()
    page.get_by_label("Images", exact=True).uncheck()
    page.get_by_label("How it was said").select_option("In person")
    page.get_by_label("Who said it").fill("the patient")
    page.get_by_label("Last day").fill("2020-01-01")
    page.get_by_role("button", name="Record", exact=True).click()
    page.get_by_text("is over").wait_for()
    assert page.get_by_label("Who said it").input_value() == "the patient"
    assert not page.get_by_label("Images", exact=True).is_checked() and not serious_problems(page)
    page.get_by_label("Last day").fill("")
    page.get_by_role("button", name="Record", exact=True).click()
    page.get_by_text("The patient agrees, with limits.").wait_for()
    assert page.get_by_text("Not sent: Images").count() == 2 and not is_too_wide(page)
    picture(page, "consent-limited")
