"""A key set is fetched over TLS from where it may be asked for, whole and in time; all else is a sentence without an address."""

import gzip
import threading

import pytest

from integration.client_assertions import KeySetAway
from integration.fhir.client_keys import fetch_key_set
from tests.integration.web.access.smart_client import key_set, public_jwk
from tests.servers.key_sets import KeySets

LOOPBACK = ("127.0.0.0/8", "::1/128")


@pytest.fixture
def site(tmp_path):
    made = KeySets(tmp_path, key_set(public_jwk("ES384", "k1")))
    yield made
    made.close()


def fetch(site: KeySets, **how):
    return fetch_key_set(site.url, **{"networks": LOOPBACK, "ca_file": site.ca_file, **how})


def refused(site: KeySets, **how) -> str:
    with pytest.raises(KeySetAway) as away:
        fetch(site, **how)
    assert "localhost" not in str(away.value) and "127.0.0.1" not in str(away.value)
    return str(away.value)


@pytest.mark.parametrize(
    ("cache_control", "seconds"),
    [
        ("max-age=300", 300),
        ("public, max-age=600, must-revalidate", 600),
        ("max-age=1", 60),
        ("no-store", 60),
        ("no-cache, max-age=600", 60),
        ("max-age=99999999", 86_400),
        ("s-max-age=7", 3_600),
        ("max-age=soon", 3_600),
        (None, 3_600),
    ],
)
def test_it_counts_as_long_as_it_says_within_bounds(site, cache_control, seconds):
    site.answer = lambda: (200, {"Cache-Control": cache_control} if cache_control else {}, site.body)
    assert fetch(site).seconds == seconds


def test_an_address_inside_a_private_network_is_not_asked(site):
    assert "inside a private network" in refused(site, networks=())
    assert "inside a private network" in refused(site, networks=("10.0.0.0/8",))
    assert site.asked == []


def test_a_certificate_that_nobody_vouches_for_is_refused(site, tmp_path):
    assert "certificate" in refused(site, ca_file=None)
    other = KeySets(tmp_path, site.body, name="elsewhere.example")
    assert "certificate" in refused(other, ca_file=other.ca_file)
    assert site.asked == other.asked == []
    other.close()


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ((302, {"Location": "https://localhost/elsewhere"}, ""), "a redirect is not followed"),
        ((404, {}, "not here"), "answers 404"),
        ((500, {}, ""), "answers 500"),
        ((200, {}, ""), "no JWK Set"),
        ((200, {}, "<html>Canary</html>"), "no JWK Set"),
        ((200, {}, '{"keys": []}'), "no JWK Set"),
        ((200, {}, "[" * 50_000), "no JWK Set"),
        ((200, {}, '{"keys": [' + " " * 70_000 + "]}"), "longer than 65536 bytes"),
        ((200, {"Content-Length": "5000"}, "short"), "cannot be reached"),
    ],
    ids="redirect missing error empty html no-key nested long cut".split(),
)
def test_what_is_no_key_set_is_said(site, answer, said):
    site.answer = lambda: answer
    found = refused(site)
    assert said in found and "Canary" not in found


def test_what_swells_when_it_is_unpacked_is_bounded(site, monkeypatch):
    bomb = gzip.compress(b" " * 50_000_000)

    class Bytes(str):
        def encode(self, *arguments):
            return bomb

    site.answer = lambda: (200, {"Content-Encoding": "gzip", "Content-Length": str(len(bomb))}, Bytes())
    assert "longer than" in refused(site)


@pytest.mark.parametrize("what", ["headers", "handshake"])
def test_a_site_that_drips_is_given_up(site, what):
    """A byte every 50 ms: no timeout between two bytes ends it."""
    site.drip, site.drip_handshake = 0.05, what == "handshake"
    said: list[str] = []
    asking = threading.Thread(target=lambda: said.append(refused(site, seconds=1.0)), daemon=True)
    asking.start()
    asking.join(10)
    assert "has not answered within 1 seconds" in said[0]


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost/jwks.json",
        "https://user:password@localhost/jwks.json",
        "https:///jwks.json",
        "https://localhost:99999/jwks.json",
        "https://localhost/jwks.json#k1",
        "https://localhost/jwks json",
        "https://localhost/\r\nX: y",
        "file:///etc/passwd",
        "ftp://localhost/",
        "",
    ],
)
def test_an_address_of_another_kind_is_never_asked(url):
    with pytest.raises(KeySetAway, match="https://host/path"):
        fetch_key_set(url, networks=LOOPBACK)
