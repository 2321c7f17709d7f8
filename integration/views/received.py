"""What arrived from elsewhere for a request, for the case page, the API and commands."""

from collections.abc import Iterable
from functools import partial

from sqlalchemy import Connection

from integration.received import Looking
from integration.store import received_records
from integration.store.received_records import ReceivedRecord, State
from integration.views.case import Part
from integration.views.texts import t
from mappings.received import name_of


def part(conn: Connection, request_id: str) -> Part:
    """The row of the case page."""
    found = received_records.of_request(conn, request_id)
    waiting = sum(each.state == State.ARRIVED for each in found)
    there = sum(each.state == State.ACCEPTED for each in found)
    part_of = partial(Part, "received", endpoint="received.listed")
    if waiting:
        words = t("part.received.open", n=waiting)
        return part_of(state="open", says=words, next=t("part.received.next"), who="coordinator")
    if there:
        return part_of(state="done", says=t("part.received.done", n=there))
    return part_of(state="none", says=t("part.received.none"))


def where_words(record: ReceivedRecord, carried: dict[str, list[str]]) -> list[str]:
    """Where an accepted record is, in words; the newest packet last."""
    statuses = carried.get(name_of(record.id), [])
    if not statuses:
        return [t("received.next")] if record.state == State.ACCEPTED else []
    known = [f"received.item.{each}" for each in statuses]
    return list(
        dict.fromkeys(
            t(key) if t.has(key) else t("received.item.other", status=key.rpartition(".")[2]) for key in known
        )
    )


def view(looking: Looking) -> list[dict]:
    """As JSON: what it is and where it stands; the patient that a file names only as what agrees and differs."""
    return [one(looking, each) for each in looking.records]


def one(looking: Looking, record: ReceivedRecord) -> dict:
    """One of them."""
    compared, said = looking.compared(record), record.what_it_says
    return {
        "id": record.id,
        "state": record.state,
        "version": record.version,
        "format": record.format,
        "size": record.size,
        "sha256": record.sha256,
        "file_name": record.file_name,
        "source_reference": name_of(record.id),
        "uploaded_by": record.uploaded_by,
        "uploaded_at": record.uploaded_at,
        "patient_agrees": list(compared.agrees),
        "patient_differs": list(compared.differs),
        "files_left_out": said.left_out,
        "kind": record.kind,
        "code": record.code,
        "dated": record.dated,
        "author": record.author,
        "source": record.source,
        "accepted_by": record.accepted_by,
        "accepted_at": record.accepted_at,
        "ended_by": record.ended_by,
        "ended_at": record.ended_at,
        "ended_because": record.ended_because,
        "where": where_words(record, looking.carried),
    }


def sorted_by_state(records: Iterable[ReceivedRecord]) -> tuple[list, list, list]:
    """Those that wait for a person, those that travel, and those that were taken back."""
    found = list(records)
    return (
        [each for each in found if each.state == State.ARRIVED],
        [each for each in found if each.state == State.ACCEPTED],
        [each for each in found if each.state in (State.WITHDRAWN, State.DISCARDED)],
    )
