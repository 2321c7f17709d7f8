"""Our own client against our own server over real HTTP: two installations, two databases, a key set fetched over TLS.

They share no code (tests/test_architecture.py), so that one cannot hide the other's mistake.
"""

import json
import re
import ssl
import threading
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
import requests as http

from integration import keys
from integration.fhir.client_keys import fetcher
from integration.fhir.exchanges import ignore
from integration.fhir.servers import Servers
from integration.fhir.sign_ins import sign_in_of
from integration.fhir.transport import allow_writes, careful_session
from integration.hosted.scopes import granted, read_scopes
from integration.settings.config import load_config
from integration.store import clients
from integration.store.held_tokens import Shelf
from integration.web import create_app
from integration.web.server import create_servers
from mappings.model.errors import NeedsPerson, TransferError
from tests.integration.web.access.guarded import Guarded
from tests.integration.web.access.test_tokens import free_port
from tests.servers.key_sets import KeySets

pytestmark = pytest.mark.postgres
SCOPES = "system/Patient.crus system/Task.rs"
CONFIG = """\
data_dir: {folder}
endpoints:
  hillside:
    base_url: {base}
    role: placer
    identifier_system: "urn:test:hillside"
    auth: {{type: smart-backend-services, client_id: {client_id}, keys: production}}
"""


@pytest.fixture
def server(tmp_path, database):
    """The installation that hosts Dr Alice's practice, listening."""
    port = free_port()
    made = Guarded(tmp_path, database, f"web: {{sign_in: required, port: {port}}}\n")
    made.keys_site = KeySets(tmp_path)
    made.app = create_app(
        made.config, made.engine, made.payloads, fetch_keys=fetcher(("127.0.0.0/8",), made.keys_site.ca_file)
    )
    listening = create_servers(made.app, host="127.0.0.1", port=port, threads=4)
    threading.Thread(target=listening.run, daemon=True).start()
    made.base = f"http://127.0.0.1:{port}/fhir/alice"
    yield made
    listening.close()
    made.keys_site.close()


class Client:
    """The other installation: its keys, its configuration, its database."""

    def __init__(self, folder, server: Guarded, engine, scopes: str = SCOPES):
        self.server, self.engine, self.folder = server, engine, folder
        keys.make(folder / "keys", "production", "RS384", datetime.now(UTC) - timedelta(days=3))
        self.publish()
        with server.engine.begin() as conn:
            self.id = clients.add(
                conn, "alice", "mercy", scopes=scopes.split(), actor="test", jwks_url=server.keys_site.url
            )
        path = folder / "config.yaml"
        path.write_text(CONFIG.format(folder=folder, base=server.base, client_id=self.id))
        self.config = load_config(path, {})
        self.servers = Servers(self.config, shelf=partial(Shelf, engine))

    def publish(self) -> None:
        self.server.keys_site.body = json.dumps(keys.key_set(self.folder / "keys", "production"))

    @property
    def fhir(self):
        return self.servers.server("hillside").observed(ignore, allow_writes)

    def forget_token(self) -> None:
        with self.engine.begin() as conn:
            conn.exec_driver_sql("DELETE FROM held_tokens")


@pytest.fixture
def client(tmp_path, server, empty_database):
    empty_database.migrate()
    (tmp_path / "client").mkdir()
    made = Client(tmp_path / "client", server, empty_database.engine)
    yield made
    made.servers.close()


def test_our_client_finds_out_where_to_sign_in_and_does_what_its_scopes_say(client, server):
    made = client.fhir.create({"resourceType": "Patient", "name": [{"family": "Synthetic-Test"}]})
    assert len(client.fhir.search_all("Patient")) == 1
    id_ = made.location.partition("/")[2]
    assert client.fhir.read("Patient", id_)["id"] == id_
    with pytest.raises(TransferError) as refused:
        client.fhir.create({"resourceType": "Task", "status": "requested", "intent": "order"})
    assert refused.value.status_code == 403 and "forbidden" in str(refused.value)
    assert server.keys_site.asked == ["/jwks.json"]
    given = server.audited("client.signed-in")
    assert [row.detail["scopes"] for row in given] == [["system/Patient.rs", "system/Task.rs", "system/Patient.cu"]]
    assert {row.actor for row in server.audited("hosted.create")} == {"client mercy"}
    _, scope = client.servers.signing_of("hillside")
    assert scope() == "system/Patient.rs system/Task.rs system/Patient.cu"


def test_a_rotated_key_signs_in_without_a_word_to_the_server(client, server):
    client.fhir.search_all("Patient")
    keys.make(client.folder / "keys", "production", "ES384", datetime.now(UTC) - timedelta(days=2))
    client.publish()
    client.forget_token()
    server.sql("UPDATE clients SET jwks_asked_at = now() - interval '61 seconds'")
    client.fhir.search_all("Patient")
    assert len(server.keys_site.asked) == 2


@pytest.mark.parametrize("minutes", [-10, 10])
def test_our_client_with_a_clock_that_is_off_takes_the_time_of_the_server(client, minutes):
    """The server refuses its first assertion and says its own time (Date), by which the second one is made."""
    sign_in = sign_in_of(
        client.config.endpoints["hillside"],
        session=lambda: careful_session(1),
        shelf=partial(Shelf, client.engine),
        keys_dir=client.folder / "keys",
        now=lambda: datetime.now(UTC) + timedelta(minutes=minutes),
    )
    assert sign_in.headers()["Authorization"].startswith("Bearer so-client_")


def test_a_revoked_client_is_told_what_a_person_has_to_do(client, server):
    client.fhir.search_all("Patient")
    with server.engine.begin() as conn:
        clients.revoke(conn, "alice", "mercy", actor="test")
    with client.engine.begin() as conn:  # one refused in its first seconds is not asked for again
        conn.exec_driver_sql("UPDATE held_tokens SET given_at = now() - interval '1 minute'")
    with pytest.raises(NeedsPerson) as told:
        client.fhir.search_all("Patient")
    assert told.value.cause == "sign-in-client"


def test_inferno_well_known_endpoint(server):
    """well_known_endpoint: 200, valid JSON, Content-Type application/json, whatever is accepted."""
    for accept in ("application/json", "application/fhir+json", "text/html", None):
        answer = http.get(f"{server.base}/.well-known/smart-configuration", headers={"Accept": accept}, timeout=10)
        assert answer.status_code == 200 and answer.headers["Content-Type"].startswith("application/json")
        assert answer.json()["token_endpoint"] == f"{server.base}/token"
    assert (
        http.get(server.base.replace("alice", "nobody") + "/.well-known/smart-configuration", timeout=10).status_code
        == 404
    )


def test_inferno_well_known_capabilities(server):
    """well_known_capabilities_stu2: token_endpoint, capabilities, grant_types_supported, code_challenge_methods_supported with S256
    and without plain, and no issuer without sso-openid-connect.

    It asks for authorization_endpoint and authorization_code too, which are of App Launch: nobody is launched here, and a server
    that says so would be asked for what it has not. STU 2.2 requires them of launch capabilities only.
    """
    said = http.get(f"{server.base}/.well-known/smart-configuration", timeout=10).json()
    assert said["grant_types_supported"] == ["client_credentials"] and "authorization_endpoint" not in said
    assert said["code_challenge_methods_supported"] == ["S256"] and "issuer" not in said
    assert said["token_endpoint_auth_methods_supported"] == ["private_key_jwt"]
    assert said["token_endpoint_auth_signing_alg_values_supported"] == ["RS384", "ES384"]
    assert {"client-confidential-asymmetric", "permission-v1", "permission-v2"} == set(said["capabilities"])
    assert not [name for name in said["capabilities"] if name.startswith(("launch", "sso", "context"))]


def test_inferno_token_tls_version():
    """smart_backend_services_token_tls_version: TLS 1.2 or newer at the token address.

    TLS is the proxy's: ours is told so. Caddy takes nothing older unless it is told to. What we ask others is Python's TLS, 1.2 or newer.
    """
    deploy = Path(__file__).parents[4] / "deploy"
    assert re.findall(r"ssl_protocols +([^;]+);", (deploy / "nginx.conf").read_text()) == ["TLSv1.2 TLSv1.3"]
    assert "protocols" not in (deploy / "Caddyfile").read_text()
    assert ssl.create_default_context().minimum_version >= ssl.TLSVersion.TLSv1_2


def test_inferno_cors(server):
    """smart_cors_well_known_endpoint, smart_cors_metadata_request: for programs that run in a browser, which cannot hold a key.

    None may read anything here from the page of another site: no answer allows it.
    """
    for path in ("/.well-known/smart-configuration", "/metadata"):
        answer = http.get(server.base + path, headers={"Origin": "https://app.example"}, timeout=10)
        assert not [name for name in answer.headers if name.lower().startswith("access-control")]


def test_every_scope_that_is_published_can_be_had(server):
    published = http.get(f"{server.base}/.well-known/smart-configuration", timeout=10).json()["scopes_supported"]
    everything = read_scopes("system/*.cruds")
    assert all(str(granted(read_scopes(scope), everything)[0]) == scope for scope in published)


def test_the_capability_statement_says_how_to_sign_in(client):
    [rest] = client.fhir.metadata()["rest"]
    [coding] = rest["security"]["service"][0]["coding"]
    assert coding["code"] == "SMART-on-FHIR"
