"""Questions to payers' own systems about a request's coverage, and how each stands; changed here alone."""

from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import Connection, Row, func, insert, select, update

from integration.store import audit, requests, steps
from integration.store.operations import NotPossible
from integration.store.storable import storable
from integration.store.tables import eligibility_asks
from mappings.model.eligibility import OPEN, AskWord
from mappings.model.states import FINAL

STEP, LONGEST = "ask_payer", 300


@dataclass(frozen=True)
class EligibilityAsk:
    """One question; see `tables.eligibility_asks`."""

    id: int
    request_id: str
    endpoint: str
    coverage: str
    service: str
    service_on: date | None
    status: str  # an AskWord
    detail: str
    reference: str | None
    answer_id: str | None
    actor: str
    created_at: datetime
    changed_at: datetime

    @classmethod
    def from_row(cls, row: Row) -> "EligibilityAsk":
        """From a row of `eligibility_asks`."""
        return cls(**{name: getattr(row, name) for name in cls.__dataclass_fields__})

    @property
    def is_open(self) -> bool:
        """No answer yet, and none is given up."""
        return self.status in OPEN


def of_request(conn: Connection, request_id: str) -> tuple[EligibilityAsk, ...]:
    """Every one, oldest first."""
    wanted = select(eligibility_asks).where(eligibility_asks.c.request_id == request_id)
    return tuple(EligibilityAsk.from_row(row) for row in conn.execute(wanted.order_by(eligibility_asks.c.id)))


def open_at(conn: Connection, request_id: str, endpoint: str) -> list[EligibilityAsk]:
    """Those that a payer's system has not answered."""
    return [each for each in of_request(conn, request_id) if each.is_open and each.endpoint == endpoint]


def ask(
    conn: Connection,
    request_id: str,
    endpoint: str,
    coverage: str,
    service: str,
    service_on: date | None,
    *,
    actor: str,
    reason: str,
) -> int:
    """A person asks; its number. Raises NotPossible while the same question waits, and for a request that has ended."""
    steps.lock_with_request(conn, request_id)
    row = requests.get(conn, request_id)
    if row.status in FINAL or row.cancel_requested:
        raise NotPossible(f"request {request_id} is {row.status}: no insurer is asked for it any more")
    waits = [each for each in open_at(conn, request_id, endpoint) if each.coverage == coverage]
    if waits:
        raise NotPossible(f"{waits[0].actor} asked already, and {endpoint} has not answered yet")
    values = dict(
        request_id=request_id,
        endpoint=endpoint,
        coverage=coverage,
        service=service,
        service_on=service_on,
        status=AskWord.ASKED,
        detail="",
        actor=actor,
    )
    made = conn.execute(insert(eligibility_asks).values(values).returning(eligibility_asks.c.id)).scalar_one()
    audit.record(conn, actor, "coverage.payer-asked", request_id, subject=f"{endpoint} {coverage}", reason=reason)
    steps.create(conn, STEP, endpoint, request_id=request_id, deadline=row.records_due_at)
    return made


def tell(
    conn: Connection,
    ask_id: int,
    word: AskWord,
    *,
    detail: str = "",
    reference: str | None = None,
    answer_id: str | None = None,
) -> None:
    """How it stands from now on; one that has ended stays as it is."""
    more = {"reference": reference} if reference else {}
    more |= {"answer_id": answer_id} if answer_id else {}
    conn.execute(
        update(eligibility_asks)
        .where(eligibility_asks.c.id == ask_id, eligibility_asks.c.status.in_(OPEN))
        .values(status=word, detail=storable(detail, LONGEST), changed_at=func.now(), **more)
    )
