"""The page of a document that a person carries: its bytes for who may see them, each download recorded, then who got it."""

import hashlib
import io
import zipfile
from datetime import UTC, datetime

import pytest
from sqlalchemy import text, update

from integration.store import hand_overs
from integration.store.tables import requests

pytestmark = pytest.mark.postgres
PDF = b"%PDF-1.4 synthetic"


@pytest.fixture
def carried(site):
    """``(request id, delivery id, address of the delivery's page)`` of a report that waits for a person."""
    request_id = site.request()
    delivery = site.report_to_carry(request_id, PDF)
    return request_id, delivery, f"/requests/{request_id}/deliveries/{delivery}"


def download(site, page: str, what: str, reason: str = "for the front desk"):
    fields = {**site.form(page), "reason": reason}
    return site.client.post(f"{page}/{what}", data=fields)


def test_the_report_is_downloaded_as_it_is_and_the_gate_writes_it_down_before(site, carried):
    request_id, delivery, page = carried
    answer = download(site, page, "report")
    assert answer.status_code == 200 and answer.data == PDF
    assert f"{delivery}.pdf" in answer.headers["Content-Disposition"]
    [look], [leaving] = site.audited("delivery.downloaded"), site.audited("data.leaves")
    assert (look.reason, look.subject) == ("for the front desk", f"{delivery} report") and look.id < leaving.id
    assert (leaving.request_id, leaving.subject, leaving.reason) == (request_id, "alice", "report-return")
    assert leaving.detail["bytes"] == len(PDF) and leaving.detail["delivery"] == delivery


def test_the_packet_holds_the_document_what_it_is_and_the_hash_of_each(site, carried):
    answer = download(site, carried[2], "packet")
    with zipfile.ZipFile(io.BytesIO(answer.data)) as archive:
        held = {name: archive.read(name) for name in archive.namelist()}
    assert set(held) == {"report-1.pdf", "document-reference.json", "SHA256SUMS"} and held["report-1.pdf"] == PDF
    assert f"{hashlib.sha256(PDF).hexdigest()}  report-1.pdf" in held["SHA256SUMS"].decode().splitlines()


def test_nothing_is_handed_out_without_a_reason_or_by_another_site(site, carried):
    page = carried[2]
    assert download(site, page, "report", reason=" ").status_code == 400
    assert site.client.post(f"{page}/report", data={"reason": "x"}).status_code == 403
    assert not site.audited("data.leaves") and not site.audited("delivery.downloaded")


@pytest.mark.parametrize("why", ["request-withdrawn", "patient-not-linked"])
def test_what_the_gate_keeps_is_not_downloaded(site, carried, why):
    with site.engine.begin() as conn:
        if why == "request-withdrawn":
            conn.execute(update(requests).where(requests.c.id == carried[0]).values(status="cancelled"))
        else:
            conn.execute(text("UPDATE patient_links SET undone_at = now()"))
    answer = download(site, carried[2], "report")
    assert answer.status_code == 409 and PDF not in answer.data and not site.audited("data.leaves")
    assert [each.reason for each in site.audited("data.kept")] == [f"report-return: {why}"]


def test_what_was_sent_over_a_wire_is_not_handed_out_here(site, carried):
    page = carried[2]
    with site.engine.begin() as conn:
        conn.execute(text("UPDATE sendings SET begun_at = now(), sends = 1"))
    assert download(site, page, "report").status_code == 404


def test_the_form_says_what_is_wrong_and_keeps_what_was_typed(site, carried):
    address = f"/actions/confirm?delivery={carried[1]}"
    wrong = site.press(address, to="Front desk <b>", by="Nora Field", at="2031-01-01T10:00", by_way="fax")
    assert wrong.status_code == 409 and "When (UTC): is in the future" in wrong.text
    assert 'value="Front desk &lt;b&gt;"' in wrong.text and 'value="fax" selected' in wrong.text
    assert not site.audited("delivery.handed-over")


def test_who_got_it_stands_on_the_pages_and_is_never_called_verified(site, carried):
    request_id, delivery, page = carried
    said = dict(
        to="Front desk", by="Nora Field", at=f"{datetime.now(UTC):%Y-%m-%dT%H:%M}", by_way="fax", note="2 pages"
    )
    assert site.told(site.press(f"/actions/confirm?delivery={delivery}", **said))
    shown = site.get(page)
    assert all(each in shown for each in ("Front desk", "Nora Field", "By fax", "2 pages", "Take it back"))
    assert "Say to whom" not in shown
    api = site.client.get(f"/api/requests/{request_id}/deliveries/{delivery}").json["delivery"]
    assert api["hand_over"]["to"] == "Front desk" and api["hand_over"]["by_way"] == "fax"
    with site.engine.connect() as conn:
        assert hand_overs.in_force(conn, delivery)[0].actor == "web"


def test_the_second_of_two_is_told_of_the_first(site, carried):
    said = dict(to="Front desk", by="Nora Field", at=f"{datetime.now(UTC):%Y-%m-%dT%H:%M}", by_way="handed")
    address = f"/actions/confirm?delivery={carried[1]}"
    fields = {**site.form(address), "reason": ["the second"], **{name: [value] for name, value in said.items()}}
    site.press(address, reason="the first", **said)
    second = site.client.post("/actions/confirm", data=fields)
    assert second.status_code == 409 and "the first" in second.text and "web said at" in second.text
    assert [each.reason for each in site.audited("delivery.handed-over")] == ["the first"]
