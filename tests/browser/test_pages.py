"""What an operator does at night, in a real browser: look, read why, retry with a reason; at phone and desk width; with axe."""

import json
import os
import re

import pytest

from tests.browser.conftest import SCREENSHOTS, at_desk, in_both_widths, on_phone

pytestmark = [pytest.mark.browser, pytest.mark.postgres]
PAGES = (
    "/",
    "/queue",
    "/queue?q=state:all",
    "/queue?q=stat:parked",
    "/failures",
    "/alarms",
    "/alarms?past=yes",
    "/actions/silence?rule=parked&subject=mercy",
    "/deadlines",
    "/findings",
    "/endpoints",
    "/endpoints/mercy/check",
    "/endpoints/bob/check",
    "/actions/check-endpoint?at=mercy",
    "/schedules",
    "/operations",
    "/numbers",
    "/new",
)


def picture(page, name: str) -> None:
    """For a person to look at; only `make test-long` takes the time."""
    if not os.environ.get("PICTURES"):
        return
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"{name}-{page.width}.png", full_page=True)


def serious_problems(page) -> list[str]:
    """What axe finds, serious and critical."""
    axe = pytest.importorskip(
        "axe_playwright_python.sync_playwright", reason="the Python package axe-playwright-python is not installed"
    )
    found = axe.Axe().run(page).response["violations"]
    return [
        f"{each['id']}: {json.dumps([node['target'] for node in each['nodes']][:3])}"
        for each in found
        if each["impact"] in ("serious", "critical")
    ]


def is_too_wide(page) -> bool:
    return page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth + 1")


def test_an_operator_sees_why_and_retries_with_a_reason(page, site):
    page.goto(site.address + "/queue")
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


@in_both_widths
def test_every_page_fits_its_width_and_axe_finds_nothing_serious(page, site):
    request_id = first_request(site)
    for address in (
        *PAGES,
        f"/requests/{request_id}",
        f"/requests/{request_id}/deliveries/{request_id}-records-1",
        f"/requests/{request_id}/packet",
        f"/actions/cancel?request={request_id}",
        "/actions/retry-matching?q=",
    ):
        page.goto(site.address + address)
        picture(page, re.sub(r"\W+", "-", address.replace(request_id, "id")).strip("-") or "start")
        assert not is_too_wide(page), address
        assert serious_problems(page) == [], address
        if address == "/queue?q=stat:parked":
            assert (
                page.locator("#q").input_value() == "stat:parked" and page.locator("mark").inner_text() == "stat:parked"
            )


@on_phone
def test_no_table_is_cut_off_on_a_phone_and_each_cell_says_its_column(page, site):
    for address in ("/schedules", "/numbers"):
        page.goto(site.address + address)
        wide = "tables => tables.filter(each => each.scrollWidth > each.clientWidth + 1).length"
        assert page.locator(".scroll").evaluate_all(wide) == 0, address
        head = "cells => cells.map(cell => getComputedStyle(cell, '::before').content).filter(said => said.length > 4).length"
        assert page.locator(".scroll tbody td").evaluate_all(head) > 0, address


@at_desk
def test_dark_pages_have_enough_contrast_too(page, site):
    page.emulate_media(color_scheme="dark")
    for address in ("/", "/endpoints", "/failures", f"/requests/{first_request(site)}"):
        page.goto(site.address + address)
        assert serious_problems(page) == [], address
    picture(page, "dark")


@at_desk
def test_the_page_renews_itself_and_stops_while_nobody_looks(page, site):
    page.goto(site.address + "/queue")
    before = page.locator(".tabs .state-parked .count").inner_text()
    site.step("push_records", "bob", cause="http-500")
    page.wait_for_function(
        "before => document.querySelector('.tabs .state-parked .count').innerText !== before",
        arg=before,
        timeout=15_000,
    )
    page.evaluate("Object.defineProperty(document, 'visibilityState', {value: 'hidden', configurable: true})")
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.wait_for_timeout(6000)
    assert asked == []


@on_phone
def test_a_list_somebody_works_in_is_not_renewed_under_their_hands(page, site):
    page.goto(site.address + "/queue")
    page.locator(".rows input[type=checkbox]").first.check()
    site.step("push_records", "bob", cause="http-500")
    page.wait_for_timeout(6000)
    assert page.locator(".rows input:checked").count() == 1 and page.locator(".rows .card").count() == 5


@at_desk
def test_everything_on_the_queue_is_reached_by_keyboard(page, site):
    page.goto(site.address + "/queue")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    reached = set()
    for _ in range(60):
        page.keyboard.press("Tab")
        reached.add(
            page.evaluate("document.activeElement.innerText || document.activeElement.name || ''").split("\n")[0]
        )
    assert {"q", "Show", "step", "Retry selected…", "Retry all that match…"} <= reached


def test_the_pages_work_without_javascript(chromium, site):
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(site.address + "/queue")
    page.get_by_label("Filter", exact=True).fill("state:parked error:timeout")
    page.get_by_role("button", name="Show").click()
    assert page.url.endswith("/queue?q=state:parked+error:timeout") and page.locator(".rows .card").count() == 1
    page.locator(".rows input[type=checkbox]").check()
    page.get_by_role("button", name="Retry selected…").click()
    page.get_by_label("Reason").fill("no scripts here")
    page.get_by_role("button", name="Retry 1 step").click()
    assert "is due now" in page.locator("#message").inner_text()
    context.close()


@at_desk
def test_a_filter_is_completed_word_by_word(page, site):
    page.goto(site.address + "/queue")
    page.get_by_label("Filter", exact=True).press_sequentially("state:parked end")
    values = page.evaluate("[...document.querySelectorAll('#completions option')].map(option => option.value)")
    assert "state:parked endpoint:mercy" in values and "state:parked error:timeout" in values


def first_request(site) -> str:
    return next(iter(site.client.get("/api/requests").json))["request_id"]
