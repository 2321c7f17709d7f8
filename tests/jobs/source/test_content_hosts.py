"""Documents on another host: only on a listed one, without anything of ours, and never inside a house by a detour."""

import ipaddress
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from integration.fhir.looking import may_be_asked
from integration.fhir.servers import Servers
from integration.settings.auth import Basic
from integration.settings.config import load_config
from mappings.model.errors import ConfigError
from tests.servers.unkind_source import document, observation

pytestmark = pytest.mark.postgres
PLACE = "DocumentReference/d1#DocumentReference.content[0].attachment"


class Files:
    """Another host with one letter; ``moved`` sends to another address. It remembers what it was asked."""

    def __init__(self):
        self.asked: list[tuple[str, dict]] = []
        self.moved = ""
        files = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                files.asked.append((self.path, dict(self.headers)))
                self.send_response(302 if files.moved and self.path != "/secret" else 200)
                if files.moved:
                    self.send_header("Location", files.moved)
                self.send_header("Content-Type", "application/pdf")
                self.send_header("Content-Length", "6")
                self.end_headers()
                self.wfile.write(b"%PDF-1")

            def log_message(self, *arguments):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        self.port = self.server.server_port


@pytest.fixture
def files():
    there = Files()
    yield there
    there.server.shutdown()
    there.server.server_close()


def gathered(gathering, url: str, monkeypatch, **settings) -> str:
    """One letter at ``url``, gathered with these settings of Alice, who is signed in at with a password."""
    monkeypatch.setenv("PASSWORD", "s3cret")
    exchange = gathering.exchange
    settings["auth"] = Basic(type="basic", user="exchange", password_env="PASSWORD")
    alice = exchange.config.endpoints["alice"].model_copy(update=settings)
    config = exchange.config.model_copy(update={"endpoints": {**exchange.config.endpoints, "alice": alice}})
    servers = Servers(config, shelf=lambda endpoint, fingerprint: None)
    exchange.config, exchange.world = config, replace(exchange.world, config=config, servers=servers)
    gathering.source.put(document({"contentType": "application/pdf", "url": url}), observation(1))
    return gathering.gather()


HERE = ("127.0.0.0/8",)


def test_a_letter_on_a_listed_host_is_fetched_without_anything_of_ours(gathering, files, monkeypatch):
    host = f"http://127.0.0.1:{files.port}"
    request_id = gathered(
        gathering, f"{host}/f/a.pdf?sig=1%2F2", monkeypatch, content_hosts=(host,), content_networks=HERE
    )
    view = gathering.exchange.view(request_id)
    assert view["records"] == "verified", gathering.message(request_id)
    [(path, headers)] = files.asked
    assert path == "/f/a.pdf?sig=1%2F2" and not {"Authorization", "Cookie", "Proxy-Authorization"} & headers.keys()
    [there] = gathering.at_bob("DocumentReference").values()
    assert there["content"][0]["attachment"]["data"] == "JVBERi0x"
    assert "attachment-elsewhere" not in gathering.findings()


@pytest.mark.parametrize("url", ["http://127.0.0.1:{}/a.pdf", "http://files.example.org@127.0.0.1:{}/a.pdf"])
def test_a_letter_on_any_other_host_is_said_and_nobody_is_asked(gathering, files, monkeypatch, url):
    listed = ("http://127.0.0.1:1", "https://files.example.org")
    request_id = gathered(gathering, url.format(files.port), monkeypatch, content_hosts=listed, content_networks=HERE)
    assert gathering.exchange.view(request_id)["records"] == "verified" and files.asked == []
    assert gathering.findings()["attachment-elsewhere"] == {PLACE}


def test_a_name_that_leads_into_a_private_network_is_refused_unless_that_is_listed(gathering, files, monkeypatch):
    host = f"http://localhost:{files.port}"
    request_id = gathered(gathering, f"{host}/a.pdf", monkeypatch, content_hosts=(host,))
    assert files.asked == [] and "private network" in gathering.message(request_id), gathering.message(request_id)
    assert f"{PLACE}" in gathering.message(request_id)


def test_a_redirect_of_a_content_host_is_not_followed(gathering, files, monkeypatch):
    host = f"http://127.0.0.1:{files.port}"
    files.moved = f"{host}/secret"
    request_id = gathered(gathering, f"{host}/a.pdf", monkeypatch, content_hosts=(host,), content_networks=HERE)
    assert [path for path, _ in files.asked] == ["/a.pdf"]
    assert PLACE in gathering.message(request_id)


@pytest.mark.parametrize(
    ("address", "is_asked"),
    [
        ("93.184.215.14", True), ("2606:2800:21f:cb07:6820:80da:af6b:8b2c", True), ("10.1.2.3", False),
        ("169.254.169.254", False), ("127.0.0.1", False), ("::1", False), ("::ffff:10.1.2.3", False), ("fe80::1%eth0", False),
        ("0.0.0.0", False), ("100.64.0.1", False), ("224.0.0.1", False), ("10.20.3.4", True), ("::ffff:10.20.3.4", True),
    ],
)  # fmt: skip
def test_which_addresses_are_asked(address, is_asked):
    assert may_be_asked(address, [ipaddress.ip_network("10.20.0.0/16")]) is is_asked


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("content_hosts: ['http://files.example.org']", "https://"),
        ("content_hosts: ['https://files.example.org/path']", "no path"),
        ("content_hosts: ['files.example.org']", "http"),
        ("content_networks: ['10.0.0.0/33']", "no network"),
    ],
)
def test_a_mistake_in_the_list_is_a_sentence(tmp_path, line, words):
    path = tmp_path / "config.yaml"
    path.write_text(
        f"endpoints:\n  alice:\n    base_url: https://alice.example.org/fhir\n    role: placer\n    {line}\n"
    )
    with pytest.raises(ConfigError) as wrong:
        load_config(path, {})
    assert words in str(wrong.value)
