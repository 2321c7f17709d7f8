"""The second opinion beside the first, in a real browser at phone and desk width, with axe: read, and said that it was read."""

import pytest

from tests.browser.test_pages import is_too_wide, picture, serious_problems
from tests.integration.web.coordinator.test_opinion import WRITTEN, with_report

pytestmark = [pytest.mark.browser, pytest.mark.postgres]


def test_a_clinician_reads_it_and_says_so(page, site):
    words = "Second opinion\n\nImpression: stage III is confirmed.\n" + "A long line about what was looked at. " * 12
    request_id = with_report(site, words.encode(), b"\x89PNG", kinds=("text/plain", "image/png"), key="opinion")
    page.goto(f"{site.address}/requests/{request_id}")
    page.get_by_role("link", name="Second opinion beside the first").click()
    page.get_by_text("Impression: stage III is confirmed.").wait_for()
    assert not serious_problems(page) and not is_too_wide(page)
    picture(page, "opinion")
    page.get_by_label("Clinician who read it").fill("Dr. Alice Example")
    page.get_by_label("When (UTC)").fill("tomorrow")
    page.get_by_label("What was decided with the patient").select_option("Change the plan")
    page.get_by_role("button", name="Keep", exact=True).click()
    page.get_by_text("is no date and time").wait_for()
    assert page.get_by_label("Clinician who read it").input_value() == "Dr. Alice Example"
    assert not serious_problems(page)
    page.get_by_label("When (UTC)").fill("")
    page.get_by_role("button", name="Keep", exact=True).click()
    page.get_by_text("Kept: Dr. Alice Example has read the report.").wait_for()
    assert page.get_by_text("Dr. Alice Example read revision 1: Change the plan").count() == 1
    picture(page, "opinion-read")


def test_it_stands_point_by_point_beside_the_first(page, site):
    request_id = with_report(site, b"Second opinion", key="points", written=WRITTEN)
    page.goto(f"{site.address}/requests/{request_id}/opinion")
    page.get_by_role("heading", name="Point by point").wait_for()
    picture(page, "opinion-points")
    assert not serious_problems(page) and not is_too_wide(page)
