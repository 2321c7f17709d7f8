"""An insurer's system asked, in a real browser at phone and desk width, with axe and by keyboard."""

import threading

import pytest

from integration.web.server import create_servers
from tests.browser.test_pages import is_too_wide, picture, serious_problems
from tests.integration.web.coordinator.test_asking_a_payer import PAYER
from tests.integration.web.site import Site

pytestmark = [pytest.mark.browser, pytest.mark.postgres]


@pytest.fixture
def site(tmp_path, database):
    """The pages at a loopback address, of an installation that knows an insurer's system."""
    made = Site(tmp_path, database, PAYER)
    pages = create_servers(made.app, host="127.0.0.1", port=0, threads=8)
    made.address = f"http://127.0.0.1:{pages.port}"
    threading.Thread(target=pages.run, daemon=True).start()
    yield made
    pages.close()


def test_a_coordinator_reads_what_is_sent_and_asks(page, site):
    request_id = site.request("payer", coverage=("Coverage/45",))
    page.goto(f"{site.address}/requests/{request_id}/coverage")
    page.get_by_text("Sent, and nothing else", exact=False).wait_for()
    page.get_by_label("Which insurer's system").select_option("plan")
    page.get_by_label("About which insurance").select_option("Coverage/45")
    page.get_by_label("Ask it as").select_option("3")
    assert not serious_problems(page) and not is_too_wide(page)
    picture(page, "coverage-payer")
    page.get_by_role("button", name="Ask now").press("Enter")
    page.get_by_text("Example Health is being asked about", exact=False).wait_for()
    assert not serious_problems(page) and not is_too_wide(page)
    picture(page, "coverage-payer-asked")
