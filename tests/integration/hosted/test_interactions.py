"""Create, read, vread, update, Binary, and what is refused."""

import base64
import json

import pytest
from fhirclient.models.capabilitystatement import CapabilityStatement
from sqlalchemy import create_engine

from tests.integration.hosted.conftest import identified, make_app, outcome, patient


def test_it_keeps_what_was_sent_digit_for_digit(oakwood):
    sent = (
        '{"resourceType":"Observation","id":"mine","meta":{"profile":["https://p.example"],"versionId":"9"},'
        '"valueQuantity":{"value":1.10,"unit":"µg"},"note":[{"text":"\\u0000"}],'
        '"component":[{"valueQuantity":{"value":0.0}}]}'
    )
    response = oakwood.send("POST", "Observation", sent.encode())
    location = response.headers["Location"]
    id_ = location.split("/")[-3]
    assert location == f"{oakwood.base}/Observation/{id_}/_history/1"
    stored = oakwood.send("GET", f"Observation/{id_}").text
    assert '"valueQuantity":{"value":1.10,"unit":"µg"}' in stored
    assert '"value":0.0}' in stored and '"profile":["https://p.example"]' in stored
    assert f'"id":"{id_}"' in stored and '"versionId":"1"' in stored and "mine" not in stored
    assert response.text == stored


def test_it_answers_a_create_with_location_etag_and_time(oakwood):
    response = oakwood.send("POST", "Patient", patient())
    assert response.status_code == 201
    assert response.headers["ETag"] == 'W/"1"'
    assert response.headers["Last-Modified"].endswith("GMT")
    assert response.content_type == "application/fhir+json; charset=utf-8"


def test_it_leaves_the_body_out_when_asked(oakwood):
    response = oakwood.send("POST", "Patient", patient(), Prefer="return=minimal")
    assert (response.status_code, response.data) == (201, b"") and response.headers["Location"]
    assert oakwood.send("POST", "Patient", patient(), Prefer="return=representation").json["id"]


def test_it_keeps_every_version(oakwood):
    first = oakwood.create(patient())
    changed = {**first, "active": True}
    response = oakwood.send("PUT", f"Patient/{first['id']}", changed, If_Match='W/"1"')
    assert response.status_code == 200 and response.headers["ETag"] == 'W/"2"'
    assert response.headers["Location"].endswith(f"/Patient/{first['id']}/_history/2")
    assert oakwood.get(f"Patient/{first['id']}")["active"] is True
    assert oakwood.get(f"Patient/{first['id']}/_history/1") == first
    assert oakwood.get(f"Patient/{first['id']}/_history/2")["meta"]["versionId"] == "2"
    outcome(oakwood.send("GET", f"Patient/{first['id']}/_history/3"), 404)


def test_it_refuses_an_update_of_an_older_version(oakwood):
    first = oakwood.create(patient())
    path = f"Patient/{first['id']}"
    assert oakwood.send("PUT", path, first, If_Match='W/"1"').status_code == 200
    issue = outcome(oakwood.send("PUT", path, first, If_Match='W/"1"'), 412)
    assert "at version 2, not 1" in issue["diagnostics"]
    assert oakwood.get(path)["meta"]["versionId"] == "2"


def test_an_update_without_if_match_is_taken(oakwood):
    first = oakwood.create(patient())
    assert oakwood.send("PUT", f"Patient/{first['id']}", first).status_code == 200


def test_it_finds_only_what_the_newest_version_says(oakwood):
    first = oakwood.create(patient("old"))
    oakwood.send("PUT", f"Patient/{first['id']}", {**patient("new"), "id": first["id"]})
    assert oakwood.ids("Patient?identifier=old") == []
    assert oakwood.ids("Patient?identifier=new") == [first["id"]]


def test_an_update_does_not_create(oakwood):
    issue = outcome(oakwood.send("PUT", "Patient/mine", {**patient(), "id": "mine"}), 404)
    assert "create it with POST" in issue["diagnostics"]


def test_practices_do_not_see_each_other(oakwood, elmhurst):
    mine = oakwood.create(patient())
    outcome(elmhurst.send("GET", f"Patient/{mine['id']}"), 404)
    outcome(elmhurst.send("GET", f"Patient/{mine['id']}/_history/1"), 404)
    assert elmhurst.ids("Patient?identifier=1") == []
    assert elmhurst.send("POST", "Patient", patient(), If_None_Exist="identifier=1").status_code == 201


def test_last_updated_rises_with_every_write(oakwood):
    times = [oakwood.create(patient())["meta"]["lastUpdated"] for _ in range(30)]
    assert sorted(set(times)) == times
    assert all(len(time) == len("2024-05-01T08:00:00.123Z") for time in times)


@pytest.mark.parametrize(
    "method, path, body, status, words",
    [
        ("GET", "Patients", None, 404, "Did you mean 'Patient'?"),
        ("GET", "Patient/nobody", None, 404, "not known here"),
        ("GET", "Patient/$everything", None, 404, "not known here"),
        ("GET", "Patient/1/$everything", None, 404, "nothing at this address"),
        ("GET", "Patient/1/_history/x", None, 404, "not known here"),
        ("DELETE", "Patient/1", None, 405, "GET, PUT"),
        ("PATCH", "Patient/1", b"{}", 405, "PATCH is not supported"),
        ("OPTIONS", "Patient", None, 405, "GET, POST"),
        ("POST", "Patient/1", b"{}", 405, "GET, PUT"),
        ("GET", "", None, 405, "POST"),
        ("POST", "Patient", b"{", 400, "not valid JSON at line 1"),
        ("POST", "Patient", b'{"a":1,"a":2}', 400, "not valid JSON"),
        ("POST", "Patient", b"\xff\xfe", 400, "UTF-8"),
        ("POST", "Patient", b"[]", 400, "JSON object"),
        ("POST", "Patient", b"{}", 400, "no resourceType"),
        ("POST", "Patient", b'{"resourceType":"Task"}', 400, "address says Patient, the resource says Task"),
        ("POST", "Patient", b'{"resourceType":"Pateint"}', 400, "Did you mean 'Patient'?"),
        ("POST", "Patient", b'{"resourceType":"Patient","meta":[]}', 400, "meta is not an object"),
        ("POST", "Patient", b'{"resourceType":"Patient","language":"\\ud800"}', 400, "no Unicode text"),
        ("POST", "Patient", b'{"resourceType":"Patient","x":' + b"[" * 90000 + b"]" * 90000 + b"}", 400, "too deeply"),
        ("POST", "Binary", b'{"resourceType":"Binary","data":"?"}', 400, "not base64"),
        ("PUT", "Patient/1", b'{"resourceType":"Patient","id":"2"}', 400, "not the id in the address"),
        ("PUT", "Patient/1", b'{"resourceType":"Patient"}', 400, "not the id in the address"),
    ],
)
def test_it_refuses_in_a_sentence(oakwood, method, path, body, status, words):
    assert words in outcome(oakwood.send(method, path, body), status)["diagnostics"]


def test_it_refuses_other_content_types(oakwood):
    for content_type in ("application/fhir+xml", "text/plain", "application/x-www-form-urlencoded"):
        issue = outcome(oakwood.send("POST", "Patient", patient(), Content_Type=content_type), 415)
        assert "application/fhir+json" in issue["diagnostics"]
    outcome(oakwood.send("POST", "Patient", patient(), Content_Encoding="gzip"), 415)
    assert oakwood.send("POST", "Patient", patient(), Content_Type="application/json").status_code == 201


def test_it_refuses_to_answer_in_xml(oakwood):
    outcome(oakwood.send("GET", "metadata", Accept="application/fhir+xml"), 406)
    outcome(oakwood.send("GET", "metadata?_format=xml"), 406)
    for accept in ("application/fhir+json;fhirVersion=4.0", "application/json", "text/html, */*;q=0.1"):
        oakwood.get("metadata", Accept=accept)


def test_it_refuses_a_large_body(engine):
    client = make_app(engine, max_body_bytes=1000).test_client()
    response = client.post("/fhir/oakwood/Patient", data=b" " * 1001, content_type="application/fhir+json")
    assert "1000 bytes" in outcome(response, 413)["diagnostics"]


def test_it_does_not_know_other_practices(client):
    outcome(client.get("/fhir/nobody/Patient"), 404)
    outcome(client.get("/fhir/nobody/metadata"), 404)
    outcome(client.get("/fhir/"), 404)


def test_an_error_of_ours_is_an_outcome_without_values(oakwood, engine, caplog):
    with engine.begin() as connection:
        connection.exec_driver_sql("DROP TABLE hosted_index")
    issue = outcome(oakwood.send("GET", "Patient?family=Unspeakable"), 500)
    assert issue["code"] == "exception" and "Unspeakable" not in issue["diagnostics"] + caplog.text
    assert any(getattr(record, "where", "").startswith("integration.hosted.") for record in caplog.records)


def test_a_store_that_is_away_is_said_to_come_back():
    engine = create_engine("postgresql+psycopg://nobody@127.0.0.1:1/none?connect_timeout=2")
    response = make_app(engine).test_client().get("/fhir/oakwood/Patient/1")
    assert outcome(response, 503)["code"] == "transient" and response.headers["Retry-After"]


def test_head_is_a_read_without_body(oakwood):
    stored = oakwood.create(patient())
    response = oakwood.send("HEAD", f"Patient/{stored['id']}")
    assert (response.status_code, response.data, response.headers["ETag"]) == (200, b"", 'W/"1"')


def test_a_binary_comes_and_goes_as_bytes(oakwood):
    data = bytes(range(256))
    created = oakwood.send("POST", "Binary", data, Content_Type="application/pdf", X_Security_Context="Patient/1")
    assert created.status_code == 201 and created.json["securityContext"] == {"reference": "Patient/1"}
    path = f"Binary/{created.json['id']}"
    raw = oakwood.send("GET", path, Accept="application/pdf, */*")
    assert (raw.data, raw.content_type) == (data, "application/pdf")
    assert "sandbox" in raw.headers["Content-Security-Policy"]
    assert oakwood.send("GET", path).data == data
    resource = oakwood.get(path, Accept="application/fhir+json")
    assert base64.b64decode(resource["data"]) == data
    assert oakwood.get(f"{path}/_history/1?_format=json") == resource
    assert oakwood.send("PUT", path, b"new", Content_Type="text/plain").status_code == 200
    assert oakwood.send("GET", path).data == b"new"


def test_a_binary_sent_as_json_comes_as_bytes_too(oakwood):
    stored = oakwood.create({"resourceType": "Binary", "contentType": "text/html\r\nX-Evil: 1", "data": "aGk="})
    raw = oakwood.send("GET", f"Binary/{stored['id']}", Accept="text/html")
    assert (raw.data, raw.content_type) == (b"hi", "application/octet-stream")


def test_conditional_create_stores_once(oakwood):
    task = identified("Task", "T-1", status="requested")
    condition = "identifier=https%3A%2F%2Fsecond-opinion.example%2Fids%7CT-1"
    first = oakwood.send("POST", "Task", task, If_None_Exist=condition)
    second = oakwood.send("POST", "Task", {**task, "status": "draft"}, If_None_Exist=condition)
    assert (first.status_code, second.status_code) == (201, 200)
    assert first.headers["Location"] == second.headers["Location"] and first.data == second.data
    assert oakwood.get("Task")["total"] == 1


def test_conditional_create_does_not_choose(oakwood):
    oakwood.create(patient())
    oakwood.create(patient())
    assert (
        outcome(oakwood.send("POST", "Patient", patient(), If_None_Exist="identifier=1"), 412)["code"]
        == "multiple-matches"
    )


@pytest.mark.parametrize(
    "condition", ["", "?identifier=a|1", "Patient?identifier=a|1", "_count=3", "nickname=x", "identifier="]
)
def test_it_refuses_an_unclear_condition(oakwood, condition):
    outcome(oakwood.send("POST", "Patient", patient(), If_None_Exist=condition), 400)
    assert oakwood.get("Patient")["total"] == 0


def test_the_capability_statement_says_what_is_routed(oakwood):
    statement = oakwood.get("metadata")
    assert statement["fhirVersion"] == "4.0.1" and statement["implementation"]["url"] == oakwood.base
    rest = statement["rest"][0]
    assert [each["code"] for each in rest["interaction"]] == ["transaction"]
    task = next(each for each in rest["resource"] if each["type"] == "Task")
    assert {each["code"] for each in task["interaction"]} == {"read", "vread", "update", "create", "search-type"}
    assert {each["name"] for each in task["searchParam"]} == {
        "_id",
        "_lastUpdated",
        "identifier",
        "focus",
        "based-on",
        "patient",
        "subject",
        "status",
    }
    assert len(rest["resource"]) == 146


def test_the_capability_statement_is_valid_r4(oakwood):
    CapabilityStatement(json.loads(oakwood.send("GET", "metadata").data), strict=True)


def test_every_search_parameter_that_is_stated_works(oakwood):
    for resource in oakwood.get("metadata")["rest"][0]["resource"]:
        query = "&".join(
            f"{each['name']}={'2024' if each['type'] == 'date' else 'a'}" for each in resource["searchParam"]
        )
        assert oakwood.get(f"{resource['type']}?{query}")["total"] == 0
