"""The insurances of a request's patient, as the placer's EHR last showed them."""

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import Connection, delete, select
from sqlalchemy.dialects.postgresql import insert

from integration.store import audit, requests, steps
from integration.store.operations import NotPossible
from integration.store.storable import storable
from integration.store.tables import insurances
from mappings.model.coverage import Insurance
from mappings.model.states import FINAL

KIND, LONGEST = "gather_coverage", 200


def keep(conn: Connection, request_id: str, found: Iterable[Insurance], at: datetime) -> None:
    """What a reading showed, instead of what the one before did."""
    conn.execute(delete(insurances).where(insurances.c.request_id == request_id))
    rows = [
        dict(
            request_id=request_id,
            reference=storable(each.reference, LONGEST),
            insurer=storable(each.insurer, LONGEST),
            plan=storable(each.plan, LONGEST),
            status=storable(each.status, LONGEST),
            begins=each.begins,
            ends=each.ends,
            relationship=storable(each.relationship, LONGEST),
            read_at=at,
        )
        for each in found
    ]
    if rows:
        conn.execute(insert(insurances).values(rows).on_conflict_do_nothing())


def of_request(conn: Connection, request_id: str) -> tuple[Insurance, ...]:
    """Those of the last reading; none where nobody read, or the EHR has none."""
    columns = [column for column in insurances.c if column.name != "request_id"]
    rows = conn.execute(select(*columns).where(insurances.c.request_id == request_id).order_by(insurances.c.reference))
    return tuple(Insurance(**row._mapping) for row in rows)


def ask(conn: Connection, request_id: str, *, actor: str, reason: str) -> bool:
    """Have them read again; False when a reading is under way. Raises NotPossible for a request that has ended."""
    row = requests.get(conn, request_id)
    if row.status in FINAL:
        raise NotPossible(f"request {request_id} is {row.status}: nothing is read for it any more")
    made = steps.create(conn, KIND, row.placer, request_id=request_id)
    audit.record(conn, actor, "coverage.read-asked", request_id, reason=reason)
    return made is not None
