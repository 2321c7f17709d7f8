"""Whom a request means at an endpoint, whom a step found there, and a person's word on who it is."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, Engine

from integration import fhir_json
from integration.packets import stored as packets
from integration.packets.payloads import Payloads
from integration.settings.config import Config
from integration.store import links, operations, patient_links, record_sources, requests
from integration.store import packets as packet_rows
from integration.store.operations import NotPossible
from integration.store.patient_links import PatientLink
from mappings.identifiers import append_identifier, source_identifier
from mappings.model.request import Identifier, PatientRef, SecondOpinionRequest
from mappings.patient import Numbers
from mappings.patient_link import Line, compared, in_words, side_by_side, why_refused


class NeedsSecondWord(NotPossible):
    """The two differ: a person has to say once more that they are one."""


@dataclass(frozen=True)
class Wanted:
    """Whom we look for at an endpoint. ``chart``: what the source's chart is called elsewhere; None at the placer itself."""

    endpoint: str
    described: PatientRef | dict
    numbers: Numbers
    chart: Identifier | None = None

    @property
    def compared_as(self) -> PatientRef | dict:
        """With the identifier that everything from this chart carries: a patient there may have it from us."""
        if self.chart is None or isinstance(self.described, PatientRef):
            return self.described
        return append_identifier(self.described, self.chart.model_dump())[0]

    @property
    def compared_by(self) -> Numbers:
        """The identifier of the chart tells its patient from every other."""
        if self.chart is None:
            return self.numbers
        more = {self.chart.system}
        systems = self.numbers.systems
        return Numbers(systems | more if systems else systems, self.numbers.named | more)


@dataclass(frozen=True)
class Candidate:
    """Somebody a step found, as read then, beside the patient we mean. ``refused``: why it can never be the one."""

    reference: str
    why: str
    refused: str
    doubts: tuple[str, ...]
    lines: tuple[Line, ...]
    read_at: datetime
    linked_for: str  # another request a person linked this patient for

    @property
    def is_sure(self) -> bool:
        """Nothing differs and nothing is unknown."""
        return not self.doubts and not self.refused

    @property
    def told(self) -> str:
        """Why it is not sure, in words."""
        return in_words(*((self.refused,) if self.refused else self.doubts))


@dataclass(frozen=True)
class Comparison:
    """All that a person decides on: the link that holds, what went there under it, and the candidates."""

    request_id: str
    endpoint: str
    link: PatientLink | None
    sent: dict[str, int]
    waiting: int
    candidates: tuple[Candidate, ...]


def wanted_at(
    engine: Engine, payloads: Payloads, config: Config, request_id: str, request: SecondOpinionRequest, endpoint: str
) -> Wanted:
    """Whom a request means at an endpoint: the chart's words at the fulfiller, its own at the placer and at every other.

    At another provider that records are gathered from, with the number of the patient there that a person said.
    """
    if endpoint != request.fulfiller:
        with engine.connect() as conn:
            asked = described_at(conn, request_id, request, endpoint)
        return Wanted(endpoint, asked, numbers_of(config, asked, endpoint))
    numbers = numbers_of(config, request.patient, endpoint, request.placer)
    with engine.begin() as conn:
        first = next(iter(packet_rows.of_request(conn, request_id)), None)
        digest = patient_links.described(conn, request_id, endpoint)
        system = links.frozen_system(conn, request.placer)
    if first is None:  # nothing is gathered: the chart is not known yet
        return Wanted(endpoint, request.patient, numbers)
    if digest is not None:
        source = fhir_json.loads(payloads.get(digest))
    else:  # a request of before this was kept
        source = packets.load(payloads, first.manifest_sha256).resources.get(first.patient) or request.patient
    chart = Identifier(**source_identifier(system, *first.patient.split("/")))
    return Wanted(endpoint, source, numbers, chart)


def described_at(conn: Connection, request_id: str, request: SecondOpinionRequest, endpoint: str) -> PatientRef:
    """The request's patient, with the number at another provider that a person said."""
    source = record_sources.at(conn, request_id, endpoint)
    more = [each for each in source.stated if each not in request.patient.identifiers] if source else []
    if not more:
        return request.patient
    return request.patient.model_copy(update={"identifiers": (*request.patient.identifiers, *more)})


def comparison(engine: Engine, payloads: Payloads, config: Config, request_id: str, endpoint: str) -> Comparison:
    """What the page and the command show. Raises NotPossible when the endpoint has nothing to do with the request."""
    with engine.begin() as conn:
        row = requests.get(conn, request_id)
        operations.must_take_part(conn, request_id, endpoint)
        link = patient_links.of(conn, request_id, endpoint)
        found = patient_links.candidates(conn, request_id, endpoint)
        sent = patient_links.sent_under(conn, request_id, endpoint) if link else {}
        others = patient_links.of_others(conn, request_id, endpoint, [each.reference for each in found])
        waiting = len(operations.patient_steps(conn, request_id, endpoint))
    wanted = wanted_at(engine, payloads, config, request_id, requests.content(row), endpoint)
    shown = tuple(_candidate(payloads, wanted, each, others.get(each.reference, "")) for each in found)
    likeliest = tuple(sorted(shown, key=lambda each: (bool(each.refused), len(each.doubts), each.reference)))
    return Comparison(request_id, endpoint, link, sent, waiting, likeliest)


def link(
    engine: Engine,
    payloads: Payloads,
    config: Config,
    request_id: str,
    endpoint: str,
    reference: str,
    *,
    actor: str,
    reason: str,
    confirmed: bool,
) -> None:
    """A person says who the patient is. Raises NotPossible for whom it cannot be, NeedsSecondWord where the two differ.

    Somebody no step has read yet is read by the next one, which asks again where the two differ.
    """
    with engine.begin() as conn:
        row = requests.get(conn, request_id)
        operations.must_take_part(conn, request_id, endpoint)
        read = {each.reference: each for each in patient_links.candidates(conn, request_id, endpoint)}
    seen = None
    if reference in read:
        wanted = wanted_at(engine, payloads, config, request_id, requests.content(row), endpoint)
        there = _resource(payloads, read[reference])
        seen = compared(wanted.compared_as, there, wanted.compared_by)
        if refused := _refused(wanted, reference, there):
            raise NotPossible(f"{reference} at {endpoint} cannot be the patient: {in_words(refused)}")
        if seen.doubts and not confirmed:
            raise NeedsSecondWord(
                f"{reference} at {endpoint} is not surely the patient: {in_words(*seen.doubts)}. "
                "Confirm that they are one person"
            )
    with engine.begin() as conn:
        operations.link_patient(
            conn, request_id, endpoint, reference, actor=actor, reason=reason, confirmed=confirmed, compared=seen
        )


def numbers_of(config: Config, patient: PatientRef, *endpoints: str) -> Numbers:
    """Which numbers tell persons apart: what the endpoints configure, else what is typed as such or named in the request."""
    systems = {
        system
        for key in endpoints
        if key in config.endpoints
        for system in config.endpoints[key].patient_identifier_systems
    }
    return Numbers(frozenset(systems), frozenset(each.system for each in patient.identifiers))


def _candidate(payloads: Payloads, wanted: Wanted, found: patient_links.Candidate, linked_for: str) -> Candidate:
    there = _resource(payloads, found)
    now = compared(wanted.compared_as, there, wanted.compared_by)
    return Candidate(
        reference=found.reference,
        why=found.why,
        refused=_refused(wanted, found.reference, there),
        doubts=now.doubts,
        lines=side_by_side(wanted.described, there, wanted.compared_by),
        read_at=found.read_at,
        linked_for=linked_for,
    )


def _refused(wanted: Wanted, reference: str, there: dict) -> str:
    chart = wanted.chart.value if wanted.chart else ""
    return why_refused(reference, wanted.compared_as, there, wanted.compared_by, chart)


def _resource(payloads: Payloads, found: patient_links.Candidate) -> dict:
    return fhir_json.loads(payloads.get(found.sha256))
