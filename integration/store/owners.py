"""Whose request an id belongs to: each name by which pages, API and forms call something of a request, and its table."""

from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import BigInteger, Column, Connection, Select, Table, literal, select

from integration.store.tables import (
    acknowledgments,
    attempts,
    bookings,
    deliveries,
    drafts,
    eligibility_asks,
    findings,
    health_links,
    packets,
    parcels,
    private_links,
    received_records,
    requests,
    source_asks,
    steps,
)

LARGEST = 2**63 - 1


@dataclass(frozen=True)
class Owner:
    """The request that something belongs to, and its two sides."""

    request_id: str
    placer: str
    fulfiller: str


# Name of a path's argument, of a parameter or of a form's field -> the column that holds what it says. A table of your own
# belongs here when its rows are of a request (a column request_id), or of a practice before there is one (placer, fulfiller).
NAMES: dict[str, Column] = {
    "request_id": requests.c.id,
    "request": requests.c.id,
    "draft_id": drafts.c.id,
    "delivery_id": deliveries.c.id,
    "delivery": deliveries.c.id,
    "step_id": steps.c.id,
    "step": steps.c.id,  # a form says id:lease:status
    "attempt_id": attempts.c.id,
    "packet_id": packets.c.id,
    "acknowledgment": acknowledgments.c.id,
    "private_link": private_links.c.id,
    "ask_id": source_asks.c.id,
    "parcel_id": parcels.c.id,
    "booking": bookings.c.id,
    "eligibility": eligibility_asks.c.id,
    "record_id": received_records.c.id,
    "finding_id": findings.c.id,
    "finding": findings.c.id,
    "link_id": health_links.c.id,
}


def of(conn: Connection, name: str, value: str) -> Owner | None:
    """Who owns what ``name`` calls ``value``; None when there is no such thing, or it belongs to no request."""
    column = NAMES[name]
    wanted = _as_stored(column, value)
    row = None if wanted is None else conn.execute(_owners(column.table).where(column == wanted)).first()
    return None if row is None else Owner(row[0] or "", row[1] or "", row[2] or "")


def _as_stored(column: Column, value: str) -> str | int | None:
    if not isinstance(column.type, BigInteger):
        return value if value and "\x00" not in value else None
    number = value.partition(":")[0]
    return int(number) if number.isascii() and number.isdigit() and int(number) <= LARGEST else None


def _owners(table: Table) -> Select:
    if {"placer", "fulfiller"} <= set(table.c.keys()):
        return select(table.c.id, table.c.placer, table.c.fulfiller)
    if "placer" in table.c:  # of a practice before there is a request: the side that is asked knows nothing of it
        return select(table.c.request_id, table.c.placer, literal(""))
    sides = select(requests.c.id, requests.c.placer, requests.c.fulfiller)
    return sides.join(table, table.c.request_id == requests.c.id)


def all_named(given: dict[str, list[str]]) -> Iterator[tuple[str, str]]:
    """Every name and value of ``given`` that may be of a request; what was left empty names nothing."""
    for name, values in given.items():
        if name in NAMES:
            yield from ((name, value) for value in values if value)
