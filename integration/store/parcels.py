"""What travels by courier for a request, and where it is: a history to which people add, and that nobody changes."""

from collections.abc import Iterable, Mapping
from datetime import date

from sqlalchemy import Connection, Row, Select, insert, select

from integration.store import audit, requests, steps
from integration.store.arrays import any_of
from integration.store.handing_over import WrongWords
from integration.store.operations import NotPossible
from integration.store.tables import parcel_moves, parcels
from mappings.model.parcel import MAX_LINE, Move, Moved, Parcel, TypedMove, read_move
from mappings.model.steps import StepKind
from mappings.model.typed import came_second, line_problem


def of_request(conn: Connection, request_id: str) -> list[Parcel]:
    """Every one, oldest first."""
    return _with_moves(conn, conn.execute(_select().where(parcels.c.request_id == request_id).order_by(parcels.c.id)))


def get(conn: Connection, request_id: str, parcel_id: int) -> Parcel:
    """One of them. Raises NotPossible when the request has none of that number."""
    found = conn.execute(_select().where(parcels.c.id == parcel_id, parcels.c.request_id == request_id))
    for parcel in _with_moves(conn, found):
        return parcel
    raise NotPossible(f"request {request_id} has no parcel {parcel_id}")


def add(conn: Connection, request_id: str, kind: str, what: str, source: str, *, actor: str, reason: str) -> int:
    """A thing that is wanted or on its way; its number. Raises WrongWords."""
    requests.get(conn, request_id)
    wrong = {"what": line_problem(what, MAX_LINE), "source": line_problem(source, MAX_LINE)}
    if any(wrong.values()):
        raise WrongWords({name: why for name, why in wrong.items() if why})
    row = dict(request_id=request_id, kind=kind, what=what.strip(), source=source.strip(), actor=actor)
    made = conn.execute(insert(parcels).values(row).returning(parcels.c.id)).scalar_one()
    audit.record(conn, actor, "parcel.added", request_id, subject=f"parcel {made} {kind}", reason=reason)
    return made


def move(
    conn: Connection,
    request_id: str,
    parcel_id: int,
    typed: TypedMove,
    today: date,
    *,
    after: int,
    actor: str,
    reason: str = "",
) -> bool:
    """Write down what happened to it, ``after`` the last line that ``actor`` saw (0: none). False when it is written already.

    Raises WrongWords with a sentence for each field, and NotPossible when somebody else was first.
    """
    steps.lock_with_request(conn, request_id)
    parcel = get(conn, request_id, parcel_id)
    last = parcel.last
    if (last.id if last else 0) != after:
        if last is not None and (last.word, last.actor) == (typed.word, actor):
            return False  # the same form, sent twice
        raise NotPossible(came_second(last.actor, last.word, last.at) if last else "look at the page again")
    values, wrong = read_move(typed, parcel, today)
    if wrong:
        raise WrongWords(wrong)
    row = {_COLUMNS.get(name, name): value for name, value in values.items()}
    conn.execute(insert(parcel_moves).values(parcel_id=parcel_id, actor=actor, **row))
    steps.look_now(conn, request_id, StepKind.WATCH_VISIT)  # what has arrived is waited for no more
    subject = f"parcel {parcel_id} {typed.word}"
    audit.record(conn, actor, "parcel.moved", request_id, subject=subject, reason=reason or typed.note.strip() or None)
    return True


_COLUMNS = {"on": "day", "by": "done_by"}


def _select() -> Select:
    return select(parcels)


def _with_moves(conn: Connection, rows: Iterable[Row]) -> list[Parcel]:
    found = list(rows)
    moves: dict[int, list[Moved]] = {row.id: [] for row in found}
    history = select(parcel_moves).where(any_of(parcel_moves.c.parcel_id, list(moves))).order_by(parcel_moves.c.id)
    for row in conn.execute(history) if moves else ():
        moves[row.parcel_id].append(_moved(row))
    return [Parcel(row.id, row.kind, row.what, row.source, row.created_at, tuple(moves[row.id])) for row in found]


def _moved(row: Row) -> Moved:
    told: Mapping = row._mapping
    same = ("id", "actor", "pieces_sent", "pieces_counted", "carrier", "tracking", "note")
    return Moved(
        word=Move(row.word), on=row.day, by=row.done_by, at=row.created_at, **{name: told[name] for name in same}
    )
