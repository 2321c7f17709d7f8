"""Records of another provider's system for a request: named by a person, how that stands, and stopped; for pages, API and commands."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, Engine

from integration.packets import stored as packets
from integration.packets.payloads import Payloads
from integration.settings.config import Config, Endpoint
from integration.store import packets as packet_rows
from integration.store import record_sources, requests
from integration.store.operations import NotPossible, WrongWords
from integration.store.record_sources import WATCH, RecordSource
from mappings.codes import as_text, first_code
from mappings.elsewhere import name_of
from mappings.model.findings import Finding
from mappings.model.request import Identifier
from mappings.model.typed import line_problem
from mappings.withdrawal import carried

MAX_NUMBER, SHOWN = 64, 500
_CODED = ("code", "type", "vaccineCode", "medicationCodeableConcept", "class")
_DATED = (
    "effectiveDateTime",
    "issued",
    "date",
    "started",
    "recordedDate",
    "authoredOn",
    "performedDateTime",
    "onsetDateTime",
)


@dataclass(frozen=True)
class Gathered:
    """One record as it was read: ``name`` in our packets, ``what`` by its own words, ``where``: sent or not-sent."""

    name: str
    source: str
    what: str
    dated: str
    where: str


@dataclass(frozen=True)
class Standing:
    """One provider that is gathered from, or was. ``state``: see `STATES`; ``cause``: why a person is needed."""

    source: RecordSource
    name: str
    state: str
    cause: str
    records: tuple[Gathered, ...]
    remarks: tuple[Finding, ...]
    next_look: datetime | None


STATES = ("reading", "waits", "there", "stopped")


def choices(config: Config, placer: str, fulfiller: str) -> list[Endpoint]:
    """Providers whose records may be gathered for a request between these two."""
    return [each for key, each in config.endpoints.items() if each.is_source and key not in (placer, fulfiller)]


def gather(
    engine: Engine, config: Config, request_id: str, endpoint: str, *, number: str, system: str, actor: str, reason: str
) -> bool:
    """Gather records from a provider, and watch them there; False when that is so already. ``number``: the patient's there.

    Raises WrongWords with a sentence for each field, and NotPossible.
    """
    with engine.begin() as conn:
        row = requests.get(conn, request_id)
        known = {each.key: each for each in choices(config, row.placer, row.fulfiller)}
        wrong = {"number": line_problem(number, MAX_NUMBER), "system": line_problem(system, 4 * MAX_NUMBER)}
        if endpoint not in known:
            wrong["source"] = _not_a_source(config, endpoint, sorted(known))
        said = _number(known.get(endpoint), number.strip(), system.strip(), wrong)
        if found := {name: why for name, why in wrong.items() if why}:
            raise WrongWords(found)
        return record_sources.name(conn, request_id, endpoint, said, actor=actor, reason=reason)


def _not_a_source(config: Config, endpoint: str, known: list[str]) -> str:
    if endpoint in config.endpoints:
        return (
            f"records of {endpoint} are not gathered for this request: its role is not source, and records_for_others is not set, or it "
            "takes part in the request itself"
        )
    return f"choose one of {', '.join(known)}" if known else "config.yaml names no endpoint of the role source"


def _number(endpoint: Endpoint | None, number: str, system: str, wrong: dict[str, str]) -> Identifier | None:
    if not number or endpoint is None:
        return None
    systems = endpoint.patient_identifier_systems
    chosen = system or (systems[0] if len(systems) == 1 else "")
    if not chosen:
        wrong["system"] = (
            f"say who gives this number: {endpoint.key} has no single system of patients' numbers in config.yaml"
        )
        return None
    return Identifier(system=chosen, value=number)


def stop(engine: Engine, request_id: str, endpoint: str, *, actor: str, reason: str) -> None:
    """It is not wanted any more; what was sent of it is taken back. Raises NotPossible."""
    with engine.begin() as conn:
        record_sources.stop(conn, request_id, endpoint, actor=actor, reason=reason)


def standing(engine: Engine, payloads: Payloads, config: Config, request_id: str) -> list[Standing]:
    """Every provider that was named for a request, the newest first. Raises UnknownRequest."""
    with engine.connect() as conn:
        requests.get(conn, request_id)
        sources = record_sources.of_request(conn, request_id)
        rows = packet_rows.of_request(conn, request_id)
        sent = set(carried(packets.manifest_of(payloads, each.manifest_sha256) for each in rows).resources)
        return [_standing(conn, payloads, config, each, sent) for each in reversed(sources)]


def one(engine: Engine, payloads: Payloads, config: Config, request_id: str, endpoint: str) -> Standing:
    """The newest of them at an endpoint. Raises NotPossible when it was never named."""
    found = [each for each in standing(engine, payloads, config, request_id) if each.source.endpoint == endpoint]
    if not found:
        raise NotPossible(f"nothing was gathered from {endpoint[:80]} for request {request_id}")
    return found[0]


def _standing(conn: Connection, payloads: Payloads, config: Config, source: RecordSource, sent: set[str]) -> Standing:
    endpoint = config.endpoints.get(source.endpoint)
    open_steps = record_sources.open_steps(conn, source) if source.is_open else []
    parked = next((each for each in open_steps if each.status == "parked"), None)
    state = "stopped" if not source.is_open else "waits" if parked else "there" if source.read_at else "reading"
    remarks = record_sources.remarks(conn, source) if source.is_open else []
    return Standing(
        source,
        endpoint.name if endpoint else source.endpoint,
        state,
        (parked.cause or "") if parked else "",
        tuple(_records(payloads, source, sent)),
        tuple(remarks),
        next((each.next_attempt_at for each in open_steps if each.kind == WATCH and each.status == "waiting"), None),
    )


def _records(payloads: Payloads, source: RecordSource, sent: set[str]) -> list[Gathered]:
    if source.manifest_sha256 is None:
        return []
    packet = packets.load(payloads, source.manifest_sha256)
    wanted = [each for each in packet.resources if each != packet.manifest.patient][:SHOWN]
    return [_gathered(source, each, packet.resources[each], sent) for each in wanted]


def _gathered(source: RecordSource, name: str, resource: dict, sent: set[str]) -> Gathered:
    ours = name_of(source.id, name)
    where = "sent" if ours in sent else "not-sent"
    return Gathered(ours, name, _what(resource), _dated(resource), where)


def _what(resource: dict) -> str:
    """By its own words and its own code; nothing is re-coded."""
    for element in _CODED:
        value = resource.get(element)
        concept = value[0] if isinstance(value, list) and value else value
        if isinstance(concept, dict):
            code = first_code(concept)
            return as_text(concept.get("text")) or (code and (code.display or code.code)) or ""
    return ""


def _dated(resource: dict) -> str:
    found = (as_text(resource.get(each)) for each in _DATED)
    return next((each[:10] for each in found if each), "")
