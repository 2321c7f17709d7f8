"""Accounts: one's own page, the list for admins, and the buttons on it. They are made on the command line."""

import shlex
from collections.abc import Callable

from flask import Blueprint, Response, abort, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import Connection, Row
from werkzeug.datastructures import MultiDict

from integration import practices
from integration.store import accounts, tokens
from integration.store.operations import NotPossible
from integration.store.roles import Role, in_order
from integration.views.texts import t
from integration.web import forms, pages, world
from integration.web.access import sign_in, who
from integration.web.operations.questions import Question

blueprint = pages.sentences(Blueprint("accounts", __name__))
Ask = Callable[[Connection, MultiDict], Question]
Act = Callable[[Connection, MultiDict, str], tuple[str, bool, str]]


@blueprint.before_request
def only_with_sign_in() -> None:
    """Without sign-in there is nobody to show."""
    if not world.config().web.needs_sign_in:
        abort(404, t("accounts.off"))


@blueprint.get("/account")
def mine() -> ResponseReturnValue:
    """One's own account: roles, password, sessions."""
    return _mine(200)


@blueprint.post("/account/password")
def change_password() -> ResponseReturnValue:
    """Another password for oneself: the one of now must be right; every other session ends."""
    asking, new = who.signed_in(), request.form.get("new-password", "")
    if not forms.is_ours():
        return _mine(403, forms.refusal())
    if not asking.account or new != request.form.get("again-password", ""):
        return _mine(400, t("account.not_twice"))
    try:
        refused = sign_in.proven(
            asking.account,
            request.form.get("current-password", ""),
            "account.password-change-failed",
            lambda conn, row: accounts.set_password(conn, row.name, new, actor=row.name, keep=asking.session),
        )
    except accounts.AccountRefused as error:
        return _mine(400, str(error))
    if refused:
        return _mine(refused.status, t("account.wrong") if refused.status == 401 else refused.sentence)
    return forms.told(t("account.changed"), url_for("accounts.mine"))


@blueprint.post("/account/sign-out")
def sign_out_everywhere() -> ResponseReturnValue:
    """End all of one's own sessions."""
    asking = who.signed_in()
    if not forms.is_ours() or not asking.account:
        return _mine(403, forms.refusal())
    with world.engine().begin() as conn:
        accounts.sign_out(conn, asking.account, actor=asking.name)
    return forms.told(t("sign_in.out_everywhere"), url_for("sign_in.form"))


def _mine(status: int, error: str = "") -> Response:
    return pages.render("account.html", status, asking=who.who(), roles=list(Role), error=error)


@blueprint.get("/accounts")
def listed() -> ResponseReturnValue:
    """Every account and every token, without what they are known by."""
    with world.engine().connect() as conn:
        found, machines = accounts.views(conn), tokens.views(conn)
        gone = {each.practice: each for each in practices.gone(conn, world.config())}
    known = {key: endpoint.name for key, endpoint in world.config().endpoints.items()}
    return pages.render(
        "accounts.html", accounts=found, tokens=machines, given=list(Role), known=known, gone=gone, here=request.path
    )


def _row(conn: Connection, given: MultiDict) -> Row:
    if not world.config().web.needs_sign_in:
        raise NotPossible(t("accounts.off"))
    return accounts.get(conn, given.get("account", ""))


def _role(given: MultiDict) -> Role:
    if given.get("role") not in list(Role):
        raise NotPossible(t("accounts.no_role"))
    return Role(given["role"])


def _practice(given: MultiDict) -> str:
    return given.get("practice", "").replace("\x00", "")[:200]


def _question(name: str, row: Row, command: str, **fields: str) -> Question:
    return Question(
        t(f"{name}.title", name=row.name, **fields),
        t(f"{name}.button"),
        (t(f"{name}.what", name=row.name, **fields),),
        {"account": [row.name], **{field: [value] for field, value in fields.items()}},
        f"second-opinion accounts {command} --reason …",
        back=url_for("accounts.listed"),
        danger=name == "disable-account",
    )


def _ask(name: str, verb: str) -> Ask:
    def ask(conn: Connection, given: MultiDict) -> Question:
        row = _row(conn, given)
        return _question(name, row, f"{verb} {row.name}")

    return ask


def _ask_role(name: str, with_it: bool) -> Ask:
    def ask(conn: Connection, given: MultiDict) -> Question:
        row, role = _row(conn, given), _role(given)
        roles = [f"--role {each}" for each in _changed(row.roles, role, with_it)] or ["--no-role"]
        return _question(name, row, f"roles {row.name} {' '.join(roles)}", role=role.value)

    return ask


def _changed(before: list[str], role: Role, with_it: bool) -> list[str]:
    return in_order({*before, role} if with_it else set(before) - {role})


def _ask_practice(name: str, with_it: bool) -> Ask:
    def ask(conn: Connection, given: MultiDict) -> Question:
        row, practice = _row(conn, given), _practice(given)
        if with_it:
            practices.check(world.config(), [practice])
        after = _moved(row.practices, practice, with_it)
        options = [f"--practice {shlex.quote(each)}" for each in after] or ["--no-practice"]
        return _question(name, row, f"practices {row.name} {' '.join(options)}", practice=practice)

    return ask


def _moved(before: list[str], practice: str, with_it: bool) -> list[str]:
    return sorted({*before, practice} if with_it else set(before) - {practice})


def _joining(name: str, with_it: bool) -> Act:
    def act(conn: Connection, given: MultiDict, reason: str) -> tuple[str, bool, str]:
        row, practice = _row(conn, given), _practice(given)
        if (practice in row.practices) is with_it:
            return t(f"{name}.already", name=row.name, practice=practice), False, ""
        if with_it:
            practices.check(world.config(), [practice])
        after = _moved(row.practices, practice, with_it)
        accounts.set_practices(conn, row.name, after, actor=forms.actor(), reason=reason)
        return t(f"{name}.done", name=row.name, practice=practice), True, ""

    return act


def _enabling(name: str, enabled: bool) -> Act:
    def act(conn: Connection, given: MultiDict, reason: str) -> tuple[str, bool, str]:
        row = _row(conn, given)
        if row.enabled is enabled:
            return t(f"{name}.already", name=row.name), False, ""
        accounts.set_enabled(conn, row.name, enabled, actor=forms.actor(), reason=reason)
        return t(f"{name}.done", name=row.name), True, ""

    return act


def _giving(name: str, with_it: bool) -> Act:
    def act(conn: Connection, given: MultiDict, reason: str) -> tuple[str, bool, str]:
        row, role = _row(conn, given), _role(given)
        if (role in row.roles) is with_it:
            return t(f"{name}.already", name=row.name, role=role), False, ""
        accounts.set_roles(conn, row.name, _changed(row.roles, role, with_it), actor=forms.actor(), reason=reason)
        return t(f"{name}.done", name=row.name, role=role), True, ""

    return act


def _sign_out(conn: Connection, given: MultiDict, reason: str) -> tuple[str, bool, str]:
    row = _row(conn, given)
    ended = accounts.sign_out(conn, row.name, actor=forms.actor(), reason=reason)
    return t("sign-out-account.done", name=row.name, n=ended), ended > 0, ""


ACTIONS = {
    "disable-account": (_ask("disable-account", "disable"), _enabling("disable-account", False)),
    "enable-account": (_ask("enable-account", "enable"), _enabling("enable-account", True)),
    "sign-out-account": (_ask("sign-out-account", "sign-out"), _sign_out),
    "give-role": (_ask_role("give-role", True), _giving("give-role", True)),
    "take-role": (_ask_role("take-role", False), _giving("take-role", False)),
    "give-practice": (_ask_practice("give-practice", True), _joining("give-practice", True)),
    "take-practice": (_ask_practice("take-practice", False), _joining("take-practice", False)),
}
