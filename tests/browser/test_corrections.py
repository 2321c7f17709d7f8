"""Correcting a request and reading an attempt, in a real browser at phone and desk width; with axe."""

from datetime import UTC, datetime

import pytest
from sqlalchemy import select

from integration.fhir.exchanges import Exchange
from integration.store import exchanges, revisions
from integration.store.tables import attempts
from tests.browser.conftest import at_desk, on_phone
from tests.browser.test_pages import first_request, is_too_wide, picture, serious_problems

pytestmark = [pytest.mark.browser, pytest.mark.postgres]
HOSTILE = "<img src=x onerror=alert(1)> \u202e"


def looks_well(page, name: str) -> None:
    picture(page, name)
    assert not is_too_wide(page), name
    assert serious_problems(page) == [], name


@on_phone
def test_a_request_is_corrected_after_seeing_exactly_what_changes(page, site):
    request_id = first_request(site)
    page.goto(f"{site.address}/requests/{request_id}")
    page.get_by_text("Correct this request…").click()
    page.get_by_label("Why it is corrected").fill("the question was cut off")
    page.get_by_role("button", name="Open the form").click()
    looks_well(page, "correct")
    page.get_by_label("What should the second opinion answer?").fill(f"Is chemotherapy needed? {HOSTILE}")
    page.get_by_label("Consultant's NPI").fill("123")
    page.get_by_label("Opinion needed by").fill("2031-01-10")
    page.get_by_role("button", name="See what will change").click()
    assert "is not an NPI" in page.locator("main").inner_text(), "a slip of the fingers is told beside its field"
    page.get_by_label("Consultant's NPI").fill("1679576722")
    page.get_by_role("button", name="See what will change").click()
    words = page.locator("main").inner_text()
    assert "Is surgery needed?" in words and "Is chemotherapy needed? <img src=x" in words and "2031-01-10" in words
    looks_well(page, "correct-confirm")
    page.get_by_role("button", name="Back to the form").click()
    assert page.get_by_label("Consultant's NPI").input_value() == "1679576722"
    page.get_by_label("Consultant's NPI").fill("1234567893")
    page.get_by_role("button", name="See what will change").click()
    page.get_by_role("button", name="Store version 2").click()
    assert "it is at version 2" in page.locator("#message").inner_text()
    looks_well(page, "corrected")
    with site.engine.connect() as conn:
        made = revisions.content(conn, request_id, 2)
    assert made.consultant.identifiers[0].value == "1234567893" and made.question.startswith("Is chemotherapy needed?")


@at_desk
def test_an_attempt_is_read_and_a_body_opened_with_a_reason(page, site):
    with site.engine.begin() as conn:
        attempt = conn.execute(select(attempts).where(attempts.c.cause == "http-422")).one()
        refused = Exchange(
            "mercy",
            "POST",
            "ServiceRequest",
            422,
            datetime.now(UTC),
            31,
            900,
            300,
            "http-422",
            None,
            ("error business-rule ServiceRequest.code",),
            b'{"resourceType":"ServiceRequest"}',
            b'{"resourceType":"OperationOutcome","issue":[{"diagnostics":"<b>not 1.10</b>"}]}',
        )
        well = [
            Exchange("mercy", "GET", "Observation?patient&_lastUpdated&_count", 200, datetime.now(UTC), 120, 0, 40_000)
        ] * 3
        exchanges.record(conn, attempt.id, [(1, well[0]), (2, well[1]), (90, well[2]), (91, refused)])
    page.goto(f"{site.address}/requests/{attempt.request_id}")
    page.locator("summary:has-text('91 exchanges')").click()
    page.get_by_role("link", name="Open this attempt").click()
    assert "87 exchanges between were not kept" in page.locator("main").inner_text()
    looks_well(page, "attempt")
    page.get_by_label("Reason").fill("the referral desk asks")
    page.get_by_role("button", name="Look 91").click()
    assert "<b>not 1.10</b>" in page.locator("main").inner_text()
    looks_well(page, "attempt-bodies")
    assert [row.reason for row in site.audited("attempt.looked-at")] == ["the referral desk asks"]
