"""A request that was entered wrongly is corrected: before it is sent, after it is sent, and never over what others wrote."""

import json
import threading

import pytest
from sqlalchemy import select, text, update

from integration.store import operations, requests, revisions
from integration.store.requests import KeyReused
from integration.store.revisions import RevisionRefused, RevisionStale
from integration.store.tables import audit, deliveries, packets, request_versions, steps
from tests.jobs.exchange import a_request, load_chart
from tests.servers.lying import LyingProxy

pytestmark = pytest.mark.postgres
FEW = {"types": ["Observation"]}


def entered(**fields):
    return a_request(**{"records": FEW, **fields})


def begin(exchange, **fields):
    """A request taken in over a small chart; nothing is done yet."""
    load_chart(exchange, observations=1)
    return exchange.submit(entered(**fields))


def revise(exchange, request_id, expected=None, **fields):
    with exchange.engine.begin() as conn:
        return revisions.revise(
            conn, request_id, entered(**fields), actor="test", reason="typed wrongly", expected_version=expected
        )


def one(exchange, kind):
    [found] = exchange.find("bob", kind)
    return found


def corrections(task: dict) -> list[str]:
    """The notes that tell of a correction; others say what is not among the records."""
    return [each["text"] for each in task["note"] if each["text"].startswith("The request was corrected")]


def question(exchange):
    return [reason["text"] for reason in one(exchange, "ServiceRequest")["reasonCode"]][0]


def sent_to_bob(exchange):
    """Versions of request deliveries with their status."""
    with exchange.engine.connect() as conn:
        return dict(
            conn.execute(select(deliveries.c.version, deliveries.c.status).where(deliveries.c.kind == "request")).all()
        )


# Before it is sent


def test_what_is_corrected_before_it_is_sent_is_sent_once_and_as_corrected(exchange):
    request_id = begin(exchange)
    made = revise(exchange, request_id, question="Is chemotherapy needed?", priority="urgent", wanted_by="2030-01-10")
    assert (made.version, made.was_sent, made.paths) == (2, False, ["question", "priority", "wanted_by"])
    exchange.drain()
    assert question(exchange) == "Is chemotherapy needed?" and one(exchange, "ServiceRequest")["priority"] == "urgent"
    assert (
        not corrections(one(exchange, "Task")) and one(exchange, "Task")["restriction"]["period"]["end"] == "2030-01-10"
    )
    assert sent_to_bob(exchange) == {2: "verified"}


@pytest.mark.long
def test_the_first_version_stays_and_taking_in_the_same_key_compares_with_it(exchange):
    request_id = begin(exchange)
    revise(exchange, request_id, question="Another?")
    with exchange.engine.begin() as conn:
        assert requests.take_in(conn, entered(), actor="test") == (request_id, False)
        with pytest.raises(KeyReused):
            requests.take_in(conn, entered(question="Another?"), actor="test")
        first, second = revisions.versions(conn, request_id)
        assert (first.actor, first.reason, first.fields) == ("test", None, [])
        assert (second.actor, second.reason, second.fields) == ("test", "typed wrongly", ["question"])
        assert (
            revisions.content(conn, request_id, 1) == entered()
            and revisions.content(conn, request_id, 2).question == "Another?"
        )
        with pytest.raises(RevisionRefused, match="no version 3"):
            revisions.content(conn, request_id, 3)
        [row] = conn.execute(select(audit).where(audit.c.action == "request.corrected")).all()
        assert (row.subject, row.reason, row.detail) == ("version 2", "typed wrongly", {"fields": ["question"]})
        assert "Another" not in str(row)


@pytest.mark.long
def test_a_request_of_before_versions_existed_keeps_what_it_said_as_its_first(exchange):
    request_id = begin(exchange)
    with exchange.engine.begin() as conn:
        conn.execute(request_versions.delete())
    revise(exchange, request_id, question="Another?")
    with exchange.engine.begin() as conn:
        assert [each.version for each in revisions.versions(conn, request_id)] == [1, 2]
        assert revisions.content(conn, request_id, 1) == entered()
        assert requests.take_in(conn, entered(), actor="test") == (request_id, False)


def test_a_wrong_patient_number_is_corrected_and_the_parked_step_goes_on(exchange):
    load_chart(exchange, observations=1)
    wrong = {"identifiers": [{"system": "urn:test:mrn", "value": "M2"}], "name": {"family": "Synthetic-Test"}}
    request_id = exchange.submit(entered(patient=wrong))
    exchange.drain()
    assert exchange.parked(request_id) == ["patient-none"]
    before = exchange.view(request_id)
    made = revise(exchange, request_id)
    assert len(made.retried) == 1 and "patient.identifiers[0].value" in made.paths
    exchange.drain()
    assert exchange.view(request_id)["records"] == "verified" and before["records"] == "blocked"
    with exchange.engine.connect() as conn:
        hashes = (
            conn.execute(select(request_versions.c.patient_hash).order_by(request_versions.c.version)).scalars().all()
        )
        assert requests.get(conn, request_id).patient_hash == hashes[1] != hashes[0]


@pytest.mark.long
def test_what_a_person_parked_stays_parked(exchange):
    request_id = begin(exchange)
    with exchange.engine.begin() as conn:
        conn.execute(update(steps).values(status="parked", cause="parked-by-person"))
    assert revise(exchange, request_id, question="Another?").retried == ()
    exchange.drain()
    assert exchange.parked(request_id) == ["parked-by-person"]


@pytest.mark.long
def test_the_deadline_follows(exchange):
    request_id = begin(exchange, wanted_by="2030-01-10")
    revise(exchange, request_id, wanted_by="2030-02-10")
    with exchange.engine.connect() as conn:
        assert {f"{each:%m-%d}" for each in conn.execute(select(steps.c.deadline)).scalars()} == {"02-07"}
        assert f"{requests.get(conn, request_id).records_due_at:%m-%d}" == "02-07"
    revise(exchange, request_id)
    with exchange.engine.connect() as conn:
        assert {each.year for each in conn.execute(select(steps.c.deadline)).scalars()} == {9999}


def test_a_correction_while_the_chart_is_gathered_has_it_gathered_again(make_exchange):
    at_work, go_on = threading.Event(), threading.Event()

    def slow(method, path, headers, body):
        if "/Observation?" in path and not go_on.is_set():
            at_work.set()
            assert go_on.wait(20)
        return body

    exchange = make_exchange(before={"alice": lambda url: LyingProxy(url, ask=slow)})
    request_id = begin(exchange)
    worker = threading.Thread(target=exchange.drain)
    worker.start()
    assert at_work.wait(20)
    revise(exchange, request_id, records={"types": ["Condition"]})
    go_on.set()
    worker.join(60)
    exchange.drain()
    view = exchange.view(request_id)
    assert [each["outcome"] for each in view["attempts"] if each["kind"] == "gather_records"] == ["again", "done"]
    assert [row["version"] for row in view["packets"]] == [1] and exchange.find("bob", "Observation") == []
    assert len(exchange.find("bob", "Condition")) == 1


# After it is sent


@pytest.fixture
def sent(exchange):
    """(exchange, request id): the consultant was asked."""
    request_id = begin(exchange, wanted_by="2030-01-10")
    exchange.drain()
    assert sent_to_bob(exchange) == {1: "verified"}
    return exchange, request_id


CORRECTED = dict(question="Is chemotherapy needed?", wanted_by="2030-02-10", patient_questions=["Will it hurt?"])


def test_a_correction_after_it_was_sent_updates_the_same_resources(sent):
    exchange, request_id = sent
    before = {kind: one(exchange, kind) for kind in ("ServiceRequest", "Communication", "Task")}
    made = revise(exchange, request_id, **CORRECTED)
    assert made.was_sent and made.told == ("ServiceRequest", "Communication", "Task")
    exchange.drain()
    after = {kind: one(exchange, kind) for kind in before}
    assert all(after[kind]["id"] == before[kind]["id"] and after[kind]["meta"]["versionId"] == "2" for kind in before)
    assert question(exchange) == "Is chemotherapy needed?" and after["Communication"]["payload"] == [
        {"contentString": "Will it hurt?"}
    ]
    assert after["Task"]["restriction"]["period"]["end"] == "2030-02-10"
    assert corrections(after["Task"]) == [
        "The request was corrected (version 2): question, wanted by, patient questions."
    ]
    assert sent_to_bob(exchange) == {1: "verified", 2: "verified"}
    assert not exchange.view(request_id)["owed"] or exchange.parked(request_id) == []


def test_updates_are_sent_with_the_version_we_last_wrote(make_exchange):
    asked = []

    def note(method, path, headers, body):
        if method == "PUT":
            asked.append((path.split("/")[-2], headers.get("If-Match")))
        return body

    exchange = make_exchange(before={"bob": lambda url: LyingProxy(url, ask=note)})
    request_id = begin(exchange)
    exchange.drain()
    revise(exchange, request_id, **CORRECTED)
    exchange.drain()
    assert asked == [("ServiceRequest", 'W/"1"'), ("Communication", 'W/"1"'), ("Task", 'W/"1"')]


@pytest.mark.long
def test_a_correction_is_corrected_again_and_the_loop_closes(sent):
    exchange, request_id = sent
    revise(exchange, request_id, **CORRECTED)
    exchange.drain()
    revise(exchange, request_id, **{**CORRECTED, "question": "Is radiotherapy needed?", "priority": "asap"})
    exchange.drain()
    assert question(exchange) == "Is radiotherapy needed?" and len(corrections(one(exchange, "Task"))) == 2
    exchange.answer()
    exchange.watch()
    assert exchange.view(request_id)["closed"], exchange.view(request_id)["missing_to_close"]


@pytest.mark.long
def test_what_the_consultant_does_with_the_task_is_kept(sent):
    exchange, request_id = sent
    task = exchange.change("bob", one(exchange, "Task"), status="accepted")
    exchange.change("bob", task, status="in-progress", note=[{"text": "seen"}], owner={"display": "Dr Bob's registrar"})
    exchange.watch()
    revise(exchange, request_id, **CORRECTED)
    exchange.drain()
    task = one(exchange, "Task")
    assert (task["status"], task["owner"]) == ("in-progress", {"display": "Dr Bob's registrar"})
    assert [note["text"] for note in task["note"]][0] == "seen" and len(corrections(task)) == 1
    assert task["restriction"]["period"]["end"] == "2030-02-10" and sent_to_bob(exchange)[2] == "verified"
    assert exchange.view(request_id)["status"] == "in-progress"


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("ServiceRequest", {"note": [{"text": "moved to Tuesday"}]}),
        ("ServiceRequest", {"priority": "asap"}),
        ("Communication", {"payload": [{"contentString": "other"}]}),
        ("Task", {"restriction": {"period": {"end": "2031-01-01"}}}),
    ],
)
def test_what_the_fulfiller_changed_is_never_written_over(sent, kind, change):
    exchange, request_id = sent
    theirs = exchange.change("bob", one(exchange, kind), **change)
    revise(exchange, request_id, **CORRECTED)
    exchange.drain()
    assert exchange.parked(request_id) == ["changed-at-target"]
    assert one(exchange, kind) == theirs
    assert sent_to_bob(exchange)[2] == "parked"
    lacks = exchange.view(request_id)["missing_to_close"]
    assert "the correction of the request is not verified at the consulting provider" in lacks


@pytest.mark.long
def test_once_theirs_is_turned_back_the_correction_goes_on(sent):
    exchange, request_id = sent
    ours = one(exchange, "ServiceRequest")
    theirs = exchange.change("bob", ours, priority="asap")
    revise(exchange, request_id, **CORRECTED)
    exchange.drain()
    exchange.change("bob", theirs, priority="routine")
    with exchange.engine.begin() as conn:
        operations.retry_delivery(conn, f"{request_id}-request-2", actor="test", reason="agreed by phone")
    exchange.drain()
    assert question(exchange) == "Is chemotherapy needed?" and sent_to_bob(exchange)[2] == "verified"


@pytest.mark.long
def test_when_theirs_stands_the_request_is_corrected_to_say_the_same(sent):
    exchange, request_id = sent
    theirs = exchange.change("bob", one(exchange, "ServiceRequest"), priority="asap")
    revise(exchange, request_id, **CORRECTED)
    exchange.drain()
    assert exchange.parked(request_id) == ["changed-at-target"]
    made = revise(exchange, request_id, priority="asap", wanted_by="2030-01-10")
    assert len(made.retried) == 1
    exchange.drain()
    assert one(exchange, "ServiceRequest") == theirs and sent_to_bob(exchange) == {
        1: "verified",
        2: "cancelled",
        3: "verified",
    }


def test_a_change_between_the_look_and_the_write_is_refused_by_the_server_and_parked(make_exchange):
    exchange = None
    armed = []

    def sneak(method, path, answer):
        if armed and method == "GET" and "/ServiceRequest/" in path:
            armed.pop()
            exchange.change("bob", one(exchange, "ServiceRequest"), priority="asap")
        return answer

    exchange = make_exchange(before={"bob": lambda url: LyingProxy(url, tell=sneak)})
    request_id = begin(exchange)
    exchange.drain()
    armed.append(True)
    revise(exchange, request_id, **CORRECTED)
    exchange.drain()
    assert (
        exchange.parked(request_id) == ["changed-at-target"] and one(exchange, "ServiceRequest")["priority"] == "asap"
    )
    assert "http-412" in [each["cause"] for each in exchange.view(request_id)["attempts"]]


def test_answers_to_updates_that_never_come_make_no_second_resource(make_exchange):
    swallowed = []

    def swallow(method, path, answer):
        if method == "PUT" and path not in swallowed:
            swallowed.append(path)
            return None
        return answer

    exchange = make_exchange(before={"bob": lambda url: LyingProxy(url, tell=swallow)})
    request_id = begin(exchange)
    exchange.drain()
    revise(exchange, request_id, **CORRECTED)
    exchange.drain()
    assert len(swallowed) == 3
    for kind in ("ServiceRequest", "Communication", "Task"):
        assert one(exchange, kind)["meta"]["versionId"] == "2", "what was there already was not written again"
    assert question(exchange) == "Is chemotherapy needed?" and sent_to_bob(exchange)[2] == "verified"
    assert len(corrections(one(exchange, "Task"))) == 1


def test_a_correction_of_what_was_written_without_an_answer_finds_it(make_exchange):
    """The create's answer is lost, the request is corrected before the step looks again: one resource, as corrected."""
    swallowed = []

    def pause(paused):
        with exchange.engine.begin() as conn:
            operations.pause(conn, "bob", paused, actor="test")

    def swallow(method, path, answer):
        if method == "POST" and path.endswith("/ServiceRequest") and not swallowed:
            swallowed.append(path)
            pause(True)
            return None
        return answer

    exchange = make_exchange(before={"bob": lambda url: LyingProxy(url, tell=swallow)})
    request_id = begin(exchange)
    exchange.drain()
    assert swallowed and exchange.find("bob", "Task") == []
    revise(exchange, request_id, **CORRECTED)
    pause(False)
    exchange.drain()
    assert question(exchange) == "Is chemotherapy needed?" and one(exchange, "Task")["for"]
    assert sent_to_bob(exchange) == {1: "cancelled", 2: "verified"}


@pytest.mark.long
def test_a_correction_while_it_is_being_sent_goes_right_after(make_exchange):
    at_work, go_on = threading.Event(), threading.Event()

    def slow(method, path, headers, body):
        if method == "POST" and path.endswith("/ServiceRequest"):
            at_work.set()
            assert go_on.wait(20)
        return body

    exchange = make_exchange(before={"bob": lambda url: LyingProxy(url, ask=slow)})
    request_id = begin(exchange)
    worker = threading.Thread(target=exchange.drain)
    worker.start()
    assert at_work.wait(60)
    revise(exchange, request_id, **CORRECTED)
    go_on.set()
    worker.join(60)
    exchange.drain()
    assert question(exchange) == "Is chemotherapy needed?" and sent_to_bob(exchange) == {1: "cancelled", 2: "verified"}


@pytest.mark.long
def test_a_correction_before_the_read_back_replaces_it(sent):
    exchange, request_id = sent
    with exchange.engine.begin() as conn:  # as if it had been sent a moment ago
        conn.execute(update(steps).where(steps.c.kind == "verify_request").values(status="due", finished_at=None))
        conn.execute(update(steps).where(steps.c.kind == "watch_fulfiller").values(status="cancelled"))
        conn.execute(update(deliveries).where(deliveries.c.kind == "request").values(status="sent"))
        conn.execute(
            update(steps).where(steps.c.kind == "verify_request").values(deadline=text("now() + interval '9 years'"))
        )
    revise(exchange, request_id, **CORRECTED)
    exchange.drain()
    assert sent_to_bob(exchange) == {1: "cancelled", 2: "verified"}
    assert "watch_fulfiller" in [step["kind"] for step in exchange.view(request_id)["owed"]]


@pytest.mark.long
def test_questions_that_are_no_longer_asked_are_marked_and_come_back_when_asked_again(sent):
    exchange, request_id = sent
    revise(exchange, request_id, wanted_by="2030-01-10", patient_questions=[])
    exchange.drain()
    assert one(exchange, "Communication")["status"] == "entered-in-error"
    assert "patient questions" not in json.dumps(one(exchange, "Task").get("input", []))
    revise(exchange, request_id, wanted_by="2030-01-10", patient_questions=["Will it hurt?"])
    exchange.drain()
    there = one(exchange, "Communication")
    assert (there["status"], there["payload"]) == ("completed", [{"contentString": "Will it hurt?"}])
    assert "patient questions" in json.dumps(one(exchange, "Task")["input"]) and sent_to_bob(exchange)[3] == "verified"


@pytest.mark.long
def test_another_consultant_is_named_at_the_fulfiller(sent):
    exchange, request_id = sent
    consultant = {
        "name": {"family": "Consultant"},
        "identifiers": [{"system": "http://hl7.org/fhir/sid/us-npi", "value": "1234567893"}],
    }
    revise(exchange, request_id, wanted_by="2030-01-10", consultant=consultant)
    exchange.drain()
    performer = one(exchange, "ServiceRequest")["performer"][0]["reference"]
    assert one(exchange, "Task")["owner"]["reference"] == performer and performer.startswith("Practitioner/")


def test_a_server_that_keeps_the_old_question_is_found_by_the_read_back(make_exchange):
    def keep(method, path, headers, body):
        return body.replace(b"Is chemotherapy needed?", b"Is surgery needed?") if method == "PUT" else body

    exchange = make_exchange(before={"bob": lambda url: LyingProxy(url, ask=keep)})
    request_id = begin(exchange)
    exchange.drain()
    revise(exchange, request_id, question="Is chemotherapy needed?")
    exchange.drain()
    assert exchange.parked(request_id) == ["verify-different"]


@pytest.mark.long
def test_a_task_that_was_ended_meanwhile_is_not_touched_and_nothing_else_is(sent):
    exchange, request_id = sent
    task = exchange.change("bob", one(exchange, "Task"), status="rejected", statusReason={"text": "no capacity"})
    revise(exchange, request_id, **CORRECTED)
    exchange.drain()
    assert exchange.parked(request_id) == ["correction-too-late"]
    assert one(exchange, "Task") == task and question(exchange) == "Is surgery needed?"
    exchange.watch()
    with exchange.engine.begin() as conn:
        operations.retry_delivery(conn, f"{request_id}-request-2", actor="test", reason="phoned")
    exchange.drain()
    assert exchange.view(request_id)["status"] == "rejected" and sent_to_bob(exchange)[2] == "cancelled"
    assert "correction-not-sent" in exchange.causes() and question(exchange) == "Is surgery needed?"


@pytest.mark.long
def test_the_readable_summary_is_renewed_where_records_went_as_documents(make_exchange):
    exchange = make_exchange(accepts="documents")
    request_id = begin(exchange)
    exchange.drain()

    def summary():
        found = [
            each
            for each in exchange.find("bob", "DocumentReference")
            if each["content"][0]["attachment"]["title"] == "First-opinion records"
        ]
        assert len(found) == 1
        return found[0]

    before = summary()
    revise(exchange, request_id, question="Is chemotherapy needed?")
    exchange.drain()
    after = summary()
    assert (
        after["id"] == before["id"]
        and after["content"][0]["attachment"]["data"] != before["content"][0]["attachment"]["data"]
    )
    assert sent_to_bob(exchange) == {1: "verified", 2: "verified"}
    assert len(exchange.view(request_id)["deliveries"]) == 3


@pytest.mark.long
def test_records_wanted_from_further_back_are_gathered_and_sent(exchange):
    load_chart(exchange, observations=2)
    request_id = exchange.submit(entered(records={**FEW, "since": "2999-01-01"}))
    exchange.drain()
    assert exchange.find("bob", "Observation") == []
    with exchange.engine.begin() as conn:  # gathered long after the records were last changed
        conn.execute(update(packets).values(created_at=text("now() + interval '3 hours'")))
    assert revise(exchange, request_id).reads_chart
    exchange.drain()
    assert len(exchange.find("bob", "Observation")) == 2
    view = exchange.view(request_id)
    assert sorted(row["version"] for row in view["packets"]) == [1, 2]
    exchange.watch()
    assert len(exchange.view(request_id)["packets"]) == 2


# What is refused


def test_two_people_at_once_have_one_effect_and_both_are_told(exchange):
    request_id = begin(exchange)
    both, told = threading.Barrier(2), []

    def press(words):
        both.wait()
        try:
            told.append(revise(exchange, request_id, 1, question=words).version)
        except RevisionStale as error:
            told.append(str(error))

    people = [threading.Thread(target=press, args=(words,)) for words in ("One?", "Two?")]
    for person in people:
        person.start()
    for person in people:
        person.join(30)
    assert sorted(map(str, told))[0] == "2" and len(told) == 2
    [sentence] = [each for each in told if each != 2]
    assert (
        "was at version 1 when you looked and is at version 2 now" in sentence
        and "by test" in sentence
        and "question" in sentence
    )
    with exchange.engine.connect() as conn:
        assert len(revisions.versions(conn, request_id)) == 2


def test_a_patient_is_not_changed_under_gathered_or_delivered_records(make_exchange):
    exchange = make_exchange(patients="match")
    request_id = begin(exchange)
    exchange.drain()
    assert exchange.parked(request_id) == ["patient-none"], "gathered at Alice's, unknown at Bob's"
    other = {
        "identifiers": [{"system": "urn:test:mrn", "value": "M1"}],
        "name": {"family": "Synthetic-Test", "given": ["Eve"]},
    }
    with pytest.raises(RevisionRefused, match="are gathered. Nothing was sent to bob yet"):
        revise(exchange, request_id, patient=other)
    there = exchange.put("bob", {"resourceType": "Patient", "name": [{"family": "Synthetic-Test"}]})
    with exchange.engine.begin() as conn:
        operations.link_patient(
            conn, request_id, "bob", f"Patient/{there['id']}", actor="test", reason="called", confirmed=True
        )
    exchange.drain()
    with pytest.raises(RevisionRefused, match="tell bob by phone, and enter a new one"):
        revise(exchange, request_id, patient=other)
    assert exchange.view(request_id)["records"] == "verified"
    with exchange.engine.connect() as conn:
        assert len(revisions.versions(conn, request_id)) == 1


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({}, "nothing differs from version 1"),
        ({"key": "k2"}, "key cannot be corrected"),
        ({"service_request": "ServiceRequest/7"}, "service_request cannot be corrected"),
        ({"placer": "bob", "fulfiller": "alice"}, "placer, fulfiller cannot be corrected"),
    ],
)
def test_what_would_be_another_request_is_refused(exchange, fields, sentence):
    request_id = begin(exchange)
    with pytest.raises(RevisionRefused, match=sentence):
        revise(exchange, request_id, **fields)


@pytest.mark.long
def test_what_ended_or_is_being_cancelled_is_not_corrected(sent):
    exchange, request_id = sent
    with exchange.engine.begin() as conn:
        operations.cancel(conn, request_id, actor="test", reason="changed my mind")
    with pytest.raises(RevisionRefused, match="is being cancelled"):
        revise(exchange, request_id, **CORRECTED)
    exchange.drain()
    with pytest.raises(RevisionRefused, match="is cancelled: only an open request"):
        revise(exchange, request_id, **CORRECTED)


def test_a_reason_is_needed(exchange):
    request_id = begin(exchange)
    with exchange.engine.begin() as conn, pytest.raises(RevisionRefused, match="say why"):
        revisions.revise(conn, request_id, entered(question="Another?"), actor="test", reason="  ")
