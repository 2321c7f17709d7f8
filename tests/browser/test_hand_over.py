"""A report that a person carries, in a real browser at phone and desk width; with axe: downloaded, handed over, said, closed."""

from datetime import UTC, datetime

import pytest
from sqlalchemy import text

from tests.browser.test_pages import is_too_wide, picture, serious_problems

pytestmark = [pytest.mark.browser, pytest.mark.postgres]
PDF = b"%PDF-1.4 synthetic"


def looks_well(page, name: str) -> None:
    picture(page, name)
    assert not is_too_wide(page) and serious_problems(page) == []


def close(site, request_id: str) -> None:
    """As the worker does when it finds the person's word."""
    with site.engine.begin() as conn:
        conn.execute(
            text(
                "UPDATE deliveries SET status = 'handed-over', level = 'handed-over', road = 'download' WHERE kind = 'report'"
            )
        )
        closed = "UPDATE requests SET status = 'completed', closed_at = now(), closed_level = 'handed-over', closed_road = 'download'"
        conn.execute(text(f"{closed} WHERE id = :id"), {"id": request_id})
        conn.execute(text("UPDATE steps SET status = 'done' WHERE request_id = :id"), {"id": request_id})


def test_a_report_is_downloaded_handed_over_and_told_of_everywhere(page, site):
    request_id = site.request("to-carry")
    delivery = site.report_to_carry(request_id, PDF)
    page.goto(f"{site.address}/requests/{request_id}/deliveries/{delivery}")
    looks_well(page, "hand-over-waits")
    page.fill("#hand-reason", "for the front desk")
    with page.expect_download() as got:
        page.click("button:has-text('Download the report')")
    assert got.value.path().read_bytes() == PDF
    page.click("a:has-text('Say to whom')")
    looks_well(page, "hand-over-form")
    page.fill("#input-to", "Front desk, Hillside Primary Care")
    page.fill("#input-at", f"{datetime.now(UTC):%Y-%m-%dT%H:%M}")
    page.select_option("#input-by_way", "fax")
    page.fill("#input-by", "Nora Field")
    page.fill("#reason", "as agreed with their office")
    page.click("button:has-text('It was handed over')")
    page.wait_for_selector("text=A person's confirmation")
    close(site, request_id)
    page.reload()
    looks_well(page, "hand-over-said")
    page.goto(f"{site.address}/requests/{request_id}")
    assert "handed over to Front desk, Hillside Primary Care" in page.inner_text("section.good")
    looks_well(page, "request-closed-by-hand")
    for address, name in (
        ("/?show=closed", "list-closed"),
        ("/numbers", "numbers-levels"),
        ("/endpoints", "endpoints-levels"),
    ):
        page.goto(site.address + address)
        looks_well(page, name)
