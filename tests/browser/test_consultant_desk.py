"""A consulting practice without an EHR in a real browser, at phone and desk width, with axe: inbox, answer, report, signature."""

import pytest

from tests.browser.test_pages import is_too_wide, picture, serious_problems
from tests.integration.web.consultant.practice import at_our_pages
from tests.jobs.conftest import exchange, make_exchange  # noqa: F401  (fixtures)
from tests.jobs.exchange import a_request, load_chart

pytestmark = [pytest.mark.browser, pytest.mark.postgres]


@pytest.fixture
def site(exchange):  # noqa: F811
    """What the page of this folder asks for: both practices on our pages, a request that was sent."""
    at_our_pages(exchange)
    load_chart(exchange)
    exchange.address = f"http://127.0.0.1:{exchange.server.port}"
    long = "Is surgery needed now, or can chemotherapy come first? " * 3
    exchange.request_id = exchange.submit(
        a_request(question=long.strip(), patient_questions=["Can I wait?", "¿Puedo volar?"])
    )
    exchange.drain()
    return exchange


def looks_well(page, name: str) -> None:
    assert not serious_problems(page), serious_problems(page)
    assert not is_too_wide(page)
    picture(page, name)


def test_a_consultant_accepts_writes_and_signs(page, site):
    page.goto(f"{site.address}/desk")
    page.get_by_text("Nobody has it yet").wait_for()
    looks_well(page, "desk-inbox")
    page.get_by_role("link", name="Ada Synthetic-Test").click()
    page.get_by_role("heading", name="The question").wait_for()
    looks_well(page, "desk-request")
    page.get_by_label("Who has it").first.fill("Dr. Bob Example\nDr. Eve Example")
    page.get_by_role("button", name="Accept", exact=True).click()
    page.get_by_text("Accepted. The referring doctor sees it in a moment.").wait_for()
    site.drain()
    page.locator("summary", has_text="Decline").click()
    page.get_by_label("Why", exact=True).evaluate("each => each.required = false")
    page.get_by_label("In words").first.fill("We are full.")
    page.get_by_role("button", name="Decline", exact=True).click()
    page.get_by_text("choose why it is declined").wait_for()
    assert page.get_by_label("In words").first.input_value() == "We are full."
    looks_well(page, "desk-refused")
    page.get_by_role("link", name="Write the report").click()
    page.get_by_label("With the diagnosis of the first opinion").select_option("agrees")
    page.get_by_role("textbox", name="Your opinion").fill("Stage III is confirmed. Chemotherapy first.")
    page.get_by_role("button", name="Save", exact=True).first.click()
    page.get_by_text("Saved.").wait_for()
    page.get_by_label("Signed by").fill("Dr. Bob Example")
    page.get_by_role("button", name="Sign", exact=True).click()
    page.get_by_text("say whether you agree with the plan").first.wait_for()
    assert (
        page.get_by_role("textbox", name="Your opinion").input_value() == "Stage III is confirmed. Chemotherapy first."
    )
    looks_well(page, "report-refused")
    page.get_by_label("With the plan of the first opinion").select_option("differs")
    page.get_by_label("The first opinion said").first.fill("surgery now")
    page.get_by_label("You", exact=True).first.select_option("differs")
    page.get_by_label("Test 1", exact=True).fill("PET-CT")
    page.get_by_label("Can I wait?").fill("Yes, six weeks.")
    page.get_by_role("button", name="Save and preview").click()
    page.get_by_text("It is not signed").wait_for()
    looks_well(page, "report-preview")
    page.get_by_role("link", name="Go on writing").click()
    page.get_by_label("Signed by").fill("Dr. Bob Example")
    page.get_by_role("button", name="Sign", exact=True).click()
    page.get_by_text("Signed by Dr. Bob Example. It goes back").wait_for()
    looks_well(page, "report-signed")
    site.drain()
    assert site.view(site.request_id)["closed_at"] is not None
    page.goto(f"{site.address}/desk?show=done")
    page.get_by_role("link", name="Ada Synthetic-Test").wait_for()
    looks_well(page, "desk-done")
