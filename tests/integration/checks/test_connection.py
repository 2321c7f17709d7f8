"""The way to an endpoint is tried: a certificate that nobody believes or that ends, and a sign-in that is refused."""

import ssl
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
import trustme

from integration.checks.connection import certificate, own_keys, signing_in
from integration.fhir.transport import Transport
from mappings.model.errors import NeedsPerson
from tests.integration.fhir.endpoints import World, answer, endpoint, world

NOW = datetime.now(UTC)


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
    refused = certificate(address, SimpleNamespace(ca_file=None, certificate_file=None), NOW)
    assert refused.worked is False and "name it in tls.ca_file" in refused.says
    believed = certificate(address, SimpleNamespace(ca_file=str(tmp_path / "ca.pem"), certificate_file=None), NOW)
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
    tried = certificate(address, SimpleNamespace(ca_file=str(tmp_path / "ca.pem"), certificate_file=None), NOW)
    assert tried.worked is worked and says.lower() in tried.says.lower()


def test_a_file_of_ours_that_is_missing_is_said_and_breaks_nothing(tls_server):
    address = tls_server(trustme.CA())
    tried = certificate(address, SimpleNamespace(ca_file="/nowhere/ca.pem", certificate_file=None), NOW)
    assert tried.worked is None and "FileNotFoundError" in tried.says


def test_a_certificate_of_another_name_is_said_with_the_name_to_check(tls_server, tmp_path):
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    address = tls_server(authority, name="other.example")
    tried = certificate(address, SimpleNamespace(ca_file=str(tmp_path / "ca.pem"), certificate_file=None), NOW)
    assert tried.worked is False and "base_url has the name" in tried.says


def test_the_sign_in_is_tried_by_itself():
    def refused():
        raise NeedsPerson("sign-in-client", "hospital refuses our sign-in")

    assert signing_in(refused, lambda: "").says.startswith("hospital refuses our sign-in. Normal for up to")
    granted = signing_in(lambda: {"Authorization": "Bearer x"}, lambda: "system/Patient.read system/Task.cruds")
    assert granted.worked and "it opens Patient, Task" in granted.says


@pytest.mark.parametrize(
    ("status", "body", "worked", "words"),
    [
        (200, b'{"keys": [{"kid": "one"}]}', True, "holds one, which signs now"),
        (200, b'{"keys": [{"kid": "old"}]}', False, "an old copy"),
        (200, b"<html>Sign in</html>", False, "holds 0 key(s)"),
        (302, b"", False, "vendors follow none"),
        (502, b"", False, "invalid_client"),
    ],
    ids=["there", "old", "web-page", "redirect", "502"],
)
def test_our_key_set_is_fetched_as_a_vendor_does(status, body, worked, words):
    with world(lambda handler: answer(handler, status, body, Location="/elsewhere")) as there:
        tried = own_keys(f"{there.base_url}/jwks.json", "one")
        assert tried.worked is worked and words in tried.says
        assert [path for _, path, _ in there.requests] == ["/fhir/jwks.json"], "no redirect is followed"


def test_a_key_set_that_is_not_reached_from_here_says_nothing_of_the_other_side():
    with world(lambda handler: None) as there:
        address = there.base_url
    assert own_keys(f"{address}/jwks.json", "one").worked is None
