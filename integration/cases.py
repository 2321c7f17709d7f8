"""One case with all of its parts, for pages, API and commands. Whoever adds a part to a case joins it in PARTS."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Engine

from integration import checklists
from integration.packets.payloads import Payloads
from integration.settings.config import Config
from integration.store import audit, deliveries, request_list, requests
from integration.store.request_list import Waits
from integration.store.requests import Request
from integration.views import case, checklist
from integration.views.case import Part
from mappings.model.errors import ExchangeError
from mappings.model.request import SecondOpinionRequest


@dataclass(frozen=True)
class Case:
    """What a part is made of: the request as it is, and how to read more. No transaction is open."""

    engine: Engine
    payloads: Payloads
    config: Config
    now: datetime
    actor: str
    row: Request
    waits: Waits | None
    arrived_as: str | None

    @property
    def request_id(self) -> str:
        """Its id."""
        return self.row.id

    @property
    def content(self) -> SecondOpinionRequest:
        """What is asked, as it was entered or corrected since."""
        return requests.content(self.row)


def _checklist(this: Case) -> Part:
    """Of what the chart has; a packet that cannot be read says so instead of hiding the rest of the case."""
    try:
        found = checklists.judged(this.engine, this.payloads, this.config, this.row.id, this.now.date())
    except ExchangeError as error:
        return checklist.unread(str(error))
    return checklist.part(found, this.row)


# Each part of a case, by the name of its topic. One that belongs to this case alone and has nothing to say returns None.
PARTS: tuple[Callable[[Case], Part | None], ...] = (
    lambda this: case.request_part(this.row, this.now),
    _checklist,
    lambda this: case.records_part(this.row, this.arrived_as, this.waits, this.now),
    lambda this: case.report_part(this.row, this.waits),
)


def read(
    engine: Engine,
    payloads: Payloads,
    config: Config,
    request_id: str,
    now: datetime,
    *,
    actor: str,
    reason: str | None = None,
) -> tuple[Case, list[Part]]:
    """A case, the next move first; the look of ``actor`` is recorded before anything is read. Raises UnknownRequest."""
    with engine.begin() as conn:
        row = requests.get(conn, request_id)
        audit.record(conn, actor, "case.looked-at", request_id, reason=reason)
        waits = request_list.waits(conn, [request_id]).get(request_id)
        arrived = deliveries.records_arrived_as(conn, [request_id]).get(request_id)
    this = Case(engine, payloads, config, now, actor, row, waits, arrived)
    return this, case.in_order(_there(this))


def _there(this: Case) -> Iterable[Part]:
    for make in PARTS:
        part = make(this)
        if part is not None:
            yield part
