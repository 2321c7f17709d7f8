"""Signing in with a real browser: press, sign out, go back, and a session that ends while somebody types."""

import re
import threading

import pytest

from integration.store.roles import Role
from integration.web.server import create_servers
from tests.browser.conftest import WIDTHS, at_desk, busy_night, on_phone
from tests.browser.test_pages import is_too_wide, picture, serious_problems
from tests.integration.web.access.guarded import PASSWORD, Guarded

pytestmark = [pytest.mark.browser, pytest.mark.postgres]
SIGN_IN = re.compile(r"/sign-in\b")
EXPECTED = ("401 (UNAUTHORIZED)", "403 (FORBIDDEN)")  # the browser notes the answers this is about


@pytest.fixture
def site(tmp_path, database):
    """The pages at a loopback address, with a busy night in the tables, and nothing without signing in."""
    made = Guarded(tmp_path, database)
    busy_night(made)
    made.account("olga", Role.OPERATOR, Role.CLINICAL_DATA)
    made.account("vera")
    server = create_servers(made.app, host="127.0.0.1", port=0, threads=8)
    made.address = f"http://127.0.0.1:{server.port}"
    threading.Thread(target=server.run, daemon=True).start()
    yield made
    server.close()


@pytest.fixture(params=WIDTHS, ids=lambda width: f"{width}px")
def page(chromium, site, request):  # asks for the site, so that the browser is closed before what it looks at
    """A page of one width; an error on its console fails the test, but for answers that say to sign in."""
    context = chromium.new_context(viewport={"width": request.param, "height": 900})
    opened, problems = context.new_page(), []
    opened.set_default_timeout(10_000)
    opened.on(
        "console",
        lambda said: (
            problems.append(said.text)
            if said.type == "error" and not any(each in said.text for each in EXPECTED)
            else None
        ),
    )
    opened.on("pageerror", lambda error: problems.append(str(error)))
    opened.width = request.param
    yield opened
    context.close()
    assert problems == []


def first_request(site) -> str:
    return site.sql("SELECT id FROM requests WHERE closed_at IS NULL ORDER BY id LIMIT 1").scalar_one()


def enter(page, name: str = "olga") -> None:
    page.get_by_label("Account").fill(name)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()


@on_phone
def test_somebody_signs_in_presses_a_button_under_their_name_signs_out_and_back_shows_nothing(page, site):
    page.goto(site.address + "/queue?q=state:parked")
    assert (
        page.url.endswith("/sign-in?next=/queue?q%3Dstate:parked")
        and page.evaluate("document.activeElement.id") == "name"
    )
    picture(page, "sign-in")
    assert serious_problems(page) == [] and not is_too_wide(page)
    page.keyboard.type("olga")
    page.keyboard.press("Tab")
    page.keyboard.type("wrong wrong wrong")
    page.keyboard.press("Enter")
    assert "Wrong account or password" in page.get_by_role("alert").inner_text()
    page.wait_for_function("document.activeElement.id == 'password'")  # a moment after the page is there
    picture(page, "sign-in-wrong")
    assert serious_problems(page) == []
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url("**/queue?q=state:parked")
    page.locator(".card-parked .act a:has-text('Retry')").first.click()
    page.get_by_label("Reason").fill("it is up again")
    page.get_by_role("button", name="Retry 1 step").click()
    assert "is due now" in page.locator("#message").inner_text()
    assert [(row.actor, row.reason) for row in site.audited("step.retried")] == [("olga", "it is up again")]
    picture(page, "signed-in")
    page.get_by_role("button", name="Sign out").click()
    assert "You are signed out." in page.locator("#message").inner_text()
    page.go_back()
    page.wait_for_url(SIGN_IN)
    assert page.locator(".card").count() == 0


@at_desk
def test_a_session_that_ends_while_somebody_types_loses_nothing(page, site):
    page.goto(site.address + "/new")
    enter(page)
    page.get_by_role("button", name="Begin a request").click()
    page.get_by_role("link", name="6. Question").click()
    page.get_by_label("Questions of the patient").fill("Can I wait?")
    page.locator("#question").fill("Is surgery needed?\nOr <b>not</b>?")
    site.age_sessions(seen_at="1 hour")
    page.get_by_role("button", name="Save and continue").click()
    assert "You were signed out" in page.get_by_role("alert").inner_text()
    picture(page, "signed-out-meanwhile")
    assert serious_problems(page) == [] and not is_too_wide(page)
    enter(page)
    assert "Check the form and send it again" in page.get_by_role("alert").inner_text() and page.url.endswith(
        "/question"
    )
    assert page.locator("#question").input_value() == "Is surgery needed?\nOr <b>not</b>?"
    assert page.get_by_label("Questions of the patient").input_value() == "Can I wait?"
    picture(page, "shown-again")
    page.goto(site.address + "/endpoints")
    page.get_by_role("link", name="Pause…").first.click()
    page.get_by_label("Reason").fill("planned work")
    site.age_sessions(seen_at="1 hour")
    page.get_by_role("button", name="Pause").click()
    enter(page)
    assert page.get_by_label("Reason").input_value() == "planned work" and site.audited("endpoint.paused") == []
    page.get_by_role("button", name="Pause").click()
    assert "is paused" in page.locator("#message").inner_text()
    assert [(row.actor, row.reason) for row in site.audited("endpoint.paused")] == [("olga", "planned work")]


@at_desk
def test_a_patient_stays_shown_while_the_page_renews_itself_and_goes_when_the_session_ends(page, site):
    request_id = first_request(site)
    page.goto(f"{site.address}/requests/{request_id}")
    enter(page)
    panel = page.locator("section:has(#patient)")
    assert "Synthetic-Test" not in page.content()
    picture(page, "patient-masked")
    assert serious_problems(page) == [] and not is_too_wide(page)
    panel.get_by_label("Reason").fill("call from the ward")
    panel.get_by_role("button", name="Show").click()
    assert "Ada Synthetic-Test" in panel.inner_text() and request_id in page.url and "Synthetic" not in page.url
    picture(page, "patient-shown")
    assert serious_problems(page) == [] and not is_too_wide(page)
    before = page.locator("#live").inner_text()
    site.step("mirror_status", "alice", request_id=request_id, cause="http-500")
    page.wait_for_function("before => document.getElementById('live').innerText !== before", arg=before, timeout=15_000)
    assert "Ada Synthetic-Test" in panel.inner_text(), "renewed, and still shown"
    site.age_sessions(seen_at="1 hour")
    page.wait_for_url(SIGN_IN, timeout=15_000)
    assert "Synthetic-Test" not in page.content()
    page.go_back()
    assert "Synthetic-Test" not in page.content()


def test_a_viewer_is_told_which_role_is_missing_and_the_pages_of_accounts_fit(page, site):
    page.goto(f"{site.address}/new")
    enter(page, "vera")
    assert "needs the role clinical-data" in page.locator("main").inner_text()
    picture(page, "not-allowed")
    page.goto(f"{site.address}/account")
    picture(page, "account")
    assert serious_problems(page) == [] and not is_too_wide(page)
    page.get_by_role("button", name="Sign out", exact=True).click()
    enter(page, "ada.admin")
    page.goto(f"{site.address}/accounts")
    picture(page, "accounts")
    assert serious_problems(page) == [] and not is_too_wide(page)
    page.get_by_role("link", name="Add operator… vera").click()
    page.get_by_label("Reason").fill("works nights")
    page.get_by_role("button", name="Add the role").click()
    assert "vera has the role operator" in page.locator("#message").inner_text()
