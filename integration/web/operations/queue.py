"""The queue page: what needs a person first; one list, tabs with counts, one search box; and failures in groups."""

from dataclasses import dataclass

from flask import Blueprint, Response, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import Connection, Row

from integration.store import endpoint_health, saved_views, search
from integration.store.filters import KINDS, QUALIFIERS, STATES, Filter, FilterError, Term, parse
from integration.views.alarm_strip import strip
from integration.views.texts import t
from integration.web import forms, pages, world
from mappings.model.causes import CAUSES

blueprint = pages.sentences(Blueprint("queue", __name__))


@dataclass(frozen=True)
class Tab:
    """One state with its count under the filter, and where it leads."""

    state: str
    count: int
    address: str
    here: bool


@blueprint.get("/queue")
def queue() -> ResponseReturnValue:
    """The steps that match; without a filter, those that need a person."""
    typed = request.args.get("q", "")
    try:
        wanted = parse(typed)
    except FilterError as error:
        return _not_understood(typed, error)
    if wanted.identifiers:
        return _hashed(wanted)
    now = pages.now()
    with world.engine().connect() as conn:
        found, following = search.rows(conn, wanted, now, after=search.Place.read(request.args.get("after", "")))
        counts = search.counts(conn, wanted, now)
        shared = _shared(conn)
    return pages.render(
        "queue.html",
        rows=found,
        tabs=_tabs(wanted, counts),
        wanted=wanted,
        typed=str(wanted),
        here=request.full_path.rstrip("?"),
        following=following and address(wanted, following),
        first=address(wanted) if request.args.get("after") else None,
        **shared,
        **_help(str(wanted)),
    )


@blueprint.post("/search")
def find() -> ResponseReturnValue:
    """Go to the address of a filter; a patient identifier becomes its keyed hash before it is in any address."""
    typed = request.form.get("q", "")
    try:
        return _hashed(parse(typed))
    except FilterError as error:
        return _not_understood(typed, error)


def _hashed(wanted: Filter) -> Response:
    with world.engine().begin() as conn:
        return forms.see_other(address(search.hashed(conn, wanted)))


def _not_understood(typed: str, error: FilterError) -> Response:
    with world.engine().connect() as conn:
        shared = _shared(conn)
    end = error.position + error.length
    return pages.render(
        "queue.html",
        400,
        rows=[],
        tabs=[],
        wanted=None,
        typed=typed,
        here=url_for("queue.queue"),
        following=None,
        first=None,
        error=error,
        parts=(typed[: error.position], typed[error.position : end], typed[end:]),
        **shared,
        **_help(""),
    )


def address(wanted: Filter, after: search.Place | None = None) -> str:
    """The address that shows a filter; it can be shared."""
    values = {name: value for name, value in (("q", str(wanted)), ("after", str(after or ""))) if value}
    return url_for("queue.queue", q=values.get("q"), after=values.get("after"))


def _tabs(wanted: Filter, counts: dict[str, int]) -> list[Tab]:
    return [Tab(state, counts[state], address(wanted.with_state(state)), state == wanted.state) for state in STATES]


def _shared(conn: Connection) -> dict:
    lines, more = strip(conn, world.config())
    return {
        "alarms": lines,
        "more_alarms": more,
        "paused": endpoint_health.paused(conn),
        "views": saved_views.by_name(conn),
    }


def _help(before: str) -> dict:
    """Completion for the search box: each value after what is typed already, so that it works without JavaScript."""
    values = [
        *(f"state:{state}" for state in STATES),
        *(f"endpoint:{key}" for key in world.config().endpoints),
        *(f"kind:{kind}" for kind in KINDS),
        "due:late",
        "due:<1d",
        "due:<3d",
        "priority:asap",
        "priority:urgent",
        "attempts:>3",
        *(f"error:{cause}" for cause in CAUSES),
    ]
    return {
        "qualifiers": QUALIFIERS,
        "completions": [f"{before} {value}".strip() for value in values],
        "count_cap": search.COUNT_CAP,
    }


@blueprint.get("/failures")
def groups() -> ResponseReturnValue:
    """Open failures by cause and endpoint; the filter of the queue narrows them."""
    wanted = parse(request.args.get("q", ""))
    with world.engine().connect() as conn:
        found = search.groups(conn, wanted, pages.now())
    return pages.render(
        "groups.html", groups=[(group, _filter_of(group)) for group in found], here=request.full_path.rstrip("?")
    )


def _filter_of(group: Row) -> str:
    return str(Filter((Term("endpoint", (group.endpoint,)), Term("error", (f"={group.cause}",)))))


@blueprint.post("/views")
def save_view() -> ResponseReturnValue:
    """Keep the filter under a name, for everyone here; an empty name changes nothing."""
    name, wanted = forms.typed("name", 60), parse(request.form.get("q", ""))
    if not forms.is_ours() or not name:
        return forms.told(forms.refusal() if name else t("queue.save_name"), address(wanted), good=False)
    with world.engine().begin() as conn:
        saved_views.save(conn, name, str(wanted))
    return forms.told(t("queue.view_saved", name=name), address(wanted))


@blueprint.post("/views/delete")
def delete_view() -> ResponseReturnValue:
    """Forget a saved view."""
    name, back = forms.typed("name"), forms.local(request.form.get("back"))
    if not forms.is_ours():
        return forms.told(forms.refusal(), back, good=False)
    with world.engine().begin() as conn:
        saved_views.forget(conn, name)
    return forms.told(t("queue.view_deleted", name=name[:60]), back)
