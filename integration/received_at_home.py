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
from mappings.codes import as_dict, as_dicts, as_text
from mappings.model.request import Identifier
from mappings.received import WITHDRAWN_BECAUSE
from mappings.received_at_home import is_study_of, to_document, to_provenance, to_studies, to_withdrawal

ACTOR = "exchange"
LARGEST = 40_000_000  # bytes that stand in a resource; what its endpoint takes in one is a third more


def write(engine: Engine, payloads: Payloads, config: Config, request_id: str) -> bool:
    """Bring the practice's own store up to date. False: who the patient is there is not known yet.

    Raises NotPossible where the practice is not hosted, or its endpoint refuses a resource.
    """
    with engine.connect() as conn:
        placer = requests.get(conn, request_id).placer
        records = received_records.of_request(conn, request_id)
        link = patient_links.of(conn, request_id, placer)
    if link is None:
        return False
    home = _Home(engine, payloads, config, request_id, desk.must_be_hosted(config, placer), link.reference)
    for each in records:
        if each.accepted_at:
            home.bring(each)
    return True


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

    def bring(self, record: ReceivedRecord) -> None:
        """One record, as it stands now."""
        name = name_at_home(self.config, self.request_id, record.id)
        with self.engine.connect() as conn:
            known = links.find(conn, self.endpoint.key, name.system, [name.value]).get(name.value)
        if record.state == State.ACCEPTED and known is None:
            self._write(record, name)
        elif record.state == State.WITHDRAWN and known is not None:
            self._take_back(record, known, name)

    def _write(self, record: ReceivedRecord, name: Identifier) -> None:
        """The bytes, the document, and who says where it came from."""
        data = self._inside(record)
        said, called = record.as_accepted, name.model_dump(include={"system", "value"})
        with desk.writing_into(self.engine, self.config, self.endpoint) as staff:
            if links.find(staff.connection, self.endpoint.key, name.system, [name.value]):
                return  # another worker was first
            binary = self._binary(staff, record, data)
            studies = [staff.create(each) for each in to_studies(said, self.patient, called)]
            document = staff.create(to_document(said, self.patient, called, binary, studies))
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

    def _inside(self, record: ReceivedRecord) -> str | None:
        """The bytes as they stand in a resource; None where they are too many for one. Raises PayloadMissing."""
        if record.size > LARGEST:
            for _ in self.payloads.open(record.sha256):
                pass  # they are all there, and as they came
            return None
        return base64.b64encode(self.payloads.get(record.sha256)).decode("ascii")

    def _binary(self, staff: Staff, record: ReceivedRecord, data: str | None) -> str:
        if data is None:
            return staff.create_large(record.content_type, record.sha256, record.size)
        return staff.create({"resourceType": "Binary", "contentType": record.content_type, "data": data})

    def _take_back(self, record: ReceivedRecord, document: str, name: Identifier) -> None:
        with desk.writing_into(self.engine, self.config, self.endpoint) as staff:
            there = staff.read(document)
            if there.get("status") == "entered-in-error":
                return
            staff.update({**there, "status": "entered-in-error"})
            self._take_back_studies(staff, there, name)
            at = record.ended_at.isoformat(timespec="seconds") if record.ended_at else there["date"]
            because = WITHDRAWN_BECAUSE.get(record.ended_because or "", "withdrawn")
            staff.create(to_withdrawal(document, record.ended_by or "", self.endpoint.name, at, because))
            self._note(staff, record, document)

    def _take_back_studies(self, staff: Staff, document: dict, name: Identifier) -> None:
        """Those that we wrote with the document; what else it was related to since is somebody else's."""
        for each in as_dicts(as_dict(document.get("context")).get("related")):
            reference = as_text(each.get("reference")) or ""
            study = staff.read(reference) if reference.startswith("ImagingStudy/") else {}
            if is_study_of(study, name.model_dump(include={"system", "value"})):
                staff.update({**study, "status": "entered-in-error"})

    def _note(self, staff: Staff, record: ReceivedRecord, document: str) -> None:
        action = "received.written" if record.state == State.ACCEPTED else "received.marked"
        audit.record(staff.connection, ACTOR, action, self.request_id, subject=f"{record.id} {document}")
