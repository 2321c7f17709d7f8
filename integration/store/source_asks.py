"""What is asked of sources for a request, and what became of it: a history to which is added, and that nobody changes."""

from collections.abc import Iterable
from datetime import date

from sqlalchemy import Connection, Row, insert, select

from integration.store import audit, packets, record_sources, requests, steps
from integration.store.arrays import any_of
from integration.store.handing_over import WrongWords
from integration.store.operations import NotPossible
from integration.store.tables import source_ask_events, source_asks
from mappings.model.hand_over import ByWay
from mappings.model.source_ask import BY_PERSON, MAX_NAME, Ask, AskEvent, AskRoad, AskWord, Holder
from mappings.model.states import FINAL
from mappings.model.typed import came_second, line_problem, read_day


def of_request(conn: Connection, request_id: str) -> list[Ask]:
    """Every one, oldest first; of an endpoint only its name is known here."""
    rows = conn.execute(select(source_asks).where(source_asks.c.request_id == request_id).order_by(source_asks.c.id))
    return _with_events(conn, rows)


def get(conn: Connection, request_id: str, ask_id: int) -> Ask:
    """One of them. Raises NotPossible when the request has none of that number."""
    rows = conn.execute(select(source_asks).where(source_asks.c.id == ask_id, source_asks.c.request_id == request_id))
    for ask in _with_events(conn, rows):
        return ask
    raise NotPossible(f"request {request_id} has asked nobody under the number {ask_id}")


def at_endpoint(conn: Connection, request_id: str, endpoint: str) -> list[Ask]:
    """Those of a request that a Task carries to an endpoint, oldest first."""
    return [ask for ask in of_request(conn, request_id) if is_at(ask, endpoint)]


def is_at(ask: Ask, endpoint: str) -> bool:
    """Whether a Task carries it to that endpoint."""
    return ask.holder.endpoint == endpoint and ask.road is AskRoad.TASK


def ask(
    conn: Connection,
    request_id: str,
    holder: Holder,
    road: AskRoad,
    items: tuple[str, ...],
    what: str,
    due: date,
    *,
    renews: int | None,
    actor: str,
    reason: str,
) -> int:
    """Ask a source; its number. A Task is a step that is due. Raises NotPossible: it is over, or asked there already.

    ``renews``: asks again for what that one did not bring; it is repeated once, by the person who says so.
    """
    steps.lock_with_request(conn, request_id)
    row = requests.get(conn, request_id)
    if row.status in FINAL:
        raise NotPossible(f"request {request_id} is {row.status}: nothing more is asked for it")
    known = of_request(conn, request_id)
    _must_be_new(known, holder, items, renews)
    values = dict(
        request_id=request_id,
        endpoint=holder.endpoint or None,
        holder=holder.name,
        address=list(holder.address),
        fax=holder.fax,
        road=road,
        items=list(items),
        what=what.strip(),
        due=due,
        renews=renews,
        actor=actor,
        reason=reason,
    )
    made = conn.execute(insert(source_asks).values(values).returning(source_asks.c.id)).scalar_one()
    subject = f"ask {made} {road} {' '.join(items)}"
    audit.record(conn, actor, "source.asked", request_id, subject=subject, reason=reason)
    if road is AskRoad.TASK:
        steps.create(conn, "ask_source", holder.endpoint, request_id=request_id, deadline=row.records_due_at)
    return made


def _must_be_new(known: Iterable[Ask], holder: Holder, items: tuple[str, ...], renews: int | None) -> None:
    for each in known:
        if each.renews is not None and each.renews == renews:
            raise NotPossible(f"{each.actor} asked again already, at {each.at:%Y-%m-%d %H:%M} UTC (ask {each.id})")
        there = (each.holder.endpoint, each.holder.name) == (holder.endpoint, holder.name)
        both = sorted(set(each.items) & set(items))
        if each.is_open and there and both and each.id != renews:
            raise NotPossible(
                f"{holder.name} was asked for {', '.join(both)} already, by {each.actor} at {each.at:%Y-%m-%d %H:%M} UTC (ask "
                f"{each.id}): wait until {each.wanted_by}, then ask again from there"
            )
    if renews is not None and renews not in {each.id for each in known}:
        raise NotPossible(f"there is no ask {renews} to repeat")


def tell(conn: Connection, ask_id: int, word: AskWord, *, actor: str, **more: object) -> int:
    """Add a line to what became of it; its number. ``more``: fields of AskEvent, all but those of its making."""
    empty: dict[str, object] = dict(note="", on=None, by="", by_way="", reference="", outputs=(), kept_sha256="")
    given = {**empty, **more}
    row = {_COLUMNS.get(name, name): value for name, value in given.items()} | {"outputs": list(given["outputs"])}  # type: ignore[call-overload]
    made = insert(source_ask_events).values(ask_id=ask_id, word=word, actor=actor, **row)
    return conn.execute(made.returning(source_ask_events.c.id)).scalar_one()


def say(
    conn: Connection,
    request_id: str,
    ask_id: int,
    word: str,
    *,
    after: int,
    today: date,
    actor: str,
    on: str = "",
    by: str = "",
    by_way: str = "",
    note: str = "",
) -> bool:
    """A person's word on what became of it, ``after`` the last line they saw (0: none). False when it is written already.

    Raises WrongWords with a sentence for each field, and NotPossible when somebody else was first.
    """
    steps.lock_with_request(conn, request_id)
    known = get(conn, request_id, ask_id)
    last = known.last
    if (last.id if last else 0) != after:
        if last is not None and (last.word, last.actor) == (word, actor):
            return False  # the same form, sent twice
        raise NotPossible(came_second(last.actor, last.word, last.at) if last else "look at the page again")
    day, wrong = _read(known, word, on, by, by_way, note, today)
    if wrong:
        raise WrongWords(wrong)
    tell(conn, ask_id, AskWord(word), actor=actor, note=note.strip(), on=day, by=by.strip(), by_way=by_way)
    audit.record(conn, actor, f"source.{word}", request_id, subject=f"ask {ask_id}", reason=note.strip() or None)
    if word == AskWord.CALLED_OFF and any(each.reference for each in known.events):
        steps.create(conn, "ask_source", known.holder.endpoint, request_id=request_id)
    return True


def gather_answer(conn: Connection, request_id: str, endpoint: str, *, asked: str, actor: str) -> None:
    """What an endpoint gave is read with the chart there: at once where it is watched, else when it is first gathered.

    Of another one than the placer's, what it gave is gathered there, and nothing else; the fulfiller has what it gave.
    """
    row = requests.get(conn, request_id)
    if endpoint not in (row.placer, row.fulfiller):
        record_sources.name(conn, request_id, endpoint, None, whole=False, actor=actor, reason=f"it answered {asked}")
        return
    if endpoint == row.fulfiller or not packets.of_request(conn, request_id):
        return
    if steps.create(conn, "watch_chart", endpoint, request_id=request_id, deadline=steps.LAST_OF_ALL) is None:
        steps.look_now(conn, request_id, "watch_chart")


def _read(
    known: Ask, word: str, on: str, by: str, by_way: str, note: str, today: date
) -> tuple[date | None, dict[str, str]]:
    if word not in {str(each) for each in BY_PERSON.get(known.word, ())}:
        can = ", ".join(BY_PERSON.get(known.word, ())) or "nothing more"
        return None, {"word": f"of this one can be said: {can}"}
    wrong = {"by": line_problem(by, MAX_NAME), "note": line_problem(note, 2 * MAX_NAME)}
    is_sent, is_promised = word == AskWord.SENT, word == AskWord.PROMISED
    earliest, latest = (known.at.date(), today) if is_sent else (today, None)
    day, wrong["on"] = read_day(on, earliest=earliest, latest=latest) if is_sent or is_promised else (None, "")
    if not wrong["on"] and day is None and (is_sent or is_promised):
        wrong["on"] = "say on which day it went" if is_sent else "say for which day it is promised"
    if is_sent and by_way not in set(ByWay):
        wrong["by_way"] = f"say how it went: {', '.join(ByWay)}"
    if is_sent and not by.strip():
        wrong["by"] = "say who sent it, by name"
    if word == AskWord.REJECTED and not note.strip():
        wrong["note"] = "write what they said"
    return day, {name: why for name, why in wrong.items() if why}


_COLUMNS = {"on": "day", "by": "done_by"}


def _with_events(conn: Connection, rows: Iterable[Row]) -> list[Ask]:
    found = list(rows)
    events: dict[int, list[AskEvent]] = {row.id: [] for row in found}
    history = select(source_ask_events).where(any_of(source_ask_events.c.ask_id, list(events)))
    for row in conn.execute(history.order_by(source_ask_events.c.id)) if events else ():
        events[row.ask_id].append(_event(row))
    return [_ask(row, tuple(events[row.id])) for row in found]


def _event(row: Row) -> AskEvent:
    same = {name: row._mapping[name] for name in ("id", "actor", "note", "by_way", "reference", "kept_sha256")}
    return AskEvent(
        word=AskWord(row.word), on=row.day, by=row.done_by, at=row.created_at, outputs=tuple(row.outputs), **same
    )


def _ask(row: Row, events: tuple[AskEvent, ...]) -> Ask:
    same = {name: row._mapping[name] for name in ("id", "request_id", "what", "due", "renews", "actor", "reason")}
    holder = Holder(row.endpoint or "", row.holder, tuple(row.address), row.fax)
    return Ask(holder=holder, road=AskRoad(row.road), items=tuple(row.items), at=row.created_at, events=events, **same)
