"""Transactions: all or nothing, urn:uuid addresses, conditions, and what is refused."""

import json
import os
from pathlib import Path

import pytest

from integration import fhir_json
from tests.integration.hosted.conftest import identified, outcome, patient, post, transaction_of

ONE, TWO, THREE = (f"urn:uuid:00000000-0000-4000-8000-00000000000{number}" for number in (1, 2, 3))
IDS = "https://second-opinion.example/ids"


def put(resource: dict, **request: str) -> dict:
    return {
        "resource": resource,
        "request": {"method": "PUT", "url": f"{resource['resourceType']}/{resource['id']}", **request},
    }


def locations(response) -> list[str]:
    assert response.status_code == 200, response.text
    assert response.json["type"] == "transaction-response"
    return ["/".join(each["response"]["location"].split("/")[:2]) for each in response.json.get("entry", [])]


def test_addresses_become_references_in_any_order(oakwood):
    document = identified(
        "DocumentReference",
        "D",
        subject={"reference": ONE},
        content=[{"attachment": {"url": TWO}}],
        extension=[{"url": "https://x.example", "valueUri": THREE}],
    )
    document["identifier"].append({"system": "urn:ietf:rfc:3986", "value": ONE})
    sent = transaction_of(
        post(document, THREE),
        post(patient(), ONE),
        post({"resourceType": "Binary", "contentType": "text/plain", "data": "aGk="}, TWO),
    )
    response = oakwood.send("POST", "", sent)
    stored_at, patient_at, binary_at = locations(response)
    stored = oakwood.get(stored_at)
    assert stored["subject"]["reference"] == patient_at
    assert stored["content"][0]["attachment"]["url"] == binary_at
    assert stored["extension"] == [{"url": "https://x.example", "valueUri": stored_at}]
    assert stored["identifier"][1]["value"] == ONE
    assert oakwood.ids(f"DocumentReference?patient={patient_at}") == [stored["id"]]
    first = response.json["entry"][0]["response"]
    assert first["status"] == "201 Created" and first["etag"] == 'W/"1"'
    assert first["lastModified"] == stored["meta"]["lastUpdated"] and "resource" not in response.json["entry"][0]


def test_two_resources_may_point_at_each_other(oakwood):
    encounter = {"resourceType": "Encounter", "diagnosis": [{"condition": {"reference": TWO}}]}
    condition = {"resourceType": "Condition", "encounter": {"reference": ONE}}
    encounter_at, condition_at = locations(
        oakwood.send("POST", "", transaction_of(post(encounter, ONE), post(condition, TWO)))
    )
    assert oakwood.get(encounter_at)["diagnosis"][0]["condition"]["reference"] == condition_at
    assert oakwood.get(condition_at)["encounter"]["reference"] == encounter_at


def test_decimals_survive(oakwood):
    sent = fhir_json.dumps(transaction_of(post({"resourceType": "Observation", "valueQuantity": {"value": 7}})))
    response = oakwood.send("POST", "", sent.replace(b'"value":7', b'"value":1.10'), Prefer="return=representation")
    assert '"value":1.10' in response.text
    assert '"value":1.10' in oakwood.send("GET", locations(response)[0]).text


@pytest.mark.parametrize(
    "bad",
    [
        {"resourceType": "Task", "focus": {"reference": THREE}},
        {"resourceType": "Task", "focus": {"reference": "Patient?identifier=1"}},
        {"resourceType": "Task", "description": "\ud800"},
    ],
)
def test_one_bad_entry_stores_nothing(oakwood, bad):
    entries = [post(patient(str(number))) for number in range(300)] + [post(bad)]
    body = json.dumps(transaction_of(*entries)).encode()
    assert outcome(oakwood.send("POST", "", body), 400)
    assert oakwood.get("Patient?_count=0")["total"] == 0


def test_it_says_which_entry_is_wrong(oakwood):
    issue = outcome(
        oakwood.send(
            "POST", "", transaction_of(post(patient()), post({"resourceType": "Task", "focus": {"reference": THREE}}))
        ),
        400,
    )
    assert issue["expression"] == ["Bundle.entry[1]"] and "no fullUrl" in issue["diagnostics"]


def test_a_stale_update_stores_nothing(oakwood):
    task = oakwood.create({"resourceType": "Task", "status": "requested"})
    changed = {**task, "status": "accepted"}
    outcome(oakwood.send("POST", "", transaction_of(post(patient()), put(changed, ifMatch='W/"2"'))), 412)
    assert oakwood.get("Patient")["total"] == 0
    response = oakwood.send("POST", "", transaction_of(post(patient()), put(changed, ifMatch='W/"1"')))
    assert [each["response"]["status"] for each in response.json["entry"]] == ["201 Created", "200 OK"]
    assert oakwood.get(f"Task/{task['id']}")["status"] == "accepted"
    outcome(oakwood.send("POST", "", transaction_of(post(patient()), put({**task, "id": "nobody"}))), 404)


def test_what_exists_is_not_stored_again_and_is_still_referred_to(oakwood):
    known = oakwood.create(patient("7"))
    sent = transaction_of(
        post(patient("7"), ONE, ifNoneExist="identifier=https://oakwood.example/mrn|7"),
        post(identified("Task", "T", **{"for": {"reference": ONE}}), TWO, ifNoneExist=f"identifier={IDS}|T"),
    )
    first, second = oakwood.send("POST", "", sent), oakwood.send("POST", "", sent)
    assert [each["response"]["status"] for each in first.json["entry"]] == ["200 OK", "201 Created"]
    assert [each["response"]["status"] for each in second.json["entry"]] == ["200 OK", "200 OK"]
    assert locations(first) == locations(second)
    assert oakwood.get(locations(first)[1])["for"]["reference"] == f"Patient/{known['id']}"
    assert oakwood.get("Task")["total"] == oakwood.get("Patient")["total"] == 1


def test_other_conditions_are_looked_up_too(oakwood):
    known = oakwood.create(patient("7", gender="female"))
    sent = transaction_of(
        post(patient("7"), ifNoneExist="identifier=7&gender=female"),
        post(patient("7"), ifNoneExist=f"_id={known['id']}"),
        post(patient("8"), ifNoneExist="identifier=https://oakwood.example/mrn|8,other|9"),
    )
    assert [each["response"]["status"] for each in oakwood.send("POST", "", sent).json["entry"]] == [
        "200 OK",
        "200 OK",
        "201 Created",
    ]


def test_a_condition_that_matches_twice_stores_nothing(oakwood):
    oakwood.create(patient("7"))
    oakwood.create(patient("7"))
    for condition in ("identifier=7", "identifier=https://oakwood.example/mrn|7"):
        issue = outcome(
            oakwood.send(
                "POST", "", transaction_of(post({"resourceType": "Task"}), post(patient("7"), ifNoneExist=condition))
            ),
            412,
        )
        assert issue["expression"] == ["Bundle.entry[1].request.ifNoneExist"]
    assert oakwood.get("Task")["total"] == 0


def test_the_same_urn_may_be_sent_again_in_another_bundle(oakwood):
    sent = transaction_of(post(patient(), ONE), post({"resourceType": "Task", "for": {"reference": ONE}}, TWO))
    first, second = locations(oakwood.send("POST", "", sent)), locations(oakwood.send("POST", "", sent))
    assert len({*first, *second}) == 4
    assert oakwood.get(second[1])["for"]["reference"] == second[0]


@pytest.mark.parametrize(
    "entries, words",
    [
        ([post(patient(), ONE), post({"resourceType": "Task"}, ONE)], "same fullUrl"),
        ([put({**patient(), "id": "a"}), put({**patient(), "id": "a"})], "update of the same resource"),
        (
            [post(patient(), ifNoneExist="identifier=1"), post(patient(), ifNoneExist="identifier=1")],
            "same ifNoneExist",
        ),
        ([{"resource": patient()}], "no request"),
        (["x"], "no request"),
        ([{"request": {"method": "POST", "url": "Patient"}}], "JSON object"),
        ([{"request": {"method": "DELETE", "url": "Patient/1"}}], "POST or PUT"),
        ([{"request": {"method": "GET", "url": "Patient/1"}}], "POST or PUT"),
        ([{"resource": patient(), "request": {"method": "POST", "url": 1}}], "strings"),
        ([{"resource": patient(), "request": {"method": "POST", "url": "Patient/1"}}], "PUT to Type/id"),
        ([{"resource": patient(), "request": {"method": "PUT", "url": "Patient?identifier=1"}}], "Conditional updates"),
        ([{"resource": patient(), "request": {"method": "POST", "url": "Task"}}], "the resource says Patient"),
        ([{"resource": patient(), "request": {"method": "POST", "url": "Tsk"}}], "Did you mean 'Task'?"),
        ([{"resource": patient(), "request": {"method": "PUT", "url": "Patient/1"}}], "not the id in the address"),
        ([post(patient(), ifNoneExist="nickname=x")], "no search parameter"),
        ([put({**patient(), "id": "a"}, ifMatch="new")], "If-Match takes"),
    ],
)
def test_it_refuses_a_bundle_it_cannot_keep_whole(oakwood, entries, words):
    issue = outcome(oakwood.send("POST", "", transaction_of(*entries)), 400)
    assert words in issue["diagnostics"] and issue["expression"][0].startswith("Bundle.entry")


@pytest.mark.parametrize("kind", ["batch", "collection", None])
def test_other_bundles_are_refused(oakwood, kind):
    issue = outcome(oakwood.send("POST", "", {"resourceType": "Bundle", "type": kind}), 400)
    assert "batch is not supported" in issue["diagnostics"] and issue["expression"] == ["Bundle.type"]


def test_an_empty_transaction_is_answered(oakwood):
    assert locations(oakwood.send("POST", "", {"resourceType": "Bundle", "type": "transaction"})) == []


def test_a_document_bundle_keeps_its_own_addresses(oakwood):
    document = {
        "resourceType": "Bundle",
        "type": "document",
        "entry": [{"fullUrl": THREE, "resource": {"resourceType": "Composition", "subject": {"reference": ONE}}}],
    }
    at = locations(oakwood.send("POST", "", transaction_of(post(document), post(patient(), ONE))))[0]
    assert oakwood.get(at)["entry"] == document["entry"]


@pytest.mark.skipif(
    not os.environ.get("SECOND_OPINION_DATA"),
    reason="SECOND_OPINION_DATA is not set (a folder with the Synthea charts)",
)
def test_a_whole_synthetic_chart_is_stored_in_one_transaction(oakwood):
    charts = sorted(Path(os.environ["SECOND_OPINION_DATA"], "synthea").glob("*.json"), key=lambda it: it.stat().st_size)
    chart = fhir_json.loads(charts[0].read_bytes())
    response = oakwood.send("POST", "", chart)
    stored = locations(response)
    assert len(stored) == len(chart["entry"])
    assert "urn:uuid" not in "".join(
        oakwood.send("GET", at).text for at in stored if at.split("/")[0] in ("Observation", "Encounter", "Condition")
    )
