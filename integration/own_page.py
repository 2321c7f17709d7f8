"""What the patient's own page shows: read by the rules by which staff's pages show it. Whoever adds a part joins it in PARTS."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Engine

from integration import checklists, medications, opinions
from integration.health_links import making
from integration.packets.payloads import Payloads
from integration.settings.config import Config
from integration.store import appointments, audit, board, deliveries, private_links, releases, reports, requests
from integration.store.private_links import Opened
from integration.store.requests import Request
from integration.views import consent
from integration.visit_reading import House
from mappings.infobutton import askable
from mappings.model.consent import RecordKind
from mappings.model.delivery import ARRIVED, DeliveryKind, DeliveryStatus
from mappings.model.errors import ExchangeError
from mappings.model.request import SecondOpinionRequest
from mappings.model.states import FINAL, Status, Visit

CLOSED = "closed"


@dataclass(frozen=True)
class Page:
    """What a part is made of: whose page it is, and how to read more. No transaction is open."""

    engine: Engine
    payloads: Payloads
    config: Config
    now: datetime
    opened: Opened
    row: Request
    content: SecondOpinionRequest = field(repr=False)

    def place(self, key: str) -> str:
        """What people call an endpoint."""
        endpoint = self.config.endpoints.get(key)
        return endpoint.name if endpoint else key

    @property
    def places(self) -> dict[str, str]:
        """The two practices, as the sentences of the page name them."""
        return {"placer": self.place(self.row.placer), "fulfiller": self.place(self.row.fulfiller)}

    @property
    def may_change(self) -> bool:
        """The request is open: what the patient says still goes somewhere."""
        return Status(self.row.status) not in FINAL and not self.row.cancel_requested


@dataclass(frozen=True)
class Part:
    """One part of the page: its heading is the text ``h.<key>``, its template own/<key>.html, made of ``values``."""

    key: str
    values: dict[str, Any] = field(repr=False)


def _standing(page: Page) -> dict:
    with page.engine.connect() as conn:
        move = board.move_of(conn, page.row.id)
    return {"stage": CLOSED if page.row.closed_at is not None else page.row.status, "next": move}


def _records(page: Page) -> dict:
    with page.engine.connect() as conn:
        rows = deliveries.of_request(conn, page.row.id, DeliveryKind.RECORDS)
    begun = [each for each in rows if each.status not in (DeliveryStatus.QUEUED, DeliveryStatus.CANCELLED)]
    return {"sent": [_sent(page, each) for each in reversed(begun)]}


def _sent(page: Page, delivery: deliveries.Delivery) -> dict:
    is_there = DeliveryStatus(delivery.status) in ARRIVED and delivery.sent_at is not None
    key = delivery.status if is_there else "under_way"
    return {"key": key, "place": page.place(delivery.endpoint), "at": delivery.verified_at or delivery.sent_at}


def _visit(page: Page) -> dict:
    with page.engine.connect() as conn:
        current = appointments.current(conn, page.row.id)
    return {"visit": current, "statuses": Visit}


def _report(page: Page) -> dict:
    with page.engine.connect() as conn:
        newest, released = reports.newest(conn, page.row.id), releases.released(conn, page.row.id)
    if released is None:
        return {"waits": newest is not None and newest.state != releases.RETRACTED, "documents": ()}
    found = opinions.opinion(page.engine, page.payloads, page.row.id, actor=page.opened.actor)
    is_same = found.report is not None and found.report.revision == released.revision
    return {"waits": not is_same, "documents": found.documents if is_same else ()}


def _questions(page: Page) -> dict:
    return {"questions": list(page.content.patient_questions), "version": page.row.version}


def _medications(page: Page) -> dict:
    found = medications.read(page.engine, page.payloads, page.row.id)
    return {"found": found, "as_of": datetime.fromisoformat(found.as_of) if found.as_of else None}


def _bring(page: Page) -> dict:
    judged = checklists.judged(page.engine, page.payloads, page.config, page.row.id, page.now.date())
    return {"carried": [item.kind for item in judged.items if item.kind.by_courier and item.is_open]}


def _consent(page: Page) -> dict:
    with page.engine.connect() as conn:
        state = consent.read(conn, page.config, page.row.id, page.now.date())
    return {"state": state, "kinds": list(RecordKind)}


def _links(page: Page) -> dict:
    found = making.listed(House(page.engine, page.payloads, page.config), page.row.id, actor=page.opened.actor)
    return {"found": found, "longest": page.config.health_links.longest_days}


def _reading(page: Page) -> dict | None:
    """The door to it alone: the page names no diagnosis."""
    first = page.content.first_opinion
    is_there = page.config.health_library.address is not None and first is not None and askable(first.diagnosis.codes)
    return {} if is_there else None


def _devices(page: Page) -> dict:
    with page.engine.connect() as conn:
        return {"devices": private_links.devices(conn, page.row.id)}


def _help(page: Page) -> dict:
    endpoint = page.config.endpoints.get(page.row.placer)
    return {"phone": endpoint.phone if endpoint else None}


# The parts in the order in which they stand. Each template is integration/web/templates/own/<key>.html; texts are in
# integration/views/own_english.py and own_spanish.py. One that cannot be read says so in its place and does not hide the rest.
PARTS: dict[str, Callable[[Page], dict | None]] = {
    "standing": _standing,
    "report": _report,
    "visit": _visit,
    "bring": _bring,
    "questions": _questions,
    "medications": _medications,
    "records": _records,
    "consent": _consent,
    "links": _links,
    "reading": _reading,
    "devices": _devices,
    "help": _help,
}


def open_page(
    engine: Engine, payloads: Payloads, config: Config, opened: Opened, now: datetime
) -> tuple[Page, list[Part]]:
    """The page of who opened it; the look is recorded before anything is read. A part that cannot be read has the value ``error``."""
    with engine.begin() as conn:
        row = requests.get(conn, opened.request_id)
        audit.record(conn, opened.actor, "own-page.looked-at", row.id)
    page = Page(engine, payloads, config, now, opened, row, requests.content(row))
    parts = []
    for key, make in PARTS.items():
        try:
            values = make(page)
        except ExchangeError:
            values = {"error": True}
        if values is not None:
            parts.append(Part(key, values))
    return page, parts
