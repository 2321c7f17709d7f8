"""What each button would do, said before it is done: exact count, consequence, and the fields it carries."""

from dataclasses import dataclass, field

from flask import url_for
from sqlalchemy import Connection
from werkzeug.datastructures import MultiDict

from integration.store import bulk, endpoint_health, open_work, operations, requests, schedules, search, steps
from integration.store.actions import Seen
from integration.store.filters import parse
from integration.store.steps import Step
from integration.views import words
from integration.views.texts import t
from integration.web import pages, world
from mappings.model.steps import OPEN, kind_words

MAX_SELECTED = 200


@dataclass(frozen=True)
class Question:
    """A page that asks before it does: ``fields`` go hidden into the form, ``inputs`` are filled in by the person."""

    title: str
    button: str
    sentences: tuple[str, ...]
    fields: dict[str, list[str]]
    command: str
    back: str = "/"
    inputs: tuple[dict, ...] = ()
    danger: bool = False
    lines: tuple[str, ...] = field(default=())

    @property
    def about(self) -> str:
        """The one request that it is about as a whole; "" for what is about others, or several."""
        return self.fields["request"][0] if len(self.fields.get("request", ())) == 1 else ""


class Stale(operations.NotPossible):
    """What the page showed is not so any more; the person is asked again."""


def seen_in(given: MultiDict) -> list[Seen]:
    """The steps a form names, as its page showed them."""
    return [seen for seen in map(Seen.read, given.getlist("step")[:MAX_SELECTED]) if seen is not None]


def _steps(conn: Connection, given: MultiDict) -> list[tuple[Seen, Step]]:
    seen = {one.step_id: one for one in seen_in(given)}
    found = steps.by_ids(conn, seen)
    if not found:
        raise operations.NotPossible(t("action.missing"))
    return [(seen[step.id], step) for step in found]


def _told(step: Step) -> dict:
    return {
        "kind": kind_words(step.kind),
        "place": world.place_name(step.endpoint),
        "request": step.request_id or t("queue.no_request"),
    }


def _line(step: Step) -> str:
    state = t(f"state.{words.state_of(step)}") if t.has(f"state.{words.state_of(step)}") else step.status
    return f"{kind_words(step.kind)}, {world.place_name(step.endpoint)}, {step.request_id or t('queue.no_request')}: {state}, {step.cause or ''}".rstrip(
        " ,"
    )


def retry(conn: Connection, given: MultiDict) -> Question:
    """Retry one step or the selected ones."""
    found = _steps(conn, given)
    number, one = len(found), found[0][1]
    what = (t("retry.what", **_told(one)),) if number == 1 else (t("retry.many"),)
    return Question(
        t("retry.title", n=number),
        t("retry.button", n=number),
        what,
        {"step": [str(seen) for seen, _ in found]},
        f"second-opinion steps retry {' '.join(str(step.id) for _, step in found[:5])}{' …' if number > 5 else ''} --reason …",
        lines=tuple(_line(step) for _, step in found),
    )


def park(conn: Connection, given: MultiDict) -> Question:
    """Stop trying one step."""
    [(seen, step), *_] = _steps(conn, given)
    return Question(
        t("park.title"),
        t("park.button"),
        (t("park.what", **_told(step)),),
        {"step": [str(seen)]},
        f"second-opinion steps park {step.id} --reason …",
        lines=(_line(step),),
    )


def cancel(conn: Connection, given: MultiDict) -> Question:
    """Cancel a request; carries the status the page showed."""
    row = requests.get(conn, given.get("request", ""))
    stopping = open_work.cancelling_stops(conn, row.id)
    return Question(
        t("cancel.title"),
        t("cancel.button"),
        (t("cancel.what", n=stopping, place=world.place_name(row.fulfiller)),),
        {"request": [row.id], "seen": [row.status]},
        f"second-opinion requests cancel {row.id} --reason …",
        back=url_for("requests.show", request_id=row.id),
        danger=True,
    )


def endpoint_key(conn: Connection, key: str) -> str:
    """The name of a configured endpoint that has a row. Raises NotPossible."""
    if key not in world.config().endpoints or endpoint_health.of(conn, key) is None:
        raise operations.NotPossible(f"there is no endpoint {key[:80]}")
    return key


def _pausing(conn: Connection, given: MultiDict, name: str, statuses: tuple[str, ...]) -> Question:
    key = endpoint_key(conn, given.get("at", ""))
    number, place = open_work.at_endpoint(conn, key, statuses), world.place_name(key)
    return Question(
        t(f"{name}.title", place=place),
        t(f"{name}.button"),
        (t(f"{name}.what", n=number, place=place),),
        {"at": [key]},
        f"second-opinion endpoints {name} {key} --reason …",
        back=url_for("boards.endpoints"),
    )


def pause(conn: Connection, given: MultiDict) -> Question:
    """Send nothing to an endpoint."""
    return _pausing(conn, given, "pause", OPEN)


def resume(conn: Connection, given: MultiDict) -> Question:
    """Send to an endpoint again."""
    return _pausing(conn, given, "resume", ("due",))


def check_endpoint(conn: Connection, given: MultiDict) -> Question:
    """Try what our flow needs at an endpoint, reading only."""
    key = endpoint_key(conn, given.get("at", ""))
    place = world.place_name(key)
    return Question(
        t("check.title", place=place),
        t("check.button"),
        (t("check.what", place=place), t("check.reads")),
        {"at": [key]},
        f"second-opinion endpoints check {key}",
        back=url_for("checks.show", key=key),
    )


def run_schedule(_conn: Connection, given: MultiDict) -> Question:
    """Run a schedule now."""
    name = given.get("schedule", "")
    if name not in schedules.names(world.config()):
        raise operations.NotPossible(f"there is no schedule {name[:80]}")
    return Question(
        t("run.title", name=name),
        t("run.button"),
        (t("run.what"),),
        {"schedule": [name]},
        f"second-opinion schedules run '{name}' --reason …",
        back=url_for("boards.schedules"),
    )


def retry_matching(conn: Connection, given: MultiDict) -> Question:
    """Retry everything that matches, in the background; carries the count that is confirmed."""
    wanted = search.hashed(conn, parse(given.get("q", "")))
    counted = search.count_matching(conn, wanted, pages.now())
    number = sum(each.number for each in counted)
    if not number:
        raise operations.NotPossible(t("all.none"))
    lines = tuple(
        t(
            "all.line",
            n=words.number(each.number),
            requests=words.number(each.requests),
            place=world.place_name(each.endpoint),
            state=t("state.parked" if each.status == "parked" else "state.retrying").lower(),
        )
        for each in counted
    )
    speed = {
        "name": "per_second",
        "label": t("all.rate"),
        "value": given.get("per_second", str(bulk.RATES[1])),
        "choices": [(str(rate), t("all.per_second", n=rate)) for rate in bulk.RATES],
    }
    return Question(
        t("all.title", n=number),
        t("all.button", n=number),
        (t("all.what", filter=str(wanted) or "state:attention"), t("retry.many")),
        {"q": [str(wanted)], "count": [str(number)]},
        f"second-opinion steps retry --matching '{str(wanted) or 'state:attention'}' --reason …",
        back=url_for("queue.queue", q=str(wanted)),
        inputs=(speed,),
        lines=lines,
    )


def stop_operation(conn: Connection, given: MultiDict) -> Question:
    """Stop a bulk operation."""
    view = bulk.view(conn, bulk_id(given))
    return Question(
        t("stop.title", id=view["id"]),
        t("stop.button"),
        (t("stop.what", **view),),
        {"operation": [str(view["id"])]},
        f"second-opinion operations stop {view['id']} --reason …",
        back=url_for("bulk.show", operation_id=view["id"]),
        danger=True,
    )


def bulk_id(given: MultiDict) -> int:
    """The operation a form names; 0 when it names none."""
    text = given.get("operation", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 18 else 0
