"""A placer's server that is not kind: real HTTP, the resources it is given as they are, and every habit a test asks for."""

import base64
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, unquote, urlsplit

KINDS = (
    "AdverseEvent Condition DiagnosticReport Device DocumentReference Encounter MedicationRequest Observation Patient "
    "Procedure QuestionnaireResponse ServiceRequest"
).split()


class UnkindSource:
    """``put`` holds a resource (or the raw text of one); ``also`` answers in its place: ``also(path, query) -> (status, body,
    content type) | None``. ``full_url`` and ``self_link`` say under which base address it names itself; ``page_size``
    entries come at a time, and the ``next`` link is named below ``next_base``; ``total`` is what it says it counts."""

    def __init__(self, *resources: dict):
        self.held: dict[str, str] = {}
        self.also = lambda path, query: None
        self.full_url = self.self_link = self.next_base = self.total = None
        self.page_size, self.repeats, self.extra, self.asked = 1000, False, [], []
        self.search_ignores_patient, self.hidden = False, set()
        self.put(*resources)
        source = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                at = urlsplit(self.path)
                source.asked.append(self.path)
                status, body, kind = source.answer(unquote(at.path), dict(parse_qsl(at.query)))
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *arguments):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.address = f"http://127.0.0.1:{self.server.server_port}/fhir"

    def __enter__(self) -> "UnkindSource":
        return self

    def __exit__(self, *_) -> None:
        self.server.shutdown()
        self.server.server_close()

    def put(self, *resources: dict | str, key: str | None = None) -> None:
        """Hold resources by ``Type/id``; a str is the raw JSON of one, by ``key``."""
        for each in resources:
            name = key or f"{each['resourceType']}/{each['id']}"
            self.held[name] = each if isinstance(each, str) else json.dumps(each)

    def delete(self, key: str) -> None:
        del self.held[key]

    def answer(self, path: str, query: dict) -> tuple[int, bytes, str]:
        answered = self.also(path, query)
        if answered is not None:
            return answered
        parts = path.removeprefix("/fhir").strip("/").split("/")
        if parts == ["metadata"]:
            return self._json(self._statement())
        if len(parts) == 2 and "/".join(parts) in self.held:
            return self._json(self.held["/".join(parts)])
        if len(parts) == 1 and parts[0] in KINDS:
            return self._json(self._search(parts[0], query))
        return self._json(
            {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": "not-found"}]}, 404
        )

    @staticmethod
    def _json(body: dict | str, status: int = 200) -> tuple[int, bytes, str]:
        text = body if isinstance(body, str) else json.dumps(body)
        return status, text.encode("utf-8", "surrogatepass"), "application/fhir+json"

    def _statement(self) -> dict:
        names = ("patient", "subject", "identifier", "_id", "_lastUpdated")
        kinds = [{"type": kind, "searchParam": [{"name": name, "type": "token"} for name in names]} for kind in KINDS]
        for kind in kinds:
            if kind["type"] == "AdverseEvent":
                kind["searchParam"] = [each for each in kind["searchParam"] if each["name"] != "patient"]
            kind["interaction"] = [{"code": code} for code in ("read", "search-type")]
        return {
            "resourceType": "CapabilityStatement",
            "status": "active",
            "fhirVersion": "4.0.1",
            "format": ["json"],
            "kind": "instance",
            "date": "2026-01-01",
            "rest": [{"mode": "server", "resource": kinds}],
        }

    def _search(self, kind: str, query: dict) -> str:
        found = [(key, text) for key, text in sorted(self.held.items()) if key.startswith(f"{kind}/")]
        found = [each for each in found if self._matches(each[1], query) and each[0] not in self.hidden]
        start = int(query.get("page", 0)) * self.page_size
        page = found[start : start + self.page_size]
        page = [*found[max(0, start - 1) : start], *page] if self.repeats else page
        entries = [self._entry(key, text) for key, text in page] + [
            json.dumps(each) for each in self.extra if not start
        ]
        links = [{"relation": "self", "url": f"{self.self_link or self.address}/{kind}"}]
        if start + self.page_size < len(found):
            number = start // self.page_size + 1
            again = "&".join(f"{name}={value}" for name, value in query.items() if name != "page")
            links.append({"relation": "next", "url": f"{self.next_base or self.address}/{kind}?{again}&page={number}"})
        total = len(found) if self.total is None else self.total
        return (
            f'{{"resourceType": "Bundle", "type": "searchset", "total": {total}, "link": {json.dumps(links)}, '
            f'"entry": [{", ".join(entries)}]}}'
        )

    def _matches(self, text: str, query: dict) -> bool:
        person = query.get("patient") or query.get("subject")
        wanted = query.get("identifier", "").partition("|")[2]
        at = text.find(f'"value": "{wanted}"') if wanted else 0
        logical_id = (person or "").rpartition("/")[2]
        return at >= 0 and (
            self.search_ignores_patient or not person or f'Patient/{logical_id}"' in text or "no-id" in text
        )

    def _entry(self, key: str, text: str) -> str:
        full_url = f"{self.full_url or self.address}/{key}"
        return f'{{"fullUrl": {json.dumps(full_url)}, "resource": {text}, "search": {{"mode": "match"}}}}'


def observation(number: int, patient: str = "Patient/p1", **more) -> dict:
    """A result of the patient."""
    return {
        "resourceType": "Observation",
        "id": f"o{number}",
        "meta": {"versionId": "1", "lastUpdated": "2026-01-01T00:00:00Z"},
        "status": "final",
        "code": {"text": f"lab {number}"},
        "subject": {"reference": patient},
        "valueQuantity": {"value": number, "unit": "g/dL"},
        **more,
    }


def document(*attachments: dict, **more) -> dict:
    """A document of the patient."""
    return {
        "resourceType": "DocumentReference",
        "id": "d1",
        "status": "current",
        "type": {"text": "letter"},
        "subject": {"reference": "Patient/p1"},
        "content": [{"attachment": each} for each in attachments],
        **more,
    }


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()
