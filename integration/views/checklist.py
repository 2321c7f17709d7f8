"""How the packet of a request stands against its checklist, for pages, API and commands."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import date

from sqlalchemy import Connection

from integration.packets import stored as packets
from integration.packets.payloads import Payloads
from integration.settings.config import Config
from integration.store import checklist_facts, requests
from integration.store import packets as packet_rows
from integration.store.operations import NotPossible
from integration.store.packets import PacketRow
from integration.store.requests import Request
from mappings.checklists.chart import Chart
from mappings.checklists.choosing import choose
from mappings.checklists.judging import judge
from mappings.codes import SYSTEM_NUCC
from mappings.model.checklist import Catalog, Checklist, Facts, Item, Said, State
from mappings.model.request import Code, SecondOpinionRequest


@dataclass(frozen=True)
class Completeness:
    """Every item of the checklist on the day of the visit. ``why`` it is this list; ``visit_is``: where the day comes from."""

    request_id: str
    checklist: Checklist
    why: str
    catalog: Catalog
    visit: date
    visit_is: str
    packets: int
    items: tuple[Item, ...]

    @property
    def counts(self) -> dict[State, int]:
        """How many items are in each state, in the order in which somebody has to do something."""
        found = Counter(item.state for item in self.items)
        return {state: found[state] for state in ORDER if found[state]}

    @property
    def open_items(self) -> tuple[Item, ...]:
        """Where somebody still has something to do, the most pressing first."""
        return tuple(sorted((item for item in self.items if item.is_open), key=lambda item: ORDER.index(item.state)))


ORDER = (
    State.MISSING,
    State.STALE,
    State.PARTIAL,
    State.UNKNOWN,
    State.REQUESTED,
    State.PROMISED,
    State.WAIVED,
    State.FOUND,
    State.NOT_APPLICABLE,
)


def completeness(
    conn: Connection, payloads: Payloads, config: Config, catalog: Catalog, request_id: str, today: date
) -> Completeness:
    """How the request's records stand. Raises UnknownRequest, and ExchangeError when a packet cannot be read."""
    row = requests.get(conn, request_id)
    content, spoken = requests.content(row), checklist_facts.spoken(conn, request_id)
    endpoint = config.endpoints.get(content.fulfiller)
    checklist, why = choose(
        catalog,
        said=spoken.checklist,
        configured=endpoint.checklist if endpoint else None,
        icd10=[code.code for code in _diagnoses(content) if "icd-10" in code.system],
        nucc=[content.specialty.code] if content.specialty and content.specialty.system == SYSTEM_NUCC else [],
    )
    found = packet_rows.of_request(conn, request_id)
    visit, visit_is = _visit(content, today)
    facts = replace(_carried(spoken.facts, content, row), learned=checklist_facts.learned(conn, content.placer))
    items = judge(checklist, catalog, _chart(payloads, config, found), facts, visit)
    return Completeness(request_id, checklist, why, catalog, visit, visit_is, len(found), items)


def put_under(
    conn: Connection,
    payloads: Payloads,
    config: Config,
    catalog: Catalog,
    request_id: str,
    source: str,
    kind: str,
    *,
    actor: str,
    reason: str,
) -> None:
    """Put a record (Type/id at the source) under an item, and remember its local code for the source's next patient.

    Raises NotPossible when no packet of the request has such a record of the patient.
    """
    content = requests.content(requests.get(conn, request_id))
    chart = _chart(payloads, config, packet_rows.of_request(conn, request_id))
    record = next((each for each in chart.records() if each.source == source), None)
    if record is None:
        raise NotPossible(
            "no packet of this request has such a record of this patient; name it as Type/id at the source"
        )
    topic = checklist_facts.Topic.RECORD
    checklist_facts.say(conn, catalog, request_id, topic, source, kind, actor=actor, reason=reason)
    checklist_facts.learn(conn, content.placer, record.local if kind else (), kind, actor=actor)


def say(
    conn: Connection,
    payloads: Payloads,
    config: Config,
    catalog: Catalog,
    request_id: str,
    topic: checklist_facts.Topic,
    key: str,
    value: str,
    *,
    actor: str,
    reason: str,
) -> None:
    """What a person says of a request's checklist, as pages, API and commands take it. Raises NotPossible."""
    if topic is checklist_facts.Topic.RECORD:
        put_under(conn, payloads, config, catalog, request_id, key, value, actor=actor, reason=reason)
    else:
        checklist_facts.say(conn, catalog, request_id, topic, key, value, actor=actor, reason=reason)


def _diagnoses(content: SecondOpinionRequest) -> Iterable[Code]:
    return content.first_opinion.diagnosis.codes if content.first_opinion else ()


def _visit(content: SecondOpinionRequest, today: date) -> tuple[date, str]:
    if content.wanted_by is not None and content.wanted_by >= today:
        return content.wanted_by, "the day by which the opinion is wanted"
    return today, "today, because no day of the visit is known"


def _carried(facts: Facts, content: SecondOpinionRequest, row: Request) -> Facts:
    """What the request itself brings along counts as there."""
    if content.question is None:
        return facts
    asked = Said("there", "the request", row.created_at, "it says what is asked")
    return replace(facts, items={"question": asked, **facts.items})


def _chart(payloads: Payloads, config: Config, rows: Iterable[PacketRow]) -> Chart:
    """The records of all packets together: what a later one brings or takes back counts."""
    newest: dict[str, packets.Packet] = {}
    patient: dict = {}
    bases: tuple[str, ...] = ()
    for row in rows:
        packet = packets.load(payloads, row.manifest_sha256)
        for item in packet.manifest.withdrawn:
            newest.pop(item.source, None)
        newest |= dict.fromkeys(packet.resources, packet)
        kind, _, logical_id = packet.manifest.patient.partition("/")
        patient = {"resourceType": kind, "id": logical_id} | dict(
            packet.resources.get(packet.manifest.patient) or patient
        )
        source = config.endpoints.get(packet.manifest.source_endpoint)
        bases = packet.manifest.bases(source.bases if source else ())
    return Chart.of(_each(newest), patient, bases)


def _each(newest: dict[str, packets.Packet]) -> Iterator[dict]:
    for source, packet in newest.items():
        yield packet.resources[source]


def view(found: Completeness) -> dict:
    """As JSON: ids, states, reasons and days, and no value of a record but its days."""
    return {
        "request_id": found.request_id,
        "checklist": found.checklist.key,
        "title": found.checklist.title,
        "why": found.why,
        "version": found.catalog.version,
        "sha256": found.catalog.sha256,
        "visit": found.visit.isoformat(),
        "visit_is": found.visit_is,
        "packets": found.packets,
        "counts": {state.value: number for state, number in found.counts.items()},
        "items": [_item(item) for item in found.items],
    }


def _item(item: Item) -> dict:
    return {
        "item": item.rule.kind,
        "label": item.kind.label,
        "need": item.rule.need,
        "state": item.state.value,
        "reasons": list(item.reasons),
        "question": {"key": item.question.key, "text": item.question.text} if item.question else None,
        "note": item.rule.note or None,
        "sources": list(item.rule.sources),
        "evidence": [
            {"source": each.source, "why": each.why, "day": each.day and each.day.isoformat()} for each in item.evidence
        ],
    }
