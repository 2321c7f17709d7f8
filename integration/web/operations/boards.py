"""Boards: endpoints with their health, findings of no request, schedules with their drift, deadlines with what is late."""

from datetime import datetime, timedelta
from statistics import median

from flask import Blueprint, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import Connection, func, select

from integration.settings.config import Config
from integration.store import deadlines as store
from integration.store import endpoint_checks
from integration.store import findings as finding_store
from integration.store import schedules as schedule_store
from integration.store.tables import endpoints as endpoint_table
from integration.store.tables import steps, ticks
from integration.views.requests import endpoint_views
from integration.web import pages, world
from integration.web.operations import charts
from mappings.model.steps import OPEN

blueprint = pages.sentences(Blueprint("boards", __name__))


@blueprint.get("/endpoints")
def endpoints() -> ResponseReturnValue:
    """Each endpoint: health, circuit, last success, step times, open steps, pause and resume."""
    with world.engine().connect() as conn:
        views = endpoint_board(conn, world.config(), pages.now())
        checks = endpoint_checks.standing(conn)
    return pages.render("endpoints.html", endpoints=sorted(views, key=_worst_first), checks=checks, here=request.path)


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


def endpoint_board(conn: Connection, config: Config, now: datetime) -> list[dict]:
    """Each endpoint with its health, open work, step times, and how long it has been silent with work to do."""
    work = {
        row.endpoint: row
        for row in conn.execute(
            select(
                steps.c.endpoint,
                func.count().label("open"),
                func.count().filter(steps.c.status == "parked").label("parked"),
                func.min(steps.c.due_at).filter(steps.c.status == "due").label("oldest_due"),
            )
            .where(steps.c.status.in_(OPEN))
            .group_by(steps.c.endpoint)
        )
    }
    views = endpoint_views(conn, config)
    for view in views:
        view["work"], view["latency"] = work.get(view["key"]), _latency(view.get("latencies") or [])
        view["silent"] = _silence(view, now, timedelta(hours=config.alerts.rules.silence.hours))
    return views


def _latency(values: list[int]) -> dict | None:
    if not values:
        return None
    values = values[::-1]  # stored newest first
    return {
        "last": values[-1],
        "median": round(median(values)),
        "longest": max(values),
        "n": len(values),
        "points": charts.sparkline(values),
    }


def _silence(view: dict, now: datetime, after: timedelta) -> timedelta | None:
    """How long nothing succeeded although something is due; None when that is not long."""
    work, last = view["work"], view.get("last_success_at")
    if work is None or work.oldest_due is None or view.get("paused"):
        return None
    quiet = now - max(filter(None, (last, work.oldest_due)))
    return quiet if quiet > after else None


@blueprint.get("/schedules")
def schedules() -> ResponseReturnValue:
    """Each schedule: how often, last, next, drift; run now."""
    with world.engine().connect() as conn:
        views = schedule_board(conn, world.config(), pages.now())
    return pages.render("schedules.html", schedules=views, here=request.path)


def schedule_board(conn: Connection, config: Config, now: datetime) -> list[dict]:
    """Each schedule with its last ticks, the next one, and how late it is."""
    paused = set(conn.execute(select(endpoint_table.c.key).where(endpoint_table.c.paused)).scalars())
    return [_schedule(conn, config, name, now, paused) for name in schedule_store.names(config)]


def _schedule(conn: Connection, config: Config, name: str, now: datetime, paused: set[str]) -> dict:
    last = conn.execute(select(ticks).where(ticks.c.job == name).order_by(ticks.c.fire_time.desc()).limit(12)).all()
    seconds = 86400 if name == "prune" else config.schedules.poll_requests_seconds
    # A schedule that has ticked is late when two of its ticks are missing: no worker runs, or none may claim.
    expected = last[0].fire_time + timedelta(seconds=2 * seconds + 10) if last and name != "prune" else None
    return {
        "name": name,
        "last": last[0] if last else None,
        "next": schedule_store.next_fire(config, name, now),
        "history": last,
        "drift": (last[0].claimed_at - last[0].fire_time).total_seconds() if last else None,
        "seconds": round(seconds),
        "cron": config.schedules.prune_cron if name == "prune" else None,
        "paused": schedule_store.endpoint_of(name) in paused,
        "late": expected if expected and expected < now else None,
    }


@blueprint.get("/deadlines")
def deadlines() -> ResponseReturnValue:
    """Records due, at risk and late."""
    with world.engine().connect() as conn:
        board, undated = store.board(conn, pages.now()), store.undated(conn)
    return pages.render("deadlines.html", board=board, undated=undated, hours=store.RISK_HOURS)
