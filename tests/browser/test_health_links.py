"""A link for the patient, made in a real browser at phone and desk width: its QR code is read back from the screen."""

import io
import json

import pytest
import zxingcpp
from PIL import Image

from tests.browser.test_pages import is_too_wide, picture, serious_problems
from tests.integration.health_links.reader import opened, payload_of
from tests.integration.web.test_health_links import with_packet

pytestmark = [pytest.mark.browser, pytest.mark.postgres]


def test_a_coordinator_makes_a_link_and_sees_who_opened_it(page, site):
    request_id = with_packet(site, key="carried")
    page.goto(f"{site.address}/cases/{request_id}")
    page.get_by_role("link", name="Links for the patient").click()
    page.get_by_role("button", name="Make the link").click()
    page.get_by_text("a link is for nobody else").wait_for()
    assert not serious_problems(page) and not is_too_wide(page)
    page.get_by_label("Days that it opens").fill("14")
    page.get_by_label("The patient, or who speaks for them, asked for this link.").check()
    page.get_by_role("button", name="Make the link").click()
    code = page.get_by_role("img", name="QR code of the SMART Health Link")
    code.wait_for()
    assert not serious_problems(page) and not is_too_wide(page)
    picture(page, "health-link-made")
    link = page.get_by_label("Link", exact=True).input_value()
    [read] = zxingcpp.read_barcodes(Image.open(io.BytesIO(code.screenshot())))
    assert read.text == link and link.startswith("shlink:/")
    passcode = page.locator(".passcode").inner_text().replace(" ", "")
    answer = page.request.post(
        payload_of(link)["url"], data=json.dumps({"recipient": "Mercy Hospital, Dr. Bob", "passcode": passcode}),
        headers={"Content-Type": "application/json", "Origin": "https://viewer.example.org"},
    )  # fmt: skip
    assert answer.status == 200 and answer.headers["access-control-allow-origin"] == "*"
    sealed = answer.json()["files"][0]["embedded"]
    assert json.loads(opened(sealed, payload_of(link)["key"])[2])["type"] == "document"
    page.goto(f"{site.address}/requests/{request_id}/health-links")
    page.get_by_text("Mercy Hospital, Dr. Bob, got the list, 2 files").wait_for()
    picture(page, "health-links")
    page.locator("summary", has_text="Revoke it").click()
    page.get_by_label("Why it is revoked").fill("the phone was lost")
    page.get_by_role("button", name="Revoke it").click()
    page.get_by_text("Revoked. It opens nothing any more.").wait_for()
    assert not serious_problems(page)
    assert page.request.post(payload_of(link)["url"], data={"recipient": "x", "passcode": passcode}).status == 404
