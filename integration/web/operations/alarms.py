"""The alarms page: what is open and since when, who was told, what could not be sent; and the buttons that silence."""

import shlex
from datetime import timedelta

from flask import Blueprint, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import Connection
from werkzeug.datastructures import MultiDict

from integration.store import alarms as store
from integration.store import notices
from integration.store.operations import NotPossible
from integration.views.texts import t
from integration.web import forms, pages, world
from integration.web.operations.questions import Question

blueprint = pages.sentences(Blueprint("alarms", __name__))
HOURS, USUAL_HOURS = (1, 4, 8, 24, 72, 168), 8


@blueprint.get("/alarms")
def listed() -> ResponseReturnValue:
    """Open alarms, or with ``past`` those that are over; of one rule, and from one place on."""
    past, rule, after = (
        "past" in request.args,
        request.args.get("rule", "")[:60].replace("\x00", ""),
        request.args.get("after", ""),
    )
    now = pages.now()
    with world.engine().connect() as conn:
        found, following = store.page(conn, is_open=not past, rule=rule or None, after=_number(after))
        told = notices.of_alarms(conn, [row.id for row in found])
        counts, silences, troubled = store.open_counts(conn), store.silences(conn, now), notices.not_sent(conn, now)
    return pages.render(
        "alarms.html",
        alarms=[(row, store.silenced(silences, row.rule, row.subject), told[row.id]) for row in found],
        counts=counts,
        silences=silences,
        troubled=troubled,
        recipients=len(world.config().alerts.send_to),
        past=past,
        rule=rule,
        first=_here(past, rule) if after else None,
        following=_here(past, rule, following) if following else None,
        here=request.full_path.rstrip("?"),
    )


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None


def _here(past: bool, rule: str, after: int | None = None) -> str:
    return url_for("alarms.listed", past="yes" if past else None, rule=rule or None, after=after or None)


# --- the buttons: asked by questions, done by actions ---


def _named(given: MultiDict) -> tuple[str, str]:
    return store.known_rule(given.get("rule", "")), given.get("subject", "")[:200].replace("\x00", "")


def _words(rule: str, subject: str) -> dict[str, str]:
    return {"rule": rule, "subject": subject}


def ask_silence(_conn: Connection, given: MultiDict) -> Question:
    """Tell nobody of an alarm for some hours."""
    rule, subject = _named(given)
    hours = {
        "name": "hours",
        "label": t("silence.hours"),
        "value": given.get("hours", str(USUAL_HOURS)),
        "choices": [(str(hours), t("silence.choice", n=hours)) for hours in HOURS],
    }
    return Question(
        t("silence.title", **_words(rule, subject)),
        t("silence.button"),
        (t("silence.what"),),
        {"rule": [rule], "subject": [subject]},
        f"second-opinion alarms silence {shlex.quote(rule)} {shlex.quote(subject)} --hours {USUAL_HOURS} --reason …",
        back=url_for("alarms.listed"),
        inputs=(hours,),
    )


def do_silence(conn: Connection, given: MultiDict, reason: str) -> tuple[str, bool, str]:
    """Silence it."""
    rule, subject = _named(given)
    chosen = given.get("hours", "")
    until = pages.now() + timedelta(hours=int(chosen) if chosen in map(str, HOURS) else USUAL_HOURS)
    store.silence(conn, rule, subject, until, pages.now(), actor=forms.actor(), reason=reason)
    return t("silence.done", until=f"{until:%Y-%m-%d %H:%M}", **_words(rule, subject)), True, ""


def ask_unsilence(conn: Connection, given: MultiDict) -> Question:
    """Tell of it again."""
    rule, subject = _named(given)
    if not any((each.rule, each.subject) == (rule, subject) for each in store.silences(conn, pages.now())):
        raise NotPossible(t("unsilence.gone", **_words(rule, subject)))
    return Question(
        t("unsilence.title", **_words(rule, subject)),
        t("unsilence.button"),
        (t("unsilence.what"),),
        {"rule": [rule], "subject": [subject]},
        f"second-opinion alarms unsilence {shlex.quote(rule)} {shlex.quote(subject)} --reason …",
        back=url_for("alarms.listed"),
    )


def do_unsilence(conn: Connection, given: MultiDict, reason: str) -> tuple[str, bool, str]:
    """End the silence."""
    rule, subject = _named(given)
    store.unsilence(conn, rule, subject, pages.now(), actor=forms.actor(), reason=reason)
    return t("unsilence.done", **_words(rule, subject)), True, ""


ACTIONS = {"silence": (ask_silence, do_silence), "unsilence": (ask_unsilence, do_unsilence)}
