"""What follows in the later requests of a case when an earlier opinion, or what the patient said of it, changes."""

from collections.abc import Iterable
from contextlib import suppress

from sqlalchemy import Connection

from integration.store import requests, waivers
from integration.store.operations import NotPossible
from integration.store.received_records import hold_back, look_again
from integration.store.requests import Request
from mappings.earlier_opinion import RETRACTED, STAYS, name_of
from mappings.model.request import SecondOpinionRequest
from mappings.model.states import FINAL, Status


def report_changed(conn: Connection, request_id: str, *, is_retracted: bool = False) -> None:
    """A report came, was corrected or retracted: who was asked later and may have it gets that too."""
    row = requests.get(conn, request_id)
    for later in requests.of_case(conn, row.case):
        if _is_later(row, later) and requests.content(later).earlier_travel:
            if is_retracted and Status(later.status) not in FINAL:
                hold_back(conn, later.id, [name_of(row.id)], actor="exchange", because=RETRACTED)
            look_again(conn, later.id)


def answer_changed(
    conn: Connection, row: Request, before: SecondOpinionRequest, after: SecondOpinionRequest, *, actor: str
) -> None:
    """The patient said otherwise: a packet that was not sent yet goes without the earlier opinions, or with them again."""
    if before.earlier_travel == after.earlier_travel:
        return
    for name in _names_before(conn, row):
        if before.earlier_travel:
            hold_back(conn, row.id, [name], actor=actor, because=STAYS)
        elif any(each.item == name for each in waivers.in_force(conn, row.id)):
            with suppress(NotPossible):  # a packet went without it: it stays so, and that is told there
                waivers.undo(conn, row.id, name, actor=actor, reason="the patient said that it goes along")


def _names_before(conn: Connection, row: Request) -> Iterable[str]:
    return [name_of(each.id) for each in requests.of_case(conn, row.case) if _is_later(each, row)]


def _is_later(row: Request, other: Request) -> bool:
    return (row.created_at, row.id) < (other.created_at, other.id)
