"""A consultant's report on our pages: written, saved, signed, corrected, retracted; for pages, API and commands.

Signing writes the report, its documents and the end of the Task at the practice's own endpoint, in one commit with our rows; the
watch of the Task then returns it to the primary care EHR as it returns anybody's.
"""

import base64
import hashlib
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import BinaryIO

from sqlalchemy import Connection, Engine

from integration import desk
from integration.arriving.files import look as look_into
from integration.arriving.refused import Refused
from integration.desk import Seen
from integration.hosted.staff import Staff
from integration.packets.payloads import BLOCK_BYTES, Payloads
from integration.packets.pdf_words import words_of_pdf
from integration.packets.text_pdf import pdf_of_text
from integration.settings.config import Config
from integration.store import audit, hints, report_drafts, requests, steps, written_reports
from integration.store.operations import NotPossible, WrongWords
from integration.store.report_drafts import DraftChanged, ReportDraft
from integration.store.requests import Request
from integration.store.written_reports import SignedReport
from mappings.desk_task import reported
from mappings.document_reference import to_attachment
from mappings.model.request import Identifier, SecondOpinionRequest
from mappings.model.states import FINAL, Status
from mappings.model.typed import came_second
from mappings.model.written_report import (
    TypedAnswer,
    TypedPoint,
    TypedReport,
    TypedTest,
    WrittenReport,
    shown_report,
    sign_report,
)
from mappings.report_patient import Doubt, doubts
from mappings.task import read_task
from mappings.written_report import (
    PDF,
    QUESTION,
    TEXT,
    TITLE,
    About,
    read_written_report,
    retracted,
    to_composition,
    to_instant,
    to_report_document,
    to_text,
)

MOST_FILE_BYTES = 30_000_000  # of a report as PDF: it travels inside one resource


@dataclass(frozen=True)
class Writing:
    """A report as it is being written, and those that were signed. ``seen``: the request."""

    seen: Seen
    draft: ReportDraft | None = field(repr=False)
    signed: tuple[SignedReport, ...]

    @property
    def version(self) -> int:
        """Of the draft, for forms; 0: there is none."""
        return self.draft.version if self.draft else 0

    @property
    def standing(self) -> SignedReport | None:
        """The newest that was signed, unless it was retracted."""
        newest = self.signed[-1] if self.signed else None
        return newest if newest and newest.retracted_at is None else None

    @property
    def typed(self) -> TypedReport:
        """What was typed so far, with a place for the answer to each question of the patient."""
        typed = self.draft.typed if self.draft else TypedReport()
        known = {each.question: each for each in typed.answers}
        asked = self.seen.content.patient_questions
        more = tuple(each for each in typed.answers if each.question not in asked)
        return replace(typed, answers=(*(known.get(each, TypedAnswer(each)) for each in asked), *more))

    @property
    def may_write(self) -> bool:
        """A report can be written here: it is asked for, or it corrects one that was signed here."""
        return why_not(self.seen, self.signed) == ""


@dataclass(frozen=True)
class Signed:
    """What was signed. ``without_pdf``: why there is no PDF of the text; empty when there is one."""

    number: int
    reference: str
    without_pdf: str


def why_not(seen: Seen, signed: Iterable[SignedReport]) -> str:
    """Why no report can be written for this request now; empty when one can."""
    if not seen.is_hosted:
        return f"the report is written in the EHR of {seen.place}, and is read from there"
    if seen.task is None:
        return "the request is still on its way to you: a report can be written when it is there"
    if Status(seen.row.status) in FINAL - {Status.COMPLETED} or seen.status in FINAL - {Status.COMPLETED}:
        ended = (seen.row.status if Status(seen.row.status) in FINAL else str(seen.status)).replace("-", " ")
        return f"the request is {ended}: no report is written for it"
    if not seen.is_taken:
        return "nobody has accepted the request yet: accept it on its page, and say who has it, before its report is written"
    if seen.status is Status.COMPLETED and not list(signed):
        return "the request has its report already, from another system: it is corrected there"
    return ""


def look(engine: Engine, config: Config, request_id: str, *, actor: str, reason: str | None = None) -> Writing:
    """The report of a request as it is being written; the look of ``actor`` is recorded. Raises UnknownRequest."""
    with engine.begin() as conn:
        row = requests.get(conn, request_id)
        audit.record(conn, actor, "desk.report-looked-at", request_id, reason=reason)
        return _writing(conn, config, row)


def save(
    engine: Engine, config: Config, request_id: str, typed: TypedReport, *, version: int, actor: str
) -> ReportDraft:
    """Keep what was typed so far, whatever is still wrong with it. Raises DraftChanged, NotPossible, UnknownRequest."""
    with engine.begin() as conn:
        writing = _must_be_writable(conn, config, request_id)
        return report_drafts.save(
            conn, request_id, typed, version=version, corrects=_newest(writing.signed), actor=actor
        )


def discard(engine: Engine, request_id: str, *, version: int, actor: str, reason: str) -> None:
    """Nobody wants this draft. Raises DraftChanged, UnknownRequest."""
    with engine.begin() as conn:
        requests.get(conn, request_id)
        report_drafts.must_be(conn, request_id, version)
        report_drafts.remove(conn, request_id)
        audit.record(conn, actor, "desk.report-discarded", request_id, reason=reason)


def correct(engine: Engine, config: Config, request_id: str, *, actor: str) -> ReportDraft:
    """Begin a correction: a draft that says what the report says that was signed last. Raises NotPossible, DraftChanged."""
    with engine.begin() as conn:
        writing = _must_be_writable(conn, config, request_id)
        newest = writing.signed[-1] if writing.signed else None
        if newest is None:
            raise NotPossible("there is no signed report that could be corrected")
        said = desk.read_there(conn, config, writing.seen.row, newest.reference)
        typed = as_typed(read_written_report(said or {}).report or WrittenReport())
        return report_drafts.save(conn, request_id, typed, version=0, corrects=newest.number, actor=actor)


def take_file(
    engine: Engine,
    payloads: Payloads,
    config: Config,
    request_id: str,
    file: BinaryIO,
    *,
    name: str,
    claimed: str | None,
    version: int,
    actor: str,
) -> ReportDraft:
    """A PDF that is the report. What it says of its patient is looked at; a person decides when it is signed.

    Raises Refused with what to do, and nothing of the file is kept; DraftChanged, NotPossible.
    """
    with engine.connect() as conn:
        writing = _must_be_writable(conn, config, request_id)
    with closing(payloads.spool()) as kept:
        _fill(kept, file)
        if look_into(kept, name, claimed, max_bytes=MOST_FILE_BYTES, spool=payloads.spool).format.key != "pdf":
            raise Refused("A report is handed in as PDF. Print it to a PDF, or write it on this page")
        kept.seek(0)
        data = kept.read()
    words = words_of_pdf(data)
    found = (Doubt.UNREAD,) if isinstance(words, str) else doubts(words.words, writing.seen.content.patient)
    digest, corrects = payloads.put(data), _newest(writing.signed)
    with engine.begin() as conn:
        return report_drafts.set_file(conn, request_id, digest, found, version=version, corrects=corrects, actor=actor)


def drop_file(engine: Engine, config: Config, request_id: str, *, version: int, actor: str) -> ReportDraft:
    """The report is not that file. Raises DraftChanged, NotPossible."""
    with engine.begin() as conn:
        writing = _must_be_writable(conn, config, request_id)
        corrects = _newest(writing.signed)
        return report_drafts.set_file(conn, request_id, None, (), version=version, corrects=corrects, actor=actor)


def preview(writing: Writing) -> str:
    """The report as it would be signed now, as text."""
    return to_text(shown_report(writing.typed), head_of(writing.seen.content))


def sign(
    engine: Engine,
    payloads: Payloads,
    config: Config,
    request_id: str,
    *,
    by: str,
    is_theirs: bool = False,
    version: int,
    actor: str,
) -> Signed:
    """Sign the draft in this version: from then on it is the report. ``is_theirs``: a person looked whose file it is.

    Raises WrongWords with a sentence for each field, DraftChanged, and NotPossible when somebody else signed one meanwhile.
    """
    with engine.connect() as conn:
        writing = _must_be_writable(conn, config, request_id)
    _must_be_seen(writing, version)
    draft, now = writing.draft, datetime.now(UTC).replace(microsecond=0)
    has_file = draft is not None and draft.file_sha256 is not None
    report, wrong = sign_report(writing.typed, by=by, now=now, has_document=has_file)
    if draft is not None and draft.file_doubts and not is_theirs:
        wrong = {**wrong, "is_theirs": "look at the file, and say that it is this patient's report"}
    if wrong or report is None:
        raise WrongWords(wrong)
    documents, without = _documents(payloads, writing, report)
    with desk.writing(engine, config, writing.seen.row) as staff:
        conn = staff.connection
        steps.lock_with_request(conn, request_id)
        now_there = _must_be_writable(conn, config, request_id)
        _must_be_first(now_there, draft)
        report_drafts.must_be(conn, request_id, version)
        number = len(now_there.signed) + 1
        reference, composition = _write(staff, config, now_there, report, documents, number)
        written_reports.add(
            conn,
            request_id,
            number,
            reference=reference,
            composition=composition,
            signed_by=report.signed_by,
            actor=actor,
        )
        report_drafts.remove(conn, request_id)
        audit.record(conn, actor, "desk.report-signed", request_id, subject=reference, detail={"number": number})
        hints.news_of(conn, request_id, writing.seen.row.fulfiller)
    return Signed(number, reference, without)


def retract(engine: Engine, config: Config, request_id: str, number: int, *, actor: str, reason: str) -> None:
    """The report that was signed last should never have been: it is marked as an error, and its copy with it. Raises NotPossible."""
    with engine.connect() as conn:
        row = requests.get(conn, request_id)
    if not reason.strip():
        raise NotPossible("say why the report is taken back")
    with desk.writing(engine, config, row) as staff:
        conn = staff.connection
        steps.lock_with_request(conn, request_id)
        signed = written_reports.of_request(conn, request_id)
        if not signed or signed[-1].number != number:
            raise NotPossible(f"report {number} is not the newest that was signed here: look, and take back the newest")
        if signed[-1].retracted_at is not None:
            raise NotPossible(
                came_second(str(signed[-1].retracted_by), "retracted", signed[-1].retracted_at.astimezone(UTC))
            )
        for reference in (signed[-1].reference, signed[-1].composition):
            staff.update(retracted(staff.read(reference), reason.strip()))
        written_reports.retract(conn, request_id, number, actor=actor, reason=reason.strip())
        audit.record(conn, actor, "desk.report-retracted", request_id, subject=signed[-1].reference, reason=reason)
        hints.news_of(conn, request_id, row.fulfiller)


def as_typed(report: WrittenReport) -> TypedReport:
    """A signed report as somebody would type it again."""
    return TypedReport(
        report.diagnosis or "",
        report.plan or "",
        report.summary,
        tuple(TypedPoint(each.said, each.agreement or "", each.words) for each in report.points),
        tuple(
            TypedTest(each.words, each.code.system, each.code.code, each.code.display or "")
            if each.code
            else TypedTest(each.words)
            for each in report.tests
        ),
        tuple(TypedAnswer(each.question, each.words) for each in report.answers),
    )


def head_of(content: SecondOpinionRequest) -> list[str]:
    """The first lines of a report: what it is, and whom it is about. The patient reads it too: it holds no number of ours."""
    patient = content.patient
    name = " ".join([*patient.name.given, patient.name.family]) if patient.name else ""
    born = f", born {patient.birth_date}" if patient.birth_date else ""
    return [
        TITLE,
        f"Patient: {name or 'not named'}{born}, number {patient.identifiers[0].value}",
        *([f"{QUESTION}{content.question}"] if content.question else []),
    ]


def _writing(conn: Connection, config: Config, row: Request) -> Writing:
    signed = tuple(written_reports.of_request(conn, row.id))
    return Writing(desk.seen(conn, config, row), report_drafts.get(conn, row.id), signed)


def _must_be_writable(conn: Connection, config: Config, request_id: str) -> Writing:
    writing = _writing(conn, config, requests.get(conn, request_id))
    if why := why_not(writing.seen, writing.signed):
        raise NotPossible(why)
    return writing


def _must_be_seen(writing: Writing, version: int) -> None:
    if writing.version != version:
        newest = writing.standing
        if writing.draft is None and newest is not None:
            raise NotPossible(
                f"{newest.signed_by} signed the report at {newest.signed_at:%Y-%m-%d %H:%M} UTC, after you opened this page: "
                "read it, and correct it if it is not right"
            )
        raise DraftChanged(writing.draft)


def _must_be_first(now_there: Writing, draft: ReportDraft | None) -> None:
    """A second report while the first is being signed is no report: it would have to correct that one."""
    newest = now_there.signed[-1] if now_there.signed else None
    if newest is not None and (draft is None or draft.corrects != newest.number):
        raise NotPossible(
            f"{newest.signed_by} signed a report at {newest.signed_at:%Y-%m-%d %H:%M} UTC: read it, and correct that one"
        )


def _newest(signed: Iterable[SignedReport]) -> int | None:
    return max((each.number for each in signed), default=None)


def _documents(payloads: Payloads, writing: Writing, report: WrittenReport) -> tuple[list[tuple[str, bytes]], str]:
    """The documents of the report, the one to be read first is first; and why there is no PDF of its text."""
    file = writing.draft.file_sha256 if writing.draft else None
    text = to_text(report, head_of(writing.seen.content))
    if file is not None:
        parts = [(TEXT, text.encode())] if report.diagnosis or report.plan or report.summary else []
        return [(PDF, payloads.get(file)), *parts], ""
    made = pdf_of_text(text, TITLE)
    if isinstance(made, str):
        return [(TEXT, text.encode())], made
    return [(TEXT, text.encode()), (PDF, made)], ""


def _write(
    staff: Staff,
    config: Config,
    writing: Writing,
    report: WrittenReport,
    documents: list[tuple[str, bytes]],
    number: int,
) -> tuple[str, str]:
    """(DocumentReference, Composition) at the practice; the one it corrects is superseded, and the Task is completed with it."""
    request_id, before = writing.seen.row.id, writing.signed[-1] if writing.signed else None
    task = staff.read(desk.must_have_task(staff.connection, config, writing.seen.row))
    if read_task(task).status in FINAL - {Status.COMPLETED}:
        raise NotPossible("the request has ended meanwhile: no report is written for it")
    about = About(
        Identifier(system=config.exchange.identifier_system, value=f"DocumentReference/{request_id}-written-{number}"),
        task["for"]["reference"],
        task["focus"]["reference"],
        writing.seen.place,
    )
    composition = staff.create(to_composition(report, about, replaces=before.composition if before else None))
    about = replace(about, composition=composition)
    attachments = [_attachment(staff, kind, data) for kind, data in documents]
    reference = staff.create(
        to_report_document(report, about, attachments, replaces=before.reference if before else None)
    )
    if before is not None and before.retracted_at is None:
        staff.update({**staff.read(before.reference), "status": "superseded"})
    staff.update(reported(task, reference, to_instant(datetime.now(UTC))))
    return reference, composition


def _attachment(staff: Staff, kind: str, data: bytes) -> dict:
    """Text inside, a PDF as a Binary beside it."""
    if kind != PDF:
        return to_attachment(kind, data, TITLE)
    binary = staff.create(
        {"resourceType": "Binary", "contentType": kind, "data": base64.b64encode(data).decode("ascii")}
    )
    digest = base64.b64encode(hashlib.sha1(data, usedforsecurity=False).digest()).decode("ascii")
    return {"contentType": kind, "url": binary, "size": len(data), "hash": digest}


def _fill(kept: BinaryIO, file: BinaryIO) -> None:
    size = 0
    while block := file.read(BLOCK_BYTES):
        size += len(block)
        if size > MOST_FILE_BYTES:
            raise Refused(too_large())
        kept.write(block)
    kept.flush()


def too_large() -> str:
    """What is said of a file above the limit."""
    return f"The file is larger than {MOST_FILE_BYTES / 1e6:,.0f} MB, the most that is taken of a report. Save it smaller, without pictures in full size"
