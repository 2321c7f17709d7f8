"""The board as page, API and command line show it: cases by the time that is left, each with its next move and whose it is."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from integration.store import board, requests
from integration.store.board import Show, Sort, Turn
from integration.store.scope import Scope
from integration.views.texts import t
from mappings.model.request import HumanName


@dataclass(frozen=True)
class Board:
    """One page. ``next``: the place after which the next one begins, as it stands in an address; None at the end."""

    turns: tuple[Turn, ...]
    counts: dict[Show, int]
    next: str | None


def read(
    conn: Connection,
    scope: Scope,
    show: Show,
    now: datetime,
    *,
    after: str = "",
    limit: int = board.PAGE,
    by: Sort = Sort.TIME,
) -> Board:
    """The cases of a scope. A place that is none begins at the beginning."""
    turns, following = board.page(conn, scope, show, now, after=place(after), limit=limit, by=by)
    place_after = following and f"{following[0].isoformat()}_{following[1]}"
    return Board(tuple(turns), board.counts(conn, scope, now), place_after)


def place(words: str) -> tuple[datetime, str] | None:
    """From an address; None when it is none."""
    at, _, request_id = words.partition("_")
    try:
        moment = datetime.fromisoformat(at)
    except ValueError:
        return None
    return (moment, request_id) if moment.tzinfo and request_id and "\x00" not in request_id else None


def name_of(turn: Turn) -> str:
    """The patient, for who may see it."""
    name: HumanName | None = requests.content_of(turn.body).patient.name
    return " ".join([*name.given, name.family]) if name else ""


def view(turn: Turn) -> dict:
    """As JSON: ids and words, nothing of the patient."""
    return {
        "request_id": turn.id,
        "key": turn.key,
        "placer": turn.placer,
        "fulfiller": turn.fulfiller,
        "status": turn.status,
        "records": turn.records,
        "priority": turn.priority,
        "due_at": turn.due_at,
        "visit_at": turn.visit_at,
        "is_late": turn.is_late,
        "move": turn.move.value,
        "whose": turn.whose.value,
        "says": t(f"move.{turn.move}"),
    }
