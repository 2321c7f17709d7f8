"""The visit sheet as a page and as a PDF: medicines, questions, whom to call, and no diagnosis."""

import io
from datetime import UTC, datetime

import pytest
from pypdf import PdfReader

from integration.store import appointments
from mappings.model.visit import Change, Known, Slot
from tests.mappings.test_medications import order

pytestmark = pytest.mark.postgres


def test_the_sheet_says_what_the_patient_needs_and_no_diagnosis(site):
    request_id = site.request(patient_questions=["Can I wait?", "How long?"], wanted_by="2027-03-01", fulfiller="bob")
    site.packet(request_id, order(1), order(2, "Warfarin", "855332", status="stopped"))
    page = site.get(f"/requests/{request_id}/visit-sheet")
    for words in (
        "Metformin 500 mg: 1 tablet twice daily",
        "1. Can I wait?",
        "IT desk, +1 555 0100",
        "Monday, March 1, 2027",
    ):
        assert words in page.replace("<bdi>", "").replace("</bdi>", "")
    assert "Warfarin" not in page and "synthetic diagnosis" not in page and "check it before the visit" in page
    answer = site.client.get(f"/requests/{request_id}/visit-sheet/pdf")
    read = PdfReader(io.BytesIO(answer.data))
    assert len(read.pages) == 1 and "Can I wait?" in read.pages[0].extract_text()
    assert "diagnosis" not in read.pages[0].extract_text() and "diagnosis" not in str(read.metadata)
    assert len(site.audited("sheet.looked-at")) == 2


def test_letters_that_a_pdf_cannot_show_are_said_and_the_page_has_them(site):
    request_id = site.request(patient_questions=["为什么？"])
    assert "为什么？" in site.get(f"/requests/{request_id}/visit-sheet")
    assert "Print the page instead" in site.get(f"/requests/{request_id}/visit-sheet/pdf", 409)


def test_the_sheet_says_when_the_visit_is_in_the_zone_of_the_consultant_until_it_is_canceled(site):
    request_id = site.request(wanted_by="2027-03-01")
    slot = Slot(datetime(2027, 1, 12, 15, 30, tzinfo=UTC), "America/Chicago", place="Suite 4", with_whom="Dr. Bob")
    with site.engine.begin() as conn:
        appointments.keep(conn, request_id, Change.BOOKED, slot, Known.HAND, expected=0, actor="t")
    page = site.get(f"/requests/{request_id}/visit-sheet")
    assert "Tuesday, January 12, 2027, 09:30 (America/Chicago)" in page and "Suite 4" in page and "Dr. Bob" in page
    assert "not known here yet" not in page
    with site.engine.begin() as conn:
        appointments.keep(conn, request_id, Change.CANCELLED, slot, Known.HAND, expected=1, actor="t")
    assert "January 12" not in site.get(f"/requests/{request_id}/visit-sheet")
