"""A coordinator writes a request in a real browser, by keyboard alone, at phone and desk width, with axe on every page."""

import re

import pytest

from tests.browser.test_pages import is_too_wide, picture, serious_problems
from tests.integration.web.coordinator.desk import Desk, condition, patient

pytestmark = [pytest.mark.browser, pytest.mark.postgres]


@pytest.fixture
def site(tmp_path, database):
    made = Desk(tmp_path, database)
    yield made
    made.close()


def looked_at(page, name: str) -> None:
    picture(page, f"draft-{name}")
    assert serious_problems(page) == [] and not is_too_wide(page), name


def enter(page) -> None:
    """Press what has the focus, and wait for where it leads."""
    with page.expect_navigation():
        page.keyboard.press("Enter")


def press(page, name: str) -> None:
    """Go to a button as somebody without a mouse does, and press it."""
    for _ in range(120):
        page.keyboard.press("Tab")
        focused = page.evaluate("document.activeElement.textContent || ''")
        if name in " ".join(focused.split()):
            return enter(page)
    raise AssertionError(f"no way to {name} by keyboard")


def test_a_coordinator_writes_a_request_by_keyboard_at_a_practice_with_an_ehr(page, site):
    doctor = site.put("clinic", {"resourceType": "Practitioner", "name": [{"family": "Charlie", "given": ["Cleo"]}]})
    person = site.put("clinic", patient())
    site.put("clinic", patient("00124"))
    site.put("clinic", condition(person, asserter={"reference": doctor, "display": "Cleo Charlie"}))
    site.put("clinic", {"resourceType": "Coverage", "status": "active", "beneficiary": {"reference": person}, "payor": [{"display": "Synthetic Health Plan"}]})  # fmt: skip
    page.goto(site.address + "/new")
    looked_at(page, "list-empty")
    page.get_by_label("Your practice", exact=True).select_option("clinic")
    press(page, "Begin a request")
    page.get_by_label("Last name", exact=True).fill("Synthetic")
    page.get_by_label("Date of birth").fill("1960-01-01")
    enter(page)
    page.get_by_role("heading", name="2 patients found").wait_for()
    looked_at(page, "patients")
    assert "Synthetic" not in page.url and "1960" not in page.url
    page.get_by_role("button", name=re.compile("This is the patient.*00123")).focus()
    enter(page)
    looked_at(page, "patient-chosen")
    press(page, "Save and continue")
    looked_at(page, "first")
    press(page, "Choose this: synthetic diagnosis")
    press(page, "Choose this: Cleo Charlie")
    looked_at(page, "first-chosen")
    press(page, "Save and continue")
    looked_at(page, "chart")
    press(page, "Choose this: Synthetic Health Plan")
    page.get_by_role("link", name="Who is asked").click()
    looked_at(page, "asked")
    press(page, "Save and continue")
    page.get_by_role("link", name="Review and send").click()
    looked_at(page, "review-missing")
    page.get_by_role("link", name="The question: What should").click()
    assert page.evaluate("document.getElementById('question').getAttribute('aria-invalid')") == "true"
    page.get_by_label("What should the second opinion answer?").fill("Is surgery needed?")
    page.get_by_label("Last name", exact=True).fill("Alice")
    looked_at(page, "question")
    press(page, "Save and continue")
    page.get_by_role("link", name="Who is asked").first.click()
    page.get_by_label("Specialty").select_option("Medical oncology")
    page.get_by_role("button", name="Save and finish later").click()
    looked_at(page, "list")
    press(page, "Go on at: Who is asked")
    page.get_by_role("link", name="Review and send").click()
    looked_at(page, "review")
    press(page, "Submit request")
    assert "is received" in page.locator("#message").inner_text()


def test_a_practice_without_an_ehr_enters_its_patient_by_hand(page, site):
    page.goto(site.address + "/new")
    page.get_by_label("Your practice", exact=True).select_option("small")
    page.get_by_role("button", name="Begin a request").click()
    for label, value in (
        ("Patient number (MRN)", "P-7"),
        ("Last name", "Παπαδοπούλου"),
        ("Date of birth", "1971-03-04"),
    ):
        page.get_by_label(label, exact=True).fill(value)
    page.get_by_role("button", name="Enter by hand").click()
    page.get_by_role("button", name="The patient has one name only").click()
    assert "Παπαδοπούλου, born 1971-03-04" in page.locator(".panel.good").inner_text()
    looked_at(page, "by-hand")
