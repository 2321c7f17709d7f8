"""Signing in at a server as strict as vendors are: claims, renewal by one for all, revocation, clocks, and every refusal as a sentence."""

import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial
from types import SimpleNamespace

import pytest

from integration import keys
from integration.fhir.servers import Servers
from integration.fhir.sign_ins import sign_in_of
from integration.fhir.transport import Transport, careful_session
from integration.settings.auth import Basic, BearerToken, ClientSecret, SmartBackendServices
from integration.store.held_tokens import Shelf
from mappings.model.causes import CAUSES
from mappings.model.errors import NeedsPerson, PermanentError, TemporaryError
from mappings.model.profiles import PROFILES
from tests.integration.fhir.endpoints import endpoint as plain_endpoint
from tests.servers.guarded_fhir import GuardedFhir

pytestmark = pytest.mark.postgres
NOW = datetime.now(UTC)


@pytest.fixture
def folder(tmp_path):
    keys.make(tmp_path / "keys", "production", "RS384", NOW - timedelta(days=3))
    return tmp_path / "keys"


@pytest.fixture
def hospital(folder):
    with GuardedFhir(lambda: keys.key_set(folder, "production")) as started:
        yield started


SMART = SmartBackendServices(type="smart-backend-services", client_id="exchange", keys="production")


class World:
    """One worker's way to the hospital; several share the database."""

    def __init__(self, database, folder, hospital, auth=SMART, profile="generic"):
        endpoint = plain_endpoint(hospital.fhir)
        endpoint.of_profile = PROFILES[profile]
        endpoint.auth = auth
        self.endpoint, self.engine = endpoint, database.engine
        sign_in = sign_in_of(
            endpoint,
            session=lambda: careful_session(1),
            shelf=partial(Shelf, database.engine),
            keys_dir=folder,
            environ={"SECRET": "s3cret&=", "OLD": "wrong"},
        )
        self.transport = Transport(endpoint, sign_in=sign_in)

    def read(self) -> dict:
        return self.transport.request("GET", "Patient/1").json()


@pytest.fixture
def worker(database, folder, hospital):
    return partial(World, database, folder, hospital)


@pytest.mark.parametrize("algorithm", keys.ALGORITHMS)
def test_it_signs_in_with_the_exact_claims_and_uses_the_token_for_all_that_follows(worker, hospital, folder, algorithm):
    if algorithm == "ES384":
        keys.make(folder, "production", "ES384", NOW - timedelta(days=2))
    one = worker()
    assert [one.read()["id"] for _ in range(5)] == ["1"] * 5
    assert hospital.given == ["token-0"] and {shown for *_, shown in hospital.requests} == {"Bearer token-0"}
    assert hospital.asked[0]["scope"] == "system/*.read system/*.write"


def test_eight_workers_at_once_ask_for_one_token(worker, hospital):
    hospital.slow = 0.5
    workers = [worker() for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda one: one.read()["id"], workers)) == ["1"] * 8
    assert len(hospital.asked) == 1


def test_a_token_is_renewed_at_four_fifths_of_its_life_while_the_old_one_still_goes(worker, hospital, database):
    one = worker()
    one.read()
    with database.engine.begin() as conn:
        conn.exec_driver_sql("UPDATE held_tokens SET renew_at = now() - interval '1 second'")
    hospital.slow = 1.0
    renewing = threading.Thread(target=one.read)
    renewing.start()
    while not is_renewing(database):
        time.sleep(0.01)
    other = worker()
    other.read()
    assert hospital.requests[-1][2] == "Bearer token-0", "nobody waits while the old token is good"
    renewing.join()
    other.read()
    assert hospital.requests[-1][2] == "Bearer token-1" and len(hospital.asked) == 2


def is_renewing(database) -> bool:
    with database.engine.begin() as conn:
        return conn.exec_driver_sql("SELECT renewing_until IS NOT NULL FROM held_tokens").scalar_one()


def test_a_renewer_that_died_is_followed_by_another(worker, hospital, database):
    one = worker()
    shelf = one.transport._sign_in._shelf
    assert shelf._claim() and not shelf._claim()
    with database.engine.begin() as conn:
        conn.exec_driver_sql("UPDATE held_tokens SET renewing_until = now() - interval '1 second'")
    assert one.read()["id"] == "1"


def test_a_revoked_token_is_renewed_once_and_a_write_goes_through_once(worker, hospital, database):
    one = worker()
    one.read()
    hospital.revoke()
    with database.engine.begin() as conn:
        conn.exec_driver_sql("UPDATE held_tokens SET given_at = now() - interval '1 minute'")
    one.transport.request("POST", "Patient", body=b"{}", write=True)
    assert [shown for method, _, shown in hospital.requests if method == "POST"] == ["Bearer token-0", "Bearer token-1"]


def test_a_token_that_is_refused_at_once_is_not_asked_for_without_end(worker, hospital):
    one = worker()
    hospital.good = _Nothing()
    for _ in range(3):
        with pytest.raises(PermanentError) as caught:
            one.read()
        assert caught.value.status_code == 401
    assert len(hospital.asked) <= 3 and len(hospital.requests) <= 3


class _Nothing(set):
    def add(self, _value) -> None:
        pass


def test_an_unfinished_life_is_survived(worker, hospital):
    hospital.refuse = [(200, {}, {"access_token": "abc", "token_type": "bearer"})]
    hospital.good.add("abc")
    assert worker().read()["id"] == "1"


@pytest.mark.parametrize("minutes", [10, -10])
def test_a_server_whose_clock_differs_by_ten_minutes_is_signed_in_at_by_its_own_clock(worker, hospital, minutes):
    hospital.clock_ahead = minutes * 60
    assert worker().read()["id"] == "1"
    assert len(hospital.asked) == 2


def test_no_scope_is_sent_where_none_is_configured(worker, hospital):
    hospital.no_scope = True
    with pytest.raises(NeedsPerson) as caught:
        worker().read()
    assert caught.value.cause == "sign-in-scope" and "for Epic leave it empty" in CAUSES["sign-in-scope"].to_do
    auth = SmartBackendServices(type="smart-backend-services", client_id="exchange", keys="production", scopes=())
    assert worker(auth).read()["id"] == "1" and "scope" not in hospital.asked[-1]


@pytest.mark.parametrize("sent_as", ["basic", "post"])
def test_a_client_secret_goes_in_the_header_or_the_form(worker, hospital, sent_as):
    auth = ClientSecret(type="client-secret", client_id="exchange", secret_env="SECRET", sent_as=sent_as)
    assert worker(auth).read()["id"] == "1"
    assert ("client_secret" in hospital.asked[0]) is (sent_as == "post")


def test_a_token_and_a_password_that_do_not_change_go_as_they_are(worker, hospital, tmp_path):
    (tmp_path / "token").write_text("abc\n")
    hospital.good |= {"abc", "Basic ZXg6czNjcmV0Jj0="}
    assert worker(BearerToken(type="bearer", token_file=str(tmp_path / "token"))).read()["id"] == "1"
    assert worker(Basic(type="basic", user="ex", password_env="SECRET")).read()["id"] == "1"
    assert hospital.asked == []


REFUSALS = [
    (401, {"error": "invalid_client"}, "sign-in-client", "Normal for up to an hour"),
    (400, {"error": "unauthorized_client"}, "sign-in-not-allowed", "background user"),
    (400, {"error": "unsupported_grant_type"}, "sign-in-not-offered", "Backend Services"),
    (400, {"error": "invalid_grant"}, "sign-in-assertion", "clock of this machine"),
    (403, {"message": "Tenant not valid: Patient Zero"}, "sign-in-refused", "what its log says"),
    (302, {}, "sign-in-redirect", "final address"),
    (200, {}, "sign-in-no-token", "token_url"),
    (200, {"access_token": "a b", "token_type": "Bearer"}, "sign-in-no-token", "token_url"),
    (200, {"access_token": "abc", "token_type": "DPoP"}, "sign-in-not-bearer", "bearer"),
]


@pytest.mark.parametrize(("status", "body", "cause", "says"), REFUSALS)
def test_each_refusal_is_a_sentence_with_a_next_step_and_nothing_of_theirs(worker, hospital, status, body, cause, says):
    hospital.refuse = [(status, {"Location": "http://127.0.0.1:9/x"} if status == 302 else {}, body)]
    with pytest.raises(NeedsPerson) as caught:
        worker().read()
    assert caught.value.cause == cause and says in f"{caught.value} {CAUSES[cause].to_do}"
    assert "Patient Zero" not in str(caught.value) and hospital.requests == []
    assert worker().read()["id"] == "1", "after the fix it goes on"


@pytest.mark.parametrize("status", [429, 500, 502, 503])
def test_a_token_address_that_is_away_is_tried_again_later(worker, hospital, status):
    hospital.refuse = [(status, {}, {})]
    with pytest.raises(TemporaryError) as caught:
        worker().read()
    assert caught.value.cause == "sign-in-away" and hospital.requests == []


def test_an_answer_that_is_cut_off_is_tried_again_later(worker, hospital):
    """It says more than it sends: reading it fails in a way of its own."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def cut() -> None:
            made, _ = listening.accept()
            with made:
                made.recv(65_536)
                made.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{")

        threading.Thread(target=cut, daemon=True).start()
        there = f"http://127.0.0.1:{listening.getsockname()[1]}/token"
        auth = SMART.model_copy(update={"token_url": there})
        with pytest.raises(TemporaryError) as told:
            worker(auth=auth).read()
    assert told.value.cause == "sign-in-away" and there not in str(told.value)


def test_a_server_without_discovery_is_said_with_the_key_to_write(worker, hospital):
    hospital.answers["/fhir/.well-known/smart-configuration"] = {"issuer": "x"}
    with pytest.raises(NeedsPerson) as caught:
        worker().read()
    assert caught.value.cause == "sign-in-no-discovery" and "auth.token_url" in CAUSES["sign-in-no-discovery"].to_do
    auth = SmartBackendServices(
        type="smart-backend-services", client_id="exchange", keys="production", token_url=hospital.token_url
    )
    assert worker(auth).read()["id"] == "1"


@pytest.mark.parametrize("content", ["", "not a key", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"])
def test_a_key_file_that_is_no_key_is_named_and_nothing_is_sent(worker, hospital, tmp_path, content):
    (tmp_path / "key.pem").write_text(content)
    auth = SmartBackendServices(
        type="smart-backend-services", client_id="exchange", private_key_file=str(tmp_path / "key.pem")
    )
    with pytest.raises(NeedsPerson) as caught:
        worker(auth).read()
    assert caught.value.cause == "sign-in-key" and "key.pem" in str(caught.value) and hospital.asked == []


def test_a_rotated_key_is_published_for_a_day_before_it_signs(worker, hospital, folder):
    old = keys.signer(folder, "production", NOW)
    new = keys.make(folder, "production", "RS384", NOW)
    assert {key["kid"] for key in keys.key_set(folder, "production")["keys"]} == {old.kid, new.kid}
    assert keys.signer(folder, "production", NOW + timedelta(hours=23)).kid == old.kid
    assert keys.signer(folder, "production", NOW + timedelta(hours=25)).kid == new.kid
    assert worker().read()["id"] == "1"
    with pytest.raises(keys.KeyProblem, match="signs now"):
        keys.retire(folder, "production", old.kid, NOW)
    keys.retire(folder, "production", old.kid, NOW + timedelta(hours=25))
    assert [key.kid for key in keys.listed(folder)] == [new.kid]
    assert (folder / "production" / f"{new.kid}.pem").stat().st_mode & 0o777 == 0o600


def test_another_configuration_never_uses_the_token_of_this_one(worker, hospital):
    worker().read()
    other = SmartBackendServices(
        type="smart-backend-services", client_id="exchange", keys="production", scopes=("system/Patient.rs",)
    )
    worker(other).read()
    assert len(hospital.given) == 2


def test_the_token_never_leaves_its_origin(worker, hospital):
    with GuardedFhir({"keys": []}) as other:
        one = worker()
        one.read()
        with pytest.raises(PermanentError):
            one.transport.request("GET", f"{other.fhir}/Patient/1")
        assert other.requests == []


def test_servers_sign_in_by_the_configuration_and_never_go_there_unsigned(database, folder, hospital):
    endpoint = plain_endpoint(hospital.fhir)
    endpoint.auth = SMART
    config = SimpleNamespace(endpoints={"hospital": endpoint}, keys_dir=folder)
    assert Servers(config, shelf=partial(Shelf, database.engine)).server("hospital").read("Patient", "1")["id"] == "1"
    with pytest.raises(PermanentError, match="needs sign-in"):
        Servers(config).server("hospital")
    assert all(shown for *_, shown in hospital.requests)


@pytest.mark.parametrize(
    ("profile", "scopes", "sent"),
    [
        ("generic", None, "system/*.read system/*.write"),
        ("epic", None, None),  # "Send no scope to Epic": whatever is asked for, the answer is what the client has
        ("epic", ("system/Patient.r",), "system/Patient.r"),
        ("generic", (), None),
    ],
)
def test_which_scope_is_asked_for_is_the_profiles_unless_the_site_says(
    database, folder, hospital, profile, scopes, sent
):
    auth = SmartBackendServices(type="smart-backend-services", client_id="exchange", keys="production", scopes=scopes)
    world = World(database, folder, hospital, auth, profile=profile)
    world.read()
    assert hospital.asked[0].get("scope") == sent
