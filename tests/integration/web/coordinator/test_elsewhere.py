"""Another provider named on a page, over the API and by command; who the patient is there is chosen by a person."""

import json
import re
from html import unescape

import pytest
from click.testing import CliRunner
from sqlalchemy import select

import second_opinion
from integration import fhir_json
from integration.store import patient_links, record_sources, steps
from integration.store.tables import steps as step_table
from tests.integration.web.site import Site
from tests.jobs.exchange import patient

pytestmark = pytest.mark.postgres
LAB = '  lab: {base_url: "https://lab.example.org/fhir", role: source, name: County Lab, patient_identifier_systems: ["urn:lab:mrn"]}\n'


@pytest.fixture
def site(tmp_path, database):
    made = Site(tmp_path, database, LAB)
    yield made
    made.app.extensions["second_opinion"]["hosted_log"].stop()


def press(site, address, **fields):
    """Posts a form of the page that holds it."""
    page = site.get(re.sub("/(patient|stop)$", "", address))
    token = re.search(r'name="token" value="([^"]+)"', page).group(1)
    return site.client.post(address, data={"token": token, "reason": "they had the scan there", **fields})


def open_steps(site) -> list[str]:
    wanted = select(step_table.c.kind).where(step_table.c.endpoint == "lab", step_table.c.status.in_(("due", "parked")))
    with site.engine.connect() as conn:
        return list(conn.execute(wanted).scalars())


def test_a_provider_is_named_on_the_page_and_what_is_wrong_keeps_what_was_typed(site):
    request_id = site.request()
    address = f"/requests/{request_id}/records-elsewhere"
    assert address in site.get(f"/requests/{request_id}/records-received")
    answer = press(site, address, source="mercy", number="L-1")
    assert (
        answer.status_code == 400 and "its role is not source" in unescape(answer.text) and 'value="L-1"' in answer.text
    )
    answer = press(site, address, source="lab", reason="", number="L-1")
    assert answer.status_code == 400 and 'value="L-1"' in answer.text
    assert "is being read there" in site.told(press(site, address, source="lab", number="L-1"))
    assert open_steps(site) == ["gather_elsewhere"]
    with site.engine.connect() as conn:
        [number] = record_sources.at(conn, request_id, "lab").stated
    assert (number.system, number.value) == ("urn:lab:mrn", "L-1")
    assert "once more" in site.told(press(site, address, source="lab"))
    answer = press(site, address, source="lab", number="L-2")
    assert answer.status_code == 409 and "said another number" in unescape(answer.text)
    assert "County Lab" in site.get(address) and "Nothing was read there yet" in site.get(f"{address}/lab")
    assert [row.subject for row in site.audited("elsewhere.looked-at")] == ["lab"]
    assert "Stopped" in site.told(press(site, f"{address}/lab/stop"))
    assert open_steps(site) == [] and "stopped" in site.get(address)


def test_who_the_patient_is_there_is_chosen_by_a_person_who_sees_both(site):
    request_id = site.request()
    address = f"/requests/{request_id}/records-elsewhere"
    press(site, address, source="lab")
    digest = site.payloads.put(fhir_json.dumps(patient(id="p9", birthDate="1961-01-01")))
    with site.engine.begin() as conn:
        patient_links.set_candidates(conn, request_id, "lab", [("Patient/p9", digest, "birth-date")])
        step = conn.execute(select(step_table.c.id).where(step_table.c.kind == "gather_elsewhere")).scalar_one()
        steps.stop(conn, step_table.c.id == step, cause="patient-birth-date", message="lab: who is it?")
    page = site.get(f"{address}/lab")
    assert "Say who the patient is there" in page and "1961-01-01" in page
    answer = press(site, f"{address}/lab/patient", reference="Patient/p9")
    assert answer.status_code == 409 and "Confirm" in answer.text
    assert site.told(press(site, f"{address}/lab/patient", reference="Patient/p9", confirmed="yes"))
    with site.engine.connect() as conn:
        assert patient_links.of(conn, request_id, "lab").reference == "Patient/p9"
    assert open_steps(site) == ["gather_elsewhere"]
    assert press(site, f"{address}", source="lab").status_code == 303
    assert site.client.get(f"{address}/mercy").status_code == 409


def test_the_same_over_the_api_and_by_command(site, tmp_path, database):
    request_id = site.request()
    address = f"/api/requests/{request_id}/records-elsewhere"
    answer = site.client.post(address, json={"source": "lab", "reason": "the scan"})
    assert answer.status_code == 200 and answer.json["changed"], answer.text
    assert site.client.post(address, json={"source": "mercy", "reason": "x"}).json["type"].endswith("wrong-body")
    [item] = site.client.get(address).json["items"]
    assert (item["endpoint"], item["state"], item["records"]) == ("lab", "reading", [])
    assert site.client.post(f"{address}/lab/stop", json={"reason": "wrong lab"}).json["changed"]
    assert site.client.post(f"{address}/lab/stop", json={"reason": "wrong lab"}).status_code == 409

    def run(*words, code=0):
        runner = CliRunner(env={"SECOND_OPINION_DATABASE_URL": database.url})
        result = runner.invoke(second_opinion.cli, ["--config", str(tmp_path / "config.yaml"), "records", *words])
        assert result.exit_code == code, result.output
        return result.output

    assert json.loads(run("gather", request_id, "lab", "--reason", "the scan", "--json"))["is_new"]
    assert [each["state"] for each in json.loads(run("gathered", request_id, "--json"))] == ["reading", "stopped"]
    assert "lab" in run("gathered", request_id)
    assert json.loads(run("stop", request_id, "lab", "--reason", "enough", "--json"))["state"] == "stopped"
    assert "nothing is gathered" in run("stop", request_id, "lab", "--reason", "enough", code=1)
