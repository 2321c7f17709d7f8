"""What an endpoint is said to do is tried: an ignored parameter, a second copy, a read-back that is refused, a certificate."""

import json
import ssl
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from urllib.parse import parse_qs, urlsplit

import pytest
import trustme

from integration.fhir import trial
from integration.fhir.capabilities import Capabilities
from integration.fhir.server import FhirServer
from integration.fhir.transport import Transport
from mappings.model.errors import NeedsPerson
from tests.integration.fhir.endpoints import World, answer, endpoint, world

NOW = datetime.now(UTC)
STATEMENT = {
    "resourceType": "CapabilityStatement",
    "fhirVersion": "4.0.1",
    "format": ["json"],
    "software": {"name": "Vendor", "version": "9.1"},
    "rest": [
        {
            "mode": "server",
            "resource": [
                {
                    "type": kind,
                    "interaction": [{"code": code} for code in ("read", "create", "update", "search-type")],
                    "conditionalCreate": True,
                    "searchParam": [{"name": "identifier"}],
                }
                for kind in trial.LOOKED_UP
                if kind != "Encounter"
            ],
        }
    ],
}


class Vendor:
    """A small server with habits: ``ignores`` its identifier parameter, ``doubles`` creates, ``hides`` what was written."""

    def __init__(self, *, ignores=(), doubles=False, hides=False, no_echo=False, moves=False):
        self.ignores, self.doubles, self.hides, self.no_echo, self.moves = ignores, doubles, hides, no_echo, moves
        self.stored: dict[str, dict] = {"DocumentReference/0": {"resourceType": "DocumentReference", "id": "0"}}
        self.deleted: list[str] = []

    def __call__(self, handler) -> None:
        parts = urlsplit(handler.path)
        path, query = parts.path.removeprefix("/fhir/"), parse_qs(parts.query)
        body = getattr(handler, "body", b"")
        kind, _, id = path.partition("/")
        if path == "metadata":
            return answer(handler, 200, json.dumps(STATEMENT).encode())
        if handler.command == "POST":
            return self._create(handler, kind, body)
        if handler.command == "DELETE":
            self.deleted.append(path)
            self.stored.pop(path, None)
            return answer(handler, 204, b"")
        if handler.command == "PUT":
            self.stored[path] = {**json.loads(body), "id": id}
            return answer(handler, 200, json.dumps(self.stored[path]).encode())
        if id:
            return self._read(handler, path)
        self._search(handler, kind, query)

    def _create(self, handler, kind, body) -> None:
        if handler.headers.get("If-None-Exist") and not self.doubles:
            return answer(handler, 200, b"")
        reference = f"{kind}/{len(self.stored)}"
        self.stored[reference] = {**json.loads(body), "id": reference.split("/")[1], "meta": {"versionId": "1"}}
        answer(handler, 201, b"", Location=reference)

    def _read(self, handler, path) -> None:
        if self.hides or path not in self.stored:
            return answer(handler, 403 if self.hides else 404, b"")
        there = dict(self.stored[path])
        if self.moves:
            there["content"] = [{"attachment": {"url": "Binary/1"}}]
        answer(handler, 200, json.dumps(there).encode())

    def _search(self, handler, kind, query) -> None:
        found = [each for key, each in self.stored.items() if key.startswith(kind)] if kind in self.ignores else []
        link = [] if self.no_echo else [{"relation": "self", "url": f"{kind}?identifier={query['identifier'][0]}"}]
        bundle = {
            "resourceType": "Bundle",
            "type": "searchset",
            "link": link,
            "entry": [{"resource": each} for each in found],
        }
        answer(handler, 200, json.dumps(bundle).encode())


@pytest.fixture
def vendor(monkeypatch):
    """Starts a vendor and gives (server, vendor)."""
    started: list = []

    def make(**habits):
        one = Vendor(**habits)

        def behave(handler):
            handler.body = made.requests[-1][2]
            one(handler)

        opened = world(behave)
        made = opened.__enter__()
        handler = made._server.RequestHandlerClass
        handler.do_DELETE = handler.do_GET
        started.append(opened)
        return FhirServer(endpoint(made.base_url), Transport(endpoint(made.base_url))), one

    yield make
    for opened in started:
        opened.__exit__(None, None, None)


def words(tried) -> dict:
    return {each.what: each.worked for each in tried}


def test_a_parameter_that_is_ignored_is_seen_by_asking_for_what_nobody_has(vendor):
    server, _ = vendor(ignores=("DocumentReference",))
    can, tried = trial.try_reading(server)
    assert words(tried)["DocumentReference by identifier"] is False
    assert words(tried)["Task by identifier"] is True and words(tried)["Encounter by identifier"] is False
    assert trial.settings(can, tried) == {"conditional_create": False}
    assert (can.software, can.software_version) == ("Vendor", "9.1")


def test_a_server_that_does_not_say_what_it_looked_for_is_not_believed_either_way(vendor):
    server, _ = vendor(no_echo=True)
    assert words(trial.try_reading(server)[1])["Task by identifier"] is None


def test_with_write_a_marked_document_is_created_read_back_corrected_and_removed(vendor):
    server, one = vendor()
    tried = list(trial.writes(server, "Patient/test", "urn:test:ids"))
    assert words(tried) == {
        "create DocumentReference": True,
        "read back": True,
        "conditional create": True,
        "update": True,
        "delete": True,
    }
    assert list(one.stored) == ["DocumentReference/0"] and one.deleted == ["DocumentReference/1"]


def test_a_server_that_doubles_is_found_out_and_both_copies_are_removed(vendor):
    server, one = vendor(doubles=True)
    tried = list(trial.writes(server, "Patient/test", "urn:test:ids"))
    assert words(tried)["conditional create"] is False and list(one.stored) == ["DocumentReference/0"]
    assert trial.settings(Capabilities(), tried) == {"conditional_create": False}


def test_a_server_that_hides_what_it_took_verifies_nothing(vendor):
    server, _ = vendor(hides=True)
    tried = list(trial.writes(server, "Patient/test", "urn:test:ids"))
    assert words(tried)["read back"] is False


def test_bytes_that_come_back_as_an_address_are_said(vendor):
    server, _ = vendor(moves=True)
    assert words(trial.writes(server, "Patient/test", "urn:test:ids"))["read back"] is None


@pytest.fixture
def tls_server():
    """An https address with a certificate of ``authority`` that ends at ``until``."""
    servers: list[World] = []

    def make(authority: trustme.CA, until: datetime | None = None, name: str = "localhost") -> str:
        made = World(lambda handler: answer(handler, 200, b"{}"))
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        authority.issue_cert(name, not_after=until).configure_cert(context)
        made._server.socket = context.wrap_socket(made._server.socket, server_side=True)
        made.start()
        servers.append(made)
        return made.base_url.replace("http://127.0.0.1", "https://localhost")

    yield make
    for each in servers:
        each.stop()


def test_a_certificate_of_a_private_authority_is_believed_only_where_that_is_named(tls_server, tmp_path):
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    address = tls_server(authority)
    refused = trial.certificate(address, SimpleNamespace(ca_file=None, certificate_file=None), NOW)
    assert refused.worked is False and "name it in tls.ca_file" in refused.says
    believed = trial.certificate(address, SimpleNamespace(ca_file=str(tmp_path / "ca.pem"), certificate_file=None), NOW)
    assert believed.worked is True and "valid until" in believed.says
    tls = SimpleNamespace(ca_file=str(tmp_path / "ca.pem"), certificate_file=None, key_file=None)
    where = endpoint(address)
    where.tls = tls
    assert Transport(where).request("GET", "Patient/1").status == 200


@pytest.mark.parametrize(
    ("days", "worked", "says"), [(10, True, "it ends in"), (-1, False, "it has ended"), (200, True, "valid until")]
)
def test_a_certificate_that_ends_is_said_in_time(tls_server, tmp_path, days, worked, says):
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    address = tls_server(authority, NOW + timedelta(days=days))
    tried = trial.certificate(address, SimpleNamespace(ca_file=str(tmp_path / "ca.pem"), certificate_file=None), NOW)
    assert tried.worked is worked and says.lower() in tried.says.lower()


def test_a_certificate_of_another_name_is_said_with_the_name_to_check(tls_server, tmp_path):
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    address = tls_server(authority, name="other.example")
    tried = trial.certificate(address, SimpleNamespace(ca_file=str(tmp_path / "ca.pem"), certificate_file=None), NOW)
    assert tried.worked is False and "base_url has the name" in tried.says


def test_the_sign_in_is_tried_by_itself():
    def refused():
        raise NeedsPerson("sign-in-client", "hospital refuses our sign-in")

    assert trial.signing_in(refused, lambda: "").says.startswith("hospital refuses our sign-in. Normal for up to")
    granted = trial.signing_in(lambda: {"Authorization": "Bearer x"}, lambda: "system/Patient.read system/Task.cruds")
    assert granted.worked and "it opens Patient, Task" in granted.says
