"""A report written on our pages goes the whole way: signed, returned, corrected, retracted, each read back in the referring EHR."""

import base64
import io
from dataclasses import replace

import pytest
from reportlab.pdfgen.canvas import Canvas

from integration import desk, written_reports
from integration.arriving.refused import Refused
from integration.store import reports
from integration.store.operations import NotPossible, WrongWords
from integration.store.report_drafts import DraftChanged
from mappings.model.desk import TypedSaid
from mappings.model.written_report import Agreement, TypedAnswer, TypedPoint, TypedReport, TypedTest
from mappings.written_report import read_written_report
from tests.integration.web.consultant.practice import accept, at_our_pages
from tests.jobs.exchange import a_request, load_chart

pytestmark = pytest.mark.postgres
GOOD = TypedReport(
    "agrees",
    "differs",
    "Stage III is confirmed. Surgery can wait.",
    (TypedPoint("surgery now", "differs", "Chemotherapy first."),),
    (TypedTest("PET-CT"),),
    (TypedAnswer("Can I wait?", "Yes, six weeks."),),
)


@pytest.fixture
def asked(exchange):
    at_our_pages(exchange)
    load_chart(exchange)
    request_id = exchange.submit(a_request())
    exchange.drain()
    accept(exchange, request_id)
    return exchange, request_id


def save(exchange, request_id, typed=GOOD, version=0, actor="bob"):
    made = written_reports.save(exchange.engine, exchange.config, request_id, typed, version=version, actor=actor)
    return made.version


def sign(exchange, request_id, version=1, by="Dr. Bob Example", **more):
    made = (exchange.engine, exchange.payloads, exchange.config, request_id)
    return written_reports.sign(*made, by=by, version=version, actor="bob", **more)


def upload(exchange, request_id, data, version=0, name="report.pdf"):
    made = (exchange.engine, exchange.payloads, exchange.config, request_id, io.BytesIO(data))
    return written_reports.take_file(*made, name=name, claimed="application/pdf", version=version, actor="bob")


def returned(exchange):
    return sorted(
        exchange.find("alice", "DocumentReference", type="11488-4"), key=lambda each: each["meta"]["lastUpdated"]
    )


def pdf(*lines: str, pages: int = 1, script: str = "") -> bytes:
    out = io.BytesIO()
    canvas = Canvas(out)
    for number in range(pages):
        for at, line in enumerate(lines):
            canvas.drawString(72, 700 - 20 * at, f"{line} {number if pages > 1 else ''}")
        canvas.showPage()
    if script:
        from reportlab.pdfbase.pdfdoc import PDFDictionary, PDFName, PDFString

        action = PDFDictionary({"S": PDFName("JavaScript"), "JS": PDFString(script)})
        canvas._doc.Catalog.OpenAction = action
        canvas._doc.Catalog.__NoDefault__ = [*canvas._doc.Catalog.__NoDefault__, "OpenAction"]
    canvas.save()
    return out.getvalue()


def test_before_anybody_accepted_nothing_is_written_nor_after_more_was_asked_for(exchange):
    at_our_pages(exchange)
    load_chart(exchange)
    request_id = exchange.submit(a_request())
    exchange.drain()
    client = exchange.app.test_client()

    def offered() -> bool:
        return "Write the report" in client.get(f"/desk/{request_id}").text

    def refused() -> None:
        assert not offered() and "when somebody has accepted the request" in client.get(f"/desk/{request_id}").text
        assert "nobody has accepted the request yet" in client.get(f"/desk/{request_id}/report").text
        for act in (lambda: save(exchange, request_id), lambda: sign(exchange, request_id),
                    lambda: upload(exchange, request_id, pdf("Ada Synthetic-Test"))):  # fmt: skip
            with pytest.raises(NotPossible, match="nobody has accepted the request yet: accept it on its page"):
                act()
        assert exchange.app.test_client().post(f"/api/desk/{request_id}/report", json={}).status_code in (400, 409)

    refused()
    ask = TypedSaid("ask", words="Please send the pathology report.")
    desk.answer(exchange.engine, exchange.config, request_id, ask, last=0, actor="bob")
    refused()
    accept(exchange, request_id)
    assert offered() and save(exchange, request_id) == 1
    last = desk.look(exchange.engine, exchange.config, request_id, actor="bob").last
    desk.answer(exchange.engine, exchange.config, request_id, ask, last=last, actor="bob")
    more = replace(GOOD, summary="Stage III is confirmed.")
    assert offered() and save(exchange, request_id, more, version=1) == 2, "who has it goes on while more is on its way"


def test_accepted_written_signed_returned_corrected_and_retracted(asked):
    exchange, request_id = asked
    exchange.drain()
    assert exchange.view(request_id)["status"] == "accepted"
    save(exchange, request_id)
    made = sign(exchange, request_id)
    assert made.number == 1 and made.without_pdf == ""
    exchange.drain()
    view = exchange.view(request_id)
    assert view["status"] == "completed" and view["closed_at"] is not None, view
    (copy,) = returned(exchange)
    data = [base64.b64decode(each["attachment"]["data"]) for each in copy["content"]]
    assert b"Stage III is confirmed." in data[0] and data[1].startswith(b"%PDF-")
    assert request_id.encode() not in data[0], "the patient reads it: no number of ours"
    with exchange.engine.connect() as conn:
        newest = reports.newest(conn, request_id)
    from integration import fhir_json

    parts = read_written_report(fhir_json.loads(exchange.payloads.get(newest.resource_sha256))).report
    assert (parts.diagnosis, parts.plan, parts.signed_by) == (Agreement.AGREES, Agreement.DIFFERS, "Dr. Bob Example")
    assert parts.points[0].said == "surgery now" and parts.answers[0].words == "Yes, six weeks."
    assert read_written_report(exchange.find("bob", "Composition")[0]).report == parts

    draft = written_reports.correct(exchange.engine, exchange.config, request_id, actor="bob")
    assert draft.typed == GOOD
    save(exchange, request_id, TypedReport("agrees", "agrees", "We were wrong: surgery now."), version=1)
    assert sign(exchange, request_id, version=2).number == 2
    exchange.drain()
    exchange.drain()
    copies = returned(exchange)
    assert len(copies) == 2, [each["status"] for each in copies]
    assert any(
        b"surgery now" in base64.b64decode(each["content"][0]["attachment"]["data"]) and each.get("relatesTo")
        for each in copies
    )

    made = (exchange.engine, exchange.config, request_id)
    with pytest.raises(NotPossible, match="not the newest"):
        written_reports.retract(*made, 1, actor="bob", reason="wrong patient")
    written_reports.retract(*made, 2, actor="bob", reason="wrong patient")
    exchange.drain()
    assert "entered-in-error" in {each["status"] for each in returned(exchange)}
    with pytest.raises(NotPossible, match="bob said retracted"):
        written_reports.retract(*made, 2, actor="bob", reason="again")


def test_two_who_write_and_sign_lose_nothing_to_each_other(asked):
    exchange, request_id = asked
    assert save(exchange, request_id) == 1 and save(exchange, request_id, version=1) == 1  # nothing changed
    with pytest.raises(DraftChanged, match="bob saved it"):
        save(exchange, request_id, TypedReport(summary="mine"), version=0, actor="carol")
    assert save(exchange, request_id, TypedReport("agrees", "", "x"), version=1) == 2
    with pytest.raises(WrongWords) as wrong:
        sign(exchange, request_id, version=2, by="")
    assert set(wrong.value.wrong) == {"plan", "signed_by"}
    save(exchange, request_id, version=2)
    sign(exchange, request_id, version=3)
    with pytest.raises(NotPossible, match="Dr. Bob Example signed the report at"):
        sign(exchange, request_id, version=3, by="Dr. Carol Example")
    assert len(exchange.find("bob", "Composition")) == 1


def test_no_report_for_a_request_that_was_canceled_or_declined(asked):
    exchange, request_id = asked
    decline = TypedSaid("decline", "not-in-time")
    last = desk.look(exchange.engine, exchange.config, request_id, actor="bob").last
    desk.answer(exchange.engine, exchange.config, request_id, decline, last=last, actor="bob")
    with pytest.raises(NotPossible, match="rejected: no report"):
        save(exchange, request_id)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (pdf("Patient: Ada Synthetic-Test", script="app.alert(1)"), "script|opened|would"),
        (pdf("Patient: Ada Synthetic-Test")[:-600], "damaged|cannot be read|broken|cut"),
        (b"Plain words", "PDF|text"),
        (b"", "empty|nothing"),
    ],
    ids=["script", "cut", "text", "empty"],
)
def test_a_file_that_is_no_report_is_refused_and_nothing_of_it_is_kept(asked, data, why):
    exchange, request_id = asked
    with pytest.raises(Refused, match=why):
        upload(exchange, request_id, data)
    assert written_reports.look(exchange.engine, exchange.config, request_id, actor="bob").draft is None


def test_a_file_about_somebody_else_is_signed_only_after_a_person_looked(asked):
    exchange, request_id = asked
    draft = upload(exchange, request_id, pdf("Patient: Eve Other", "MRN: 998877", pages=300))
    assert set(draft.file_doubts) == {"another-name", "another-number"}
    with pytest.raises(WrongWords, match="this patient's report"):
        sign(exchange, request_id)
    again = upload(exchange, request_id, pdf("Patient: Ada Synthetic-Test", "MRN: M1"), version=1)
    assert again.file_doubts == []
    sign(exchange, request_id, version=2)
    exchange.drain()
    (copy,) = returned(exchange)
    assert [each["attachment"]["contentType"] for each in copy["content"]] == ["application/pdf"]
