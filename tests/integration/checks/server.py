"""A small FHIR server with habits, and what a check needs to try it."""

import json
from contextlib import contextmanager
from urllib.parse import parse_qs, urlsplit

from integration.checks.tried import Trying
from integration.fhir.capabilities import probe
from integration.fhir.server import FhirServer
from integration.fhir.transport import Transport
from integration.settings.endpoints import Endpoint
from tests.integration.fhir.endpoints import answer, world

PATIENT = "Patient/test"
TYPES = ("DocumentReference", "ServiceRequest", "Task", "Practitioner", "Organization", "Observation", "Patient")


def statement(*kinds, **more):
    """A CapabilityStatement that promises everything."""
    each = [
        {
            "type": kind,
            "interaction": [{"code": code} for code in ("read", "create", "update", "delete", "search-type")],
            "conditionalCreate": True,
            "searchParam": [{"name": "identifier"}, {"name": "patient"}],
        }
        for kind in kinds or TYPES
    ]
    return {
        "resourceType": "CapabilityStatement",
        "fhirVersion": "4.0.1",
        "format": ["json"],
        "software": {"name": "Vendor", "version": "9.1"},
        "rest": [{"mode": "server", "resource": each}],
        **more,
    }


class Small:
    """It does what it says but for its habits.

    ``ignores``: search parameters that change nothing; ``blind``: types whose identifier search finds nothing; ``doubles``
    conditional creates; ``hides`` what was written; ``keeps``: it says that it deletes; ``deaf``: it says yes to an update;
    ``no_delete``; ``most`` bytes of a body; ``largest`` page; ``pages``: what a second page is like.
    """

    def __init__(self, **habits):
        self.habits = {"ignores": (), "blind": (), "largest": 50, "most": 1 << 30, "pages": "right", **habits}
        self.stored: dict[str, dict] = {}
        self.origin = ""

    def __getattr__(self, name):
        return self.habits.get(name)

    def put(self, kind, id, **more):
        """Something that stands there."""
        self.stored[f"{kind}/{id}"] = {"resourceType": kind, "id": id, "meta": {"versionId": "1"}, **more}

    def __call__(self, handler, body):
        at = urlsplit(handler.path)
        path, query = at.path.removeprefix("/fhir/"), parse_qs(at.query)
        kind, _, id = path.partition("/")
        if path == "metadata":
            return answer(handler, 200, json.dumps(statement(**(self.habits.get("says") or {}))).encode())
        if handler.command == "DELETE":
            return self._delete(handler, path)
        if handler.command in ("POST", "PUT") and len(body) > self.most:
            return answer(handler, 413, b"")
        if handler.command == "POST":
            return self._create(handler, kind, json.loads(body))
        if handler.command == "PUT":
            return self._update(handler, path, id, json.loads(body))
        return self._read(handler, path) if id else self._search(handler, kind, query)

    def _delete(self, handler, path):
        if self.no_delete:
            return answer(handler, 405, b"")
        if not self.keeps:
            self.stored.pop(path, None)
        return answer(handler, 204, b"")

    def _create(self, handler, kind, resource):
        if handler.headers.get("If-None-Exist") and not self.doubles:
            return answer(handler, 200, b"")
        reference = f"{kind}/{len(self.stored) + 1}"
        self.stored[reference] = {**resource, "id": reference.split("/")[1], "meta": {"versionId": "1"}}
        return answer(handler, 201, b"", **({} if self.silent else {"Location": reference}))

    def _update(self, handler, path, id, resource):
        if not self.deaf:
            self.stored[path] = {**resource, "id": id}
        return answer(handler, 200, json.dumps(self.stored[path]).encode())

    def _read(self, handler, path):
        if self.hides or path not in self.stored:
            return answer(handler, 403 if self.hides else 404, b"")
        there = dict(self.stored[path])
        if self.moves:
            there["content"] = [{"attachment": {"contentType": "text/plain", "url": "Binary/nowhere"}}]
        return answer(handler, 200, json.dumps(there).encode())

    def _search(self, handler, kind, query):
        asked = {name: values[0] for name, values in query.items()}
        size = min(int(asked.get("_count", 50)), self.largest)
        if self.refuses_above and int(asked.get("_count", 50)) > self.refuses_above:
            return answer(handler, 400, b"{}")
        start = int(asked.get("start", 0))
        found = [each for key, each in self.stored.items() if key.startswith(f"{kind}/") and self._shows(each, asked)]
        page = found[start : start + size] if self.pages != "same" else found[:size]
        links = [
            {"relation": "self", "url": f"{kind}?" + "&".join(f"{n}={v}" for n, v in asked.items() if self._said(n))}
        ]
        if start + size < len(found):
            base = "https://elsewhere.example/fhir" if self.pages == "elsewhere" else self.origin
            links.append({"relation": "next", "url": f"{base}/{kind}?start={start + size}&_count={size}"})
        bundle = {"resourceType": "Bundle", "type": "searchset", "link": links}
        answer(handler, 200, json.dumps({**bundle, "entry": [{"resource": each} for each in page]}).encode())

    def _said(self, name):
        return not self.no_echo and name not in self.ignores

    def _shows(self, resource, asked):
        for name, value in asked.items():
            if name in self.ignores:
                continue
            if name == "identifier":
                carried = {f"{one.get('system')}|{one.get('value')}" for one in resource.get("identifier", ())}
                if resource["resourceType"] in self.blind or value not in carried:
                    return False
            if name in ("patient", "subject") and (resource.get("subject") or {}).get("reference") != value:
                return False
            if name == "focus" and (resource.get("focus") or {}).get("reference") != value:
                return False
            if name == "_lastUpdated" and value.startswith("ge2199"):
                return False
        return True


@contextmanager
def running(**habits):
    """``(small, trying(**of the endpoint))``: a server with these habits, and what a check of it uses."""
    small = Small(**habits)
    with world(lambda handler: small(handler, made.requests[-1][2])) as made:
        handler = made._server.RequestHandlerClass
        handler.do_DELETE = handler.do_GET
        small.origin = made.base_url

        def trying(patient=None, types=("DocumentReference", "Observation"), **more):
            limits = {"max_inline_bytes": 4096, "search_lag_seconds": 0, **more.pop("limits", {})}
            given = {"key": "ehr", "base_url": made.base_url, "role": "both", "limits": limits, **more}
            one = Endpoint.model_validate(given)
            server = FhirServer(one, Transport(one))
            return Trying(server, probe(server), one, patient, types)

        yield small, trying


def worked(tried):
    """``{what: worked}``"""
    return {each.what: each.worked for each in tried}


def says(tried):
    """``{what: says}``"""
    return {each.what: each.says for each in tried}
