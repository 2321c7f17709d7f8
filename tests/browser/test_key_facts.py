"""Reading a packet as a clinician does, in a real browser at phone and desk width, with axe: facts, their elements, lists, paper."""

import os
from pathlib import Path

import pytest
import simplejson
from pypdf import PdfReader

from tests.browser.conftest import SCREENSHOTS
from tests.browser.test_pages import is_too_wide, picture, serious_problems
from tests.mappings.reading.chart_factory import allergy, condition, flag, medication, report, result

pytestmark = [pytest.mark.browser, pytest.mark.postgres]
SYNTHEA = Path(os.environ.get("SECOND_OPINION_DATA", "missing")) / "synthea"
# Ten scripts, two of them written from right to left, and one word without an end.
SCRIPTS = (
    "肝臓がん 小児リンパ球性白血病",
    "سرطان الثدي الغازي",
    "סרטן שד חודרני",
    "Рак молочной железы",
    "Καρκίνος του μαστού",
    "स्तन कैंसर",
    "มะเร็งเต้านม",
    "유방암",
    "Ձվարանների քաղցկեղ",
    "ძუძუს კიბო",
)
ENDLESS = "carcinoma" * 1111


def test_a_clinician_reads_the_packet(page, site):
    request_id = site.request("reading", question="Is surgery needed? " + " ".join(SCRIPTS) + " " + ENDLESS)
    chart = (
        *(condition(number, code={"text": words}) for number, words in enumerate(SCRIPTS)),
        condition(20, code={"text": ENDLESS}, note=[{"text": ENDLESS}]),
        condition(21, "refuted"),
        allergy(1, SCRIPTS[1]),
        allergy(2, ENDLESS),
        medication(1, dosageInstruction=[{"text": ENDLESS}]),
        medication(2, status="stopped"),
        report(1, "2026-01-20", f"Two nodules. {SCRIPTS[2]} {ENDLESS}"),
        *(
            result(number, 8 + number % 5, f"2026-01-{number + 10}", interpretation=flag("L") if number % 3 else None)
            for number in range(9)
        ),
        result(
            30,
            {"value": 5, "unit": "g/dL", "system": "http://unitsofmeasure.org", "code": "g/dL", "comparator": "<"},
            "2026-02-01",
        ),
        {"resourceType": "DocumentReference", "id": "d1", "status": "current", "type": {"text": ENDLESS}},
    )
    site.packet(request_id, *chart)
    page.goto(f"{site.address}/cases/{request_id}")
    page.get_by_role("link", name="Read the records: key facts").click()
    page.get_by_role("heading", name="How much of the packet is on this page").wait_for()
    picture(page, "key-facts")
    assert not is_too_wide(page) and not serious_problems(page)
    page.get_by_text("9 values").click()
    assert page.get_by_role("link", name="12", exact=True).count() >= 1 and not serious_problems(page)
    page.get_by_role("link", name="hives").or_(page.get_by_role("link", name="manifestation: hives")).first.click()
    page.get_by_text("AllergyIntolerance.reaction").wait_for()
    assert page.locator("mark#element").inner_text().startswith("[")
    assert not is_too_wide(page) and not serious_problems(page)
    picture(page, "key-facts-element")
    page.get_by_role("link", name="Key facts", exact=True).first.click()
    page.get_by_role("heading", name="Timeline").wait_for()


@pytest.mark.skipif(
    not SYNTHEA.is_dir(), reason="SECOND_OPINION_DATA names no folder with charts that nobody here wrote"
)
def test_a_chart_that_nobody_here_wrote_fits_on_screen_and_paper(page, site):
    path = max(SYNTHEA.glob("*.json"), key=lambda each: each.stat().st_size)
    bundle = simplejson.loads(path.read_bytes(), use_decimal=True)
    request_id = site.request("synthea")
    site.packet(request_id, *(entry["resource"] for entry in bundle["entry"]))
    page.goto(f"{site.address}/requests/{request_id}/read")
    page.get_by_role("heading", name="Results over time").wait_for()
    assert not is_too_wide(page) and not serious_problems(page)
    picture(page, "key-facts-synthea")
    page.goto(f"{site.address}/requests/{request_id}/read/list/results")
    assert not is_too_wide(page) and not serious_problems(page)
    if page.width == 1280:
        page.goto(f"{site.address}/requests/{request_id}/read")
        page.pdf(path=str(SCREENSHOTS / "key-facts.pdf"), format="Letter")
        printed = "".join(each.extract_text() for each in PdfReader(SCREENSHOTS / "key-facts.pdf").pages)
        assert "Results over time" in printed and "Timeline" in printed and "Find a doctor" not in printed
