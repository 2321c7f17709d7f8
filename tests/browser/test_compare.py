"""Two persons side by side in a real browser at phone and desk width; with axe."""

import pytest

from tests.browser.test_pages import is_too_wide, picture, serious_problems
from tests.integration.web.operations.test_compare import MARRIED, RETIRED, SAME, at, found, link_of

pytestmark = [pytest.mark.browser, pytest.mark.postgres]
LONG = {
    **MARRIED,
    "id": "efd1f5b2-7a3c-4c77-9c8e-0123456789ab",
    "address": [{"line": ["12 Long Avenue of the Hundred Elms"], "city": "Springfield", "postalCode": "01101"}],
    "telecom": [{"value": "+1 413 555 0100"}],
}


def looks_well(page, name: str) -> None:
    picture(page, name)
    assert not is_too_wide(page), name
    assert serious_problems(page) == [], name


def test_a_person_compares_two_people_and_links_one(page, site):
    request_id = found(site, SAME, LONG, RETIRED, key="compare")
    page.goto(f"{site.address}/requests/{request_id}")
    page.get_by_role("link", name="Link").first.click()
    looks_well(page, "compare-masked")
    assert "Synthetic-Test" not in page.content()
    page.get_by_label("Reason").first.fill("called the desk")
    page.get_by_role("button", name="Show both persons").click()
    looks_well(page, "compare-shown")
    assert "Ada Married" in page.locator("main").inner_text()
    page.get_by_role("radio", name="Patient/" + LONG["id"], exact=True).check()
    page.locator("#reason").fill("compared by phone")
    page.get_by_role("button", name="Link this patient").click()
    looks_well(page, "compare-refused")
    assert "Confirm that they are one" in page.get_by_role("alert").inner_text()
    page.get_by_label("I compared the two").check()
    page.get_by_role("button", name="Link this patient").click()
    assert "Linked." in page.locator("#message").inner_text() and link_of(site, request_id).confirmed
    page.goto(site.address + at(request_id))
    page.get_by_text("Unlink", exact=True).first.click()
    looks_well(page, "compare-linked")
