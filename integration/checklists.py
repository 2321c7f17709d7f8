"""A request's packets held against its checklist, and what a person says of it; for pages, API and commands.

A long chart takes seconds to judge: no transaction is open meanwhile.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import date, datetime
from itertools import chain

from sqlalchemy import Connection, Engine

from integration.packets import stored as packets
from integration.packets.consented import all_consented
from integration.packets.payloads import Payloads
from integration.settings.checklist_files import load_catalog
from integration.settings.config import Config
from integration.store import (
    appointments,
    audit,
    checklist_facts,
    parcels,
    received_records,
    requests,
    source_asks,
    steps,
)
from integration.store import packets as packet_rows
from integration.store.checklist_facts import Topic
from integration.store.handing_over import WrongWords
from integration.store.operations import NotPossible
from integration.store.packets import PacketRow
from integration.store.received_records import ReceivedRecord, State
from integration.store.requests import Request
from integration.views.checklist import Completeness
from integration.visit_day import judged_day
from mappings.checklists.chart import Chart, Record
from mappings.checklists.choosing import choose
from mappings.checklists.consultants import as_wanted, with_asked
from mappings.checklists.judging import judge
from mappings.checklists.telling import not_there
from mappings.codes import SYSTEM_NUCC
from mappings.model.checklist import Asked, Catalog, Facts, Images, Said, Tracked
from mappings.model.consent import Consent
from mappings.model.parcel import Parcel, folded_all
from mappings.model.request import Code, SecondOpinionRequest
from mappings.model.source_ask import Ask, as_asked
from mappings.model.states import FINAL
from mappings.received import resources


def completeness(
    engine: Engine,
    payloads: Payloads,
    config: Config,
    request_id: str,
    today: date,
    *,
    actor: str,
    reason: str | None = None,
    limit: Consent | None = None,
) -> Completeness:
    """How the request's records stand; the look of ``actor`` is recorded first. ``limit``: the consent within which they look.

    Raises UnknownRequest, and ExchangeError when a packet cannot be read.
    """
    with engine.begin() as conn:
        requests.get(conn, request_id)
        audit.record(conn, actor, "checklist.looked-at", request_id, reason=reason)
    return judged(engine, payloads, config, request_id, today, limit=limit)


def judged(
    engine: Engine,
    payloads: Payloads,
    config: Config,
    request_id: str,
    today: date,
    visit_on: date | None = None,
    loaded: packets.Packet | None = None,
    of_packets: Chart | None = None,
    limit: Consent | None = None,
) -> Completeness:
    """The same without a person who looks: nobody is shown a record. ``visit_on``: the day of a visit that is not kept yet;
    ``loaded``: a packet of it that is read already; ``of_packets``: the chart of all of its packets, made before. ``limit``:
    the consent within which it is judged: what the patient left out counts as what is not there.
    """
    with engine.begin() as conn:
        row = requests.get(conn, request_id)
        content, spoken = requests.content(row), checklist_facts.spoken(conn, request_id)
        learned = checklist_facts.learned(conn, content.placer)
        asked, things = source_asks.of_request(conn, request_id), parcels.of_request(conn, request_id)
        found, by_hand = packet_rows.of_request(conn, request_id), received_records.of_request(conn, request_id)
        booked = appointments.current(conn, request_id)
    catalog, endpoint = catalog_of(config, content.fulfiller), config.endpoints.get(content.fulfiller)
    checklist, why = choose(
        catalog,
        said=spoken.checklist,
        configured=endpoint.checklist if endpoint else None,
        icd10=[code.code for code in _diagnoses(content) if "icd-10" in code.system],
        nucc=[content.specialty.code] if content.specialty and content.specialty.system == SYSTEM_NUCC else [],
    )
    checklist = as_wanted(checklist, catalog, Images(endpoint.images) if endpoint and endpoint.images else None)
    checklist = with_asked(checklist, catalog, spoken.wanted)
    visit, visit_is = (visit_on, "the day that is asked about") if visit_on else judged_day(content, booked, today)
    facts = _carried(spoken.facts, content, row)
    facts = replace(facts, learned=learned, asked=_asked(asked, today), tracked=_tracked(things))
    if of_packets is not None and found:
        chart = _with_by_hand(of_packets, by_hand, found[-1].patient, limit)
    else:
        chart = chart_of(payloads, config, found, by_hand, loaded, limit=limit)
    items = judge(checklist, catalog, chart, facts, visit)
    left_out = limit.left_home if limit else ()
    return Completeness(request_id, checklist, why, catalog, visit, visit_is, len(found), items, left_out)


def told_not_there(
    engine: Engine,
    payloads: Payloads,
    config: Config,
    request_id: str,
    today: date,
    loaded: packets.Packet | None = None,
) -> tuple[str, ...]:
    """What the consultant is told of: a sentence for each item that is needed and not there."""
    return not_there(judged(engine, payloads, config, request_id, today, loaded=loaded).items)


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
        catalog = catalog_of(config, requests.get(conn, request_id).fulfiller)
        before = checklist_facts.spoken(conn, request_id).facts.items.get(key)
        checklist_facts.say(conn, catalog, request_id, topic, key, value, actor=actor, reason=reason)
        if topic is Topic.ITEM and "waived" in (value, before.what if before else ""):
            _tell_consultant(conn, request_id)
        if record is not None and value:
            placer = requests.get(conn, request_id).placer
            checklist_facts.learn(conn, placer, record.local, value, actor=actor)


def add_parcel(
    engine: Engine, config: Config, request_id: str, kind: str, what: str, source: str, *, actor: str, reason: str
) -> int:
    """A thing of a kind that travels by courier; its number. Raises WrongWords."""
    with engine.begin() as conn:
        known = catalog_of(config, requests.get(conn, request_id).fulfiller).kinds.get(kind)
        if known is None or not known.by_courier:
            raise WrongWords({"kind": "choose something that travels by courier"})
        return parcels.add(conn, request_id, kind, what, source, actor=actor, reason=reason)


def _tell_consultant(conn: Connection, request_id: str) -> None:
    """What was sent before does not say that the consultant goes without it, or no longer does: their Task is told."""
    row = requests.get(conn, request_id)
    if row.status not in FINAL and not row.cancel_requested:
        steps.create(conn, "tell_missing", row.fulfiller, request_id=request_id, deadline=row.records_due_at)


def catalog_of(config: Config, fulfiller: str) -> Catalog:
    """The checklists of this site, with those that are this consultant's own laid over them."""
    endpoint = config.endpoints.get(fulfiller)
    return load_catalog((*config.checklists, *(endpoint.checklists if endpoint else ())))


def _record(engine: Engine, payloads: Payloads, config: Config, request_id: str, source: str) -> Record:
    with engine.connect() as conn:
        requests.get(conn, request_id)
        rows, by_hand = packet_rows.of_request(conn, request_id), received_records.of_request(conn, request_id)
    chart = chart_of(payloads, config, rows, by_hand)
    for record in chart.records():
        if record.source == source:
            return record
    raise NotPossible("no packet of this request has such a record of this patient; name it as Type/id at the source")


def _diagnoses(content: SecondOpinionRequest) -> Iterable[Code]:
    return content.first_opinion.diagnosis.codes if content.first_opinion else ()


def _carried(facts: Facts, content: SecondOpinionRequest, row: Request) -> Facts:
    """What the request itself brings along counts as there."""
    if content.question is None:
        return facts
    asked = Said("there", "the request", row.created_at, "it says what is asked")
    return replace(facts, items={"question": asked, **facts.items})


def _asked(asks: Iterable[Ask], today: date) -> dict[str, Asked]:
    """By kind, what the newest ask that still says something of it says."""
    told = [(each, as_asked(each, today)) for each in asks]
    return {kind: said for each, said in told if said is not None for kind in each.items}


def _tracked(things: Iterable[Parcel]) -> dict[str, Tracked]:
    """By kind, how its things count together; those of which nobody said anything yet count as asked for."""
    by_kind: dict[str, list[Parcel]] = {}
    for each in things:
        by_kind.setdefault(each.kind, []).append(each)
    return {kind: Tracked(*folded_all(each), _newest(each)) for kind, each in by_kind.items()}


def _newest(things: Iterable[Parcel]) -> datetime:
    return max(each.moves[-1].at if each.moves else each.at for each in things)


def chart_of(
    payloads: Payloads,
    config: Config,
    rows: Iterable[PacketRow],
    by_hand: Iterable[ReceivedRecord] = (),
    known: packets.Packet | None = None,
    records: Iterable[dict] | None = None,
    limit: Consent | None = None,
) -> Chart:
    """The records of all packets together: what a later one brings or takes back counts, and so does what came by hand since.

    ``known``: a packet that is read already; ``records``: all records of the packets, where they are; ``limit``: the consent
    within which they are read.
    """
    loaded = all_consented(
        [
            known
            if known is not None and known.manifest.packet_id == row.id
            else packets.load(payloads, row.manifest_sha256)
            for row in rows
        ],
        limit,
    )
    newest = packets.together(loaded)
    patient: dict = {}
    bases: tuple[str, ...] = ()
    for packet in loaded:
        patient = _resource_of(packet.manifest.patient) | dict(packet.resources.get(packet.manifest.patient) or patient)
        source = config.endpoints.get(packet.manifest.source_endpoint)
        bases = packet.manifest.bases(source.bases if source else ())
    patient = patient or {"resourceType": "Patient", "id": "not-gathered-yet"}
    in_packets = _each(newest) if records is None else records
    came = _by_hand(newest, by_hand, f"Patient/{patient['id']}")
    return Chart.of(chain(_within(limit, came), in_packets), patient, bases)


def _within(limit: Consent | None, records: Iterable[dict]) -> Iterator[dict]:
    return (each for each in records if limit is None or limit.lets_go(each))


def _with_by_hand(chart: Chart, by_hand: Iterable[ReceivedRecord], patient: str, limit: Consent | None) -> Chart:
    """A chart of packets with what came by hand since, and without what was taken back."""
    more: dict[str, dict] = {}
    gone: set[str] = set()
    for record in by_hand:
        made = resources(record.as_accepted, patient) if record.accepted_at else {}
        if record.state != State.ACCEPTED:
            gone |= made.keys()
        else:
            more |= made
    there = {each.source for each in chart.records()}
    new = (each for source, each in more.items() if source not in there)
    added = Chart.of(_within(limit, new), _resource_of(patient))
    kinds = {**chart.by_type, **added.by_type}
    together = {kind: (*added.by_type.get(kind, ()), *chart.by_type.get(kind, ())) for kind in kinds}
    by_type = {kind: tuple(each for each in records if each.source not in gone) for kind, records in together.items()}
    return replace(chart, by_type=by_type)


def _resource_of(patient: str) -> dict:
    kind, _, logical_id = patient.partition("/")
    return {"resourceType": kind, "id": logical_id}


def _by_hand(newest: dict[str, packets.Packet], by_hand: Iterable[ReceivedRecord], patient: str) -> Iterator[dict]:
    """What was accepted and is in no packet yet; what was taken back counts no longer, whatever a packet still says."""
    for record in by_hand:
        made = resources(record.as_accepted, patient) if record.accepted_at else {}
        if record.state != State.ACCEPTED:
            for source in made:
                newest.pop(source, None)
        else:
            yield from (each for source, each in made.items() if source not in newest)


def _each(newest: dict[str, packets.Packet]) -> Iterator[dict]:
    for source, packet in newest.items():
        yield packet.resources[source]
