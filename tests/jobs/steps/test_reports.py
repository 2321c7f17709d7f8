"""Reports that are amended, retracted, replaced, late or several: nothing of them is lost, and nothing of it in silence."""

import base64
import re

import pytest
from sqlalchemy import select, text, update

from integration.store import deliveries, operations
from integration.store.tables import findings
from integration.store.tables import steps as step_table
from mappings.model.delivery import DeliveryKind
from tests.jobs.exchange import a_request, load_chart, report_on
from tests.servers.lying import LyingProxy, swallow_first_writes

pytestmark = pytest.mark.postgres
NO_TASK = {"for": {}, "focus": {}}
NOT_FOUND = (404, [("Content-Type", "application/fhir+json")], b'{"resourceType":"OperationOutcome","issue":[]}')


def asked(exchange) -> str:
    load_chart(exchange, observations=1)
    request_id = exchange.submit(a_request())
    exchange.drain()
    return request_id


def words(content: str) -> list[dict]:
    return report_on(NO_TASK, content)["content"]


def copy_of(exchange, request_id: str, revision: int) -> dict | None:
    found = exchange.find(
        "alice",
        "DocumentReference",
        identifier=f"https://second-opinion.example/ids|DocumentReference/{request_id}-report-{revision}",
    )
    assert len(found) < 2
    return found[0] if found else None


def text_of(resource: dict) -> list[str]:
    return [base64.b64decode(each["attachment"]["data"]).decode() for each in resource["content"]]


def replaced_by(resource: dict) -> list[str]:
    return [each["target"]["reference"].split("/fhir/alice/")[-1] for each in resource.get("relatesTo", ())]


def watch_only(exchange) -> None:
    """The watch and what follows from it; what else waits goes on waiting."""
    with exchange.engine.begin() as conn:
        conn.execute(
            update(step_table).where(step_table.c.kind == "watch_fulfiller").values(next_attempt_at=text("now()"))
        )
    exchange.drain(hurry=False)


def report_deliveries(exchange, request_id: str) -> list[str]:
    with exchange.engine.connect() as conn:
        return [each.status for each in reversed(deliveries.of_request(conn, request_id, DeliveryKind.REPORT))]


def found(exchange, cause: str):
    with exchange.engine.connect() as conn:
        return conn.execute(select(findings).where(findings.c.cause == cause)).one()


def test_a_revision_is_returned_though_the_one_before_never_was(exchange):
    request_id = asked(exchange)
    with exchange.engine.begin() as conn:
        operations.pause(conn, "alice", True, actor="test")
    report = exchange.answer()
    exchange.watch()
    exchange.change("bob", report, docStatus="amended", content=words("we disagree"))
    exchange.watch()
    with exchange.engine.begin() as conn:
        operations.pause(conn, "alice", False, actor="test")
    exchange.drain()
    assert exchange.view(request_id)["closed"], exchange.parked(request_id)
    copy = copy_of(exchange, request_id, 2)
    assert text_of(copy) == ["we disagree"] and replaced_by(copy) == [] and copy_of(exchange, request_id, 1) is None


@pytest.mark.long
def test_a_revision_wakes_a_return_that_gave_up(exchange):
    request_id = asked(exchange)
    [task] = exchange.find("bob", "Task")
    report = exchange.answer(report={**report_on(task, ""), "content": [{"attachment": {"title": "to follow"}}]})
    exchange.watch()
    assert exchange.parked(request_id) == ["report-without-document"] and report_deliveries(exchange, request_id) == [
        "parked"
    ]
    exchange.change("bob", report, docStatus="amended", content=words("here it is"))
    exchange.watch()
    assert exchange.view(request_id)["closed"] and exchange.parked(request_id) == []
    assert report_deliveries(exchange, request_id) == ["cancelled", "verified"]


@pytest.mark.long
def test_what_a_person_parked_stays_parked_and_is_newest_when_it_goes(exchange):
    request_id = asked(exchange)
    with exchange.engine.begin() as conn:
        operations.pause(conn, "alice", True, actor="test")
    report = exchange.answer()
    exchange.watch()
    with exchange.engine.begin() as conn:
        conn.execute(
            update(step_table)
            .where(step_table.c.kind == "return_report")
            .values(status="parked", cause="parked-by-person")
        )
        operations.pause(conn, "alice", False, actor="test")
    exchange.change("bob", report, docStatus="amended", content=words("we disagree"))
    exchange.watch()
    assert exchange.parked(request_id) == ["parked-by-person"] and copy_of(exchange, request_id, 2) is None


def test_a_report_corrected_after_its_retraction_replaces_the_copy_that_is_there(exchange):
    request_id = asked(exchange)
    report = exchange.answer()
    exchange.watch()
    report = exchange.change("bob", report, status="entered-in-error")
    exchange.watch()
    exchange.change("bob", report, status="current", docStatus="amended", content=words("now right"))
    exchange.watch()
    first, third = copy_of(exchange, request_id, 1), copy_of(exchange, request_id, 3)
    assert first["status"] == "entered-in-error" and exchange.parked(request_id) == []
    assert text_of(third) == ["now right"] and replaced_by(third) == [f"DocumentReference/{first['id']}"]


@pytest.mark.parametrize(
    "change", [{"docStatus": "amended"}, {"status": "entered-in-error"}], ids=["amended", "retracted"]
)
def test_a_copy_whose_answer_was_lost_is_looked_for_before_a_revision_goes(make_exchange, change):
    exchange = make_exchange(before={"alice": lambda url: LyingProxy(url, tell=swallow_first_writes(1))})
    request_id = asked(exchange)
    report = exchange.answer()
    watch_only(exchange)
    first = copy_of(exchange, request_id, 1)
    assert first and report_deliveries(exchange, request_id) == ["retrying"]
    exchange.change("bob", report, **change)
    watch_only(exchange)
    second = copy_of(exchange, request_id, 2)
    assert exchange.parked(request_id) == [] and exchange.view(request_id)["closed"]
    if second is None:
        assert copy_of(exchange, request_id, 1)["status"] == "entered-in-error"
    else:
        assert replaced_by(second) == [f"DocumentReference/{first['id']}"]


@pytest.mark.long
def test_reading_back_a_report_ends_when_a_newer_one_replaces_it(make_exchange):
    unseen = [False]
    exchange = make_exchange(
        before={
            "alice": lambda url: LyingProxy(
                url,
                tell=lambda method, path, answer: (
                    NOT_FOUND if unseen[0] and method == "GET" and "/DocumentReference/" in path else answer
                ),
            )
        }
    )
    request_id = asked(exchange)
    unseen[0] = True
    report = exchange.answer()
    watch_only(exchange)
    assert report_deliveries(exchange, request_id) == ["retrying"]
    with exchange.engine.begin() as conn:
        conn.execute(
            update(step_table)
            .where(step_table.c.kind == "verify_report")
            .values(next_attempt_at=text("now() + interval '1 day'"))
        )
    unseen[0] = False
    exchange.change("bob", report, status="entered-in-error")
    watch_only(exchange)
    exchange.watch()
    assert exchange.parked(request_id) == [] and exchange.view(request_id)["closed"]
    assert report_deliveries(exchange, request_id) == ["cancelled", "verified"]
    assert "verify-different" not in exchange.causes()


@pytest.mark.long
def test_a_report_that_is_readable_only_later_is_looked_at_again(make_exchange):
    late = [True]
    exchange = make_exchange(
        before={
            "bob": lambda url: LyingProxy(
                url,
                tell=lambda method, path, answer: (
                    NOT_FOUND if late[0] and method == "GET" and "/DocumentReference/" in path else answer
                ),
            )
        }
    )
    request_id = asked(exchange)
    exchange.answer()
    exchange.watch()
    exchange.watch()
    assert exchange.view(request_id)["status"] == "requested" and found(exchange, "report-unresolved").count == 2
    late[0] = False
    exchange.watch()
    assert exchange.view(request_id)["closed"], exchange.causes()


def outputs(*resources: dict) -> dict:
    return {
        "output": [
            {"type": {"text": "report"}, "valueReference": {"reference": f"{each['resourceType']}/{each['id']}"}}
            for each in resources
        ]
    }


def test_of_several_outputs_the_consult_note_is_returned_and_the_others_are_named(exchange):
    request_id = asked(exchange)
    [task] = exchange.find("bob", "Task")
    letter = exchange.put("bob", {**report_on(task, "a letter"), "type": {"text": "letter"}})
    note = exchange.put("bob", report_on(task, "the opinion"))
    twin = exchange.put(
        "bob",
        {
            "resourceType": "DiagnosticReport",
            "status": "final",
            "code": {"text": "opinion"},
            "subject": task["for"],
            "presentedForm": [note["content"][0]["attachment"]],
        },
    )
    exchange.change("bob", task, status="completed", **outputs(letter, twin, note))
    exchange.watch()
    assert text_of(copy_of(exchange, request_id, 1)) == ["the opinion"] and exchange.view(request_id)["closed"]
    others = found(exchange, "report-many-outputs")
    assert others.severity == "error"
    assert others.message == f"1 more output(s) of the Task were not returned: DocumentReference/{letter['id']}"


@pytest.mark.parametrize("old", ["current", "superseded"])
def test_an_amendment_as_a_new_document_is_followed(exchange, old):
    request_id = asked(exchange)
    [task] = exchange.find("bob", "Task")
    first = exchange.put("bob", report_on(task, "we agree"))
    task = exchange.change("bob", task, status="completed", **outputs(first))
    exchange.watch()
    if old == "superseded":  # marked before the Task names what replaces it
        first = exchange.change("bob", first, status=old)
        exchange.watch()
        assert "report-superseded" in exchange.causes() and exchange.parked(request_id) == []
    newer = {"relatesTo": [{"code": "replaces", "target": {"reference": f"DocumentReference/{first['id']}"}}]}
    second = exchange.put("bob", {**report_on(task, "we disagree"), **newer})
    unrelated = exchange.put("bob", report_on(task, "something else"))
    exchange.change("bob", task, status="completed", **outputs(first, second, unrelated))
    for _ in range(3):
        exchange.watch()
    copy = copy_of(exchange, request_id, 2)
    assert text_of(copy) == ["we disagree"] and replaced_by(copy) == [
        f"DocumentReference/{copy_of(exchange, request_id, 1)['id']}"
    ]
    assert copy_of(exchange, request_id, 3) is None and exchange.parked(request_id) == []
    others = found(exchange, "report-many-outputs")
    assert others.message.endswith(f"DocumentReference/{unrelated['id']}") and others.count == 1


def test_an_amendment_about_another_patient_is_not_returned(exchange):
    request_id = asked(exchange)
    report = exchange.answer()
    exchange.watch()
    other = exchange.put("bob", {"resourceType": "Patient", "name": [{"family": "Other"}]})
    exchange.change("bob", report, subject={"reference": f"Patient/{other['id']}"})
    exchange.watch()
    assert exchange.parked(request_id) == ["report-other-patient"] and copy_of(exchange, request_id, 2) is None


@pytest.mark.long
def test_a_server_without_versions_is_watched_by_content(make_exchange):
    def without(method, path, answer):
        status, headers, body = answer
        return (
            status,
            headers,
            re.sub(rb'"versionId":\s*"[^"]*",?', b"", body) if "/DocumentReference/" in path else body,
        )

    exchange = make_exchange(before={"bob": lambda url: LyingProxy(url, tell=without)})
    request_id = asked(exchange)
    report = exchange.answer()
    exchange.watch()
    report = exchange.change("bob", report, docStatus="amended", content=words("we disagree"))
    exchange.watch()
    exchange.watch()
    assert text_of(copy_of(exchange, request_id, 2)) == ["we disagree"] and copy_of(exchange, request_id, 3) is None
    exchange.change("bob", report, status="entered-in-error")
    exchange.watch()
    assert copy_of(exchange, request_id, 2)["status"] == "entered-in-error"


def test_every_attachment_of_a_report_is_returned(exchange):
    request_id = asked(exchange)
    [task] = exchange.find("bob", "Task")
    exchange.answer(report={**report_on(task, "the opinion"), "content": words("the opinion") + words("the table")})
    exchange.watch()
    assert (
        text_of(copy_of(exchange, request_id, 1)) == ["the opinion", "the table"]
        and exchange.view(request_id)["closed"]
    )
    assert "report-many-attachments" not in exchange.causes()


@pytest.mark.long
def test_an_earlier_copy_that_the_server_does_not_let_us_mark_is_an_error_finding(make_exchange):
    def refuse(method, path, headers, body):
        return b"{}" if method == "PUT" else body

    exchange = make_exchange(before={"alice": lambda url: LyingProxy(url, ask=refuse)})
    request_id = asked(exchange)
    report = exchange.answer()
    exchange.watch()
    exchange.change("bob", report, docStatus="amended", content=words("we disagree"))
    exchange.watch()
    first = copy_of(exchange, request_id, 1)
    assert first["status"] == "current"
    told = found(exchange, "copy-not-superseded")
    assert (told.severity, told.path) == ("error", f"DocumentReference/{first['id']}")
    assert report_deliveries(exchange, request_id) == ["verified", "verified"] and text_of(
        copy_of(exchange, request_id, 2)
    ) == ["we disagree"]


@pytest.mark.parametrize(
    "change", [{"docStatus": "amended"}, {"status": "entered-in-error"}], ids=["amended", "retracted"]
)
def test_what_another_road_calls_a_copy_is_never_taken_for_a_resource(exchange, change):
    """The vendor's own number of a document may be the id of somebody else's DocumentReference."""
    request_id = asked(exchange)
    report = exchange.answer()
    exchange.watch()
    first = copy_of(exchange, request_id, 1)
    with exchange.engine.begin() as conn:
        conn.execute(
            text("UPDATE sendings SET road = 'vendor-rest', reference = :there"),
            {"there": f"DocumentReference/{first['id']}"},
        )
    exchange.change("bob", report, **change)
    exchange.watch()
    assert copy_of(exchange, request_id, 1) == first
    if "status" in change:
        assert exchange.parked(request_id) == ["to-hand-over"], "a person tells them, when no road can take it back"
    else:
        assert replaced_by(copy_of(exchange, request_id, 2)) == []
