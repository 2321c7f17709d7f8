"""A check ends with a sentence, whatever is at the address: nothing, a web page, a redirect, another FHIR, or a server that lies."""

import json
import socket
import time
from functools import partial

import pytest

from integration.fhir.exchanges import ignore
from integration.fhir.servers import Servers
from integration.settings.config import load_config
from integration.store import endpoint_checks
from integration.store.held_tokens import Shelf
from jobs.upkeep.endpoint_check import TestPatient, check_now, examined
from mappings.model.trials import Trial
from second_opinion.endpoint_check import lines
from tests.integration.checks.server import PATIENT, running, statement
from tests.integration.fhir.endpoints import answer, world
from tests.jobs.exchange import patient


def config_of(folder, url, **more):
    """config.yaml with one endpoint."""
    one = {"base_url": url, "role": "both", "limits": {"timeout_seconds": 1, "search_lag_seconds": 0}, **more}
    (folder / "config.yaml").write_text(json.dumps({"data_dir": str(folder / "data"), "endpoints": {"ehr": one}}))
    return load_config(folder / "config.yaml", {})


def found_at(folder, url, engine=None, about=None, **more):
    config = config_of(folder, url, **more)
    return examined(config, engine, Servers(config), "ehr", about)


def saying(status, body, **headers):
    return lambda handler: answer(handler, status, body, **headers)


@pytest.mark.parametrize(
    ("behave", "words"),
    [
        (saying(502, b"<html>Bad gateway</html>"), "502"),
        (saying(302, b"", Location="https://elsewhere.example/metadata"), "redirect"),
        (saying(200, b"<html>Welcome</html>"), "a web page or XML instead of FHIR JSON"),
        (saying(200, b"[]"), "something else than"),
        (saying(200, b"{}"), "something else than a CapabilityStatement"),
        (saying(200, json.dumps(statement(fhirVersion="3.0.2")).encode()), "STU3"),
        (saying(200, json.dumps(statement(fhirVersion="5.0.0")).encode()), "R5"),
        (saying(401, b""), "sign-in"),
    ],
    ids=["502", "redirect", "web-page", "list", "object", "stu3", "r5", "sign-in"],
)
def test_what_is_no_fhir_r4_server_is_a_problem_in_a_sentence_and_nothing_more_is_asked(tmp_path, behave, words):
    with world(behave) as there:
        found = found_at(tmp_path, there.base_url)
        assert found["problems"] and words in found["problems"][0], found["problems"]
        assert found["writes"] == [] and found["config_yaml"] == "" and "elsewhere.example" not in str(found)
        assert {path for _, path, _ in there.requests} == {"/fhir/metadata"}
        said = lines({**found, "changed_since": []})
        assert said.startswith("ehr: NOT usable") and "config.yaml" not in said.split("\n", 1)[1].replace(
            "base_url", ""
        )


def test_nobody_at_the_address_is_said_with_whom_to_call(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    found = found_at(tmp_path, f"http://127.0.0.1:{port}/fhir", contact="IT desk, +1 555 0100")
    assert "IT desk, +1 555 0100" in found["problems"][0] and "Check base_url" in found["problems"][0]


@pytest.mark.long
def test_an_endpoint_that_takes_the_connection_and_says_nothing_holds_a_check_for_one_answer_only(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        began = time.monotonic()
        found = found_at(tmp_path, f"http://127.0.0.1:{silent.getsockname()[1]}/fhir")
    assert found["problems"] and time.monotonic() - began < 10


@pytest.mark.postgres
@pytest.mark.long
def test_a_secret_that_is_gone_is_said_by_the_check_and_ends_it(tmp_path, database):
    secret = tmp_path / "token"
    secret.write_text("s3cret")
    with running() as (_, trying):
        auth = {"type": "bearer", "token_file": str(secret)}
        config = config_of(tmp_path, trying().endpoint.base_url, auth=auth)
        secret.unlink()
        found = examined(config, database.engine, Servers(config, shelf=partial(Shelf, database.engine)), "ehr", None)
    assert "sign-in is impossible without it" in " ".join(found["problems"]), found["problems"]


def test_a_server_that_says_all_and_does_nothing_gets_no_road_over_fhir(tmp_path):
    """Every search shows the same chart, every write is answered with yes, and nothing of it is there."""

    def behave(handler):
        if handler.path.endswith("/metadata"):
            return answer(handler, 200, json.dumps(statement()).encode())
        if handler.command != "GET":
            return answer(handler, 201, b"", Location="DocumentReference/1")
        kind = handler.path.removeprefix("/fhir/").partition("?")[0].partition("/")[0]
        one = {"resourceType": kind, "id": "1"}
        if "?" in handler.path:
            one = {"resourceType": "Bundle", "type": "searchset", "entry": [{"resource": one}]}
        return answer(handler, 200, json.dumps(one).encode())

    with world(behave) as there:
        config = config_of(tmp_path, there.base_url)
        tried = {each["what"]: each for each in examined(config, None, Servers(config), "ehr", None)["tried"]}
    assert not [what for what, each in tried.items() if each["worked"]], "nothing is believed"
    assert tried["DocumentReference by identifier"]["learned"]["document.finds_by_identifier"] is False
    assert tried[Trial.BY_PATIENT]["worked"] is False


@pytest.mark.postgres
def test_what_it_tries_is_kept_and_the_next_check_says_what_changed(tmp_path, database):
    with running() as (small, trying):
        config = config_of(tmp_path, trying().endpoint.base_url)
        small.put("Observation", "o1", identifier=[{"system": "urn:x", "value": "1"}])
        first = check_now(config, database.engine, Servers(config), "ehr", actor="ann")
        assert first["changed_since"] == [] and first["compared_with"] is None
        small.habits |= {"says": {"software": {"name": "Vendor", "version": "10"}}, "blind": ("Observation",)}
        second = check_now(config, database.engine, Servers(config), "ehr", actor="ann")
    assert second["changed_since"][0] == "it ran Vendor 9.1, and runs Vendor 10"
    assert second["changed_since"][1].startswith("Observation by identifier: it worked, and does not")
    assert second["compared_with"] and "changed since the last check: it ran Vendor 9.1" in lines(second)
    with database.engine.connect() as conn:
        kept = endpoint_checks.last(conn, "ehr")
    assert kept.actor == "ann" and kept.found["tried"] == json.loads(json.dumps(second["tried"]))


@pytest.mark.postgres
def test_what_it_writes_is_about_the_test_patient_and_what_stays_is_in_the_answer(tmp_path, database):
    with running(no_delete=True) as (small, trying):
        config = config_of(tmp_path, trying().endpoint.base_url)
        found = check_now(
            config, database.engine, Servers(config), "ehr", TestPatient(PATIENT, write=True), actor="ann"
        )
        [reference] = small.stored
    assert found["left_there"][0].startswith(reference) and "STAYS THERE: " + reference in lines(found)
    roads = {each["write"]: (each["road"], each["level"], each["tried"]) for each in found["writes"]}
    assert roads["report"] == ("fhir-document", "read-back", True)


@pytest.mark.postgres
def test_a_check_that_was_asked_for_is_done_by_a_step_also_at_a_paused_endpoint_and_writes_nothing(exchange):
    exchange.put("bob", patient())
    with exchange.engine.begin() as conn:
        conn.exec_driver_sql("UPDATE endpoints SET paused = true WHERE key = 'bob'")
        for key in ("bob", "gone"):
            endpoint_checks.ask(conn, key, actor="ann", reason="upgrade")
    exchange.drain()
    with exchange.engine.connect() as conn:
        assert endpoint_checks.waiting(conn) is None
        bob, gone = endpoint_checks.last(conn, "bob"), endpoint_checks.last(conn, "gone")
    assert bob.found["problems"] == [] and bob.found["left_there"] == [] and bob.actor == "ann"
    assert Trial.CREATE not in {each["what"] for each in bob.found["tried"]}
    assert "config.yaml has no endpoint gone" in gone.found["problems"]


@pytest.mark.hapi
@pytest.mark.postgres
@pytest.mark.long
def test_at_a_real_hapi_all_works_and_nothing_stays(tmp_path, database, hapi_url):
    config = config_of(tmp_path, hapi_url, accepts="resources", limits={"timeout_seconds": 60, "search_lag_seconds": 5})
    server = Servers(config).server("ehr").observed(ignore, lambda going: None)
    about = server.create({"resourceType": "Patient", "active": True}).location
    for number in range(5):
        one = {"resourceType": "Observation", "status": "final", "code": {"text": f"test {number}"}}
        server.create(
            {**one, "subject": {"reference": about}, "identifier": [{"system": "urn:x", "value": f"{about}-{number}"}]}
        )
    found = check_now(config, database.engine, Servers(config), "ehr", TestPatient(about, write=True), actor="ann")
    tried = {each["what"]: each["worked"] for each in found["tried"]}
    assert found["problems"] == [] and found["left_there"] == [], found
    for what in (Trial.CREATE, Trial.READ_BACK, Trial.CONDITIONAL, Trial.UPDATE, Trial.DELETE, Trial.SIZE, Trial.PAGES):
        assert tried[what] is True, (what, found["tried"])
    assert tried[Trial.BY_PATIENT] and tried[Trial.SINCE] and tried[Trial.PAGE_SIZE]
    roads = {each["write"]: (each["road"], each["level"]) for each in found["writes"]}
    assert None not in {road for road, _ in roads.values()} and found["guessed_profile"] == "hapi"
