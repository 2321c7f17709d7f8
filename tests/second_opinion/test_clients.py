"""`second-opinion clients`: registered with public keys only, listed, revoked; every mistake is a sentence and changes nothing."""

import json

import pytest
from click.testing import CliRunner

import second_opinion
from tests.integration.web.access.guarded import Guarded
from tests.integration.web.access.smart_client import key_set, private_key, public_jwk
from tests.servers.key_sets import KeySets

pytestmark = pytest.mark.postgres


@pytest.fixture
def guarded(tmp_path, database) -> Guarded:
    return Guarded(tmp_path, database)


@pytest.fixture
def run(guarded, tmp_path, database):
    def _run(*words: str, code: int = 0) -> str:
        environ = {"SECOND_OPINION_DATABASE_URL": database.url}
        result = CliRunner(env=environ).invoke(
            second_opinion.cli, ["--config", str(tmp_path / "config.yaml"), "clients", *words]
        )
        assert result.exit_code == code, result.output
        return result.output

    return _run


@pytest.fixture
def keys(tmp_path):
    """Writes a key set and tells its path."""

    def write(text: str) -> str:
        (tmp_path / "jwks.json").write_text(text)
        return str(tmp_path / "jwks.json")

    return write


def test_a_client_is_registered_listed_and_revoked(run, keys, guarded):
    file = keys(key_set(public_jwk("RS384", "k1"), public_jwk("ES384", "k2")))
    assert run("list") == "no clients yet\n"
    scopes = "system/ServiceRequest.rs system/Task.cru"
    made = json.loads(run("add", "alice", "mercy-ehr", "--jwks", file, "--scopes", scopes, "--json"))
    assert made["token_endpoint"] == "http://127.0.0.1:8080/fhir/alice/token" and made["scopes"] == scopes.split()
    [listed] = json.loads(run("list", "--json"))
    assert (listed["id"], listed["name"], listed["practice"]) == (made["client_id"], "mercy-ehr", "alice")
    assert listed["revoked_at"] is None and listed["jwks_url"] is None and "jwks" not in listed
    assert made["client_id"] in run("list") and "keys by value" in run("list")
    assert "already" in run("add", "alice", "mercy-ehr", "--jwks", file, "--scopes", scopes, code=1)
    run("revoke", "alice", "mercy-ehr", "--reason", "moved")
    assert "revoked" in run("list") and "there is no client" in run("revoke", "alice", "mercy-ehr", code=1)
    [row] = guarded.audited("client.made")
    assert row.subject == "alice mercy-ehr" and row.detail["client"] == made["client_id"]
    assert [row.reason for row in guarded.audited("client.revoked")] == ["moved"]


def test_the_values_of_a_scope_stand_in_no_audit_row(run, keys, guarded):
    file = keys(key_set(public_jwk("ES384", "k1")))
    run("add", "alice", "lab", "--jwks", file, "--scopes", "system/Observation.rs?patient=Patient/Canary")
    assert "Canary" not in str(guarded.sql("SELECT * FROM audit").all())


def with_its_private_half() -> str:
    from jwt.algorithms import RSAAlgorithm

    return key_set({**json.loads(RSAAlgorithm.to_jwk(private_key("RS384"))), "kid": "k1"})


def a_short_key() -> str:
    from cryptography.hazmat.primitives.asymmetric import rsa
    from jwt.algorithms import RSAAlgorithm

    short = rsa.generate_private_key(65537, 1024).public_key()
    return key_set({**json.loads(RSAAlgorithm.to_jwk(short)), "kid": "k1"})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (lambda: "", "not JSON of the form"),
        (lambda: "{}", "not JSON of the form"),
        (lambda: "-----BEGIN PUBLIC KEY-----", "not JSON of the form"),
        (lambda: key_set(), "at least one key"),
        (with_its_private_half, "private or secret key"),
        (lambda: key_set({"kty": "oct", "k": "c2VjcmV0", "kid": "k1"}), "private or secret key"),
        (a_short_key, "no key that can be used"),
        (
            lambda: key_set({key: value for key, value in public_jwk("RS384", "k1").items() if key != "kid"}),
            "no key that",
        ),
        (lambda: key_set(public_jwk("RS384", "k1") | {"n": "!"}), "no key that can be used"),
        (lambda: key_set(public_jwk("RS384", "k1", use="enc")), "no key that can be used"),
        (lambda: key_set(public_jwk("RS384", "k1"), public_jwk("RS384", "k1", 1)), "same kid"),
    ],
    ids="empty no-keys pem none private secret short no-kid broken encryption twice".split(),
)
def test_a_key_set_that_nobody_could_sign_in_with_is_refused(run, keys, guarded, text, said):
    assert said in run("add", "alice", "lab", "--jwks", keys(text()), "--scopes", "system/*.rs", code=1)
    assert guarded.sql("SELECT count(*) FROM clients").scalar() == 0


@pytest.mark.parametrize(
    ("words", "said", "code"),
    [
        (("carol", "lab", "--scopes", "system/*.rs"), "there is no hosted practice carol; configured: alice, bob", 2),
        (("alice", "Lab 1", "--scopes", "system/*.rs"), "small letters", 1),
        (("alice", "lab", "--scopes", "patient/*.rs"), "no scope of a machine", 1),
        (("alice", "lab", "--scopes", "system/Observation.rs?category=x"), "'category' is not evaluated here", 1),
    ],
)
def test_every_mistake_is_a_sentence(run, keys, guarded, words, said, code):
    file = keys(key_set(public_jwk("ES384", "k1")))
    assert said in run("add", *words, "--jwks", file, code=code)
    assert guarded.sql("SELECT count(*) FROM clients").scalar() == 0


@pytest.fixture
def site(tmp_path):
    made = KeySets(tmp_path, key_set(public_jwk("ES384", "k1")))
    yield made
    made.close()


def test_a_client_is_registered_by_the_address_of_its_keys(run, site, guarded, tmp_path):
    words = ("add", "alice", "mercy-ehr", "--scopes", "system/*.rs", "--jwks-url", site.url)
    assert "inside a private network" in run(*words, code=1)
    config = tmp_path / "config.yaml"
    config.write_text(
        config.read_text().replace("web: {", 'web: {client_keys: {networks: ["127.0.0.0/8"], ca_file: keys-ca.pem}, ')
    )
    assert json.loads(run(*words, "--json"))["jwks_url"] == site.url
    [row] = guarded.sql("SELECT jwks, jwks_until > now() AS counts, jwks_asked_at FROM clients").all()
    assert row.jwks == site.body and row.counts and row.jwks_asked_at is None
    assert site.url in run("list")
    site.body = key_set(public_jwk("ES384", "k1", use="enc"))
    assert "no key that can be used" in run(*[word.replace("mercy", "other") for word in words], code=1)


def test_keys_come_from_one_place(run, keys, site):
    words = ("add", "alice", "lab", "--scopes", "system/*.rs")
    assert "give --jwks-url, or --jwks" in run(*words, code=2)
    assert "give --jwks-url" in run(*words, "--jwks", keys("{}"), "--jwks-url", site.url, code=2)
    assert "https://host/path" in run(*words, "--jwks-url", "http://localhost/jwks.json", code=1)
