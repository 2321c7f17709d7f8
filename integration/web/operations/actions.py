"""The buttons: a page asks, the same address does it; with a reason, once, audited, and told."""

from collections.abc import Callable

from flask import Blueprint, Response, abort, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import Connection
from werkzeug.datastructures import MultiDict

from integration.store import (
    actions,
    audit,
    bulk,
    endpoint_checks,
    endpoint_health,
    operations,
    requests,
    search,
    steps,
)
from integration.store.filters import parse
from integration.views import words
from integration.views.texts import t
from integration.web import forms, pages, world
from integration.web.access import accounts as account_pages
from integration.web.access import client_list, scope
from integration.web.operations import alarms, hand_over, questions, ways_on
from integration.web.operations.questions import Question, Stale, seen_in

blueprint = pages.sentences(Blueprint("actions", __name__, url_prefix="/actions"))
# What an action tells: message, whether it had an effect, and where to go on (empty: back).
Told = tuple[str, bool, str]


@blueprint.get("/<name>")
def ask(name: str) -> ResponseReturnValue:
    """Say exactly what would happen, and ask for the reason."""
    question = _question(name, request.args)
    _look_recorded(question)
    return pages.render(
        "confirm.html", question=question, back=forms.local(request.args.get("back"), question.back), reason=""
    )


@blueprint.post("/<name>")
def do(name: str) -> ResponseReturnValue:
    """1. the form is ours, 2. a reason is given, 3. do it in one transaction, 4. tell. Else ask again; nothing typed is lost."""
    reason, back = forms.typed("reason"), forms.local(request.form.get("back"))
    if not forms.is_ours():
        return _again(name, back, reason, forms.refusal(), 403)
    if not reason:
        return _again(name, back, reason, t("action.no_reason"), 400)
    try:
        with world.engine().begin() as conn:
            message, good, address = _known(name)[1](conn, request.form, reason)
    except operations.NotPossible as error:
        return _again(name, back, reason, t("action.gone", why=str(error)), 409)
    return forms.told(message, address or back, good=good)


def _known(
    name: str,
) -> tuple[Callable[[Connection, MultiDict], Question], Callable[[Connection, MultiDict, str], Told]]:
    return ACTIONS.get(name) or abort(404, t("action.unknown"))


def _question(name: str, given: MultiDict) -> Question:
    with world.engine().begin() as conn:
        return _known(name)[0](conn, given)


def _again(name: str, back: str, reason: str, error: str, status: int) -> Response:
    """Ask again with what is so now; when there is nothing left to ask, only tell."""
    try:
        question = _question(name, request.form)
    except operations.NotPossible:
        return forms.told(error, back, good=False)
    _look_recorded(question)
    return pages.render("confirm.html", status, question=question, back=back, reason=reason, error=error)


def _look_recorded(question: Question) -> None:
    """A button about one request says whose it is, to who may see that."""
    if question.about and scope.may_use("cases.show"):
        with world.engine().begin() as conn:
            audit.record(conn, forms.actor(), "case.looked-at", question.about, subject="before a button")


def _retry(conn: Connection, given: MultiDict, reason: str) -> Told:
    seen = seen_in(given)
    result = (
        actions.retry(conn, seen[0], actor=forms.actor(), reason=reason)
        if len(seen) == 1
        else actions.retry_many(conn, seen, actor=forms.actor(), reason=reason)
    )
    return result.message, result.changed > 0, ""


def _park(conn: Connection, given: MultiDict, reason: str) -> Told:
    seen = next(iter(seen_in(given)), None)
    if seen is None:
        raise operations.NotPossible(t("action.missing"))
    result = actions.park(conn, seen, actor=forms.actor(), reason=reason)
    return result.message, result.changed > 0, ""


def _cancel(conn: Connection, given: MultiDict, reason: str) -> Told:
    steps.lock_with_request(conn, given.get("request", ""))
    row = requests.get(conn, given.get("request", ""))
    if given.get("seen") != row.status:
        raise Stale(f"it was {given.get('seen', '')[:20]} and is {row.status} now. Look again before you cancel it")
    operations.cancel(conn, row.id, actor=forms.actor(), reason=reason)
    return (
        t("cancel.done", id=row.id, place=world.place_name(row.fulfiller)),
        True,
        url_for("requests.show", request_id=row.id),
    )


def _pausing(paused: bool) -> Callable[[Connection, MultiDict, str], Told]:
    name = "pause" if paused else "resume"

    def act(conn: Connection, given: MultiDict, reason: str) -> Told:
        key = questions.endpoint_key(conn, given.get("at", ""))
        now = endpoint_health.of(conn, key, held=True)
        if now is not None and now.paused is paused:
            return t(f"{name}.already", place=world.place_name(key)), False, ""
        operations.pause(conn, key, paused, actor=forms.actor(), reason=reason)
        return t(f"{name}.done", place=world.place_name(key)), True, ""

    return act


def _check_endpoint(conn: Connection, given: MultiDict, reason: str) -> Told:
    key = questions.endpoint_key(conn, given.get("at", ""))
    made = endpoint_checks.ask(conn, key, actor=forms.actor(), reason=reason)
    address = url_for("checks.show", key=key)
    return t("check.done" if made else "check.already", place=world.place_name(key)), made, address


def _run_schedule(conn: Connection, given: MultiDict, reason: str) -> Told:
    name = given.get("schedule", "")
    made = operations.run_schedule(conn, world.config(), name, actor=forms.actor(), reason=reason)
    return t("run.done" if made else "run.already", name=name), made, ""


def _retry_matching(conn: Connection, given: MultiDict, reason: str) -> Told:
    wanted, now = search.hashed(conn, parse(given.get("q", ""))), pages.now()
    number, before = sum(each.number for each in search.count_matching(conn, wanted, now)), given.get("count", "")
    if not before.isdigit() or number > int(before):  # fewer is no surprise: others worked meanwhile
        raise Stale(t("all.changed", before=before[:12], n=words.number(number)))
    speed = given.get("per_second", "")
    per_second = int(speed) if speed in map(str, bulk.RATES) else bulk.RATES[1]
    operation_id = bulk.start_retry(conn, wanted, now, actor=forms.actor(), reason=reason, per_second=per_second)
    return t("all.started", id=operation_id), True, url_for("bulk.show", operation_id=operation_id)


def _stop_operation(conn: Connection, given: MultiDict, reason: str) -> Told:
    view = bulk.cancel(conn, questions.bulk_id(given), actor=forms.actor(), reason=reason)
    return t("stop.done", **view), True, ""


ACTIONS = {
    "retry": (questions.retry, _retry),
    "park": (questions.park, _park),
    "cancel": (questions.cancel, _cancel),
    "pause": (questions.pause, _pausing(True)),
    "resume": (questions.resume, _pausing(False)),
    "check-endpoint": (questions.check_endpoint, _check_endpoint),
    "run-schedule": (questions.run_schedule, _run_schedule),
    "retry-matching": (questions.retry_matching, _retry_matching),
    "stop-operation": (questions.stop_operation, _stop_operation),
    **ways_on.ACTIONS,
    **hand_over.ACTIONS,
    **alarms.ACTIONS,
    **account_pages.ACTIONS,
    **client_list.ACTIONS,
}
