"""Watch what was asked of a source: accepted, refused, or done, and what it gave; another patient's record never enters."""

from dataclasses import dataclass, field
from datetime import datetime
from functools import partial

from sqlalchemy import Connection

from integration import fhir_json
from integration.store import audit, patient_links, source_asks
from jobs.gate import ACTOR
from jobs.watching import SOURCE
from jobs.world import Context, Outcome
from mappings.addresses import Bases
from mappings.data_request import Given, bundles_in, given_elsewhere, given_in, not_theirs, of_bundle, word_of
from mappings.model.errors import ExchangeError, TemporaryError
from mappings.model.source_ask import Ask, AskWord
from mappings.model.states import FINAL
from mappings.task import TaskReading, read_task

SHORTEST_SECONDS = 900  # CDex: not more often than every 15 minutes
_LONGEST_NOTE = 400
_NAMED = 5


@dataclass(frozen=True)
class _News:
    """What became of an ask, and what the source gave."""

    word: AskWord
    note: str = ""
    given: tuple[Given, ...] = ()
    elsewhere: dict[str, list[str]] = field(default_factory=dict)  # {endpoint: addresses} of what another server has


def watch_source(ctx: Context) -> Outcome:
    """Read the Tasks of all asks at this endpoint that are open; each piece of news is a line of their history, once."""
    endpoint, row = ctx.step.endpoint, ctx.row()
    with ctx.world.engine.connect() as conn:
        asks = source_asks.at_endpoint(conn, ctx.request_id, endpoint)
    waiting = [(each, _reference(each)) for each in asks if each.is_open and _reference(each)]
    if row.status in FINAL or not waiting:
        return Outcome()
    apply = []
    for ask, reference in waiting:
        news = _look(ctx, endpoint, ask, reference)
        if news is not None and not _is_known(ask, news):
            apply.append(partial(_keep, ctx=ctx, endpoint=endpoint, ask=ask, news=news))
    quiet = max((event.at for ask, _ in waiting for event in ask.events), default=ctx.step.created_at)
    return Outcome(again_at=_again(ctx, quiet), apply=list(apply))


def _is_known(ask: Ask, news: _News) -> bool:
    """The same again, or that it was accepted, which says less than what is known."""
    return news.word is ask.word or news.word is AskWord.ACCEPTED and ask.word is not AskWord.SENT


def _again(ctx: Context, quiet_since: datetime) -> datetime:
    every = max(ctx.world.config.schedules.watch_seconds, SHORTEST_SECONDS)
    return SOURCE.next_look(ctx.now, quiet_since, every_seconds=every)


def _reference(ask: Ask) -> str:
    return next((each.reference for each in reversed(ask.events) if each.reference), "")


def _look(ctx: Context, endpoint: str, ask: Ask, reference: str) -> _News | None:
    task = ctx.server(endpoint).read_if_there(reference)
    if task is None:
        return _News(AskWord.REJECTED, f"{reference} is not there any more")
    reading = read_task(task)
    word = word_of(reading)
    if word is not AskWord.ANSWERED:
        return _News(word, "" if word is AskWord.ACCEPTED else _said(reading)) if word else None
    return _answered(ctx, endpoint, task, reading)


def _said(reading: TaskReading) -> str:
    """What the source says of it, on one line."""
    words = "".join(char if char.isprintable() else " " for char in reading.reason or "")
    return words.strip()[:_LONGEST_NOTE] or "no reason given"


def _answered(ctx: Context, endpoint: str, task: dict, reading: TaskReading) -> _News:
    """What it gave is read and held against the patient before any of it counts; one that is somebody else's spoils all."""
    bases, link = ctx.bases(endpoint), task.get("for")
    given, strange = given_in(task, reading.outputs, bases)
    for name in bundles_in(reading.outputs, bases):
        bundle = ctx.server(endpoint).read_if_there(name)
        given += of_bundle(bundle) if bundle else []
        strange += [] if bundle else [name]
    elsewhere, strange = given_elsewhere(strange, _servers(ctx, endpoint))
    read = [each if each.resource is not None else _read(ctx, endpoint, each) for each in given]
    gone = [each.source for each in read if each.resource is None]
    patient = ctx.server(endpoint).read_if_there(_patient(ctx, endpoint))
    there = [each for each in read if each.resource is not None]
    if patient is None or not_theirs([Given("Task", {"resourceType": "Task", "for": link})], patient, bases):
        return _News(AskWord.ANOTHER, "the Task itself names another patient now")
    foreign = not_theirs(there, patient, bases)
    if foreign:
        ctx.finding(
            "other-patient",
            f"{endpoint} gave another patient's record, or one that does not say whose it is",
            foreign[0],
            "error",
        )
        return _News(AskWord.ANOTHER, _listed(foreign))
    if not there and not elsewhere:
        return _News(
            AskWord.NOTHING,
            f"nothing that it names can be read: {_listed([*gone, *strange])}" if gone or strange else "",
        )
    left = f", not read: {_listed([*gone, *strange])}" if gone or strange else ""
    inside = {each.source for each in given if each.resource is not None}
    kept = tuple(each if each.source in inside else Given(each.source) for each in there)
    told = [(endpoint, len(there))] if there else []
    told += [(key, len(names)) for key, names in elsewhere.items()]
    counted = ", ".join(f"{number} record{'s' if number != 1 else ''}{_at(key, endpoint)}" for key, number in told)
    return _News(AskWord.ANSWERED, f"{counted}{left}", kept, elsewhere)


def _at(key: str, endpoint: str) -> str:
    return "" if key == endpoint else f" at {key}"


def _servers(ctx: Context, endpoint: str) -> dict[str, Bases]:
    """Where else what it names may be read for this request: the placer's, and those that lend their records."""
    placer, fulfiller = ctx.row().placer, ctx.row().fulfiller
    return {
        key: each.bases
        for key, each in ctx.config.endpoints.items()
        if key not in (endpoint, fulfiller) and (key == placer or each.is_source)
    }


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join("".join(char for char in each if char.isprintable())[:120] for each in names[:_NAMED]) + more


def _read(ctx: Context, endpoint: str, given: Given) -> Given:
    """As its own server has it: what a Task says beside a name is not believed."""
    try:
        found = ctx.server(endpoint).read_if_there(given.source)
    except TemporaryError:
        raise
    except (ExchangeError, ValueError):
        found = None
    is_it = found is not None and f"{found.get('resourceType')}/{found.get('id')}" == given.source
    return Given(given.source, found if is_it else None)


def _patient(ctx: Context, endpoint: str) -> str:
    with ctx.world.engine.connect() as conn:
        link = patient_links.of(conn, ctx.request_id, endpoint)
    return link.reference if link else "Patient/none"


def _keep(conn: Connection, *, ctx: Context, endpoint: str, ask: Ask, news: _News) -> None:
    inside = {each.source: each.resource for each in news.given if each.resource is not None}
    kept = ctx.world.payloads.put(fhir_json.dumps(inside)) if inside else ""
    outputs = (*(each.source for each in news.given), *(name for names in news.elsewhere.values() for name in names))
    source_asks.tell(conn, ask.id, news.word, actor=ACTOR, note=news.note, outputs=outputs, kept_sha256=kept)
    audit.record(conn, ACTOR, f"source.{news.word}", ctx.request_id, subject=f"ask {ask.id}")
    if news.word is AskWord.ANSWERED:
        for key in ([endpoint] if news.given else []) + list(news.elsewhere):
            source_asks.gather_answer(conn, ctx.request_id, key, asked=f"ask {ask.id}", actor=ask.actor)
