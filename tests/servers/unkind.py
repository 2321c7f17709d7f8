"""A small FHIR R4 server of its own, with the habits that real ones have and ours has not. It shares no code with the product.

It holds resources in memory, in `store` (``{Type/id: resource}``); tests look there and not through its answers.
"""

import copy
import json
import re
import threading
import time
import uuid
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, unquote, urlsplit

INNER = "http://inner.unkind.example:8080/fhir"
_CONDITION = re.compile(r"identifier=(.*)", re.S)


class Unkind:
    """``page``: most entries of a page; ``inner``: its references, links and fullUrls name an address nobody reaches;
    ``ignores``: parameters it does not look at, by type (``{"Encounter": {"identifier"}}``, ``"*"`` for all types);
    ``narrates``: writes narrative of its own; ``renames``: contained resources get ids of its own; ``late``: seconds until a
    search shows what was written; ``refuse(resource)``: words of a refusal, or None; ``in_200``: refuses entries inside a
    transaction that it otherwise does, instead of all of it; ``deaf``: types of which it takes an update and keeps what stood;
    ``crash(resource)``: answers 500; ``transactions``: offers them;
    ``answer(method, path, status, body)`` may change what is told, after it is done."""

    def __init__(self, **habits):
        self.habits = dict(
            page=2,
            inner=True,
            ignores={},
            narrates=True,
            renames=True,
            late=0.0,
            in_200=False,
            transactions=True,
            deaf=(),
        )
        self.habits |= dict(
            refuse=lambda each: None, crash=lambda each: False, answer=lambda method, path, status, body: (status, body)
        )
        self.habits |= habits
        self.store: dict[str, dict] = {}
        self.written_at: dict[str, float] = {}
        self.log: list[tuple[str, str]] = []
        self.lock = threading.RLock()
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}/fhir"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()

    def put(self, resource: dict) -> dict:
        """Store something as the staff there would."""
        with self.lock:
            resource = copy.deepcopy(resource)
            resource.setdefault("id", uuid.uuid4().hex)
            key = f"{resource['resourceType']}/{resource['id']}"
            version = int(self.store.get(key, {"meta": {"versionId": "0"}})["meta"]["versionId"]) + 1
            resource["meta"] = {
                **resource.get("meta", {}),
                "versionId": str(version),
                "lastUpdated": f"2026-01-01T00:00:{version % 60:02}Z",
            }
            self.store[key] = self._as_kept(resource)
            self.written_at[key] = time.monotonic()
            return self.store[key]

    def of(self, kind: str) -> list[dict]:
        """Everything of a type."""
        with self.lock:
            return [each for each in self.store.values() if each["resourceType"] == kind]

    def named(self, system: str, value: str) -> list[dict]:
        """Everything of the value's type that carries an identifier."""
        return [each for each in self.of(value.split("/")[0]) if (system, value) in _identifiers(each)]

    def writes(self) -> list[tuple[str, str]]:
        """What was asked to be written so far."""
        return [each for each in self.log if each[0] in ("POST", "PUT")]

    # What it keeps and tells

    def _as_kept(self, resource: dict) -> dict:
        if self.habits["narrates"]:
            resource["text"] = {
                "status": "generated",
                "div": f'<div xmlns="http://www.w3.org/1999/xhtml">{resource["resourceType"]}</div>',
            }
        if self.habits["renames"] and resource.get("contained"):
            names = {f"#{each['id']}": f"#c{number}" for number, each in enumerate(resource["contained"], 1)}
            resource = _each_reference(resource, lambda reference: names.get(reference, reference))
            for each in resource["contained"]:
                each["id"] = names[f"#{each['id']}"][1:]
        return resource

    def _as_told(self, resource: dict) -> dict:
        if not self.habits["inner"]:
            return resource
        local = re.compile(r"[A-Z][A-Za-z]+/[^/]+")
        return _each_reference(
            copy.deepcopy(resource), lambda text: f"{INNER}/{text}" if local.fullmatch(text) else text
        )

    # What it does

    def _do(self, method: str, path: str, query: dict, headers: dict, body: object) -> tuple[int, object, dict]:
        parts = [each for each in path.removeprefix("/fhir").split("/") if each]
        with self.lock:
            if method == "GET" and parts == ["metadata"]:
                return 200, self._statement(), {}
            if method == "GET" and len(parts) == 2:
                there = self.store.get("/".join(parts))
                return (200, self._as_told(there), {}) if there else (404, _outcome("not-found"), {})
            if method == "GET" and len(parts) == 1:
                return 200, self._search(parts[0], query), {}
            if method == "POST" and not parts and self.habits["transactions"]:
                return self._transaction(body)
            if method == "POST" and len(parts) == 1:
                return self._create(body, headers.get("if-none-exist"))
            if method == "PUT" and len(parts) == 2:
                return self._update("/".join(parts), body, headers.get("if-match"))
        return 404, _outcome("not-supported"), {}

    def _create(self, resource: dict, condition: str | None) -> tuple[int, object, dict]:
        if self.habits["crash"](resource):
            return 500, _outcome("exception"), {}
        if (words := self.habits["refuse"](resource)) is not None:
            return 422, _outcome("invariant", words), {}
        found = self._matching(resource["resourceType"], unquote(condition)) if condition else []
        if len(found) > 1:
            return 412, _outcome("multiple-matches"), {}
        made = found[0] if found else self.put({key: value for key, value in resource.items() if key != "id"})
        return (
            (200 if found else 201),
            None,
            {"Location": self._location(made), "ETag": f'W/"{made["meta"]["versionId"]}"'},
        )

    def _matching(self, kind: str, condition: str) -> list[dict]:
        if "identifier" in self._ignored(kind):
            return []
        return self._asked(kind, {"identifier": _CONDITION.fullmatch(condition)[1]}, fresh=True)

    def _update(self, key: str, resource: dict, version: str | None) -> tuple[int, object, dict]:
        there = self.store.get(key)
        if there and version and version.strip('W/"') != there["meta"]["versionId"]:
            return 412, _outcome("conflict"), {}
        if (words := self.habits["refuse"](resource)) is not None:
            return 422, _outcome("invariant", words), {}
        made = there if there and resource["resourceType"] in self.habits["deaf"] else self.put(resource)
        return 200, None, {"Location": self._location(made), "ETag": f'W/"{made["meta"]["versionId"]}"'}

    def _transaction(self, bundle: dict) -> tuple[int, object, dict]:
        entries, before = bundle["entry"], (dict(self.store), dict(self.written_at))
        urns, told = {}, []
        for entry in entries:
            status, outcome, headers = self._create(entry["resource"], entry["request"].get("ifNoneExist"))
            if status >= 400 and not self.habits["in_200"]:
                self.store, self.written_at = before
                return status, outcome, {}
            if status < 300:
                urns[entry["fullUrl"]] = (
                    headers["Location"].split("/_history")[0].removeprefix(INNER + "/").split("/fhir/")[-1]
                )
                told.append(
                    {"response": {"status": str(status), "location": headers["Location"], "etag": headers["ETag"]}}
                )
            else:
                told.append({"response": {"status": str(status), "outcome": outcome}})
        for key in urns.values():
            self.store[key] = _each_reference(self.store[key], lambda text: urns.get(text, text))
        return 200, {"resourceType": "Bundle", "type": "transaction-response", "entry": told}, {}

    def _search(self, kind: str, query: dict) -> dict:
        found = self._asked(kind, {name: value for name, value in query.items() if name not in self._ignored(kind)})
        start, size = int(query.get("_start", 0)), self.habits["page"]
        base = INNER if self.habits["inner"] else self.url
        page = [
            {"fullUrl": f"{base}/{kind}/{each['id']}", "resource": self._as_told(each), "search": {"mode": "match"}}
            for each in found[start : start + size]
        ]
        bundle = {"resourceType": "Bundle", "type": "searchset", "total": len(found), "entry": page}
        if start + size < len(found):
            left = "&".join(f"{name}={_quoted(value)}" for name, value in query.items() if name != "_start")
            bundle["link"] = [{"relation": "next", "url": f"{self.url}/{kind}?{left}&_start={start + size}"}]
        return bundle

    def _asked(self, kind: str, query: dict, fresh: bool = False) -> list[dict]:
        now, found = time.monotonic(), []
        for key, each in self.store.items():
            if each["resourceType"] != kind or not fresh and now - self.written_at[key] < self.habits["late"]:
                continue
            wanted = {
                tuple(token.rsplit("|", 1))
                for token in query.get("identifier", "").replace("\\|", "|").split(",")
                if token
            }
            if wanted and not wanted.intersection(_identifiers(each)):
                continue
            subject = query.get("patient") or query.get("subject")
            if subject and subject.split("/")[-1] not in {
                str((each.get(name) or {}).get("reference", "")).split("/")[-1]
                for name in ("subject", "patient", "for")
            }:
                continue
            if "_id" in query and each["id"] not in query["_id"].split(","):
                continue
            found.append(each)
        return found

    def _ignored(self, kind: str) -> set[str]:
        return {*self.habits["ignores"].get(kind, ()), *self.habits["ignores"].get("*", ())}

    def _location(self, made: dict) -> str:
        base = INNER if self.habits["inner"] else self.url
        return f"{base}/{made['resourceType']}/{made['id']}/_history/{made['meta']['versionId']}"

    def _statement(self) -> dict:
        kinds = "Patient Practitioner Organization Encounter Condition Observation DocumentReference ServiceRequest Task AdverseEvent Composition MedicationRequest DiagnosticReport Medication".split()
        can = [{"code": code} for code in ("read", "create", "update", "search-type")]
        named = [{"name": name, "type": "token"} for name in ("identifier", "patient", "subject", "_lastUpdated")]
        rest = {
            "mode": "server",
            "interaction": [{"code": "transaction"}] if self.habits["transactions"] else [],
            "resource": [
                {
                    "type": kind,
                    "interaction": can,
                    "searchParam": named,
                    "conditionalCreate": True,
                    "versioning": "versioned-update",
                }
                for kind in kinds
            ],
        }
        return {
            "resourceType": "CapabilityStatement",
            "status": "active",
            "fhirVersion": "4.0.1",
            "format": ["json"],
            "rest": [rest],
        }

    def _handler(unkind):
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def do_GET(self):
                parts = urlsplit(self.path)
                size = int(self.headers.get("Content-Length") or 0)
                sent = self.rfile.read(size)
                body = json.loads(sent, parse_float=Decimal) if sent else None
                unkind.log.append((self.command, self.path))
                headers = {name.lower(): value for name, value in self.headers.items()}
                query = dict(parse_qsl(parts.query, keep_blank_values=True))
                status, told, more = unkind._do(self.command, unquote(parts.path), query, headers, body)
                status, told = unkind.habits["answer"](self.command, self.path, status, told)
                data = b"" if told is None else json.dumps(told, default=_number).encode()
                self.send_response(status)
                for name, value in more.items():
                    self.send_header(name, value)
                self.send_header("Content-Type", "application/fhir+json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_POST = do_PUT = do_GET

        return Handler


def _number(value: Decimal) -> float:
    return float(value)


def _quoted(text: str) -> str:
    return text.replace("%", "%25").replace("|", "%7C").replace("&", "%26").replace("+", "%2B").replace("\\", "%5C")


def _identifiers(resource: dict) -> set[tuple]:
    found = resource.get("identifier") or []
    return {(each.get("system"), each.get("value")) for each in (found if isinstance(found, list) else [found])}


def _each_reference(node, change):
    """A copy with every ``reference`` changed."""
    if isinstance(node, dict):
        return {
            key: change(value) if key == "reference" and isinstance(value, str) else _each_reference(value, change)
            for key, value in node.items()
        }
    return [_each_reference(each, change) for each in node] if isinstance(node, list) else node


def _outcome(code: str, words: str = "") -> dict:
    issue = {"severity": "error", "code": code, "diagnostics": words, "expression": ["Bundle.entry[0].resource"]}
    return {"resourceType": "OperationOutcome", "issue": [issue]}
