"""A consultant's report on a page: written in parts or handed in as PDF, saved in steps, previewed, signed, corrected, retracted."""

import re

from flask import Blueprint, Response, request, url_for
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import RequestEntityTooLarge

from integration import written_reports
from integration.arriving.refused import Refused
from integration.store.operations import NotPossible, WrongWords
from integration.store.report_drafts import DraftChanged
from integration.views.texts import t
from integration.web import FORM_BYTES, forms, pages, world
from integration.written_reports import MOST_FILE_BYTES, Writing
from mappings.codes import SYSTEM_LOINC
from mappings.model.written_report import (
    MAX_PARTS,
    MAX_SUMMARY,
    MAX_WORDS,
    Agreement,
    TypedAnswer,
    TypedPoint,
    TypedReport,
    TypedTest,
    shown_report,
)
from mappings.written_report import AGREEMENT_WORDS, sections

blueprint = pages.sentences(Blueprint("report", __name__, url_prefix="/desk/<request_id>/report"))
_LINE = re.compile(r"(points|tests|answers)-(\d{1,3})-")
MORE = 2  # empty lines below those that were written


@blueprint.before_request
def _a_file_may_be_large() -> None:
    if request.endpoint == "report.upload":
        request.max_content_length = MOST_FILE_BYTES + FORM_BYTES


@blueprint.get("")
def show(request_id: str) -> ResponseReturnValue:
    """The report as it is being written, beside what was asked. The look is recorded."""
    return _page(request_id, 200)


@blueprint.post("")
def write(request_id: str) -> ResponseReturnValue:
    """Save what was typed; then preview or sign it. A refusal shows the page again, and nothing typed is lost."""
    typed = _typed()
    if not forms.is_ours():
        return _page(request_id, 403, typed=typed, error=forms.refusal())
    do = forms.typed("do")
    try:
        draft = written_reports.save(
            world.engine(), world.config(), request_id, typed, version=_version(), actor=forms.actor()
        )
        if do == "sign":
            return _signed(request_id, draft.version)
    except WrongWords as error:
        return _page(request_id, 400, wrong=dict(error.wrong))
    except DraftChanged as error:
        return _page(request_id, 409, typed=typed, error=str(error), theirs=True)
    except NotPossible as error:
        return _page(request_id, 409, typed=typed, error=str(error))
    if do == "preview":
        return forms.see_other(url_for("report.preview", request_id=request_id))
    return forms.told(t("written.saved"), url_for("report.show", request_id=request_id))


@blueprint.get("/preview")
def preview(request_id: str) -> ResponseReturnValue:
    """The report as it would be signed. The look is recorded."""
    found = _look(request_id)
    shown = list(sections(shown_report(found.typed)))
    head = written_reports.head_of(found.seen.content)
    return pages.render("report_preview.html", found=found, head=head, sections=shown)


@blueprint.post("/file")
def upload(request_id: str) -> ResponseReturnValue:
    """The report is this PDF. One that is cut, too large or would do something is refused, and nothing of it is kept."""
    try:
        if not forms.is_ours():
            return _page(request_id, 403, error=forms.refusal())
        file = request.files.get("file")
    except RequestEntityTooLarge:
        return _page(request_id, 413, error=written_reports.too_large())
    if file is None or not file.filename:
        return _page(request_id, 400, error=t("written.no_file"))
    try:
        draft = written_reports.take_file(
            world.engine(),
            world.payloads(),
            world.config(),
            request_id,
            file.stream,  # type: ignore[arg-type]  # werkzeug says IO[bytes]
            name=file.filename,
            claimed=file.mimetype,
            version=_version(),
            actor=forms.actor(),
        )
    except Refused as error:
        return _page(request_id, 422, error=f"{error}.")
    except NotPossible as error:
        return _page(request_id, 409, error=str(error))
    doubted = bool(draft.file_doubts)
    said = t("written.file_doubted" if doubted else "written.file_taken")
    return forms.told(said, url_for("report.show", request_id=request_id), good=not doubted)


@blueprint.post("/change")
def change(request_id: str) -> ResponseReturnValue:
    """Begin a correction, discard the draft, take the file out of it, or take back what was signed."""
    if not forms.is_ours():
        return _page(request_id, 403, error=forms.refusal())
    do, reason = forms.typed("do"), forms.typed("reason")
    if do in ("discard", "retract") and not reason:
        return _page(request_id, 400, error=t("action.no_reason"))
    engine, config, actor = world.engine(), world.config(), forms.actor()
    try:
        match do:
            case "correct":
                written_reports.correct(engine, config, request_id, actor=actor)
            case "drop-file":
                written_reports.drop_file(engine, config, request_id, version=_version(), actor=actor)
            case "discard":
                written_reports.discard(engine, request_id, version=_version(), actor=actor, reason=reason)
            case "retract":
                number = _number("number")
                written_reports.retract(engine, config, request_id, number, actor=actor, reason=reason)
            case _:
                return _page(request_id, 400, error=t("written.which"))
    except NotPossible as error:
        return _page(request_id, 409, error=str(error))
    return forms.told(t(f"written.did.{do}"), url_for("report.show", request_id=request_id))


def _signed(request_id: str, version: int) -> Response:
    made = written_reports.sign(
        world.engine(),
        world.payloads(),
        world.config(),
        request_id,
        by=forms.typed("signed_by"),
        is_theirs=bool(forms.typed("is_theirs")),
        version=version,
        actor=forms.actor(),
    )
    said = [t("written.signed", by=forms.typed("signed_by"))]
    if made.without_pdf:
        said.append(t("written.without_pdf", why=made.without_pdf))
    return forms.told(" ".join(said), url_for("report.show", request_id=request_id), good=not made.without_pdf)


def _typed() -> TypedReport:
    """What the form holds; lines in which nothing was typed are dropped."""
    numbers: dict[str, set[int]] = {"points": set(), "tests": set(), "answers": set()}
    for name in request.form:
        if found := _LINE.match(name):
            numbers[found[1]].add(int(found[2]))

    def each(kind: str, name: str, number: int) -> str:
        return forms.typed(f"{kind}-{number}-{name}", MAX_WORDS + 1)

    points = [
        TypedPoint(*(each("points", name, number) for name in ("said", "agreement", "words")))
        for number in sorted(numbers["points"])
    ]
    tests = [_typed_test(each("tests", "words", n), each("tests", "code", n)) for n in sorted(numbers["tests"])]
    answers = [
        TypedAnswer(forms.typed(f"answers-{number}-question", 20_001), each("answers", "words", number))
        for number in sorted(numbers["answers"])
    ]
    return TypedReport(
        forms.typed("diagnosis"),
        forms.typed("plan"),
        forms.typed("summary", MAX_SUMMARY + 1),
        tuple(one for one in points if one != TypedPoint())[: MAX_PARTS + 1],
        tuple(one for one in tests if one != TypedTest())[: MAX_PARTS + 1],
        tuple(answers[: MAX_PARTS + 1]),
    )


def _typed_test(words: str, code: str) -> TypedTest:
    return TypedTest(words, SYSTEM_LOINC if code else "", code)


def _version() -> int:
    return _number("version")


def _number(name: str) -> int:
    said = forms.typed(name, 9)
    return int(said) if said.isascii() and said.isdigit() else 0


def _look(request_id: str) -> Writing:
    return written_reports.look(world.engine(), world.config(), request_id, actor=forms.actor())


def _page(
    request_id: str,
    status: int,
    *,
    typed: TypedReport | None = None,
    error: str = "",
    wrong: dict[str, str] | None = None,
    theirs: bool = False,
) -> Response:
    found = _look(request_id)
    shown = typed or found.typed
    return pages.render(
        "report_write.html",
        status,
        again=forms.again,
        found=found,
        typed=shown,
        points=[*shown.points, *([TypedPoint()] * MORE)][:MAX_PARTS],
        tests=[*shown.tests, *([TypedTest()] * MORE)][:MAX_PARTS],
        agreements=AGREEMENT_WORDS,
        agreement=list(Agreement),
        why_not=written_reports.why_not(found.seen, found.signed),
        theirs=list(sections(shown_report(found.typed))) if theirs else None,
        error=error,
        wrong=wrong or {},
        most={"summary": MAX_SUMMARY, "words": MAX_WORDS, "file": MOST_FILE_BYTES // 1_000_000},
    )
