"""The placers' own orders: which are known, what they said when they were last followed, and where reading them stands."""

import json
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, Row, func, select, text, update
from sqlalchemy.dialects.postgresql import insert

from integration.settings.config import Config
from integration.settings.one_server import names_of
from integration.store import installation, parking, steps
from integration.store.tables import LINKED_ORDERS, endpoints, links, orders, polls, watermarks
from integration.store.tables import requests as request_table
from integration.store.tables import steps as step_table
from mappings.model.request import SecondOpinionRequest
from mappings.model.states import OPEN
from mappings.model.steps import TO_SEND

KIND = "ServiceRequest"


@dataclass(frozen=True)
class Order:
    """A known order and the request it became. ``body`` is the request that it said, None where that was not noted yet."""

    request_id: str
    placer: str
    reference: str
    sha256: str | None
    came_sha256: str | None
    subject: str | None
    body: bytes | None
    status: str
    cancel_requested: bool

    @classmethod
    def from_row(cls, row: Row) -> "Order":
        """From a row of `orders` with the request's status."""
        return cls(**{name: getattr(row, name) for name in cls.__dataclass_fields__})

    def said(self) -> SecondOpinionRequest | None:
        """The request that it said when it was last followed."""
        return SecondOpinionRequest.model_validate_json(self.body) if self.body else None


def names_of_server(conn: Connection, config: Config, key: str) -> tuple[str, ...]:
    """Every name the server of an endpoint has or had: also those no longer configured that share its identifier system."""
    system = endpoints.alias()
    shared = conn.execute(
        select(endpoints.c.key)
        .join(system, system.c.identifier_system == endpoints.c.identifier_system)
        .where(system.c.key == key, endpoints.c.identifier_system != "")
    ).scalars()
    return tuple(sorted({key, *names_of(config, key), *shared}))


def systems_known(conn: Connection, config: Config) -> frozenset[str]:
    """Every identifier system that the Exchange ever gave: its own, and those of its endpoints."""
    known = conn.execute(select(endpoints.c.identifier_system)).scalars()
    configured = (each.identifier_system for each in config.endpoints.values())
    return frozenset({config.exchange.identifier_system, *known, *configured, *installation.own_systems(conn)} - {""})


def known(conn: Connection, names: Collection[str], references: Iterable[str]) -> dict[str, Order]:
    """``{reference: order}`` of those that became requests; ``names``: the server's."""
    wanted = list(references)
    rows = conn.execute(_ORDERS.where(orders.c.placer.in_(names), orders.c.reference.in_(wanted)))
    found = {row.reference: Order.from_row(row) for row in rows}
    keys = {f"{name}:{reference}": reference for name in names for reference in wanted if reference not in found}
    older = conn.execute(select(request_table).where(request_table.c.key.in_(keys)))  # taken in by an older worker
    return found | {keys[row.key]: _without_order(row, keys[row.key]) for row in older}


def elsewhere(conn: Connection, names: Collection[str], reference: str, limit: int = 5) -> list[Order]:
    """Orders with this reference at other servers: the same one may be read under two names."""
    found = conn.execute(
        _ORDERS.where(orders.c.placer.not_in(names), orders.c.reference == reference)
        .order_by(orders.c.request_id)
        .limit(limit)
    )
    return [Order.from_row(row) for row in found]


def written_by_us(conn: Connection, names: Collection[str], references: Iterable[str]) -> set[str]:
    """Of these ServiceRequests those that the Exchange created there."""
    return set(
        conn.execute(
            select(links.c.reference).where(
                links.c.endpoint.in_(names),
                links.c.reference.in_(list(references)),
                links.c.origin == "created",
                text(LINKED_ORDERS),
            )
        ).scalars()
    )


def open_after(conn: Connection, names: Collection[str], after: str, limit: int) -> list[Order]:
    """Orders of requests that are not over, in the order of their requests' ids."""
    found = conn.execute(
        _ORDERS.where(orders.c.placer.in_(names), request_table.c.status.in_(OPEN), orders.c.request_id > after)
        .order_by(orders.c.request_id)
        .limit(limit)
    )
    return [Order.from_row(row) for row in found]


def hold(conn: Connection, reference: str) -> None:
    """Until the transaction ends nobody else takes in an order of this name: two names of one server may be polled at once."""
    conn.execute(text("SELECT pg_advisory_xact_lock(hashtext(:name))"), {"name": f"order {reference}"})


def note(
    conn: Connection,
    request_id: str,
    placer: str,
    reference: str,
    *,
    sha256: str | None = None,
    came_sha256: str | None = None,
    subject: str | None = None,
    body: bytes | None = None,
) -> None:
    """Keep what an order says now: a later change is a difference to it."""
    said = dict(sha256=sha256, came_sha256=came_sha256, subject=subject, body=body)
    conn.execute(
        insert(orders)
        .values(request_id=request_id, placer=placer, reference=reference, **said)
        .on_conflict_do_update(index_elements=["request_id"], set_={**said, "seen_at": func.now()})
    )


def stop_sending(conn: Connection, request_id: str, *, cause: str, message: str) -> int:
    """Park whatever would still send something for a request; a person decides. Returns how many steps."""
    steps.lock_with_request(conn, request_id)
    return parking.park_all(
        conn,
        step_table.c.request_id == request_id,
        step_table.c.kind.in_(TO_SEND),
        cause=cause,
        message=message,
    )


# --- where reading stands -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Reading:
    """Where reading the orders of a placer stands. ``changes`` and ``sweep`` are what jobs/steps/sweeping.py makes of them."""

    since: datetime | None  # up to when all changes were seen
    now: datetime  # by the database's clock
    changes: dict | None
    sweep: dict | None
    swept_at: datetime | None


def reading(conn: Connection, endpoint: str) -> Reading:
    """Where it stands; a mark that lies in the future counts as of when it was noted."""
    now = conn.execute(select(func.statement_timestamp())).scalar_one()
    mark = conn.execute(
        select(watermarks).where(watermarks.c.endpoint == endpoint, watermarks.c.kind == KIND)
    ).one_or_none()
    row = conn.execute(select(polls).where(polls.c.endpoint == endpoint)).one_or_none()
    return Reading(
        since=min(datetime.fromisoformat(mark.value), mark.updated_at, now) if mark else None,
        now=now,
        changes=_loaded(row.changes if row else None),
        sweep=_loaded(row.sweep if row else None),
        swept_at=row.swept_at if row else None,
    )


def set_since(conn: Connection, endpoint: str, since: datetime) -> None:
    """Note up to when all changes were seen."""
    insertion = insert(watermarks).values(endpoint=endpoint, kind=KIND, value=since.isoformat())
    conn.execute(
        insertion.on_conflict_do_update(
            index_elements=["endpoint", "kind"], set_=dict(value=insertion.excluded.value, updated_at=func.now())
        )
    )


def set_reading(conn: Connection, endpoint: str, **values: object) -> None:
    """Note where it stands: ``changes`` and ``sweep`` (None: not under way), ``swept_at``."""
    plain = {name: json.dumps(each) if isinstance(each, dict) else each for name, each in values.items()}
    conn.execute(
        insert(polls).values(endpoint=endpoint, **plain).on_conflict_do_update(index_elements=["endpoint"], set_=plain)
    )


def polled(conn: Connection, endpoint: str, now: datetime) -> None:
    """Note that a poll succeeded."""
    conn.execute(update(endpoints).where(endpoints.c.key == endpoint).values(polled_at=now))


def _loaded(value: str | None) -> dict | None:
    return json.loads(value) if value else None


def _without_order(row: Row, reference: str) -> Order:
    unknown = dict(sha256=None, came_sha256=None, subject=None, body=None)
    return Order(row.id, row.placer, reference, status=row.status, cancel_requested=row.cancel_requested, **unknown)


_ORDERS = select(orders, request_table.c.status, request_table.c.cancel_requested).join(
    request_table, request_table.c.id == orders.c.request_id
)
