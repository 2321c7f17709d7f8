"""The ledger: one row for each document of ours at each endpoint, written before it is sent."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, and_, case, select, update
from sqlalchemy.dialects.postgresql import insert

from integration.store.arrays import unnested
from integration.store.tables import sendings
from mappings.model.request import Identifier
from mappings.model.sending import SendingState


@dataclass(frozen=True)
class Sending:
    """One document on one road. ``state``: a SendingState; ``sends``: how often it was sent, repeats too.

    ``sha256``: of the bytes that went, or were about to, a payload of their own. ``begun_at``: when it was first about to
    be sent by this road; ``sent_at``: when last. ``tried``: roads that were impossible: road, cause, message.
    ``whole_sha256``: of a report whose documents go one by one, the payload that has all of them; this is the first.
    """

    endpoint: str
    system: str
    value: str
    request_id: str
    delivery_id: str
    road: str
    state: str
    sha256: str | None
    control_id: str | None
    reference: str | None
    level: str | None
    receipt: Mapping[str, Any]
    tried: tuple[Mapping[str, str], ...]
    sends: int
    begun_at: datetime | None
    sent_at: datetime | None
    ended_at: datetime | None
    whole_sha256: str | None

    @classmethod
    def from_row(cls, row: Row) -> "Sending":
        """As the table has it."""
        values = {name: getattr(row, name) for name in cls.__dataclass_fields__}
        return cls(**{**values, "tried": tuple(row.tried)})

    @property
    def identifier(self) -> Identifier:
        """Ours, of this document."""
        return Identifier(system=self.system, value=self.value)

    @property
    def is_there(self) -> bool:
        """As far as the system, or a person, has said."""
        return self.state in (SendingState.TAKEN, SendingState.HANDED_OVER)


def find(conn: Connection, endpoint: str, identifier: Identifier) -> Sending | None:
    """The row of one document at one endpoint."""
    row = conn.execute(select(sendings).where(*_one(endpoint, identifier))).one_or_none()
    return None if row is None else Sending.from_row(row)


def of_delivery(conn: Connection, delivery_id: str) -> list[Sending]:
    """What a delivery sent, or was about to send."""
    rows = conn.execute(select(sendings).where(sendings.c.delivery_id == delivery_id).order_by(sendings.c.value))
    return [Sending.from_row(row) for row in rows]


def begin(
    conn: Connection,
    endpoint: str,
    identifier: Identifier,
    *,
    request_id: str,
    delivery_id: str,
    road: str,
    sha256: str,
    control_id: str | None,
    tried: Iterable[Mapping[str, str]],
    at: datetime,
    whole_sha256: str | None = None,
) -> None:
    """It is about to be sent: from this commit on it may be there."""
    new = dict(road=road, state=SendingState.BEGUN, sha256=sha256, control_id=control_id, tried=list(tried), sent_at=at)
    new["whole_sha256"] = whole_sha256
    _put(conn, endpoint, identifier, request_id, delivery_id, {**new, "begun_at": at, "sends": 1}, sends=1)


def note(
    conn: Connection,
    endpoint: str,
    identifier: Identifier,
    *,
    request_id: str,
    delivery_id: str,
    road: str,
    state: SendingState,
    tried: Iterable[Mapping[str, str]],
    sha256: str | None = None,
) -> None:
    """Nothing was sent: no road can take it, or it waits for a person who carries it, with those bytes."""
    new = dict(road=road, state=state, tried=list(tried), sha256=sha256, control_id=None, begun_at=None, sent_at=None)
    new["whole_sha256"] = None
    _put(conn, endpoint, identifier, request_id, delivery_id, {**new, "sends": 0}, sends=0)


def _put(
    conn: Connection,
    endpoint: str,
    identifier: Identifier,
    request_id: str,
    delivery_id: str,
    new: dict[str, Any],
    sends: int,
) -> None:
    own = dict(endpoint=endpoint, system=identifier.system, value=identifier.value, request_id=request_id)
    insertion = insert(sendings).values({**own, "delivery_id": delivery_id, **new})
    first = case((sendings.c.road == new["road"], sendings.c.begun_at), else_=None)
    changed = {**new, "delivery_id": delivery_id, "sends": sendings.c.sends + sends, "ended_at": None}
    if new["begun_at"] is not None:
        changed["begun_at"] = case((first.is_not(None), first), else_=new["begun_at"])
    conn.execute(insertion.on_conflict_do_update(index_elements=["endpoint", "system", "value"], set_=changed))


def end(
    conn: Connection, endpoint: str, identifier: Identifier, state: SendingState, at: datetime, **values: Any
) -> bool:
    """What became of it; ``values``: reference, level, receipt, sha256, tried. False when there is no such row."""
    new = {"state": state, "ended_at": at, **values}
    return bool(conn.execute(update(sendings).where(*_one(endpoint, identifier)).values(new)).rowcount)


def set_level(conn: Connection, endpoint: str, identifier: Identifier, level: str) -> None:
    """What is known of it now."""
    conn.execute(update(sendings).where(*_one(endpoint, identifier)).values(level=level))


def forget(conn: Connection, endpoint: str, pairs: Sequence[tuple[str, str]]) -> None:
    """What was sent as these (system, value) is not there any more: nothing stands in the way of sending it again."""
    wanted = unnested(sendings, ("system", "value"), pairs)
    conn.execute(
        update(sendings)
        .where(
            sendings.c.endpoint == endpoint,
            sendings.c.state == SendingState.TAKEN,
            and_(sendings.c.system == wanted.c.system, sendings.c.value == wanted.c.value),
        )
        .values(state=SendingState.ABSENT, reference=None, level=None)
    )


def _one(endpoint: str, identifier: Identifier) -> tuple:
    return (
        sendings.c.endpoint == endpoint,
        sendings.c.system == identifier.system,
        sendings.c.value == identifier.value,
    )
