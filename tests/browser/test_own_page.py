"""The patient's own page in a real browser without JavaScript, at phone and desk width, with axe, in both languages."""

import pytest

from integration.store import private_links
from mappings.model.private_link import TypedLink
from tests.browser.test_pages import is_too_wide, picture, serious_problems
from tests.integration.web.coordinator.test_opinion import WORDS
from tests.integration.web.patient.test_door import BORN, patient

pytestmark = [pytest.mark.browser, pytest.mark.postgres]
assert WORDS


@pytest.fixture
def plain(chromium, site, request, page):
    """A page without JavaScript, of the width that ``page`` has."""
    context = chromium.new_context(viewport={"width": page.width, "height": 900}, java_script_enabled=False)
    opened = context.new_page()
    opened.width = page.width
    asked = []
    opened.on("request", lambda sent: asked.append(sent.url))
    yield opened
    context.close()
    assert asked and all(each.startswith((site.address, "data:")) for each in asked), "no third party is contacted"


def made(site, language="en"):
    request_id = site.request("own", patient=patient())
    with site.engine.begin() as conn:
        return private_links.make(conn, request_id, TypedLink("birth-date", "", language), actor="ann")


def test_the_patient_opens_it_and_says_what_they_want_without_javascript(plain, site):
    link = made(site)
    plain.goto(f"{site.address}/p/{link.token}")
    plain.get_by_label("Your birth date").fill("1999-01-01")
    plain.get_by_role("button", name="Open the page").click()
    plain.get_by_text("The page did not open.").wait_for()
    plain.get_by_label("Your birth date").fill(BORN)
    plain.get_by_role("button", name="Open the page").click()
    plain.get_by_role("heading", name="Where things stand").wait_for()
    plain.get_by_label("Question 1").fill("Will it hurt? هل سيؤلمني؟")
    plain.get_by_role("button", name="Send my questions").click()
    plain.get_by_text("We kept what you wrote.").wait_for()
    plain.get_by_label("No, stop sending").check()
    plain.get_by_role("button", name="Keep my choice").click()
    plain.get_by_text("You said no. Nothing more is sent.").wait_for()
    plain.get_by_role("button", name="Español").click()
    plain.get_by_role("heading", name="Cómo va todo").wait_for()
    plain.get_by_role("button", name="Cerrar esta página por ahora").click()
    plain.get_by_text("Usted cerró la página.").wait_for()


def test_it_is_clean_and_fits(page, site):
    for language in ("en", "es"):
        link = made(site, language)
        page.goto(f"{site.address}/p/{link.token}")
        assert not serious_problems(page) and not is_too_wide(page)
        picture(page, f"own-page-door-{language}")
        page.get_by_label("Your birth date").fill(BORN)
        page.get_by_role("button", name="Open the page").click()
        page.locator("#standing").wait_for()
        assert not serious_problems(page) and not is_too_wide(page)
        picture(page, f"own-page-{language}")
        site_errors = page.locator(".says.bad").count()
        assert site_errors == 0
        page.context.clear_cookies()


def test_staff_make_a_link_and_release_a_report(page, site):
    request_id = site.request("own-staff", patient=patient())
    page.goto(f"{site.address}/cases/{request_id}")
    page.get_by_role("link", name="Private link for the patient").click()
    page.get_by_label("What opens it").select_option("A code that you give them another way")
    page.get_by_role("button", name="Make the link").click()
    page.get_by_role("heading", name="The code", exact=True).wait_for()
    assert not serious_problems(page) and not is_too_wide(page)
    picture(page, "private-links")
    page.goto(f"{site.address}/requests/{request_id}/release")
    page.get_by_text("There is no report yet.").wait_for()
    assert not serious_problems(page) and not is_too_wide(page)
