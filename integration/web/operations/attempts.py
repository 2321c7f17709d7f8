"""One attempt of a step: what it asked other servers and what they answered; bodies only after a look that is recorded."""

from flask import Blueprint, Response, abort, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import Row

from integration.store import exchanges
from integration.store.exchanges import UnknownAttempt
from integration.views.texts import t
from integration.web import forms, pages, world
from integration.web.operations import looks

blueprint = pages.sentences(
    Blueprint("attempts", __name__, url_prefix="/requests/<request_id>/attempts/<int:attempt_id>")
)


@blueprint.get("")
def show(request_id: str, attempt_id: int) -> ResponseReturnValue:
    """Its exchanges: address, status, time and sizes; no content."""
    return _page(request_id, attempt_id)


@blueprint.post("/look")
def look(request_id: str, attempt_id: int) -> ResponseReturnValue:
    """Both bodies of one exchange, as far as they are kept. The look is recorded first."""
    _attempt(request_id, attempt_id)
    number = forms.typed("number", 9)
    return looks.recorded(
        "attempt.looked-at",
        request_id,
        subject=f"attempt {attempt_id} exchange {number}",
        show=lambda: _bodies(request_id, attempt_id, int(number) if number.isascii() and number.isdigit() else 0),
        refuse=lambda status, why: _page(request_id, attempt_id, status, why),
    )


def _attempt(request_id: str, attempt_id: int) -> Row:
    with world.engine().connect() as conn:
        try:
            return exchanges.attempt(conn, attempt_id, request_id)
        except UnknownAttempt as error:
            abort(404, str(error))


def _page(request_id: str, attempt_id: int, status: int = 200, error: str = "") -> Response:
    row = _attempt(request_id, attempt_id)
    with world.engine().connect() as conn:
        seen = exchanges.of_attempt(conn, attempt_id)
    return pages.render("attempt.html", status, attempt=row, seen=seen, error=error, left_out=exchanges.left_out(seen))


def _bodies(request_id: str, attempt_id: int, number: int) -> Response:
    with world.engine().connect() as conn:
        kept = exchanges.bodies(conn, attempt_id, number)
    if not kept:
        abort(404, t("attempt.gone"))
    words = {"request": t("attempt.request"), "response": t("attempt.response")}
    return looks.page(
        t("attempt.bodies", n=number),
        [looks.pretty(words[body.which], body.data, cut=body.cut) for body in kept],
        back=url_for("attempts.show", request_id=request_id, attempt_id=attempt_id),
        back_words=t("attempt.back"),
        cut_words=t("attempt.cut"),
    )
