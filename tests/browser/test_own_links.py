"""The patient makes a link on their own page, in a real browser at phone and desk width: its code is read back from the screen."""

import io

import pytest
import zxingcpp
from PIL import Image

from integration.store import private_links
from mappings.model.private_link import TypedLink
from tests.browser.test_pages import is_too_wide, picture, serious_problems
from tests.integration.web.patient.test_door import BORN, patient
from tests.integration.web.test_health_links import with_packet
from tests.servers.infobutton import Infobutton

pytestmark = [pytest.mark.browser, pytest.mark.postgres]
CODE = {"system": "http://hl7.org/fhir/sid/icd-10-cm", "code": "S83.511A"}
FIRST = {"doctor": {"name": {"family": "Charlie"}}, "diagnosis": {"text": "Torn", "codes": [CODE]}}


def test_the_patient_makes_a_link_and_reads_about_the_diagnosis(page, site):
    service = Infobutton()
    library = site.config.health_library.model_copy(update={"address": service.address})
    object.__setattr__(site.config, "health_library", library)
    request_id = with_packet(site, request_id=site.request("own", patient=patient(), first_opinion=FIRST))
    with site.engine.begin() as conn:
        made = private_links.make(conn, request_id, TypedLink("birth-date"), actor="ann")
    try:
        page.goto(f"{site.address}/p/{made.token}")
        page.locator("#born").fill(BORN)
        page.get_by_role("button").first.click()
        page.get_by_role("heading", name="Take your records with you").wait_for()
        page.get_by_role("button", name="Make a link").click()
        code = page.get_by_role("img", name="A square picture that opens your records")
        code.wait_for()
        assert not serious_problems(page) and not is_too_wide(page)
        picture(page, "own-link-made")
        [read] = zxingcpp.read_barcodes(Image.open(io.BytesIO(code.screenshot())))
        assert read.text == page.get_by_label("Link").input_value()
        page.get_by_role("link", name="Go back to your page").click()
        page.get_by_text("No one has opened it.").wait_for()
        assert not serious_problems(page) and not is_too_wide(page)
        picture(page, "own-links")
        page.get_by_role("button", name="End this link").click()
        page.get_by_text("We ended the link.").wait_for()
        page.get_by_role("link", name="Read about your diagnosis").click()
        page.get_by_role("heading", name="Knee Injuries and Disorders").wait_for()
        assert not serious_problems(page) and not is_too_wide(page)
        picture(page, "own-reading")
    finally:
        service.close()
