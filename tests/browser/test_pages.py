"""What an operator does at night, in a real browser: look, read why, retry with a reason; at phone and desk width; with axe."""
import json
import re

import pytest

from tests.browser.conftest import SCREENSHOTS

pytestmark = [pytest.mark.browser, pytest.mark.postgres]
PAGES = ("/", "/?q=state:all", "/?q=stat:parked", "/failures", "/deadlines", "/endpoints", "/schedules", "/operations", "/numbers")


def picture(page, name: str) -> None:
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"{name}-{page.width}.png", full_page=True)


def serious_problems(page) -> list[str]:
    """What axe finds, serious and critical."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="the Python package axe-playwright-python is not installed")
    found = axe.Axe().run(page).response["violations"]
    return [f"{each['id']}: {json.dumps([node['target'] for node in each['nodes']][:3])}" for each in found if each["impact"] in ("serious", "critical")]


def is_too_wide(page) -> bool:
    return page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth + 1")


def test_an_operator_sees_why_and_retries_with_a_reason(page, site):
    page.goto(site.address)
    assert page.locator(".rows .card").count() == 5
    picture(page, "queue")
    page.locator(".card-parked a.id").first.click()
    page.wait_for_selector("h1:has-text('Request')")
    picture(page, "request")
    page.locator("#owed + ul .act a:has-text('Retry')").first.click()
    picture(page, "retry")
    page.get_by_label("Reason").fill("the endpoint is up again")
    page.get_by_role("button", name="Retry 1 step").click()
    message = page.locator("#message").inner_text()
    assert "is due now" in message
    picture(page, "retried")
    assert [row.reason for row in site.audited("step.retried")] == ["the endpoint is up again"]
    assert "the endpoint is up again" in page.locator("main").inner_text()


def test_every_page_fits_its_width_and_axe_finds_nothing_serious(page, site):
    request_id = first_request(site)
    for address in (*PAGES, f"/requests/{request_id}", f"/requests/{request_id}/deliveries/{request_id}-records-1", f"/requests/{request_id}/packet",
                    f"/actions/cancel?request={request_id}", "/actions/retry-matching?q="):
        page.goto(site.address + address)
        picture(page, re.sub(r"\W+", "-", address.replace(request_id, "id")).strip("-") or "start")
        assert not is_too_wide(page), address
        assert serious_problems(page) == [], address
        if address == "/?q=stat:parked":
            assert page.locator("#q").input_value() == "stat:parked" and page.locator("mark").inner_text() == "stat:parked"


def first_request(site) -> str:
    return next(iter(site.client.get("/api/requests").json))["request_id"]
