"""Who read and wrote what at a hosted endpoint stands in the audit trail and in the log, without a value."""

import json
import logging

import pytest

from integration.hosted.accesses import Access
from integration.log import JsonLines
from integration.web.access.hosted_log import rows_of

pytestmark = pytest.mark.postgres
FAMILY = "Canaryfamily"


@pytest.fixture
def ehr(guarded):
    """A machine of Dr Alice's practice."""
    headers = guarded.token("alice-ehr", practice="alice")

    def send(method: str, path: str, body=None, **more: str):
        return guarded.app.test_client().open(
            f"/fhir/alice{path}",
            method=method,
            json=body,
            headers=headers | {k.replace("_", "-"): v for k, v in more.items()},
        )

    return send


def audited(guarded) -> list[dict]:
    guarded.app.extensions["second_opinion"]["hosted_log"].flush()
    rows = guarded.sql("SELECT actor, action, subject, detail FROM audit WHERE action LIKE 'hosted.%' ORDER BY id")
    return [dict(row._mapping) for row in rows]


def patient() -> dict:
    return {"resourceType": "Patient", "name": [{"family": FAMILY}]}


def test_each_interaction_is_audited_with_who_and_which_and_no_value(guarded, ehr):
    id_ = ehr("POST", "/Patient", patient()).json["id"]
    ehr("GET", f"/Patient/{id_}")
    ehr("GET", f"/Patient/{id_}/_history/1")
    ehr("GET", f"/Patient?family={FAMILY}")
    ehr("PUT", f"/Patient/{id_}", patient() | {"id": id_})
    entry = {"resource": patient(), "request": {"method": "POST", "url": "Patient"}}
    ehr("POST", "", {"resourceType": "Bundle", "type": "transaction", "entry": [entry, entry]})
    rows = audited(guarded)
    assert {row["actor"] for row in rows} == {"token alice-ehr"}
    by_action = {row["action"]: row["detail"] for row in rows}
    assert by_action["hosted.create"]["ids"] == by_action["hosted.read"]["ids"] == [f"Patient/{id_}"]
    assert by_action["hosted.vread"]["ids"] == [f"Patient/{id_}/_history/1"]
    assert by_action["hosted.search-type"] == {
        "practice": "alice",
        "times": 1,
        "parameters": ["family"],
        "ids": [f"Patient/{id_}"],
    }
    assert by_action["hosted.update"]["ids"] == [f"Patient/{id_}"]
    assert len(by_action["hosted.transaction"]["ids"]) == 2
    assert FAMILY not in json.dumps(rows)


def test_a_write_is_audited_in_its_own_commit(guarded, ehr):
    ehr("POST", "/Patient", patient())
    assert guarded.sql("SELECT count(*) FROM audit WHERE action = 'hosted.create'").scalar() == 1


def test_reads_are_audited_a_moment_later_without_being_asked(guarded, ehr):
    import time

    id_ = ehr("POST", "/Patient", patient()).json["id"]
    ehr("GET", f"/Patient/{id_}")
    until = time.monotonic() + 5
    while not guarded.sql("SELECT count(*) FROM audit WHERE action = 'hosted.read'").scalar():
        assert time.monotonic() < until
        time.sleep(0.1)


def test_reads_wait_while_the_trail_cannot_be_written(guarded, ehr):
    id_ = ehr("POST", "/Patient", patient()).json["id"]
    guarded.sql("ALTER TABLE audit RENAME TO audit_away")
    assert ehr("GET", f"/Patient/{id_}").status_code == 200
    guarded.app.extensions["second_opinion"]["hosted_log"].flush()
    guarded.sql("ALTER TABLE audit_away RENAME TO audit")
    assert [row["action"] for row in audited(guarded)] == ["hosted.create", "hosted.read"]


def test_the_log_says_who_and_what_too(guarded, ehr, caplog):
    with caplog.at_level(logging.INFO, "integration"):
        id_ = ehr("POST", "/Patient", patient()).json["id"]
        ehr("GET", f"/Patient/{id_}")
        guarded.app.test_client().get("/fhir/Canaryfamily/Patient/x")
    lines = [json.loads(JsonLines().format(record)) for record in caplog.records]
    told = [(line.get("actor"), line.get("interaction"), line.get("subject")) for line in lines]
    assert ("token alice-ehr", "read", f"Patient/{id_}") in told and FAMILY not in json.dumps(lines)


def test_what_is_alike_is_one_row_that_names_all():
    reads = [Access("exchange", "alice", "read", "Patient", (f"Patient/{number % 700}",)) for number in range(900)]
    other = Access("token x", "alice", "search-type", "Task", (), ("status",))
    rows = rows_of([*reads, other])
    assert [len(row["detail"].get("ids", [])) for row in rows] == [500, 200, 0]
    assert rows[0]["detail"]["times"] == 900 and rows[2]["detail"]["parameters"] == ["status"]
