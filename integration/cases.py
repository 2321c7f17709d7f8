"""One case with all of its parts, for pages, API and commands. Whoever adds a part to a case joins it in PARTS."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Engine

from integration import checklists, coverage, medications, suitability, visit_reading
from integration.packets.payloads import Payloads
from integration.settings.config import Config
from integration.store import acknowledgments, audit, deliveries, desk, private_links, reports, request_list, requests
from integration.store.request_list import Waits
from integration.store.requests import Request
from integration.views import case, checklist, health_links, opinion, received, visit
from integration.views import consent as consent_view
from integration.views import coverage as coverage_view
from integration.views import desk as desk_view
from integration.views import medications as medication_view
from integration.views import private_links as private_link_view
from integration.views import suitability as suitability_view
from integration.views.case import Part
from integration.views.questions import questions_part
from integration.views.texts import t
from integration.visit_reading import House
from mappings.infobutton import askable
from mappings.model.acknowledgment import Standing
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
    content: SecondOpinionRequest = field(repr=False)
    waits: Waits | None
    arrived_as: str | None
    reading: Standing

    @property
    def request_id(self) -> str:
        """Its id."""
        return self.row.id


def _suitability(this: Case) -> Part:
    found = suitability.standing(this.engine, this.config, this.request_id, this.now.date(), actor=this.actor)
    return suitability_view.part(found)


def _consent(this: Case) -> Part:
    with this.engine.connect() as conn:
        return consent_view.part(consent_view.read(conn, this.config, this.request_id, this.now.date()))


def _private_link(this: Case) -> Part:
    with this.engine.connect() as conn:
        return private_link_view.part(private_links.of_request(conn, this.request_id), this.now)


def _visit(this: Case) -> Part:
    house = House(this.engine, this.payloads, this.config)
    return visit.part(visit_reading.read(house, this.request_id, this.now))


def _checklist(this: Case) -> Part:
    found = checklists.judged(this.engine, this.payloads, this.config, this.request_id, this.now.date())
    return checklist.part(found, this.row)


def _received(this: Case) -> Part:
    with this.engine.connect() as conn:
        return received.part(conn, this.request_id)


def _library(this: Case) -> Part | None:
    library, diagnosis = this.config.health_library, this.content.diagnosis
    is_there = library.address is not None and diagnosis is not None and askable(diagnosis.codes) is not None
    says = t("library.part", source=library.name)
    return Part("library", "none", says, endpoint="library.show") if is_there else None


def _health_links(this: Case) -> Part:
    with this.engine.connect() as conn:
        return health_links.part(conn, this.request_id)


def _coverage(this: Case) -> Part | None:
    with this.engine.connect() as conn:
        return coverage_view.part(coverage.known(conn, this.row.id, this.now.date()))


def _desk(this: Case) -> Part | None:
    with this.engine.connect() as conn:
        return desk_view.part(this.row, desk.of_request(conn, this.request_id))


# The parts of a case by their keys. One that has nothing to say about a case gives None. What cannot be read is said
# in its place, and does not hide the rest.
PARTS: dict[str, Callable[[Case], Part | None]] = {
    "request": lambda this: case.request_part(this.row, this.waits),
    "desk": _desk,
    "suitability": _suitability,
    "consent": _consent,
    "private-link": _private_link,
    "coverage": _coverage,
    "checklist": _checklist,
    "received": _received,
    "medications": lambda this: medication_view.part(medications.read(this.engine, this.payloads, this.request_id)),
    "questions": lambda this: questions_part(this.content),
    "visit": _visit,
    "records": lambda this: case.records_part(this.row, this.arrived_as, this.waits, this.now),
    "health-links": _health_links,
    "library": _library,
    "opinion": lambda this: case.report_part(this.row, this.waits, this.reading),
}


# What is prepared for the opinion: nobody has a move there once it is given, or the request ended without one.
BEFORE_OPINION = frozenset({"suitability", "coverage", "medications", "questions", "visit"})


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
        standing = opinion.standing_of(reports.newest(conn, request_id), acknowledgments.of_request(conn, request_id))
    content = requests.content(row)
    this = Case(engine, payloads, config, now, actor, row, content, waits, arrived, standing)
    parts = case.in_order(_there(this))
    with engine.begin() as conn:
        requests.set_to_do(conn, row, sum(map(case.is_to_do, parts)))
    return this, parts


def _there(this: Case) -> Iterator[Part]:
    for key, make in PARTS.items():
        try:
            part = make(this)
        except ExchangeError as error:
            part = Part(key, "open", t("case.unread", why=str(error)), who="operator")
        if part is not None:
            yield case.without_a_move(part) if key in BEFORE_OPINION and case.is_over(this.row) else part
