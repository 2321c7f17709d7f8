"""The first page: the list of requests, what each waits for, and one search box that opens what it is given."""

from datetime import datetime
from typing import Any

from flask import Blueprint, redirect, request, url_for
from flask.typing import ResponseReturnValue

from integration.store import request_list
from integration.store.request_list import TABS, Wanted
from integration.views.alarm_strip import strip
from integration.views.request_list import lines
from integration.web import pages, world

blueprint = pages.sentences(Blueprint("listing", __name__))


@blueprint.get("/")
def requests() -> ResponseReturnValue:
    """The requests of a tab, newest first; an id or key typed into the search box opens its request."""
    if "q" in request.args:  # an address of the queue from before it moved to /queue
        return redirect(url_for("queue.queue", q=request.args["q"], after=request.args.get("after")), 301)
    wanted = _wanted()
    with world.engine().connect() as conn:
        if wanted.word and (found := request_list.id_of(conn, wanted.word)):
            return redirect(url_for("requests.show", request_id=found), 303)
        rows, following = lines(conn, wanted, after=_place(request.args.get("after", "")))
        counts = request_list.counts(conn, wanted)
        alarms, more_alarms = strip(conn, world.config())
    return pages.render(
        "requests.html",
        rows=rows,
        wanted=wanted,
        tabs=[(tab, counts[tab], _address(Wanted(tab, wanted.values, wanted.word))) for tab in TABS],
        cap=request_list.COUNT_CAP,
        following=following and _address(wanted, f"{following[0].isoformat()}_{following[1]}"),
        first=_address(wanted) if request.args.get("after") else None,
        alarms=alarms,
        more_alarms=more_alarms,
    )


def _wanted() -> Wanted:
    given = {
        name: request.args.get(name, "").strip()[:200].replace("\x00", "")
        for name in ("show", "find", *request_list.SHOWN)
    }
    word, tab = given["find"], given["show"] if given["show"] in TABS else ""
    values = tuple((name, given[name]) for name in request_list.SHOWN if given[name])
    return Wanted(tab or ("all" if word else "open"), values, word)


def _address(wanted: Wanted, after: str | None = None) -> str:
    narrowed: dict[str, Any] = dict(wanted.values)
    return url_for("listing.requests", show=wanted.tab, find=wanted.word or None, after=after, **narrowed)


def _place(text: str) -> tuple[datetime, str] | None:
    at, _, request_id = text.partition("_")
    try:
        moment = datetime.fromisoformat(at)
    except ValueError:
        return None
    return (moment, request_id) if moment.tzinfo and request_id else None
