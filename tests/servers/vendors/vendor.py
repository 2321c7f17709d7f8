"""What the vendor-like servers share: real HTTP, resources in memory, searches as they are listed, sign-in before all of it.

A vendor is a subclass that says what it can do (``kinds``) and overrides what it does otherwise. Tests look at what stands
there through ``documents_of``, never through its answers. It shares no code with the product.
"""

import base64
import copy
import json
import threading
import time
import uuid
from datetime import UTC, datetime
from typing import ClassVar
from urllib.parse import quote

from tests.servers.backend_services import BackendServices
from tests.servers.vendors.faults import Faults
from tests.servers.vendors.messages import Asked, Kind, Standing, Told, outcome
from tests.servers.vendors.searching import matches
from tests.servers.vendors.serving import serve


class Vendor:
    """A server; leaving the ``with`` ends it. ``keys``: the key set of the client that may sign in; None: nobody has to.

    ``lag``: seconds until a search shows what was written; ``page``: most entries of a page.
    """

    base_path = "/fhir"
    token_path = "/oauth2/token"
    cursor = "page"  # the parameter of a further page
    software: tuple[str, str] | None = ("Vendor", "1")
    kinds: ClassVar[dict[str, Kind]] = {}
    system_interactions: tuple[str, ...] = ()

    def __init__(self, keys=None, *, lag: float = 0.0, page: int = 20):
        self.lag, self.page, self.faults = lag, page, Faults()
        self.store: dict[str, dict] = {}  # Type/id: as it is kept
        self.bytes: dict[str, tuple[bytes, str]] = {}  # Binary/id: bytes and content type
        self.written: dict[str, bytes] = {}  # Type/id of documents that came over the interface: what was sent
        self.changed_at: dict[str, float] = {}
        self.sessions: dict[str, tuple[list[dict], int, str]] = {}
        self.log: list[tuple[str, str]] = []
        self.lock = threading.RLock()
        self.server = serve(self)
        self.origin = f"http://127.0.0.1:{self.server.server_port}"
        self.url, self.token_url = f"{self.origin}{self.base_path}", f"{self.origin}{self.token_path}"
        self.sign_in = BackendServices(keys) if keys is not None else None
        if self.sign_in:
            self.sign_in.token_url, self.sign_in.scope = self.token_url, self.scope

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *_) -> None:
        self.server.shutdown()
        self.server.server_close()

    # For tests

    def put(self, resource: dict) -> dict:
        """Store something as the people there did, long enough ago for every search to know it."""
        with self.lock:
            made = self._keep(copy.deepcopy(resource))
            self.changed_at[_key(made)] = float("-inf")
            return made

    def documents_of(self, patient: str) -> list[Standing]:
        """The oracle: every document of ``Patient/id`` that stands there now, whoever wrote it."""
        with self.lock:
            found = [each for each in self.of("DocumentReference") if _subject(each) == patient]
            return [
                Standing(key, self.written.get(key, b""), key in self.written, each)
                for each in found
                for key in [_key(each)]
            ]

    def ours_of(self, patient: str) -> list[Standing]:
        """Those that came over the interface."""
        return [each for each in self.documents_of(patient) if each.written]

    def of(self, kind: str) -> list[dict]:
        """Everything of a type."""
        with self.lock:
            return [each for each in self.store.values() if each["resourceType"] == kind]

    def writes(self) -> list[tuple[str, str]]:
        """Whatever was asked to be written so far, done or not."""
        read_only = ("_search", "$match")
        return [
            each
            for each in self.log
            if each[0] in ("POST", "PUT") and not each[1].endswith(read_only) and self.token_path not in each[1]
        ]

    def upgrade(self, version: str) -> None:
        """Its software is another version from now on; one that never says what it is goes on saying nothing."""
        self.software = self.software and (self.software[0], version)

    # What a vendor does otherwise

    def scope(self) -> str:
        """What the token answer says that was granted."""
        return "system/*.read"

    def refusal(self, kind: str, interaction: str, asked: Asked) -> Told | None:
        """Why this client may not do it, whatever it asks; None when it may."""
        return None

    def elsewhere(self, asked: Asked) -> Told | None:
        """The answer to an address that is not below the FHIR base; None when there is none."""
        return None

    def not_offered(self, kind: str, interaction: str) -> Told:
        """A type, or something to do with it, that does not exist here."""
        return Told(404, outcome("error", "not-supported", "not supported"))

    def search_problem(self, kind: str, params: list[tuple[str, str]]) -> Told | None:
        """Why a search is refused."""
        return None

    def remarks(self, kind: str, params: list[tuple[str, str]], found: int) -> list[dict]:
        """Issues that an answer to a search carries in an OperationOutcome."""
        return []

    def create(self, kind: str, resource: dict, asked: Asked) -> Told:
        """A create that the type allows."""
        return self.created(self._keep(resource), asked)

    def update(self, key: str, resource: dict, asked: Asked) -> Told:
        """An update that the type allows."""
        return self.not_offered(key.split("/")[0], "update")

    def operation(self, kind: str, name: str, asked: Asked) -> Told:
        """``$name`` of a type."""
        return self.not_offered(kind, name)

    def system(self, asked: Asked) -> Told:
        """A batch or transaction."""
        return Told(404, outcome("error", "not-supported", "no system interaction"))

    def gone_session(self) -> Told:
        """A page that is asked for too late."""
        return Told(404, outcome("error", "expired", "this search is over"))

    def pages(self, found: list[dict]) -> list[list[dict]]:
        """What comes on which page."""
        return [found[start : start + self.page] for start in range(0, len(found), self.page)] or [[]]

    def searched(self, kind: str, params: list[tuple[str, str]]) -> list[tuple[str, str]]:
        """The parameters that are evaluated."""
        known = {name.lower() for name in self.kinds[kind].search}
        return [each for each in params if each[0].partition(":")[0].lower() in known]

    def created(self, resource: dict, asked: Asked) -> Told:
        """The answer to a create."""
        place = f"{self.url}/{_key(resource)}/_history/{resource['meta']['versionId']}"
        return Told(201, None, {"Location": place, "ETag": f'W/"{resource["meta"]["versionId"]}"'})

    def as_told(self, resource: dict) -> dict:
        """A resource as reads and searches show it."""
        return resource

    # What it does

    def answer(self, asked: Asked) -> Told:
        """Everything below the origin, sign-in first."""
        if asked.parts[:1] == ("metadata",) and asked.method == "GET":
            return Told(200, self.statement())
        if self.sign_in and not self.sign_in.opens(asked.headers.get("authorization", "")):
            return Told(401, outcome("error", "login", "sign in"), {"WWW-Authenticate": "Bearer"})
        if not asked.parts:
            return self.system(asked)
        return self._of_type(asked.parts[0], asked)

    def _of_type(self, kind: str, asked: Asked) -> Told:
        rest = asked.parts[1:]
        if rest[:1] == ("_search",) or (not rest and asked.method == "GET"):
            return self._allowed(kind, "search-type", asked) or self._search(kind, asked)
        if not rest and asked.method == "POST":
            return self._allowed(kind, "create", asked) or self._taken(kind, asked)
        if rest[-1:] and rest[-1].startswith("$"):
            return self.refusal(kind, rest[-1], asked) or self.operation(kind, rest[-1], asked)
        if asked.method == "PUT":
            return self._allowed(kind, "update", asked) or self._taken(kind, asked)
        if asked.method != "GET":
            return self.not_offered(kind, asked.method.lower())
        return self._allowed(kind, "read", asked) or self.read("/".join((kind, *rest[:1])), asked)

    def _allowed(self, kind: str, interaction: str, asked: Asked) -> Told | None:
        if kind not in self.kinds or interaction not in self.kinds[kind].can:
            return self.not_offered(kind, interaction)
        return self.refusal(kind, interaction, asked)

    def _taken(self, kind: str, asked: Asked) -> Told:
        refused = self.faults.refusal()
        if refused is not None:
            return Told(*refused)
        try:
            resource = json.loads(asked.body)
        except ValueError:
            return Told(400, outcome("fatal", "structure", "not JSON"))
        if resource.get("resourceType") != kind:
            return Told(400, outcome("fatal", "invalid", "another type"))
        if asked.method == "PUT":
            return self.update("/".join(asked.parts[:2]), resource, asked)
        return self.create(kind, resource, asked)

    def read(self, key: str, asked: Asked) -> Told:
        """One resource; a Binary as its bytes, or as a resource for whoever asks for FHIR."""
        if key in self.bytes:
            data, content_type = self.bytes[key]
            if "json" not in asked.headers.get("accept", ""):
                return Told(200, data, content_type=content_type)
            wrapped = {"resourceType": "Binary", "id": key.split("/")[1], "contentType": content_type}
            return Told(200, {**wrapped, "data": base64.b64encode(data).decode()})
        there = self.store.get(key)
        return Told(200, self.as_told(there)) if there else self.not_there(key)

    def not_there(self, key: str) -> Told:
        """A read of what does not exist."""
        return Told(404, outcome("error", "not-found", "no such resource"))

    def _search(self, kind: str, asked: Asked) -> Told:
        params = asked.form if asked.method == "POST" else asked.query
        token = dict(params).get(self.cursor)
        if token is not None:
            return self._page(kind, token) if token in self.sessions else self.gone_session()
        problem = self.search_problem(kind, params)
        if problem is not None:
            return problem
        found = [each for each in self.of(kind) if self._shows(each, kind, params)]
        own = f"{self.url}/{kind}?{'&'.join(f'{quote(n)}={quote(v)}' for n, v in params)}"
        count = next((int(value) for name, value in params if name == "_count"), self.page)
        remarks = self.remarks(kind, params, len(found))
        return self._first_page(kind, found, own, min(count, self.page) or self.page, remarks)

    def _shows(self, resource: dict, kind: str, params: list[tuple[str, str]]) -> bool:
        if self.now() - self.changed_at[_key(resource)] < self.lag:
            return False
        return all(matches(resource, *each) for each in self.searched(kind, params) if each[0] != "_count")

    def _first_page(self, kind: str, found: list[dict], own: str, size: int, remarks: list[dict]) -> Told:
        self.page, before = size, self.page
        pages = self.pages(found)
        self.page = before
        tokens = [uuid.uuid4().hex for _ in pages]
        for number, (token, page) in enumerate(zip(tokens, pages, strict=True)):
            following = tokens[number + 1] if number + 1 < len(pages) else ""
            self.sessions[token] = (page, len(found), following)
        return self._page(kind, tokens[0], own, remarks)

    def _page(self, kind: str, token: str, own: str = "", remarks: list[dict] | None = None) -> Told:
        page, total, following = self.sessions[token]
        entries = [
            {"fullUrl": f"{self.url}/{_key(each)}", "resource": self.as_told(each), "search": {"mode": "match"}}
            for each in page
            if _key(each) in self.store
        ]
        if remarks:
            body = {"resourceType": "OperationOutcome", "issue": remarks}
            entries.append({"resource": body, "search": {"mode": "outcome"}})
        links = [{"relation": "self", "url": own or f"{self.url}/{kind}?{self.cursor}={token}"}]
        if following:
            links.append({"relation": "next", "url": f"{self.url}/{kind}?{self.cursor}={following}"})
        return Told(
            200, {"resourceType": "Bundle", "type": "searchset", "total": total, "link": links, "entry": entries}
        )

    def _keep(self, resource: dict) -> dict:
        resource.setdefault("id", self.new_id(resource["resourceType"]))
        version = int(self.store.get(_key(resource), {}).get("meta", {}).get("versionId", 0)) + 1
        now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        resource["meta"] = {**resource.get("meta", {}), "versionId": str(version), "lastUpdated": now}
        self.store[_key(resource)] = resource
        self.changed_at[_key(resource)] = self.now()
        return resource

    def keep_bytes(self, data: bytes, content_type: str) -> str:
        """``Binary/id`` of bytes that stand beside a document."""
        key = f"Binary/{self.new_id('Binary')}"
        self.bytes[key] = (data, content_type)
        return key

    @staticmethod
    def now() -> float:
        """Seconds, for what is late."""
        return time.monotonic()

    def new_id(self, kind: str) -> str:
        """A logical id of this server's own."""
        return uuid.uuid4().hex

    def statement(self) -> dict:
        """Its CapabilityStatement."""
        rest = {
            "mode": "server",
            "interaction": [{"code": each} for each in self.system_interactions],
            "resource": [self.described(kind, each) for kind, each in self.kinds.items()],
        }
        named = {"software": dict(zip(("name", "version"), self.software, strict=True))} if self.software else {}
        return {
            "resourceType": "CapabilityStatement",
            "status": "active",
            "date": "2026-07-24T20:25:44Z",
            "kind": "instance",
            **named,
            "implementation": {"description": type(self).__name__, "url": self.url},
            "fhirVersion": "4.0.1",
            "format": ["json"],
            "rest": [rest],
        }

    def described(self, kind: str, can: Kind) -> dict:
        """One type in the CapabilityStatement."""
        params = [{"name": name, "type": "token"} for name in (*can.search, *can.listed)]
        return {"type": kind, "interaction": [{"code": each} for each in can.can], "searchParam": params}

    def smart_configuration(self) -> dict:
        """What discovery says; grants as advertised, not as allowed."""
        return {
            "token_endpoint": self.token_url,
            "grant_types_supported": ["authorization_code", "client_credentials"],
            "token_endpoint_auth_methods_supported": ["client_secret_basic", "private_key_jwt"],
            "token_endpoint_auth_signing_alg_values_supported": ["RS384", "ES384"],
            "code_challenge_methods_supported": ["S256"],
            "capabilities": ["client-confidential-asymmetric", "permission-v1", "permission-v2"],
        }


def _key(resource: dict) -> str:
    return f"{resource['resourceType']}/{resource['id']}"


def _subject(resource: dict) -> str:
    return str((resource.get("subject") or resource.get("patient") or {}).get("reference", ""))
