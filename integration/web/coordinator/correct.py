"""Correct a request: the form filled in, then exactly what will change and what follows, then a new version of it."""

from collections.abc import Callable

from flask import Blueprint, Response, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import Connection

from integration.store import audit, requests, revisions
from integration.store.requests import Request
from integration.store.revisions import Plan, RevisionRefused
from integration.views.corrections import consequences
from integration.views.texts import t
from integration.web import forms, pages, world
from integration.web.coordinator import correct_form, request_fields
from integration.web.operations import looks
from mappings.model.errors import RequestError
from mappings.model.request import SecondOpinionRequest

blueprint = pages.sentences(Blueprint("correct", __name__, url_prefix="/requests/<request_id>"))
OURS = ("token", "expected", "reason", "back")


@blueprint.post("/correct")
def open_form(request_id: str) -> ResponseReturnValue:
    """The form with what the request says now. It shows patient data: the look is recorded first, with the reason."""
    row = _row(request_id)

    def show() -> Response:
        content = requests.content(row)
        return _form(row, correct_form.shown(content), reason=forms.typed("reason"))

    return _looked(request_id, f"version {row.version} to correct it", show)


@blueprint.post("/correct/check")
def check(request_id: str) -> ResponseReturnValue:
    """Say exactly what would change, from what to what, and who would be told; or the form again with what is wrong."""
    return _with_typed(request_id, _confirm)


@blueprint.post("/correct/do")
def do(request_id: str) -> ResponseReturnValue:
    """Store the next version. Everything is checked once more, under a lock: two people at once have one effect."""
    return _with_typed(request_id, _revise)


@blueprint.post("/versions/look")
def look(request_id: str) -> ResponseReturnValue:
    """One version as it was entered. The look is recorded first."""
    _row(request_id)
    number = forms.typed("version", 9)
    version = int(number) if number.isascii() and number.isdigit() else 0
    return _looked(request_id, f"version {version}", lambda: _content(request_id, version))


def _row(request_id: str) -> Request:
    with world.engine().connect() as conn:
        return requests.get(conn, request_id)


def _looked(request_id: str, subject: str, show: Callable[[], Response]) -> Response:
    back = url_for("requests.show", request_id=request_id)
    refuse = lambda _status, why: forms.told(why, back, good=False)  # noqa: E731
    return looks.recorded("request.looked-at", request_id, subject=subject, show=show, refuse=refuse)


def _content(request_id: str, version: int) -> Response:
    with world.engine().connect() as conn:
        content = revisions.content(conn, request_id, version)
    return looks.page(
        t("correct.version_of", n=version, id=request_id),
        [looks.pretty("", content.model_dump(mode="json", exclude_defaults=True))],
        back=url_for("requests.show", request_id=request_id),
        back_words=t("correct.back"),
        cut_words=t("attempt.cut"),
    )


def _with_typed(
    request_id: str, go_on: Callable[[Request, SecondOpinionRequest, dict[str, str], str], Response]
) -> Response:
    """1. the form is ours, 2. a reason is given, 3. it is not stale, 4. read as any request file is, 5. ``go_on`` with it.

    Else the form again, with what was typed and a sentence. What is stored is shown only after the look is recorded.
    """
    row, typed = _row(request_id), _typed()
    expected, reason = request.form.get("expected", ""), forms.typed("reason")
    version = int(expected) if expected.isascii() and expected.isdigit() and len(expected) < 9 else 0
    if not forms.is_ours():
        return _form(row, typed, reason=reason, expected=version, others=[forms.refusal()], status=403)
    if not reason or "back" in request.form:
        others = [] if "back" in request.form else [t("action.no_reason")]
        return _form(row, typed, reason=reason, expected=version, others=others, status=400 if others else 200)
    try:
        with world.engine().connect() as conn:
            seen = correct_form.shown(revisions.content(conn, request_id, version))
        if version != row.version:
            return _stale(row, version, seen, typed, reason)
        made = correct_form.corrected(requests.content(row), seen, typed)
        return go_on(row, made, typed, reason)
    except RequestError as error:
        mistakes, others = request_fields.placed(error)
        return _form(row, typed, reason=reason, expected=version, mistakes=mistakes, others=others, status=400)
    except revisions.RevisionStale:
        return _stale(_row(request_id), version, seen, typed, reason)
    except RevisionRefused as error:
        return _form(row, typed, reason=reason, expected=version, others=[str(error)], status=409)


def _typed() -> dict[str, str]:
    return {
        name: value.replace("\x00", "").replace("\r\n", "\n")
        for name, value in request.form.items()
        if name not in OURS
    }


def _stale(row: Request, version: int, seen: dict[str, str], typed: dict[str, str], reason: str) -> Response:
    """What changed since, and the form with what is so now and, in it, what this person changed."""
    _record(row.id, f"version {row.version} to correct it", reason)
    try:
        with world.engine().connect() as conn:
            revisions.plan(
                conn,
                row.id,
                requests.content(row),
                expected_version=version,
                lead_days=world.config().records.lead_days,
            )
        why = ""
    except RevisionRefused as error:
        why = str(error)
    present = correct_form.shown(requests.content(row))
    return _form(row, correct_form.with_changes(present, seen, typed), reason=reason, others=[why], status=409)


def _confirm(row: Request, made: SecondOpinionRequest, typed: dict[str, str], reason: str) -> Response:
    with world.engine().connect() as conn:
        plan = revisions.plan(
            conn, row.id, made, expected_version=row.version, lead_days=world.config().records.lead_days
        )
        follows = _follows(conn, row, plan)
    _record(row.id, f"version {row.version} beside its correction", reason)
    return pages.render(
        "correct_confirm.html",
        row=row,
        plan=plan,
        changes=[(correct_form.label(change), change.old, change.new) for change in plan.changes],
        follows=follows,
        typed={path: typed[path] for path in correct_form.shown(made) if path in typed},
        reason=reason,
    )


def _revise(row: Request, made: SecondOpinionRequest, _typed_: dict[str, str], reason: str) -> Response:
    with world.engine().begin() as conn:
        plan = revisions.revise(
            conn,
            row.id,
            made,
            actor=forms.actor(),
            reason=reason,
            expected_version=row.version,
            lead_days=world.config().records.lead_days,
        )
    address = url_for("requests.show", request_id=row.id)
    return forms.told(t("correct.done", id=row.id, n=plan.version), address)


def _follows(conn: Connection, row: Request, plan: Plan) -> list[str]:
    accepts = world.config().endpoints[row.fulfiller].accepts if row.fulfiller in world.config().endpoints else ""
    return consequences(conn, row, plan, place=world.place_name(row.fulfiller), accepts=accepts)


def _record(request_id: str, subject: str, reason: str) -> None:
    with world.engine().begin() as conn:
        audit.record(conn, forms.actor(), "request.looked-at", request_id, subject=subject, reason=reason)


def _form(
    row: Request,
    typed: dict[str, str],
    *,
    reason: str,
    expected: int | None = None,
    mistakes: dict[str, str] | None = None,
    others: list[str] | None = None,
    status: int = 200,
) -> Response:
    content = requests.content(row)
    return pages.render(
        "correct.html",
        status,
        row=row,
        order=content.order,
        sections=correct_form.sections(content),
        typed=typed,
        mistakes=mistakes or {},
        others=others or [],
        reason=reason,
        expected=row.version if expected is None else expected,
    )
