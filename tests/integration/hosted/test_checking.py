"""What is written at a hosted endpoint is built as R4 says, or refused with the place; a bent rule is told and kept."""

import pytest

from tests.integration.hosted.conftest import Practice, identified, make_app, outcome, patient, post, transaction_of


def observation(**elements) -> dict:
    return {"resourceType": "Observation", "status": "final", "code": {"text": "x"}} | elements


@pytest.mark.parametrize(
    "banana, place", [({"banana": 1}, "banana"), ({"status": 5}, "status"), ({"code": []}, "code")]
)
def test_what_nobody_can_read_is_refused_with_its_place(oakwood, banana, place):
    issue = outcome(oakwood.send("POST", "Observation", observation(**banana)), 400)
    assert issue["expression"] == [f"Observation.{place}"] and issue["severity"] == "error"
    stored = oakwood.create(observation())
    changed = stored | banana
    assert outcome(oakwood.send("PUT", f"Observation/{stored['id']}", changed), 400)["expression"] == [
        f"Observation.{place}"
    ]


def test_one_entry_that_nobody_can_read_refuses_the_transaction(oakwood):
    bundle = transaction_of(post(patient()), post(observation(banana=1)))
    issue = outcome(oakwood.send("POST", "", bundle), 400)
    assert issue["expression"] == ["Bundle.entry[1].resource.banana"]
    assert oakwood.ids("Patient") == []


def test_a_bent_rule_is_stored_and_told_when_asked(oakwood):
    bent = observation(status="banana", effectiveDateTime="2020-01-01T10:00:00")
    answer = oakwood.send("POST", "Observation", bent, Prefer="return=OperationOutcome")
    assert answer.status_code == 201 and answer.headers["Location"]
    assert [(each["severity"], each["expression"][0]) for each in answer.json["issue"]] == [
        ("warning", "Observation.status"),
        ("warning", "Observation.effectiveDateTime"),
    ]
    [id_] = oakwood.ids("Observation")
    assert oakwood.get(f"Observation/{id_}")["status"] == "banana"
    right = oakwood.send("POST", "Observation", observation(), Prefer="return=OperationOutcome").json
    assert right["issue"][0]["severity"] == "information"


def test_a_transaction_tells_the_bent_rules_of_each_entry(oakwood):
    bundle = transaction_of(post(observation()), post(observation(status="banana")))
    entries = oakwood.send("POST", "", bundle, Prefer="return=OperationOutcome").json["entry"]
    severities = [entry["response"]["outcome"]["issue"][0]["severity"] for entry in entries]
    assert severities == ["information", "warning"]


def test_a_strict_practice_refuses_a_bent_rule(engine):
    from types import SimpleNamespace

    from flask import Flask

    from integration.hosted import create_hosted

    app = Flask(__name__)
    strict = SimpleNamespace(practice="oakwood", name="Oakwood", strict=True)
    app.register_blueprint(create_hosted([strict], engine, base_url_of=lambda slug: f"https://x/{slug}"))
    practice = Practice(app.test_client(), "oakwood")
    assert outcome(practice.send("POST", "Observation", observation(status="banana")), 422)["severity"] == "error"
    assert practice.send("POST", "Observation", observation()).status_code == 201


def test_the_operator_keeps_one_finding_for_a_place_which_names_the_newest_resource(engine):
    kept = []
    app = make_app(engine, note=lambda connection, practice, findings: kept.append((practice, findings)))
    oakwood = Practice(app.test_client(), "oakwood")
    stored = oakwood.create(observation(status="banana", component=[{}, {}]))
    [(practice, findings)] = kept
    assert practice == "oakwood"
    assert {each.path for each in findings} == {"Observation.status", "Observation.component.code"}
    assert all(stored["id"] in each.message and "banana" not in each.message for each in findings)
    oakwood.send("POST", "", transaction_of(post(observation(status="banana"))))
    assert [each.path for each in kept[-1][1]] == ["Observation.status"]


@pytest.mark.parametrize("value", ["a+b", "a b"])
@pytest.mark.parametrize("written", ["bare", "escaped"])
def test_a_plus_in_if_none_exist_finds_what_the_resource_carries(oakwood, value, written):
    sent = value.replace(" ", "+") if written == "bare" else value.replace("+", "%2B").replace(" ", "%20")
    condition = f"identifier=https://oakwood.example/mrn|{sent}"
    for _ in range(3):
        oakwood.send("POST", "Patient", patient(value), If_None_Exist=condition)
        oakwood.send("POST", "", transaction_of(post(patient(value), ifNoneExist=condition)))
    assert len(oakwood.ids("Patient")) == 1


def test_a_plus_that_the_resource_does_not_explain_is_refused(oakwood):
    condition = "identifier=https://oakwood.example/mrn|a+b"
    issue = outcome(oakwood.send("POST", "Patient", patient("other"), If_None_Exist=condition), 400)
    assert "%2B" in issue["diagnostics"]


@pytest.mark.parametrize("format_", ["application/fhir+json", "application/fhir%2Bjson", "json", "application/json"])
def test_each_way_to_name_the_format_is_understood(oakwood, format_):
    oakwood.create(identified("Task", "1", status="requested", intent="order"))
    assert oakwood.get(f"Task?_format={format_}")["total"] == 1


@pytest.mark.parametrize(
    "method, path, body",
    [
        ("GET", "Patient?_page=MTIzLgA=", None),
        ("GET", "Patient?_page=MTIzLg==", None),
        ("GET", "Patient?identifier=" + ",".join(map(str, range(1500))), None),
        ("GET", "Patient?_id=" + ",".join(map(str, range(1500))), None),
        ("POST", "Patient", b'{"resourceType":"\\ud800"}'),
        ("POST", "Patient", b'{"resourceType":"Patient","\\ud800":1}'),
        ("POST", "Patient", b'{"resourceType":"Patient","language":"\\ud800"}'),
        ("POST", "", b'{"resourceType":"Bundle","type":"transaction","entry":[{"fullUrl":"\\ud800","request":{}}]}'),
        (
            "POST",
            "",
            b'{"resourceType":"Bundle","type":"transaction","entry":[{"request":{"method":"POST","url":"\\ud800"}}]}',
        ),
    ],
)
def test_what_no_server_can_mean_is_400(oakwood, method, path, body):
    outcome(oakwood.send(method, path, body), 400)


def test_a_refusal_repeats_no_value(oakwood):
    for answer in (
        oakwood.send("GET", "Observation/Canary%20Name"),
        oakwood.send("GET", "Canary%20Name"),
        oakwood.send("GET", "Patient?Canary%20Name=Canary%20Name"),
        oakwood.send("POST", "Patient", {"resourceType": "Canary Name"}),
        oakwood.send("POST", "Observation", observation(status=["Canary Name"], **{"Canary Name": 1})),
    ):
        assert answer.status_code in (400, 404) and "Canary Name" not in answer.text
