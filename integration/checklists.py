"""A request's packets held against its checklist, and what a person says of it; for pages, API and commands.

A long chart takes seconds to judge: no transaction is open meanwhile.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import date

from sqlalchemy import Engine

from integration.packets import stored as packets
from integration.packets.payloads import Payloads
from integration.settings.checklist_files import load_catalog
from integration.settings.config import Config
from integration.store import audit, checklist_facts, requests
from integration.store import packets as packet_rows
from integration.store.checklist_facts import Topic
from integration.store.operations import NotPossible
from integration.store.packets import PacketRow
from integration.store.requests import Request
from integration.views.checklist import Completeness
from mappings.checklists.chart import Chart, Record
from mappings.checklists.choosing import choose
from mappings.checklists.consultants import as_wanted
from mappings.checklists.judging import judge
from mappings.codes import SYSTEM_NUCC
from mappings.model.checklist import Catalog, Facts, Images, Said
from mappings.model.request import Code, SecondOpinionRequest


def completeness(
    engine: Engine,
    payloads: Payloads,
    config: Config,
    request_id: str,
    today: date,
    *,
    actor: str,
    reason: str | None = None,
) -> Completeness:
    """How the request's records stand; the look of ``actor`` is recorded first.

    Raises UnknownRequest, and ExchangeError when a packet cannot be read.
    """
    with engine.begin() as conn:
        requests.get(conn, request_id)
        audit.record(conn, actor, "checklist.looked-at", request_id, reason=reason)
    return judged(engine, payloads, config, request_id, today)


def judged(engine: Engine, payloads: Payloads, config: Config, request_id: str, today: date) -> Completeness:
    """The same for the Exchange itself, which shows it to nobody: what is owed, and by when, follows from it."""
    with engine.begin() as conn:
        row = requests.get(conn, request_id)
        content, spoken = requests.content(row), checklist_facts.spoken(conn, request_id)
        learned = checklist_facts.learned(conn, content.placer)
        found = packet_rows.of_request(conn, request_id)
    catalog, endpoint = _catalog(config, content.fulfiller), config.endpoints.get(content.fulfiller)
    checklist, why = choose(
        catalog,
        said=spoken.checklist,
        configured=endpoint.checklist if endpoint else None,
        icd10=[code.code for code in _diagnoses(content) if "icd-10" in code.system],
        nucc=[content.specialty.code] if content.specialty and content.specialty.system == SYSTEM_NUCC else [],
    )
    checklist = as_wanted(checklist, catalog, Images(endpoint.images) if endpoint and endpoint.images else None)
    visit, visit_is = _visit(content, today)
    facts = replace(_carried(spoken.facts, content, row), learned=learned)
    items = judge(checklist, catalog, _chart(payloads, config, found), facts, visit)
    return Completeness(request_id, checklist, why, catalog, visit, visit_is, len(found), items)


def say(
    engine: Engine,
    payloads: Payloads,
    config: Config,
    request_id: str,
    topic: Topic,
    key: str,
    value: str,
    *,
    actor: str,
    reason: str,
) -> None:
    """What a person says of a request's checklist; of a record that is put somewhere the local code is remembered too.

    Raises NotPossible for what has no such name, and when no packet of the request has such a record of the patient.
    """
    record = _record(engine, payloads, config, request_id, key) if topic is Topic.RECORD else None
    with engine.begin() as conn:
        catalog = _catalog(config, requests.get(conn, request_id).fulfiller)
        checklist_facts.say(conn, catalog, request_id, topic, key, value, actor=actor, reason=reason)
        if record is not None and value:
            placer = requests.get(conn, request_id).placer
            checklist_facts.learn(conn, placer, record.local, value, actor=actor)


def _catalog(config: Config, fulfiller: str) -> Catalog:
    """The checklists of this site, with those that are this consultant's own laid over them."""
    endpoint = config.endpoints.get(fulfiller)
    return load_catalog((*config.checklists, *(endpoint.checklists if endpoint else ())))


def _record(engine: Engine, payloads: Payloads, config: Config, request_id: str, source: str) -> Record:
    with engine.connect() as conn:
        requests.get(conn, request_id)
        rows = packet_rows.of_request(conn, request_id)
    chart = _chart(payloads, config, rows)
    for record in chart.records():
        if record.source == source:
            return record
    raise NotPossible("no packet of this request has such a record of this patient; name it as Type/id at the source")


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
