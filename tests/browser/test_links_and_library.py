"""A link that the patient brings, and something to read about the diagnosis, in a real browser at phone and desk width."""

import pytest

from tests.browser.test_pages import is_too_wide, picture, serious_problems
from tests.integration.health_links.test_opening import BUNDLE, link_to
from tests.integration.test_health_library import KNEE, with_diagnosis
from tests.servers.infobutton import Infobutton
from tests.servers.unkind_links import UnkindLinks

pytestmark = [pytest.mark.browser, pytest.mark.postgres]


def allow(site, **sections) -> None:
    for name, values in sections.items():
        object.__setattr__(site.config, name, getattr(site.config, name).model_copy(update=values))


def test_a_link_is_opened_and_its_file_is_read(page, site):
    allow(site, health_links={"allow_http": True, "networks": ("127.0.0.0/8",)})
    server = UnkindLinks(BUNDLE, passcode="12345678")
    try:
        request_id = site.request("brought")
        page.goto(f"{site.address}/requests/{request_id}/records-received")
        page.get_by_label("Link", exact=True).fill(link_to(server, flag="P"))
        page.get_by_label("Passcode").fill("12345678")
        page.get_by_role("button", name="Open the link").click()
        page.get_by_text("1 file is here").wait_for()
        assert not serious_problems(page) and not is_too_wide(page)
        picture(page, "received-by-link")
        page.get_by_role("link", name="Discharge summary").click()
        page.get_by_text("SMART Health Link of 127.0.0.1, brought by the patient").first.wait_for()
        page.get_by_role("link", name="Read the document").click()
        page.get_by_text("Went well").wait_for()
        assert not serious_problems(page)
    finally:
        server.close()


def test_what_there_is_to_read_and_in_another_language(page, site):
    service = Infobutton()
    try:
        allow(site, health_library={"address": service.address})
        page.goto(f"{site.address}/cases/{with_diagnosis(site, KNEE, 'read')}")
        page.get_by_role("link", name="To read about the diagnosis").click()
        page.get_by_role("heading", name="Knee Injuries and Disorders").wait_for()
        assert not serious_problems(page) and not is_too_wide(page)
        picture(page, "library")
        page.get_by_role("link", name="Spanish").click()
        page.get_by_role("heading", name="Lesiones y enfermedades de la rodilla").wait_for()
        assert not serious_problems(page)
    finally:
        service.close()
