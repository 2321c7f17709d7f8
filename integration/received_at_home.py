"""Writes what arrived from elsewhere and was accepted into the hosted practice that received it, and takes it back there.

Each record in one commit with the row that remembers where it stands: a crash leaves all of it or nothing.
"""

import base64

from sqlalchemy import Engine

from integration import desk
from integration.hosted.staff import Staff
from integration.packets.payloads import Payloads
from integration.settings.config import Config
from integration.settings.endpoints import Endpoint
from integration.store import audit, links, patient_links, received_records, requests
from integration.store.received_records import ReceivedRecord, State
from mappings.model.findings import Finding
from mappings.model.request import Identifier
from mappings.received import WITHDRAWN_BECAUSE
from mappings.received_at_home import to_document, to_provenance, to_withdrawal

ACTOR = "exchange"
LARGEST = 40_000_000  # bytes; what its endpoint takes in one resource is a third more


def write(engine: Engine, payloads: Payloads, config: Config, request_id: str) -> list[Finding] | None:
    """Bring the practice's own store up to date; findings of what does not go there. None: who the patient is there is not known yet.

    Raises NotPossible where the practice is not hosted, or its endpoint refuses a resource.
    """
    with engine.connect() as conn:
        placer = requests.get(conn, request_id).placer
        records = received_records.of_request(conn, request_id)
        link = patient_links.of(conn, request_id, placer)
    if link is None:
        return None
    home = _Home(engine, payloads, config, request_id, desk.must_be_hosted(config, placer), link.reference)
    return [found for each in records if each.accepted_at and (found := home.bring(each))]


def name_at_home(config: Config, request_id: str, record_id: str) -> Identifier:
    """What a received record's document is called at the practice."""
    value = f"{beginning(request_id)}{record_id}"
    return Identifier(system=config.exchange.identifier_system, value=value)


def beginning(request_id: str) -> str:
    """How the names of all of a request begin."""
    return f"DocumentReference/{request_id}-received-"


class _Home:
    """The practice that received them."""

    def __init__(
        self, engine: Engine, payloads: Payloads, config: Config, request_id: str, endpoint: Endpoint, patient: str
    ):
        self.engine, self.payloads, self.config = engine, payloads, config
        self.request_id, self.endpoint, self.patient = request_id, endpoint, patient

    def bring(self, record: ReceivedRecord) -> Finding | None:
        """One record, as it stands now."""
        name = name_at_home(self.config, self.request_id, record.id)
        with self.engine.connect() as conn:
            known = links.find(conn, self.endpoint.key, name.system, [name.value]).get(name.value)
        if record.state == State.ACCEPTED and known is None:
            if record.size > LARGEST:
                said = f"it is larger than the {LARGEST / 1e6:,.0f} MB that stand in one resource: it travels, and is kept here alone"
                return Finding("received-too-large", said, name.value)
            self._write(record, name)
        elif record.state == State.WITHDRAWN and known is not None:
            self._take_back(record, known)
        return None

    def _write(self, record: ReceivedRecord, name: Identifier) -> None:
        """The bytes, the document, and who says where it came from."""
        data = base64.b64encode(self.payloads.get(record.sha256)).decode("ascii")
        said, called = record.as_accepted, name.model_dump(include={"system", "value"})
        with desk.writing_into(self.engine, self.config, self.endpoint) as staff:
            if links.find(staff.connection, self.endpoint.key, name.system, [name.value]):
                return  # another worker was first
            binary = staff.create({"resourceType": "Binary", "contentType": record.content_type, "data": data})
            document = staff.create(to_document(said, self.patient, called, binary))
            staff.create(to_provenance(said, document, record.accepted_by or "", self.endpoint.name))
            links.remember(
                staff.connection,
                self.endpoint.key,
                name.system,
                name.value,
                document,
                origin="created",
                version=None,
                sha256=None,
            )
            self._note(staff, record, document)

    def _take_back(self, record: ReceivedRecord, document: str) -> None:
        with desk.writing_into(self.engine, self.config, self.endpoint) as staff:
            there = staff.read(document)
            if there.get("status") == "entered-in-error":
                return
            staff.update({**there, "status": "entered-in-error"})
            at = record.ended_at.isoformat(timespec="seconds") if record.ended_at else there["date"]
            because = WITHDRAWN_BECAUSE.get(record.ended_because or "", "withdrawn")
            staff.create(to_withdrawal(document, record.ended_by or "", self.endpoint.name, at, because))
            self._note(staff, record, document)

    def _note(self, staff: Staff, record: ReceivedRecord, document: str) -> None:
        action = "received.written" if record.state == State.ACCEPTED else "received.marked"
        audit.record(staff.connection, ACTOR, action, self.request_id, subject=f"{record.id} {document}")
