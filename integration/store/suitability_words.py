"""What people answered about whether a consulting program takes a request, and who goes on all the same.

Nothing is changed or removed: the newest word of a key counts, and the older ones stay to be seen.
"""

from collections.abc import Mapping

from sqlalchemy import Connection, select
from sqlalchemy.dialects.postgresql import insert

from integration.store import audit, operations, parking, requests, steps
from integration.store.operations import NotPossible
from integration.store.tables import steps as step_table
from integration.store.tables import suitability_words
from mappings.model.checklist import Said
from mappings.model.states import FINAL
from mappings.model.suitability import GO_ON, Suitability

WORDS = ("yes", "no")


def spoken(conn: Connection, request_id: str) -> Mapping[str, Said]:
    """The newest word of each key."""
    rows = conn.execute(
        select(suitability_words).where(suitability_words.c.request_id == request_id).order_by(suitability_words.c.id)
    )
    return {row.key: Said(row.value, row.actor, row.created_at, row.reason) for row in rows}


def say(conn: Connection, request_id: str, key: str, value: str, *, actor: str, reason: str) -> None:
    """Keep a word with who said it and why; audited. Raises NotPossible for another word than yes or no, and of a request that ended."""
    row = requests.get(conn, request_id)
    if row.status in FINAL:
        raise NotPossible(f"request {request_id} is {row.status}: nothing is asked for it any more")
    if value not in WORDS:
        raise NotPossible("answer yes or no")
    conn.execute(
        insert(suitability_words).values(request_id=request_id, key=key, value=value, actor=actor, reason=reason)
    )
    action = "suitability.went-on" if key == GO_ON and value == "yes" else "suitability.answered"
    audit.record(conn, actor, action, request_id, subject=key, reason=reason)


def follow(conn: Connection, request_id: str, judged: Suitability, *, actor: str, reason: str) -> None:
    """What follows from a word: a request that is refused now waits before it is gathered; one that is not goes on."""
    steps.lock_with_request(conn, request_id)
    gather = (step_table.c.request_id == request_id, step_table.c.kind == "gather_records")
    if judged.stops:
        parking.park_all(conn, *gather, cause=requests.PROGRAM_REFUSES, message=judged.message)
        return
    parked = (step_table.c.status == "parked", step_table.c.cause == requests.PROGRAM_REFUSES)
    for step_id in conn.execute(select(step_table.c.id).where(*gather, *parked)).scalars().all():
        operations.retry_step(conn, step_id, actor=actor, reason=reason)
