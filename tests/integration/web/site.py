"""The pages over a real database, with rows put there directly; a browser that keeps cookies and fills in forms."""

import base64
import re
import tempfile
from datetime import UTC, datetime, timedelta
from html import unescape
from pathlib import Path

from sqlalchemy import insert, select, update

from integration import fhir_json
from integration.packets.lines import Spool
from integration.packets.payloads import Payloads
from integration.packets.stored import resource_item, source_of, store
from integration.settings.config import load_config
from integration.store import endpoints, requests, sendings
from integration.store.packets import insert as insert_packet
from integration.store.tables import NEVER, audit, deliveries, patient_links, steps
from integration.store.tables import requests as request_table
from integration.web import create_app
from mappings.model.packet import Manifest
from mappings.model.request import Identifier, SecondOpinionRequest
from mappings.model.sending import SendingState

CONFIG = """\
data_dir: {folder}
hosted: [{{practice: alice, name: Dr Alice}}, {{practice: bob, name: Dr Bob}}]
endpoints:
  alice: {{base_url: "hosted:alice", role: placer, name: Dr Alice, default_fulfiller: bob, identifier_system: "urn:test:alice"}}
  bob: {{base_url: "hosted:bob", role: fulfiller, name: Dr Bob, identifier_system: "urn:test:bob", contact: "IT desk, +1 555 0100"}}
  mercy: {{base_url: "https://mercy.example.org/fhir", role: fulfiller, name: Mercy Hospital, identifier_system: "urn:test:mercy"}}
"""


class Site:
    """An operator in front of the pages."""

    def __init__(self, folder: Path, database, more: str = ""):
        path = folder / "config.yaml"
        path.write_text(CONFIG.format(folder=folder / "data") + more)
        self.config, self.engine = load_config(path, {}), database.engine
        self.payloads = Payloads(self.config.payloads.url)
        self.app = create_app(self.config, self.engine, self.payloads)
        self.client = self.app.test_client()
        with self.engine.begin() as conn:
            endpoints.register(conn, self.config)

    def request(self, key: str = "k1", **fields) -> str:
        """Take a request in; its first step is due."""
        with self.engine.begin() as conn:
            return requests.take_in(conn, a_request(key=key, **fields), actor="test")[0]

    def step(self, kind: str = "push_records", endpoint: str = "mercy", status: str = "parked", **values) -> int:
        """A step row as it is."""
        row = {
            "kind": kind,
            "endpoint": endpoint,
            "status": status,
            "attempts": 3,
            "cause": "timeout",
            "message": "no answer in time",
            "first_attempt_at": datetime.now(UTC) - timedelta(hours=2),
            **values,
        }
        with self.engine.begin() as conn:
            return conn.execute(insert(steps).values(row).returning(steps.c.id)).scalar_one()

    def delivery(self, request_id: str, kind: str = "records", **values) -> str:
        row = {
            "id": f"{request_id}-{kind}-1",
            "request_id": request_id,
            "endpoint": "mercy",
            "kind": kind,
            "status": "parked",
            **values,
        }
        with self.engine.begin() as conn:
            conn.execute(insert(deliveries).values(row))
        return row["id"]

    def report_to_carry(self, request_id: str, data: bytes) -> str:
        """A PDF for Alice that no wire takes: it waits for a person. Returns its delivery."""
        attachment = {"contentType": "application/pdf", "data": base64.b64encode(data).decode()}
        body = fhir_json.dumps({"resourceType": "DocumentReference", "content": [{"attachment": attachment}]})
        delivery = self.delivery(request_id, "report", endpoint="alice", cause="to-hand-over")
        self.step("return_report", "alice", request_id=request_id, delivery_id=delivery, cause="to-hand-over")
        with self.engine.begin() as conn:
            document = Identifier(system="urn:test", value=f"DocumentReference/{request_id}-report-1")
            of = dict(request_id=request_id, delivery_id=delivery, road="download", tried=[])
            sendings.note(conn, "alice", document, state=SendingState.WAITING, sha256=self.payloads.put(body), **of)
            link = dict(request_id=request_id, endpoint="alice", reference="Patient/p", origin="person", actor="test")
            conn.execute(insert(patient_links).values(link))
        return delivery

    def packet(self, request_id: str, *resources: dict, version: int = 1, **manifest) -> str:
        """A packet of these records of ``Patient/p``, as a gather stores it."""
        made = Manifest(
            packet_id=f"{request_id}-packet-{version}",
            request_id=request_id,
            source_endpoint="alice",
            identifier_system="urn:test:alice",
            patient="Patient/p",
            gathered_at="2026-06-01T09:00:00Z",
            **{"items": (), **manifest},
        )
        with tempfile.TemporaryFile() as file, self.engine.begin() as conn:
            spool = Spool(file, {source_of(each): each for each in resources})
            listed = tuple(resource_item(source, spool.about(source)) for source in spool)
            made = made.model_copy(update={"items": (*listed, *made.items)})
            stored_as = store(self.payloads, made, map(spool.line, spool))
            insert_packet(conn, made, stored_as, version)
        return made.packet_id

    def with_due(self, request_id: str, due_at: datetime | None) -> None:
        """Set when the records are due."""
        with self.engine.begin() as conn:
            conn.execute(update(request_table).where(request_table.c.id == request_id).values(records_due_at=due_at))
            conn.execute(update(steps).where(steps.c.request_id == request_id).values(deadline=due_at or NEVER))

    def row(self, step_id: int):
        with self.engine.connect() as conn:
            return conn.execute(select(steps).where(steps.c.id == step_id)).one()

    def audited(self, action: str) -> list:
        with self.engine.connect() as conn:
            return conn.execute(select(audit).where(audit.c.action == action).order_by(audit.c.id)).all()

    def get(self, address: str, status: int = 200) -> str:
        answer = self.client.get(address)
        assert answer.status_code == status, (answer.status_code, answer.text[:2000])
        return answer.text

    def form(self, address: str) -> dict[str, list[str]]:
        """The fields of the form a confirm page holds."""
        found: dict[str, list[str]] = {}
        for name, value in re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', self.get(address)):
            found.setdefault(unescape(name), []).append(unescape(value))
        return found

    def press(self, address: str, reason: str = "tested", **changed):
        """Open a confirm page, give a reason, and press the button; returns the answer before any redirect."""
        fields = {**self.form(address), "reason": [reason], **{name: [value] for name, value in changed.items()}}
        return self.client.post(address.partition("?")[0], data=fields)

    def told(self, answer) -> str:
        """The message on the page an action leads to."""
        assert answer.status_code == 303, (answer.status_code, answer.text[:1500])
        page = self.client.get(answer.headers["Location"]).text
        return unescape(re.sub(r"<[^>]*>", "", re.search(r'<p class="message.*?</p>', page, re.S).group())).strip()


def a_request(**fields) -> SecondOpinionRequest:
    """A request about a synthetic patient."""
    return SecondOpinionRequest.model_validate(
        {
            "key": "k1",
            "placer": "alice",
            "fulfiller": "mercy",
            "question": "Is surgery needed?",
            "patient": {
                "identifiers": [{"system": "urn:test:mrn", "value": "M1"}],
                "name": {"family": "Synthetic-Test", "given": ["Ada"]},
            },
            "requester": {"name": {"family": "Alice"}},
            "specialty": {"system": "http://nucc.org/provider-taxonomy", "code": "207RX0202X"},
            "first_opinion": {"doctor": {"name": {"family": "Charlie"}}, "diagnosis": {"text": "synthetic diagnosis"}},
            **fields,
        }
    )
