"""The board as page, API and command line show it: cases by the time that is left, each with its next move and whose it is."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from integration.store import board, requests
from integration.store.board import Place, Show, Sort, Turn
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
    return Board(tuple(turns), board.counts(conn, scope, now), word_of(following) if following else None)


def word_of(place: Place) -> str:
    """As it stands in an address."""
    return "_".join((place.lead.isoformat(), place.case, place.created_at.isoformat(), place.id))


def place(words: str) -> Place | None:
    """From an address; None when it is none."""
    parts = words.split("_")
    if len(parts) != 4 or not all(parts) or "\x00" in words:
        return None
    try:
        lead, created_at = (datetime.fromisoformat(parts[index]) for index in (0, 2))
    except ValueError:
        return None
    return Place(lead, parts[1], created_at, parts[3]) if lead.tzinfo and created_at.tzinfo else None


def of_case(turn: Turn) -> str:
    """Which of the requests of one case it is; empty where it stands alone here."""
    return t("board.of_case", nth=turn.nth, of=turn.of_case) if turn.of_case > 1 else ""


def to_do(turn: Turn) -> str:
    """What the side that asks has to do besides; empty where it is nothing."""
    return t("board.changed") if turn.to_do is None else t("board.to_do", n=turn.to_do) if turn.to_do else ""


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
        "case": turn.case,
        "of_case": turn.of_case,
        "move": turn.move.value,
        "whose": turn.whose.value,
        "says": t(f"move.{turn.move}"),
        "to_do": turn.to_do,
    }
