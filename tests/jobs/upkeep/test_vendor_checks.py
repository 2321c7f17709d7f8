"""What a check says of each vendor-like server is what stands in the reference, and what the server's own store shows."""

import json
from datetime import UTC, datetime
from functools import partial

import pytest

from integration import keys
from integration.fhir.servers import Servers
from integration.settings.config import load_config
from integration.store import endpoints
from integration.store.held_tokens import Shelf
from jobs.upkeep.endpoint_check import examined
from mappings.model.trials import Trial
from tests.reference_checks import PAGE, check_of, checks_page
from tests.servers.vendors.athena import Athena
from tests.servers.vendors.epic import Epic
from tests.servers.vendors.meditech import Meditech
from tests.servers.vendors.oracle_health import OracleHealth


def test_the_reference_says_what_the_check_says():
    assert PAGE.read_text(encoding="utf-8") == checks_page(), "it is old: run python -m tests.reference_checks"


def roads(found):
    return {each["write"]: (each["road"], each["level"]) for each in found["writes"]}


def worked(found):
    return {each["what"]: each["worked"] for each in found["tried"]}


def test_at_epic_a_report_is_text_at_a_visit_and_the_test_note_that_stays_is_named():
    with Epic() as epic:
        found, (about, visit) = check_of(epic, "epic")
        [note] = epic.ours_of(about)
        assert note.data.startswith(b"TEST ONLY.") and len(note.data) == 1024
        assert epic.store[note.reference]["context"]["encounter"] == [{"reference": visit}]
        assert found["left_there"][0].startswith(note.reference), "it cannot be taken away there"
    assert found["guessed_profile"] == "epic" and roads(found)["report"] == ("fhir-document", "read-back")
    assert roads(found)["request"] == (None, None), "no Task, so the consultant works on our pages"


def test_at_epic_without_reads_a_report_can_only_be_sent_and_that_closes_no_loop():
    with Epic() as epic:
        epic.unregister_reads()
        found, _ = check_of(epic, "epic")
    assert roads(found)["report"] == ("fhir-document", "unverifiable")
    report = next(each for each in found["writes"] if each["write"] == "report")
    assert "the loop closes on" in " ".join(report["degrades"]) and worked(found)[Trial.READ_BACK] is False
    assert (
        "each report waits for a person" in found["config_yaml"] and "unverifiable" not in found["config"]["closes_on"]
    )


@pytest.mark.long
def test_without_a_visit_nothing_is_written_at_epic():
    with Epic() as epic:
        found, (about, _) = check_of(epic, "epic", encounter=False)
        assert epic.ours_of(about) == [] and "--encounter" in str(found["tried"])


@pytest.mark.long
def test_oracle_health_keeps_the_test_document_marked_as_an_error():
    with OracleHealth() as oracle:
        found, (about, _) = check_of(oracle, "oracle", profile="oracle-health")
        [document] = oracle.ours_of(about)
        assert oracle.store[document.reference]["status"] == "entered-in-error"
    assert "1 record(s) stand on two pages" in str(found["tried"]) and worked(found)[Trial.SINCE] is True
    assert roads(found)["report"] == ("fhir-document", "read-back") and roads(found)["status"] == (None, None)


@pytest.mark.postgres
@pytest.mark.long
def test_at_meditech_a_grant_that_is_advertised_and_refused_is_said_with_whom_to_ask(tmp_path, database):
    folder = tmp_path / "data" / "keys"
    keys.make(folder, "production", "ES384", datetime.now(UTC))
    with Meditech(lambda: keys.key_set(folder, "production")) as vendor:
        auth = {"type": "smart-backend-services", "client_id": "exchange", "keys": "production"}
        one = {"base_url": vendor.url, "role": "placer", "profile": "meditech", "auth": auth}
        (tmp_path / "config.yaml").write_text(
            json.dumps({"data_dir": str(tmp_path / "data"), "endpoints": {"ehr": one}})
        )
        config = load_config(tmp_path / "config.yaml", {})
        with database.engine.begin() as conn:
            endpoints.register(conn, config)
        refused = examined(config, database.engine, Servers(config, shelf=partial(Shelf, database.engine)), "ehr", None)
        assert vendor.writes() == [] and refused["writes"] == []
        vendor.allow_grant()
        allowed = examined(config, database.engine, Servers(config, shelf=partial(Shelf, database.engine)), "ehr", None)
    assert "may not sign in like this" in refused["problems"][0] and "backend services" in refused["problems"][0]
    assert worked(allowed)[Trial.SIGN_IN] is True and roads(allowed)["report"][0] == "download"


@pytest.mark.parametrize(("make", "profile"), [(Athena, "athenahealth"), (Meditech, "meditech")])
@pytest.mark.long
def test_where_nothing_is_written_over_fhir_it_is_said_and_nothing_was_written(make, profile):
    with make() as vendor:
        found, (about, _) = check_of(vendor, "ehr", profile=profile)
        assert vendor.ours_of(about) == []
    assert {write for write, (road, _) in roads(found).items() if road} == {"report"}
    assert roads(found)["report"][0] != "fhir-document"
