"""Machines and practices: tokens for the API, the numbers and hosted endpoints; and our own workers, who need none."""

import json
import re
import socket
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
import requests as http
from click.testing import CliRunner

import second_opinion
from integration.fhir.exchanges import ignore
from integration.fhir.servers import Servers
from integration.fhir.transport import allow_writes
from integration.store.roles import Role
from integration.store.tokens import credentials
from integration.web.forms import TOKEN_HEADER
from integration.web.server import create_servers
from mappings.model.errors import TransferError
from second_opinion.running import proxy_options
from tests.integration.web.access.guarded import ADMIN, PASSWORD, Guarded, hidden
from tests.integration.web.site import a_request

pytestmark = pytest.mark.postgres
PATIENT = {"resourceType": "Patient", "name": [{"family": "Synthetic-Test"}]}


def test_a_token_is_shown_once_listed_by_its_beginning_and_revoked(guarded, tmp_path, database):
    def run(*words: str, code: int = 0):
        result = CliRunner(env={"SECOND_OPINION_DATABASE_URL": database.url}).invoke(
            second_opinion.cli, ["--config", str(tmp_path / "config.yaml"), *words]
        )
        assert result.exit_code == code, result.output
        return result.stdout if code == 0 else result.output

    token = run("tokens", "add", "lab-feed", "--role", "clinical-data", "--days", "7").strip()
    headers = {"Authorization": f"Bearer {token}"}
    assert re.fullmatch(r"so_[\w-]{43}", token) and token not in str(guarded.sql("SELECT * FROM tokens").all())
    assert guarded.client.get("/api/requests", headers=headers).status_code == 200
    [view] = json.loads(run("tokens", "list", "--json"))
    assert (view["name"], view["prefix"], view["valid"], view["roles"]) == (
        "lab-feed",
        token[:11],
        True,
        ["clinical-data"],
    ) and token not in str(view)
    assert view["used_at"] is not None
    assert "there is a token lab-feed already" in run("tokens", "add", "lab-feed", "--role", "viewer", code=1)
    assert "may do nothing" in run("tokens", "add", "empty", code=1)
    assert "there is no hosted practice carol; configured: alice, bob" in run(
        "tokens", "add", "x", "--practice", "carol", code=2
    )
    run("tokens", "revoke", "lab-feed", "--reason", "lost")
    assert guarded.client.get("/api/requests", headers=headers).status_code == 401
    assert "revoked" in run("tokens", "list") and "there is no token" in run("tokens", "revoke", "lab-feed", code=1)
    run("tokens", "add", "lab-feed", "--practice", "alice", "--json")
    assert [row.reason for row in guarded.audited("token.revoked")] == ["lost"] and len(
        guarded.audited("token.made")
    ) == 2


def test_a_token_ends_by_itself(guarded):
    headers = guarded.token("prometheus", Role.VIEWER)
    assert guarded.client.get("/metrics", headers=headers).status_code == 200
    guarded.sql("UPDATE tokens SET expires_at = now() - interval '1 second'")
    assert guarded.client.get("/metrics", headers=headers).status_code == 401


@pytest.mark.parametrize(
    "header",
    [
        "Bearer",
        "Bearer ",
        "Bearer so_x",
        "Bearer " + "x" * 10_000,
        "Basic YTpi",
        "bearer\tso_",
        "Bearer so_\u00e9",
        "Token so_x",
    ],
)
def test_what_is_no_token_of_ours_is_none(guarded, header):
    for address in ("/metrics", "/api/requests", "/fhir/alice/Patient"):
        answer = guarded.client.get(address, headers={"Authorization": header})
        assert answer.status_code == 401 and answer.headers["WWW-Authenticate"].startswith("Bearer"), address


def test_a_machine_takes_in_a_request_and_the_trail_names_its_token(guarded):
    body, headers = a_request().model_dump_json(exclude_defaults=True), guarded.token("lab-feed", Role.CLINICAL_DATA)
    assert (
        guarded.client.post("/api/requests", data=body, content_type="application/json", headers=headers).status_code
        == 201
    )
    assert [row.actor for row in guarded.audited("request.taken-in")] == ["token lab-feed"]


def test_a_session_of_the_pages_writes_to_the_api_only_with_the_token_of_a_form(guarded):
    client, body = guarded.as_(Role.CLINICAL_DATA), a_request().model_dump_json(exclude_defaults=True)
    assert client.get("/api/requests").status_code == 200
    refused = client.post("/api/requests", data=body, content_type="application/json")
    assert refused.status_code == 403 and refused.is_json and TOKEN_HEADER in refused.text
    token = hidden(client.get("/new").text)["token"]
    assert (
        client.post(
            "/api/requests", data=body, content_type="application/json", headers={TOKEN_HEADER: token}
        ).status_code
        == 201
    )
    assert [row.actor for row in guarded.audited("request.taken-in")] == ["olga"]


def test_a_bad_token_is_not_saved_by_a_session_and_the_numbers_of_machines_need_a_role(guarded):
    client = guarded.as_()
    assert client.get("/metrics").status_code == 200
    assert client.get("/metrics", headers={"Authorization": "Bearer so_x"}).status_code == 401
    practice_only = guarded.token("alice-emr", practice="alice")
    assert guarded.app.test_client().get("/metrics", headers=practice_only).status_code == 403
    assert (
        guarded.app.test_client().get("/health/live").status_code
        == guarded.app.test_client().get("/health/ready").status_code
        == 200
    )


def test_a_hosted_endpoint_answers_only_to_a_token_of_its_practice(guarded):
    client, alice = guarded.app.test_client(), guarded.token("alice-emr", practice="alice")
    everything = guarded.token("all-roles", *Role)
    for method, address in (
        ("GET", "/metadata"),
        ("GET", "/Patient"),
        ("GET", "/Patient/1"),
        ("POST", "/Patient"),
        ("POST", ""),
        ("PUT", "/Patient/1"),
        ("DELETE", "/Patient/1"),
    ):
        for practice in ("alice", "bob", "nobody"):
            answer = client.open(f"/fhir/{practice}{address}", method=method, json=PATIENT)
            assert answer.status_code == 401 and answer.json["resourceType"] == "OperationOutcome", (method, address)
            assert answer.json["issue"][0]["code"] == "login" and answer.headers["WWW-Authenticate"].startswith(
                "Bearer realm="
            )
        assert client.open(f"/fhir/bob{address}", method=method, json=PATIENT, headers=alice).status_code == 403
        assert client.open(f"/fhir/alice{address}", method=method, json=PATIENT, headers=everything).status_code == 403
    assert client.post("/fhir/alice/Patient", json=PATIENT, headers=alice).status_code == 201
    assert client.get("/fhir/alice/Patient", headers=alice).json["total"] == 1
    assert guarded.as_(*Role).get("/fhir/alice/Patient").status_code == 401, (
        "a session of the pages is none of a practice"
    )
    assert client.get("/api/requests", headers=alice).status_code == 403


def test_without_sign_in_a_page_of_another_site_still_writes_nothing_to_a_hosted_endpoint(site):
    foreign = site.client.post("/fhir/alice/Patient", json=PATIENT, headers={"Origin": "https://evil.example"})
    assert foreign.status_code == 403 and foreign.json["issue"][0]["code"] == "forbidden"
    assert site.client.post("/fhir/alice/Patient", json=PATIENT).status_code == 201


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


@pytest.fixture
def listening(tmp_path, database):
    """The guarded pages at a real address that config.yaml names."""
    port = free_port()
    made = Guarded(tmp_path, database, f"web: {{sign_in: required, port: {port}}}\n")
    server = create_servers(made.app, host="127.0.0.1", port=port, threads=4)
    threading.Thread(target=server.run, daemon=True).start()
    yield made
    server.close()


def test_our_own_workers_reach_hosted_endpoints_and_show_their_credential_nowhere_else(listening):
    got = []

    class Mercy(BaseHTTPRequestHandler):
        def do_GET(self):
            got.append(dict(self.headers))
            self.send_response(200)
            self.send_header("Content-Type", "application/fhir+json")
            self.end_headers()
            self.wfile.write(b'{"resourceType": "CapabilityStatement"}')

        def log_message(self, *arguments):
            """Quiet."""

    mercy = HTTPServer(("127.0.0.1", 0), Mercy)
    threading.Thread(target=mercy.serve_forever, daemon=True).start()
    elsewhere = listening.config.endpoints["mercy"].model_copy(
        update={"base_url": f"http://127.0.0.1:{mercy.server_port}/fhir"}
    )
    config = listening.config.model_copy(update={"endpoints": {**listening.config.endpoints, "mercy": elsewhere}})
    servers = Servers(config, credentials(listening.engine))
    servers.server("alice").observed(ignore, allow_writes).create(PATIENT)
    assert len(servers.server("alice").search_all("Patient")) == 1
    servers.server("mercy").metadata()
    assert len(got) == 1 and "Authorization" not in got[0]
    with pytest.raises(TransferError) as refused:
        Servers(config).server("alice").metadata()
    assert refused.value.status_code == 401
    crossed = Servers(config, lambda practice: credentials(listening.engine)("bob"))
    with pytest.raises(TransferError) as refused:
        crossed.server("alice").metadata()
    assert refused.value.status_code == 401, "the credential of one practice is none at another"
    mercy.shutdown()
    servers.close()


def test_another_process_knows_the_session_and_links_say_the_address_people_use(tmp_path, database):
    """A real ``second-opinion web`` beside the pages of this process, on one database, as behind a TLS proxy."""
    port = free_port()
    site = Guarded(
        tmp_path, database, f'web: {{sign_in: required, port: {port}, public_url: "https://exchange.example.org"}}\n'
    )
    process = subprocess.Popen(
        [sys.executable, "-m", "second_opinion", "--config", str(tmp_path / "config.yaml"), "web"],
        env={"SECOND_OPINION_DATABASE_URL": database.url, "PATH": "/usr/bin:/bin"}, stderr=subprocess.PIPE,
    )  # fmt: skip
    base, public = f"http://127.0.0.1:{port}", {"Host": "exchange.example.org"}
    try:
        wait_for(f"{base}/health/live", process)
        here = site.app.test_client()
        origin = {"base_url": "https://exchange.example.org"}
        page = here.get("/sign-in", **origin)
        here.post("/sign-in", data={**hidden(page.text), "sign-in-name": ADMIN, "sign-in-password": PASSWORD}, **origin)
        cookie = here.get_cookie("__Host-second_opinion_session", domain="exchange.example.org").value
        cookies = {"__Host-second_opinion_session": cookie}
        assert http.get(f"{base}/", headers=public, cookies=cookies, timeout=10).status_code == 200
        assert http.get(f"{base}/", headers=public, timeout=10, allow_redirects=False).status_code == 303
        alice = site.token("alice-emr", practice="alice")
        made = http.post(f"{base}/fhir/alice/Patient", json=PATIENT, headers={**alice, **public}, timeout=10)
        assert made.headers["Location"].startswith("https://exchange.example.org/fhir/alice/Patient/")
        made = http.post(f"{base}/fhir/alice/Patient", json=PATIENT, headers=alice, timeout=10)
        assert made.headers["Location"].startswith(f"{base}/fhir/alice/Patient/"), "from inside, as our workers come"
        typing = http.Session()
        typing.headers.update({**public, "X-Forwarded-For": "203.0.113.9"})
        page = typing.get(f"{base}/sign-in", timeout=10)
        browser = {
            "Cookie": page.headers["Set-Cookie"].partition(";")[0]
        }  # Secure, so it is not sent to http by itself
        typed = {**hidden(page.text), "sign-in-name": ADMIN, "sign-in-password": "wrong wrong wrong"}
        assert typing.post(f"{base}/sign-in", data=typed, headers=browser, timeout=10).status_code == 401
        assert site.audited("account.sign-in-failed")[-1].detail == {"address": "203.0.113.9"}
    finally:
        process.terminate()
        process.wait(20)


def wait_for(address: str, process: subprocess.Popen) -> None:
    for _ in range(300):
        assert process.poll() is None, process.stderr.read().decode()
        try:
            return http.get(address, timeout=5).raise_for_status()
        except http.ConnectionError:
            time.sleep(0.1)
    raise AssertionError("it does not answer")


def test_behind_a_proxy_the_address_is_what_that_proxy_says():
    from integration.settings.config import Web

    assert proxy_options(Web()) == {}
    behind = proxy_options(Web(sign_in="required", public_url="https://exchange.example.org", trusted_proxy="10.0.0.5"))
    assert behind == {"trusted_proxy": "10.0.0.5", "trusted_proxy_headers": {"x-forwarded-for"}}
