"""Records from elsewhere, medications, questions and the visit sheet in a real browser at phone and desk width, with axe."""

import pytest

from tests.browser.test_pages import is_too_wide, picture, serious_problems
from tests.integration.arriving.made import ccda
from tests.mappings.test_medications import order

pytestmark = [pytest.mark.browser, pytest.mark.postgres]


def test_a_coordinator_hands_in_a_document_and_goes_through_medications_and_questions(page, site, tmp_path):
    request_id = site.request("elsewhere", fulfiller="mercy", patient_questions=["Can I wait?", "How long?"])
    site.packet(request_id, order(1), order(2, "Warfarin", "855332", status="stopped"))
    file = tmp_path / "note.xml"
    file.write_bytes(ccda("<list><item>well</item></list>", family="Maiden"))
    page.goto(f"{site.address}/requests/{request_id}/records-received")
    picture(page, "received")
    assert not serious_problems(page) and not is_too_wide(page)
    page.get_by_label("File", exact=True).set_input_files(str(file))
    page.get_by_role("button", name="Upload").click()
    page.get_by_text("Not the same: the family name").wait_for()
    picture(page, "received-one")
    assert not serious_problems(page) and not is_too_wide(page)
    page.get_by_role("link", name="Read the document").click()
    page.get_by_text("well").wait_for()
    assert not serious_problems(page) and not is_too_wide(page)
    for topic in ("medications", "questions", "visit-sheet"):
        page.goto(f"{site.address}/requests/{request_id}/{topic}")
        picture(page, topic)
        assert not serious_problems(page) and not is_too_wide(page)
