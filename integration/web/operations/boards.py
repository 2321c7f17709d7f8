"""Boards: endpoints with their health, findings of no request, schedules with their drift, deadlines with what is late."""

from flask import Blueprint, request, url_for
from flask.typing import ResponseReturnValue

from integration.store import deadlines as store
from integration.store import endpoint_checks
from integration.store import findings as finding_store
from integration.views.endpoints import endpoint_board
from integration.views.schedules import schedule_board
from integration.web import pages, world
from integration.web.operations import charts

blueprint = pages.sentences(Blueprint("boards", __name__))


@blueprint.get("/endpoints")
def endpoints() -> ResponseReturnValue:
    """Each endpoint: health, circuit, last success, step times, open steps, pause and resume."""
    with world.engine().connect() as conn:
        views = endpoint_board(conn, world.config(), pages.now())
        checks = endpoint_checks.standing(conn)
    ordered = sorted(views, key=_worst_first)
    return pages.render(
        "endpoints.html", endpoints=ordered, checks=checks, here=request.path, sparkline=charts.sparkline
    )


_WORST = ("failing", "resting", "probing", "paused", "not used yet", "well")


def _worst_first(view: dict) -> tuple[bool, int, str]:
    """What is silent or fails is on top; what is well comes last."""
    word = view["health"]
    return not view["silent"], _WORST.index(word) if word in _WORST else 0, view["key"]


@blueprint.get("/findings")
def findings() -> ResponseReturnValue:
    """What polls found and no request holds, newest first, from one place on."""
    after = request.args.get("after", type=int)
    with world.engine().connect() as conn:
        found, following = finding_store.without_request(conn, after=after)
    return pages.render(
        "findings.html",
        findings=[(row, finding_store.state(row, pages.now())) for row in found],
        days=finding_store.LOOKED_FOR.days,
        first=url_for("boards.findings") if after else None,
        following=url_for("boards.findings", after=following) if following else None,
    )


@blueprint.get("/schedules")
def schedules() -> ResponseReturnValue:
    """Each schedule: how often, last, next, drift; run now."""
    with world.engine().connect() as conn:
        views = schedule_board(conn, world.config(), pages.now())
    return pages.render("schedules.html", schedules=views, here=request.path)


@blueprint.get("/deadlines")
def deadlines() -> ResponseReturnValue:
    """Records due, at risk and late."""
    with world.engine().connect() as conn:
        board, undated = store.board(conn, pages.now()), store.undated(conn)
    return pages.render("deadlines.html", board=board, undated=undated, hours=store.RISK_HOURS)
