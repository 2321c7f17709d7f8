"""Clients of hosted practices: who signs in there by SMART Backend Services, when last, whose keys cannot be had; and the end of one."""

from flask import Blueprint, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import Connection
from werkzeug.datastructures import MultiDict

from integration.store import clients
from integration.store.operations import NotPossible
from integration.views.texts import t
from integration.web import forms, pages, world
from integration.web.operations.questions import Question

blueprint = pages.sentences(Blueprint("clients", __name__))


@blueprint.get("/clients")
def listed() -> ResponseReturnValue:
    """Every client, without its keys."""
    with world.engine().connect() as conn:
        found = clients.views(conn)
    return pages.render("clients.html", clients=found, here=request.path)


def _client(conn: Connection, given: MultiDict) -> dict:
    found = next((each for each in clients.views(conn) if each["id"] == given.get("client")), None)
    if found is None or found["revoked_at"]:
        raise NotPossible(t("clients.none"))
    return found


def _ask(conn: Connection, given: MultiDict) -> Question:
    found = _client(conn, given)
    return Question(
        t("revoke-client.title", name=found["name"], practice=found["practice"]),
        t("revoke-client.button"),
        (t("revoke-client.what", name=found["name"], practice=found["practice"]),),
        {"client": [found["id"]]},
        f"second-opinion clients revoke {found['practice']} {found['name']} --reason …",
        back=url_for("clients.listed"),
        danger=True,
    )


def _revoke(conn: Connection, given: MultiDict, reason: str) -> tuple[str, bool, str]:
    found = _client(conn, given)
    try:
        clients.revoke(conn, found["practice"], found["name"], actor=forms.actor(), reason=reason)
    except clients.ClientRefused:
        raise NotPossible(t("clients.none")) from None
    return t("revoke-client.done", name=found["name"], practice=found["practice"]), True, ""


ACTIONS = {"revoke-client": (_ask, _revoke)}
