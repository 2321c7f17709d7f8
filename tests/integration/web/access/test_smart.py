"""The token address of a hosted practice: each test of Inferno's SMART Backend Services, and what it does not ask.

Their tests are those of inferno-framework/smart-app-launch-test-kit, lib/smart_app_launch/backend_services_*.rb; the id of each
stands in the docstring that answers it.
"""

import logging
import re
import time

import jwt
import psycopg
import pytest
from sqlalchemy.exc import OperationalError

from integration.store import client_tokens, clients
from tests.integration.web.access.smart_client import JWT_BEARER, OUT, Machine, private_key

pytestmark = pytest.mark.postgres
PATIENT = {"resourceType": "Patient", "name": [{"family": "Synthetic-Test"}]}


@pytest.fixture(params=["RS384", "ES384"])
def machine(request, guarded) -> Machine:
    """A client of Dr Alice's practice that may do everything, with each algorithm."""
    return Machine(guarded, algorithm=request.param)


@pytest.fixture
def rs384(guarded) -> Machine:
    return Machine(guarded)


def refused(answer, status: int, error: str) -> str:
    """The sentence of an OAuth error, which nobody may keep."""
    assert (answer.status_code, answer.json["error"]) == (status, error), answer.text
    assert answer.headers["Cache-Control"] == "no-store" and answer.headers["Pragma"] == "no-cache"
    said = answer.json["error_description"]
    assert re.fullmatch(r"[\x20-\x21\x23-\x5b\x5d-\x7e]+", said), "RFC 6749 5.2"
    return said


def test_inferno_invalid_grant_type(machine):
    """smart_backend_services_invalid_grant_type: a wrong grant_type is answered with 400."""
    refused(machine.ask(grant_type="not_a_grant_type"), 400, "unsupported_grant_type")


def test_inferno_invalid_client_assertion(machine):
    """smart_backend_services_invalid_client_assertion: a wrong client_assertion_type is answered with 400 or 401."""
    assert JWT_BEARER in refused(machine.ask(client_assertion_type="not_an_assertion_type"), 401, "invalid_client")


def test_inferno_invalid_jwt(machine):
    """smart_backend_services_invalid_jwt: a request whose JWT is not valid is answered with 400 or 401.

    Their test sends a wrong client_assertion_type here too; what its description asks for (each claim) is in tests/integration/test_client_assertions.py.
    """
    refused(machine.ask(client_assertion_type="not_an_assertion_type"), 401, "invalid_client")
    refused(machine.ask(client_assertion=machine.assertion(iss="somebody")), 401, "invalid_client")


def test_inferno_auth_request_success(machine):
    """smart_backend_services_auth_request_success: the right request is answered with 200 or 201.

    Theirs ends exactly five minutes ahead, by a clock of its own, and its jti has 64 characters.
    """
    assertion = machine.assertion(exp=int(time.time()) + 300, jti="f" * 64)
    answer = machine.ask(client_assertion=assertion)
    assert answer.status_code == 200, answer.text


def test_inferno_auth_response_body(machine):
    """smart_backend_services_auth_response_body: access_token, token_type bearer, a number expires_in, scope."""
    answer = machine.ask()
    assert answer.is_json and answer.headers["Cache-Control"] == "no-store"
    body = answer.json
    assert set(body) == {"access_token", "token_type", "expires_in", "scope"}
    assert re.fullmatch(r"so-client_[\w-]{43}", body["access_token"])
    assert (body["token_type"].lower(), body["expires_in"], body["scope"]) == ("bearer", 300, "system/*.cruds")


def test_the_token_opens_the_endpoint_and_stands_nowhere(rs384, caplog):
    """smart_backend_services_token_tls_version is answered by the TLS proxy (docs/how-to/sign-in.md): we listen behind it."""
    with caplog.at_level(logging.DEBUG):
        token = rs384.token()
        assert rs384.send("POST", "/Patient", PATIENT, token=token).status_code == 201
        assert rs384.send("GET", "/Patient", token=token).json["total"] == 1
    everything = str(rs384.guarded.sql("SELECT * FROM client_tokens").all()) + str(
        rs384.guarded.sql("SELECT * FROM audit").all()
    )
    assert token not in everything + caplog.text
    [given] = rs384.guarded.audited("client.signed-in")
    assert (given.actor, given.subject, given.detail["scopes"]) == ("client lab", "alice", ["system/*.cruds"])
    assert [row.actor for row in rs384.guarded.audited("hosted.create")] == ["client lab"]


@pytest.mark.parametrize("minutes", [-10, 10])
def test_a_clock_that_is_ten_minutes_off_is_told_the_time_here(rs384, minutes):
    then = int(time.time()) + minutes * 60
    answer = rs384.ask(client_assertion=rs384.assertion(exp=then + 240, iat=then))
    told = int(re.search(r"The clock here says (\d+)\.", refused(answer, 401, "invalid_client"))[1])
    assert abs(told - time.time()) < 30


def test_what_is_not_proven_opens_nothing(rs384):
    """Each way to lie is tried in tests/integration/test_client_assertions.py; these come through the door."""
    for assertion in (
        rs384.assertion(key=private_key("RS384", 1)),
        rs384.assertion(header={"kid": "k2"}),
        rs384.assertion(sub="somebody", iss="somebody"),
        jwt.encode(rs384.claims(), "", "none", headers={"kid": "k1"}),
        OUT,
    ):
        refused(rs384.ask(client_assertion=assertion), 401, "invalid_client")
    assert rs384.guarded.sql("SELECT count(*) FROM client_tokens").scalar() == 0


def test_an_assertion_opens_once(rs384):
    assertion = rs384.assertion()
    assert rs384.ask(client_assertion=assertion).status_code == 200
    assert "used before" in refused(rs384.ask(client_assertion=assertion), 401, "invalid_client")
    [row] = rs384.guarded.audited("client.replayed")
    assert (row.actor, row.subject) == ("client lab", "alice")
    assert rs384.guarded.sql("SELECT count(*) FROM client_tokens").scalar() == 1


def test_an_assertion_is_used_up_by_a_request_that_is_refused_for_its_scope(rs384):
    assertion = rs384.assertion()
    refused(rs384.ask(client_assertion=assertion, scope="system/Patient.dus"), 400, "invalid_scope")
    assert "used before" in refused(rs384.ask(client_assertion=assertion), 401, "invalid_client")


def test_one_jti_of_two_clients_is_two(guarded):
    one, other = Machine(guarded, name="one"), Machine(guarded, name="other")
    for machine in (one, other):
        assert machine.ask(client_assertion=machine.assertion(jti="same")).status_code == 200


def test_what_was_shown_is_kept_until_it_is_refused_without(rs384):
    rs384.token()
    kept = rs384.guarded.sql("SELECT extract(epoch FROM until - now()) FROM client_assertions").scalar()
    assert kept > 240 + 30 + 300, "exp, leeway and a margin"
    with rs384.guarded.engine.begin() as conn:
        client_tokens.prune(conn)
    assert rs384.guarded.sql("SELECT count(*) FROM client_assertions").scalar() == 1
    rs384.guarded.sql("UPDATE client_assertions SET until = now() - interval '1 second'")
    rs384.guarded.sql("UPDATE client_tokens SET expires_at = now() - interval '1 second'")
    with rs384.guarded.engine.begin() as conn:
        client_tokens.prune(conn)
    assert (
        rs384.guarded.sql("SELECT (SELECT count(*) FROM client_assertions) + count(*) FROM client_tokens").scalar() == 0
    )


def test_the_token_of_a_practice_opens_nothing_of_another(guarded):
    alice, bob = Machine(guarded, "alice"), Machine(guarded, "bob")
    of_bob = bob.token()
    id_ = bob.send("POST", "/Patient", PATIENT, token=of_bob).json["id"]
    of_alice = alice.token()
    for method, path in (
        ("GET", "/metadata"),
        ("GET", "/Patient"),
        ("GET", f"/Patient/{id_}"),
        ("GET", f"/Patient/{id_}/_history/1"),
        ("POST", "/Patient"),
        ("PUT", f"/Patient/{id_}"),
        ("POST", ""),
    ):
        answer = alice.send(method, path, {**PATIENT, "id": id_}, token=of_alice, practice="bob")
        assert answer.status_code == 403 and answer.json["resourceType"] == "OperationOutcome", (method, path)
    assert alice.send("GET", f"/Patient/{id_}", token=of_alice).status_code == 404
    # nor does what it signs for one practice open the other, whichever address it names
    for audience in (alice.token_url, bob.token_url):
        answer = alice.ask(practice="bob", client_assertion=alice.assertion(aud=audience))
        assert "No such client" in refused(answer, 401, "invalid_client")


def test_a_client_of_two_practices_names_the_right_address(guarded):
    """Two registrations with one key: an assertion for one is none for the other."""
    alice, bob = Machine(guarded, "alice"), Machine(guarded, "bob")
    assert "claim aud" in refused(bob.ask(client_assertion=bob.assertion(aud=alice.token_url)), 401, "invalid_client")


def test_a_revoked_client_gets_no_token_and_those_that_it_has_open_nothing(rs384):
    token = rs384.token()
    assert rs384.send("GET", "/Patient", token=token).status_code == 200
    with rs384.guarded.engine.begin() as conn:
        clients.revoke(conn, "alice", "lab", actor="test", reason="left")
    assert rs384.send("GET", "/Patient", token=token).status_code == 401
    assert "No such client" in refused(rs384.ask(), 401, "invalid_client")
    assert Machine(rs384.guarded).ask().status_code == 200, "the name is free again"


def test_a_token_ends_after_five_minutes(rs384):
    token = rs384.token()
    left = rs384.guarded.sql("SELECT extract(epoch FROM expires_at - now()) FROM client_tokens").scalar()
    assert 290 < left <= 300
    rs384.guarded.sql("UPDATE client_tokens SET expires_at = now() - interval '1 second'")
    answer = rs384.send("GET", "/Patient", token=token)
    assert answer.status_code == 401 and answer.headers["WWW-Authenticate"].startswith("Bearer")


def test_the_token_of_a_client_opens_neither_pages_nor_api_nor_numbers(rs384):
    headers = {"Authorization": f"Bearer {rs384.token()}"}
    for address in ("/api/requests", "/metrics", "/"):
        assert rs384.guarded.app.test_client().get(address, headers=headers).status_code == 401, address


@pytest.mark.parametrize(
    ("changed", "status", "error"),
    [
        ({"grant_type": OUT}, 400, "invalid_request"),
        ({"grant_type": ""}, 400, "unsupported_grant_type"),
        ({"client_assertion_type": OUT}, 401, "invalid_client"),
        ({"scope": OUT}, 400, "invalid_scope"),
        ({"scope": "system/Patient.rs  system/Task.rs"}, 400, "invalid_scope"),
        ({"scope": "launch/patient"}, 400, "invalid_scope"),
        ({"scope": "patient/Patient.rs"}, 400, "invalid_scope"),
        ({"scope": "system/Patient.rs?name:exact=Smith"}, 400, "invalid_scope"),
        ({"client_id": "somebody"}, 401, "invalid_client"),
        ({"scope": ["system/Patient.rs", "system/Task.rs"]}, 400, "invalid_request"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_each_parameter_is_checked(rs384, changed, status, error):
    assert "Smith" not in refused(rs384.ask(**changed), status, error)


def test_a_request_of_another_shape_is_refused(rs384):
    here, form = rs384.guarded.app.test_client(), rs384.form()
    refused(here.post("/fhir/alice/token", json=form, **rs384.at), 400, "invalid_request")
    refused(rs384.ask(headers={"Authorization": "Basic YTpi"}), 400, "invalid_request")
    refused(here.post("/fhir/alice/token", data={**form, "more": "x" * 70_000}, **rs384.at), 400, "invalid_request")
    refused(here.post("/fhir/nobody/token", data=form, **rs384.at), 404, "invalid_request")
    in_address = here.post("/fhir/alice/token", query_string=form, **rs384.at)
    refused(in_address, 400, "invalid_request")
    assert here.get("/fhir/alice/token").status_code == 401, "as every other address of the endpoint"
    assert here.post("/fhir/alice/token", data=form, **rs384.at).status_code == 200, "and as it should be it works"


def test_the_scopes_granted_are_those_that_both_sides_know(guarded):
    machine = Machine(guarded, scopes="system/Patient.rs system/Task.cru")
    assert (
        machine.ask(scope="system/*.read system/*.write").json["scope"]
        == "system/Patient.rs system/Task.r system/Task.cu"
    )
    assert machine.ask(scope="system/Patient.read").json["scope"] == "system/Patient.read"
    assert machine.ask(scope="system/Patient.cruds system/Observation.rs").json["scope"] == "system/Patient.rs"
    assert "lies within" in refused(machine.ask(scope="system/Observation.rs"), 400, "invalid_scope")
    token = machine.token("system/Patient.rs")
    assert machine.send("GET", "/Patient", token=token).status_code == 200
    assert machine.send("GET", "/Task", token=token).status_code == 403
    assert machine.send("POST", "/Patient", PATIENT, token=token).status_code == 403


def test_the_database_is_away(rs384, monkeypatch):
    def away(*_):
        raise OperationalError("SELECT", {}, psycopg.errors.AdminShutdown("the server is gone"))

    monkeypatch.setattr(client_tokens, "use_once", away)
    answer = rs384.guarded.app.test_client().post("/fhir/alice/token", data=rs384.form(), **rs384.at)
    assert answer.status_code == 503 and answer.json["error"] == "temporarily_unavailable"


def test_a_fault_of_ours_is_not_told_as_an_outage(rs384, caplog):
    form = rs384.form()
    rs384.guarded.sql("ALTER TABLE clients RENAME TO clients_away")
    answer = rs384.guarded.app.test_client().post("/fhir/alice/token", data=form, **rs384.at)
    assert answer.status_code == 500 and answer.json["error"] == "server_error" and "Retry-After" not in answer.headers
    assert form["client_assertion"] not in caplog.text and rs384.id not in answer.text


def test_a_refusal_is_logged_by_a_word_without_what_was_sent(rs384, caplog):
    assertion = rs384.assertion(aud="https://elsewhere.example/Canary")
    rs384.ask(client_assertion=assertion)
    [record] = [record for record in caplog.records if getattr(record, "action", "") == "smart.refused"]
    assert record.cause == "aud" and "Canary" not in caplog.text and assertion not in caplog.text


def test_behind_a_proxy_the_address_is_the_public_one(tmp_path, database):
    from tests.integration.web.access.guarded import Guarded

    public = "https://exchange.example.org"
    guarded = Guarded(tmp_path, database, f'web: {{sign_in: required, public_url: "{public}"}}\n')
    machine = Machine(guarded)
    here = guarded.app.test_client()
    outside = machine.form(client_assertion=machine.assertion(aud=f"{public}/fhir/alice/token"))
    assert here.post("/fhir/alice/token", data=outside, base_url=public).status_code == 200
    inside = machine.form()
    refused(here.post("/fhir/alice/token", data=inside, base_url=public), 401, "invalid_client")
    forged = machine.form(client_assertion=machine.assertion(aud="https://evil.example/fhir/alice/token"))
    assert here.post("/fhir/alice/token", data=forged, base_url="https://evil.example").status_code in (401, 421)
