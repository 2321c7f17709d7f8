"""A consulting provider's server with free times, that is not kind: real HTTP, and every habit of booking that a test asks for."""

import json
import threading
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, unquote, urlsplit

KINDS = ("Appointment", "Location", "Patient", "Practitioner", "PractitionerRole", "Schedule", "Slot")
LIVE = ("booked", "pending", "proposed", "arrived")


class Scheduling:
    """``slots`` and all else by ``Type/id``. Habits:

    ``marks_busy``: a Slot that is booked is busy from then on; ``loses_answer``: the next create is done and answered with 502;
    ``answers_with``: the next create is refused with that status, and nothing is made; ``books_as``: the status that it gives an
    appointment; ``books_at``: another start; ``drops_identifier``: keeps none of ours; ``searches_appointments``: False refuses
    the search; ``ignores_status``: a search for free Slots shows all; ``refuses_include``; ``before_create``: called before each
    create; ``refuses_cancel``: takes a cancellation and keeps the appointment; ``away``: answers 503.
    """

    kinds, counted = KINDS, ("Appointment",)

    def __init__(self, *resources: dict):
        self.held: dict[str, dict] = {}
        self.marks_busy, self.loses_answer, self.answers_with = True, False, 0
        self.books_as, self.books_at, self.drops_identifier = "", "", False
        self.searches_appointments, self.ignores_status, self.refuses_include = True, False, False
        self.refuses_cancel = self.away = False
        self.before_create = lambda resource: None
        self.creates: list[dict] = []
        self.asked: list[str] = []
        self._number = 100
        self._lock = threading.Lock()
        for each in resources:
            self.put(each)
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                self._answer(*server.read(self.path))

            def do_POST(self):
                body = self._body()
                if urlsplit(self.path).path.endswith("/_search"):
                    self._answer(*server.read(f"{self.path.split('/_search')[0]}?{body.decode()}"))
                else:
                    self._answer(*server.create(json.loads(body), self.headers.get("If-None-Exist") or ""))

            def do_PUT(self):
                self._answer(*server.update(json.loads(self._body())))

            def _body(self) -> bytes:
                return self.rfile.read(int(self.headers.get("Content-Length") or 0))

            def _answer(self, status: int, body: dict, headers: dict | None = None):
                data = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/fhir+json")
                self.send_header("Content-Length", str(len(data)))
                for name, value in (headers or {}).items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *arguments):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.address = f"http://127.0.0.1:{self.server.server_port}/fhir"

    def __enter__(self) -> "Scheduling":
        return self

    def __exit__(self, *_) -> None:
        self.server.shutdown()
        self.server.server_close()

    def put(self, resource: dict) -> dict:
        """Hold a resource under its own id, as its next version."""
        key = f"{resource['resourceType']}/{resource['id']}"
        version = int(self.held.get(key, {}).get("meta", {}).get("versionId", 0)) + 1
        self.held[key] = {**resource, "meta": {"versionId": str(version), "lastUpdated": "2026-01-01T00:00:00Z"}}
        return self.held[key]

    def appointments(self, *statuses: str) -> list[dict]:
        """Those it holds, of these statuses."""
        found = (each for key, each in sorted(self.held.items()) if key.startswith("Appointment/"))
        return [each for each in found if not statuses or each["status"] in statuses]

    def read(self, path: str) -> tuple[int, dict]:
        if self.away:
            return 503, _outcome("transient")
        at = urlsplit(path)
        self.asked.append(unquote(path))
        parts, query = at.path.removeprefix("/fhir").strip("/").split("/"), parse_qsl(at.query)
        if parts == ["metadata"]:
            return 200, self._statement()
        if len(parts) == 2:
            there = self.held.get("/".join(parts))
            return (200, there) if there else (404, _outcome("not-found"))
        return self._search(parts[0], query)

    def _search(self, kind: str, query: list[tuple[str, str]]) -> tuple[int, dict]:
        if kind == "Appointment" and not self.searches_appointments:
            return 400, _outcome("not-supported")
        if self.refuses_include and any(name == "_include" for name, _ in query):
            return 400, _outcome("not-supported")
        with self._lock:
            found = [each for key, each in sorted(self.held.items()) if key.startswith(f"{kind}/")]
        found = [each for each in found if all(self._matches(each, name, value) for name, value in query)]
        included = [
            self.held[each["schedule"]["reference"]]
            for each in found
            if kind == "Slot" and ("_include", "Slot:schedule") in query and "schedule" in each
        ]
        entries = [
            {
                "fullUrl": f"{self.address}/{each['resourceType']}/{each['id']}",
                "resource": each,
                "search": {"mode": mode},
            }
            for mode, some in (("match", found), ("include", included))
            for each in some
        ]
        return 200, {"resourceType": "Bundle", "type": "searchset", "total": len(found), "entry": entries}

    def _matches(self, resource: dict, name: str, value: str) -> bool:
        if name == "status":
            return self.ignores_status or resource.get("status") == value
        if name == "start":
            return self._in_time(resource, value)
        if name == "schedule.actor":
            actors = self.held[resource["schedule"]["reference"]].get("actor", [])
            return value in [each.get("reference") for each in actors]
        if name == "slot":
            return value in [each["reference"] for each in resource.get("slot", [])]
        if name == "patient":
            people = [each["actor"].get("reference") for each in resource.get("participant", [])]
            return f"Patient/{value.rpartition('/')[2]}" in people
        if name == "identifier":
            system, _, number = value.partition("|")
            return {"system": system, "value": number} in [
                {"system": each.get("system"), "value": each.get("value")} for each in resource.get("identifier", [])
            ]
        return True

    @staticmethod
    def _in_time(resource: dict, value: str) -> bool:
        day = datetime.fromisoformat(resource["start"]).date().isoformat()
        return day >= value[2:] if value.startswith("ge") else day < value[2:]

    def create(self, resource: dict, condition: str) -> tuple[int, dict, dict | None]:
        self.before_create(resource)
        with self._lock:
            return self._create(resource, condition)

    def _create(self, resource: dict, condition: str) -> tuple[int, dict, dict | None]:
        kind = resource["resourceType"]
        if kind in self.counted:
            self.creates.append(resource)
            if self.answers_with:
                status, self.answers_with = self.answers_with, 0
                return status, _outcome("conflict" if status == 409 else "business-rule"), None
        for each in self._same(kind, condition):
            return 200, each, {"Location": f"{self.address}/{kind}/{each['id']}/_history/1"}
        self._number += 1
        made = {**resource, "id": str(self._number)}
        if kind == "Appointment":
            made = self._booked(made)
        made = self.put(made)
        if self.loses_answer:
            self.loses_answer = False
            return 502, _outcome("transient"), None
        return 201, made, {"Location": f"{self.address}/{kind}/{made['id']}/_history/1"}

    def _same(self, kind: str, condition: str) -> list[dict]:
        wanted = dict(parse_qsl(condition)).get("identifier")
        found = [each for key, each in self.held.items() if key.startswith(f"{kind}/")]
        return [each for each in found if wanted and self._matches(each, "identifier", wanted)][:1]

    def _booked(self, made: dict) -> dict:
        if self.books_as:
            made["status"] = self.books_as
        if self.books_at:
            made["start"] = self.books_at
        if self.drops_identifier:
            made.pop("identifier", None)
        if self.marks_busy:
            for each in made.get("slot", []):
                self.put({**self.held[each["reference"]], "status": "busy"})
        return made

    def update(self, resource: dict) -> tuple[int, dict, dict | None]:
        key = f"{resource['resourceType']}/{resource['id']}"
        there = self.held.get(key)
        if there is None:
            return 404, _outcome("not-found"), None
        if self.refuses_cancel and resource.get("status") == "cancelled":
            return 200, there, None
        with self._lock:
            made = self.put(resource)
        if resource.get("status") == "cancelled" and self.marks_busy:
            for each in resource.get("slot", []):
                self.put({**self.held[each["reference"]], "status": "free"})
        return 200, made, None

    def _statement(self) -> dict:
        names = ("patient", "identifier", "_id", "_lastUpdated", "status", "start", "slot", "schedule")
        kinds = [
            {
                "type": kind,
                "interaction": [{"code": code} for code in ("read", "search-type", "create", "update")],
                "conditionalCreate": True,
                "searchParam": [{"name": name, "type": "token"} for name in names],
            }
            for kind in self.kinds
        ]
        return {
            "resourceType": "CapabilityStatement",
            "status": "active",
            "fhirVersion": "4.0.1",
            "format": ["json"],
            "kind": "instance",
            "date": "2026-01-01",
            "rest": [{"mode": "server", "resource": kinds}],
        }


def _outcome(code: str) -> dict:
    return {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": code}]}


def schedule(number: int = 1, doctor: str = "Dr. Lake", place: str = "200 Main Street") -> dict:
    """Whose time it is."""
    return {
        "resourceType": "Schedule",
        "id": f"s{number}",
        "actor": [
            {"reference": f"PractitionerRole/{number}", "display": doctor},
            {"reference": f"Location/{number}", "display": place},
        ],
    }


def slot(number: int, start: datetime, end: datetime, status: str = "free", **more) -> dict:
    """A time of schedule s1."""
    return {
        "resourceType": "Slot",
        "id": f"t{number}",
        "schedule": {"reference": "Schedule/s1"},
        "status": status,
        "start": start.isoformat(),
        "end": end.isoformat(),
        "appointmentType": {"text": "Consultation"},
        **more,
    }
