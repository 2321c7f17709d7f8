"""What reading back finds at servers that lose, change, add and move what they were given, in both forms."""

import base64
import json
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from integration.store.tables import findings
from tests.jobs.exchange import a_request, load_chart, patient
from tests.servers.lying import LyingProxy

pytestmark = pytest.mark.postgres


def lossy(change):
    """A server that keeps something else than it was given: ``change`` is done to each resource it answers with."""

    def tell(method, path, answer):
        status, headers, body = answer
        if method != "GET" or b"resourceType" not in body:
            return answer
        found = json.loads(body)
        for each in [found, *(entry["resource"] for entry in found.get("entry", []) if "resource" in entry)]:
            change(each)
        new = json.dumps(found).encode()
        return status, [(k, str(len(new)) if k.lower() == "content-length" else v) for k, v in headers], new

    return lambda url: LyingProxy(url, tell=tell)


def errors(exchange) -> set[tuple[str, str]]:
    """(cause, path without source) of each error finding."""
    with exchange.engine.connect() as conn:
        rows = conn.execute(select(findings.c.cause, findings.c.path).where(findings.c.severity == "error")).all()
    return {(row.cause, row.path.partition("#")[2]) for row in rows}


def _forget(resource: dict) -> None:
    """Loses a little of each type; of the request and Task nothing."""
    kind = resource["resourceType"]
    if kind == "Composition":
        [section.pop("text", None) for section in resource["section"]]
    if kind == "Observation":
        resource.pop("note", None)
        resource["meta"].pop("security", None)
        resource["code"].setdefault("coding", []).append({"system": "urn:local", "code": "other"})
    if kind == "Condition" and "stage" in resource:
        resource["stage"] = [{"summary": {"text": "Stage I"}}]
        resource["abatementString"] = "resolved"
    if kind == "Goal":
        resource["description"] = {"text": "cure"}
    if kind == "AllergyIntolerance":
        resource["reaction"][0].pop("description", None)
    if kind == "Patient":
        resource.pop("_birthDate", None)
    if kind == "Procedure":
        resource.pop("implicitRules", None)


def test_words_and_labels_lost_changed_or_added_never_count_as_verified(make_exchange):
    exchange = make_exchange(before={"bob": lossy(_forget)})
    time = {
        "extension": [
            {
                "url": "http://hl7.org/fhir/StructureDefinition/patient-birthTime",
                "valueDateTime": "1960-01-01T00:05:00Z",
            }
        ]
    }
    subject = {"reference": f"Patient/{exchange.put('alice', patient(_birthDate=time))['id']}"}
    div = {"status": "additional", "div": '<div xmlns="http://www.w3.org/1999/xhtml">Tumor board: inoperable</div>'}
    label = {"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "R"}
    for resource in (
        {
            "resourceType": "Composition",
            "identifier": {"system": "urn:x", "value": "doc-7"},
            "status": "final",
            "type": {"text": "note"},
            "date": "2025-01-01",
            "title": "Note",
            "author": [{"display": "x"}],
            "section": [{"title": "s", "text": div}],
        },
        {
            "resourceType": "Observation",
            "status": "final",
            "code": {"text": "lab"},
            "note": [{"text": "wrong specimen, disregard"}],
            "meta": {"security": [label]},
        },
        {"resourceType": "Condition", "code": {"text": "cancer"}, "stage": [{"summary": {"text": "Stage IV"}}]},
        {"resourceType": "Goal", "lifecycleStatus": "active", "description": {"text": "palliation only"}},
        {
            "resourceType": "Procedure",
            "status": "completed",
            "code": {"text": "p"},
            "implicitRules": "https://x.example",
        },
    ):
        exchange.put("alice", {**resource, "subject": subject})
    reaction = [{"manifestation": [{"text": "rash"}], "description": "intubated in 2019"}]
    allergy = {
        "resourceType": "AllergyIntolerance",
        "patient": subject,
        "code": {"text": "penicillin"},
        "reaction": reaction,
    }
    exchange.put("alice", allergy)
    request_id = exchange.submit(a_request())
    exchange.drain()
    assert exchange.parked(request_id) == ["verify-different"]
    assert errors(exchange) >= {
        ("verify-lost", "Composition.section[0].text"),
        ("verify-lost", "Observation.note"),
        ("verify-lost", "Observation.meta.security"),
        ("verify-added", "Observation.code.coding"),
        ("verify-changed", "Condition.stage[0].summary.text"),
        ("verify-added", "Condition.abatementString"),
        ("verify-changed", "Goal.description.text"),
        ("verify-lost", "AllergyIntolerance.reaction[0].description"),
        ("verify-lost", "Patient._birthDate"),
        ("verify-lost", "Procedure.implicitRules"),
    }


@pytest.mark.parametrize("element", ["subject", "patient"])
@pytest.mark.parametrize("said", ["Patient/somebody-else", "{bob}/Patient/somebody-else", None])
@pytest.mark.every
def test_what_a_server_files_under_another_patient_never_counts_as_verified(make_exchange, element, said):
    kind = {"subject": "Observation", "patient": "AllergyIntolerance"}[element]

    def refile(resource: dict) -> None:
        if resource["resourceType"] == kind:
            resource[element] = {"reference": said.format(bob=exchange.bob)} if said else {"type": "Patient"}

    exchange = make_exchange(before={"bob": lossy(refile)})
    chart = load_chart(exchange, observations=1)
    subject = {"reference": f"Patient/{chart['patient']['id']}"}
    exchange.put("alice", {"resourceType": "AllergyIntolerance", "patient": subject, "code": {"text": "penicillin"}})
    request_id = exchange.submit(a_request())
    exchange.drain()
    assert exchange.parked(request_id) == ["verify-different"]
    assert errors(exchange) == {("other-patient", f"{kind}.{element}"), ("verify-different", "")}


def test_what_the_other_side_holds_itself_is_judged_by_whose_the_source_says_it_is(exchange):
    """Alice's copy of a record of Bob is about her patient; at Bob it is re-filed: linked there, it would be a stranger's."""
    chart = load_chart(exchange, observations=1)
    there = exchange.put(
        "bob", patient(name=[{"family": "Else"}], identifier=[{"system": "urn:test:mrn", "value": "M2"}])
    )
    mine = {"resourceType": "Observation", "status": "final", "code": {"text": "of bob"}}
    mine = exchange.put("bob", {**mine, "subject": {"reference": f"Patient/{there['id']}"}})
    own = [{"system": "urn:test:bob", "value": f"Observation/{mine['id']}"}]
    subject = {"reference": f"Patient/{chart['patient']['id']}"}
    exchange.put("alice", {**mine, "identifier": own, "subject": subject})
    request_id = exchange.submit(a_request())
    exchange.drain()
    assert exchange.view(request_id)["records"] == "blocked"
    assert ("other-patient", "Observation.subject") in errors(exchange)


def _keep_bytes_elsewhere(kept: dict[str, bytes], cut: int | None):
    """A server that keeps inline bytes as Binaries, perhaps not all of them."""

    def change(resource: dict) -> None:
        for content in resource.get("content", ()) if resource["resourceType"] == "DocumentReference" else ():
            data = base64.b64decode(content["attachment"].pop("data", ""))
            if data:
                kept[resource["id"]] = data[:cut]
                content["attachment"] |= {"url": f"Binary/moved-{resource['id']}", "size": 3, "hash": "AAAA"}

    def tell(method, path, answer):
        if "Binary/moved-" not in path:
            return lossy_answer(method, path, answer)
        data = kept[path.rpartition("moved-")[2]]
        return 200, [("Content-Type", "application/octet-stream"), ("Content-Length", str(len(data)))], data

    lossy_answer = lossy(change)("http://127.0.0.1:9").tell
    return lambda url: LyingProxy(url, tell=tell)


@pytest.mark.parametrize("accepts", ["documents", "resources"])
@pytest.mark.parametrize("cut", [None, -1])
def test_bytes_that_a_server_moved_are_fetched_and_compared(make_exchange, accepts, cut):
    exchange = make_exchange(accepts=accepts, before={"bob": _keep_bytes_elsewhere({}, cut)})
    load_chart(exchange, observations=1)
    request_id = exchange.submit(a_request())
    exchange.drain()
    assert any("Binary/moved-" in path for _, path in exchange.proxies["bob"].log)
    assert exchange.parked(request_id) == ([] if cut is None else ["verify-different"])
    assert ("verify-bytes" in exchange.causes()) == (cut is not None)


TOMORROW = str(datetime.now(UTC).date() + timedelta(days=1))
ALLOWED = "[{{path: Observation.note, difference: lost, reason: it keeps none, reviewed_by: Dr N., until: {until}}}]"


@pytest.mark.parametrize("until, parked", [(TOMORROW, []), ("2020-01-01", ["verify-different"])])
@pytest.mark.long
def test_a_reviewed_difference_is_a_finding_until_its_last_day(make_exchange, until, parked):
    exchange = make_exchange(
        before={"bob": lossy(lambda each: each["resourceType"] == "Observation" and each.pop("note", None))},
        allow=ALLOWED.format(until=until),
    )
    chart = load_chart(exchange, observations=1)
    exchange.change("alice", chart["observation-0"], note=[{"text": "fasting"}])
    request_id = exchange.submit(a_request())
    exchange.drain()
    assert exchange.parked(request_id) == parked
    assert ("verify-allowed" in exchange.causes()) == (not parked)
