"""The records for a visit, in a real browser at phone and desk width, with axe: what is missing is seen and answered."""

import pytest

from tests.browser.test_pages import is_too_wide, picture, serious_problems
from tests.mappings.checklists.charts import report, result

pytestmark = [pytest.mark.browser, pytest.mark.postgres]


def test_a_coordinator_sees_what_is_missing_and_says_that_it_is_on_its_way(page, site):
    request_id = site.request("checklist", fulfiller="mercy")
    site.packet(request_id, report("11526-1", "2026-06-01"), result("718-7", "2020-01-01"))
    page.goto(f"{site.address}/requests/{request_id}")
    page.get_by_role("link", name="Records for the visit").click()
    page.get_by_text("Original glass slides with tissue").first.wait_for()
    assert not serious_problems(page) and not is_too_wide(page)
    picture(page, "checklist")
    item = page.locator("li", has_text="Original glass slides with tissue")
    item.locator("summary").click()
    item.get_by_label("Reason").fill("by courier, Tuesday")
    item.get_by_role("button", name="It is on its way").click()
    page.get_by_text("Kept, with your reason.").wait_for()
    assert page.locator("li", has_text="Original glass slides").get_by_text("by courier, Tuesday").count() == 1
