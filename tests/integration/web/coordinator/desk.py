"""A coordinator at their desk: the pages and two practices over real HTTP, one with an EHR of its own, one without."""

import json
import re
import socket
import threading
from html import unescape

import requests as http

from integration.packets.payloads import Payloads
from integration.settings.config import load_config
from integration.store import endpoints
from integration.web import create_app
from integration.web.server import create_servers
from tests.integration.web.site import Site

CONFIG = """\
data_dir: {folder}
web: {{port: {port}}}
hosted: [{{practice: clinic, name: Clinic}}, {{practice: small, name: Small Practice}}, {{practice: bob, name: Dr Bob}}]
endpoints:
  clinic: {{base_url: "{clinic}", role: placer, name: Clinic, default_fulfiller: bob, identifier_system: "urn:test:clinic",
    contact: "IT desk, +1 555 0100", local_codes: [{{system: "urn:test:codes", code: 2ND-OP}}]{more}}}
  small: {{base_url: "hosted:small", role: placer, name: Small Practice, default_fulfiller: bob, identifier_system: "urn:test:small", patients: create}}
  bob: {{base_url: "hosted:bob", role: fulfiller, name: Dr Bob, identifier_system: "urn:test:bob"}}
"""
MR = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": "MR"}]}


class Desk(Site):
    """``clinic`` is the address of the practice with an EHR; without one it is a hosted endpoint, asked over HTTP."""

    def __init__(self, folder, database, clinic: str = "", more: str = ""):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.address = f"http://127.0.0.1:{port}"
        path = folder / "config.yaml"
        clinic = clinic or f"{self.address}/fhir/clinic"
        path.write_text(CONFIG.format(folder=folder / "data", port=port, clinic=clinic, more=more))
        self.config, self.engine = load_config(path, {}), database.engine
        self.payloads = Payloads(self.config.payloads.url)
        self.app = create_app(self.config, self.engine, self.payloads)
        with self.engine.begin() as conn:
            endpoints.register(conn, self.config)
        self.server = create_servers(self.app, host="127.0.0.1", port=port, threads=8)
        threading.Thread(target=self.server.run, daemon=True).start()
        self.client = self.app.test_client()

    def close(self) -> None:
        self.server.close()
        self.app.extensions["second_opinion"]["hosted_log"].stop()

    def put(self, where: str, resource: dict) -> str:
        """Create a resource at a hosted practice; its ``Type/id``."""
        answer = http.post(
            f"{self.address}/fhir/{where}/{resource['resourceType']}",
            data=json.dumps(resource).encode(),
            headers={"Content-Type": "application/fhir+json"},
            timeout=10,
        )
        assert answer.status_code == 201, answer.text
        return "/".join(answer.headers["Location"].split("/")[-4:-2])

    def begin(self, practice: str = "clinic", client=None) -> str:
        """A new draft: the address of its first step."""
        client = client or self.client
        answer = client.post("/new", data={**hidden(client.get("/new").text), "practice": practice})
        assert answer.status_code == 303, answer.text
        return answer.headers["Location"].rpartition("/")[0]

    def do(self, draft: str, step: str, do: str, client=None, page: str = "", **typed):
        """Press a button of a step; fields are named with __ for a dot. ``page``: as it was opened before."""
        client = client or self.client
        page = page or client.get(f"{draft}/{step}").text
        fields = {**shown_fields(page), **{path.replace("__", "."): value for path, value in typed.items()}}
        return client.post(f"{draft}/{step}", data={**fields, **hidden(page), "do": do})


def hidden(page: str) -> dict[str, str]:
    """The hidden fields of the draft's own form."""
    found = re.findall(r'<input type="hidden" name="(token|version|seen)" value="([^"]*)"', page)
    return {name: unescape(value) for name, value in found}


def shown_fields(page: str) -> dict[str, str]:
    """What stands in the fields of a page, as a browser would send it."""
    fields = {
        unescape(name): unescape(value)
        for name, value in re.findall(r'<input id="[^"]*" name="([^"]+)"[^>]*? value="([^"]*)"', page, re.S)
    }
    fields |= {
        unescape(name): unescape(value)
        for name, value in re.findall(r'<textarea id="[^"]*" name="([^"]+)"[^>]*>([^<]*)</textarea>', page, re.S)
    }
    for name, options in re.findall(r'<select id="[^"]*" name="([^"]+)"[^>]*>(.*?)</select>', page, re.S):
        values = re.findall(r'<option value="([^"]*)"( selected)?', options)
        fields[unescape(name)] = next((value for value, chosen in values if chosen), values[0][0] if values else "")
    return fields


def patient(number: str = "00123", family: str = "Synthetic-Test", **more) -> dict:
    """A patient with a medical record number."""
    return {
        "resourceType": "Patient",
        "identifier": [{"type": MR, "system": "urn:test:mrn", "value": number}],
        "name": [{"use": "official", "family": family, "given": ["Ada"]}],
        "birthDate": "1960-01-01",
        "gender": "female",
        **more,
    }


def condition(about: str, text: str = "synthetic diagnosis", **more) -> dict:
    """An active problem."""
    of = "http://terminology.hl7.org/CodeSystem/condition-"
    return {
        "resourceType": "Condition",
        "clinicalStatus": {"coding": [{"system": f"{of}clinical", "code": "active"}]},
        "verificationStatus": {"coding": [{"system": f"{of}ver-status", "code": "confirmed"}]},
        "code": {"text": text, "coding": [{"system": "http://hl7.org/fhir/sid/icd-10-cm", "code": "C18.7"}]},
        "subject": {"reference": about},
        "recordedDate": "2026-01-02",
        **more,
    }
