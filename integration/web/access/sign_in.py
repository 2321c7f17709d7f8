"""Signing in and out: the page, a session begun and ended, and what was typed into a form carried over when one ended."""

import math
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from flask import Blueprint, Response, g, redirect, request, url_for
from flask.typing import ResponseReturnValue
from itsdangerous import BadData
from sqlalchemy import Connection, Row
from werkzeug.datastructures import ImmutableMultiDict

from integration.store import accounts, audit, installation, sessions, sign_in_tries
from integration.store.roles import OF_PRACTICES, all_of
from integration.views.texts import t
from integration.web import forms, pages, world
from integration.web.access import who
from integration.web.access.who import Who

blueprint = pages.sentences(Blueprint("sign_in", __name__))
NAME, PASSWORD = "sign-in-name", "sign-in-password"
KNOWN, KNOWN_DAYS, KNOWN_ACCOUNTS = "second_opinion_known", 180, 5
KEPT_CHARACTERS, KEPT_FIELDS = 300_000, 1000  # of what was typed into a form; a request form holds a few thousand


@blueprint.get("/sign-in")
def form() -> ResponseReturnValue:
    """The page; who has signed in already goes on."""
    if who.who() is not None:
        return redirect(_next(), 303)
    return page(next=request.args.get("next", ""))


@blueprint.post("/sign-in")
def enter() -> ResponseReturnValue:
    """Sign in and go on to where somebody wanted to go; only ever a path of ours."""
    if not world.config().web.needs_sign_in:
        return redirect("/", 303)
    refused = attempt()
    return refused_page(refused, next=request.form.get("next", "")) if refused else redirect(_next(), 303)


@blueprint.post("/sign-out")
def leave() -> ResponseReturnValue:
    """End this session."""
    asking = who.who()
    if asking is None or not asking.session:
        return redirect(url_for("sign_in.form"), 303)
    if not forms.is_ours():
        return forms.told(t("action.forged"), "/", good=False)
    with world.engine().begin() as conn:
        sessions.end(conn, asking.session)
        audit.record(conn, asking.name, "account.signed-out", subject=asking.account)
    g.new_session = ""
    g.who = None
    return forms.told(t("sign_in.out"), url_for("sign_in.form"))


def carried() -> Response | None:
    """A form came without a session. None when its sender has signed in with it; else the page that asks for that.

    What was typed goes along as hidden fields, and when somebody has signed in, the form's own page shows it again and
    does nothing: its token was left behind.
    """
    typed = _typed()
    fits = len(typed) <= KEPT_FIELDS and sum(len(name) + len(value) for name, value in typed) <= KEPT_CHARACTERS
    if not fits or not forms.was_ours():
        return page(401, error=t("sign_in.not_kept"))
    if PASSWORD not in request.form:
        return page(401, kept=typed, error=t("sign_in.ended"))
    refused = attempt()
    if refused:
        return refused_page(refused, kept=typed)
    request.form = ImmutableMultiDict(typed)
    g.signed_in_again = True
    return None


def page(status: int = 200, *, kept: list[tuple[str, str]] | None = None, next: str = "", error: str = "") -> Response:
    """The page. With ``kept`` it posts to the address the form was for, else to /sign-in."""
    with world.engine().connect() as conn:
        is_empty = not accounts.there_are_any(conn)
    return pages.render(
        "sign_in.html",
        status,
        kept=kept,
        action=request.path if kept is not None else url_for("sign_in.enter"),
        next=forms.local(next),
        error=error,
        is_empty=is_empty,
        name=request.form.get(NAME, "")[:64],
        name_field=NAME,
        password_field=PASSWORD,
    )


def refused_page(refused: "Refused", **values: Any) -> Response:
    """The page again, with why not."""
    answer = page(refused.status, error=refused.sentence, **values)
    if refused.wait:
        answer.headers["Retry-After"] = str(refused.wait)
    return answer


@dataclass(frozen=True)
class Refused:
    """Why somebody is not believed, with the HTTP status, and seconds until the next try."""

    sentence: str
    status: int
    wait: int = 0


def attempt() -> Refused | None:
    """Sign in with what the form holds; None when it is done."""
    if not forms.is_ours():
        return Refused(t("sign_in.old"), 403)
    name = request.form.get(NAME, "").strip().lower()[:64]
    return proven(name, request.form.get(PASSWORD, ""), "account.sign-in-failed", _begin)


def proven(name: str, password: str, failed: str, then: Callable[[Connection, Row], None]) -> Refused | None:
    """Do something for whoever has the password of an account; None when it is done.

    1. the try is counted, 2. the password is looked at, outside of any transaction, 3. if nothing changed meanwhile, it
    is done and the try forgiven; else ``failed`` is audited, without what was typed.
    """
    with world.engine().begin() as conn:
        secret = installation.secret(conn, "web-secret")
        limited = sign_in_tries.limits(secret, name, request.remote_addr or "", _known().get(name, ""))
        wait = math.ceil(sign_in_tries.claim(conn, limited))
    if wait:
        return Refused(t("sign_in.wait", n=wait), 429, wait)
    with world.engine().connect() as conn:
        row = accounts.find(conn, name) if accounts.NAME.fullmatch(name) else None
    right = accounts.is_right(row, password)
    with world.engine().begin() as conn:
        if row is None or not right or not accounts.still_right(conn, row, password):
            audit.record(conn, "web", failed, subject=row.name if row else None, detail=_from())
            return Refused(t("sign_in.wrong"), 401)
        sign_in_tries.forgive(conn, limited)
        then(conn, row)
    return None


def cookies(answer: Response) -> Response:
    """After each answer: the session that began or ended, and that this browser is known to the account."""
    if "new_session" in g:
        forms.keep(answer, who.cookie(), g.new_session, None if g.new_session else 0)
    if "new_known" in g:
        age = int(timedelta(days=KNOWN_DAYS).total_seconds())
        forms.keep(answer, KNOWN, forms.signer("known").dumps(g.new_known), age)
    return answer


def _begin(conn: Connection, row: Row) -> None:
    """A new token each time, so that nobody can wait with one they know; what this browser had before ends."""
    before = request.cookies.get(who.cookie())
    if before:
        sessions.end(conn, sessions.hash_of(before))
    g.new_session = sessions.begin(conn, row.name)
    accounts.signed_in(conn, row.name)
    audit.record(conn, row.name, "account.signed-in", subject=row.name, detail=_from())
    signed_in = (row.name, all_of(row.roles), row.name, sessions.hash_of(g.new_session), frozenset(row.practices))
    g.who = Who(*signed_in)
    others = [(name, nonce) for name, nonce in _known().items() if name != row.name]
    g.new_known = dict([*others[1 - KNOWN_ACCOUNTS :], (row.name, secrets.token_hex(8))])


def _known() -> dict[str, str]:
    """Accounts that signed in in this browser before, each with a number of its own."""
    try:
        known = forms.signer("known").loads(request.cookies.get(KNOWN, ""), max_age=86400 * KNOWN_DAYS)
    except BadData:
        return {}
    return known if isinstance(known, dict) else {}


def _from() -> dict:
    return {"address": request.remote_addr}


def _next() -> str:
    """Where to go on."""
    wanted = forms.local(request.values.get("next"))
    if wanted.partition("?")[0] not in ("/", "/sign-in", "/sign-out"):
        return wanted
    return url_for("cases.board") if who.has_role(*OF_PRACTICES) and world.config().web.needs_sign_in else "/"


def _typed() -> list[tuple[str, str]]:
    """What a form held, without tokens and passwords."""
    return [
        (name, value)
        for name, value in request.form.items(multi=True)
        if name not in ("token", NAME) and "password" not in name.lower()
    ]
