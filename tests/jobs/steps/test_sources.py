"""What is missing is asked of its source over real FHIR: once, watched, taken into the packet, and never another patient's."""

import base64
from datetime import date, timedelta

import pytest

from integration import asking, checklists
from integration.packets import stored as packets
from integration.packets.pdf_words import words_of_pdf
from integration.store import packets as packet_rows
from integration.store import source_asks
from integration.store.checklist_facts import Topic
from integration.store.operations import NotPossible
from mappings.model.checklist import State
from mappings.model.source_ask import AskWord
from tests.jobs.exchange import a_request, load_chart, patient

pytestmark = pytest.mark.postgres


def ask(exchange, request_id, *items, source="alice", **more):
    """Its number; asked and on its way."""
    today = exchange.clock().date()
    words = {
        "due": (today + timedelta(days=10)).isoformat(),
        "today": today,
        "actor": "A. Reader",
        "reason": "the visit",
    }
    made = asking.ask(
        exchange.engine, exchange.config, request_id, items=items or ("allergies",), source=source, **words | more
    )
    exchange.drain()
    return made


def one(exchange, request_id, ask_id):
    return asking.one(exchange.engine, exchange.config, request_id, ask_id)


def started(exchange, **fields):
    """A chart at Alice, a request whose records and Task are at Bob."""
    chart = load_chart(exchange)
    request_id = exchange.submit(a_request(**fields))
    exchange.drain()
    return request_id, {"reference": f"Patient/{chart['patient']['id']}"}


def task_at(exchange, where="alice"):
    """The newest data request there."""
    found = [each for each in exchange.find(where, "Task") if each["code"]["coding"][0]["code"] == "data-request"]
    return found[-1]


def answered(exchange, **elements):
    """Alice changes her Task; the Exchange looks."""
    exchange.change("alice", task_at(exchange), **elements)
    exchange.later(hours=5)
    exchange.watch()
    exchange.watch()


def output(reference, kind="data-value"):
    return {"type": {"text": kind}, "valueReference": {"reference": reference}}


def packed(exchange, request_id):
    """Everything that all packets hold."""
    with exchange.engine.connect() as conn:
        rows = packet_rows.of_request(conn, request_id)
    return {name for row in rows for name in packets.load(exchange.payloads, row.manifest_sha256).resources}


def states(exchange, request_id):
    found = checklists.judged(exchange.engine, exchange.payloads, exchange.config, request_id, exchange.clock().date())
    return {item.rule.kind: item.state for item in found.items}


def allergy(subject, **more):
    return {"resourceType": "AllergyIntolerance", "patient": subject, "code": {"text": "synthetic substance"}, **more}


def test_it_is_asked_once_as_a_data_request_and_what_came_travels_as_from_that_source(exchange):
    request_id, subject = started(exchange)
    assert states(exchange, request_id)["allergies"] is State.MISSING
    number = ask(exchange, request_id, what="the list of 2019")
    task = task_at(exchange)
    [given] = task["input"]
    assert task["code"]["coding"][0]["system"].endswith("/hrex-temp") and "focus" not in task
    assert task["for"] == subject and task["owner"] == {"display": "Dr Alice"} and task["status"] == "requested"
    assert given["valueCodeableConcept"]["text"] == "Allergies and intolerances; the list of 2019"
    assert task["restriction"]["period"]["end"] == one(exchange, request_id, number).due.isoformat()
    assert "synthetic diagnosis" not in str(task) and "surgery" not in str(task)
    assert states(exchange, request_id)["allergies"] is State.REQUESTED
    answered(exchange, status="accepted")
    made = exchange.put("alice", allergy(subject))
    answered(exchange, status="completed", output=[output(f"AllergyIntolerance/{made['id']}")])
    assert one(exchange, request_id, number).word is AskWord.ANSWERED
    assert f"AllergyIntolerance/{made['id']}" in packed(exchange, request_id)
    assert states(exchange, request_id)["allergies"] is State.FOUND
    assert len(exchange.find("bob", "AllergyIntolerance")) == 1
    words = [each.word for each in one(exchange, request_id, number).events]
    assert words == [AskWord.SENT, AskWord.ACCEPTED, AskWord.ANSWERED]
    assert len([each for each in exchange.find("alice", "Task") if "data-request" in str(each["code"])]) == 1
    assert not exchange.parked(request_id)


@pytest.mark.long
def test_what_no_search_shows_and_what_the_task_holds_itself_are_taken_too(exchange):
    request_id, subject = started(exchange, records={"types": ["Observation"]})
    ask(exchange, request_id)
    beside = exchange.put("alice", allergy(subject))
    inside = allergy(subject) | {"id": "a1"}
    data = base64.b64encode(b"synthetic letter").decode()
    letter = {"type": {"text": "a letter"}, "valueAttachment": {"contentType": "text/plain", "data": data}}
    outputs = [output(f"AllergyIntolerance/{beside['id']}"), output("#a1"), letter]
    answered(exchange, status="completed", contained=[inside], output=outputs)
    task = task_at(exchange)["id"]
    wanted = {
        f"AllergyIntolerance/{beside['id']}",
        f"AllergyIntolerance/{task}-a1",
        f"DocumentReference/{task}-output-2",
    }
    assert wanted <= packed(exchange, request_id)
    exchange.later(days=2)  # the whole chart is read again: nothing of it is taken for gone
    exchange.watch()
    assert "record-withdrawn" not in exchange.causes()
    assert len(exchange.find("bob", "AllergyIntolerance")) == 2 and not exchange.parked(request_id)


@pytest.mark.parametrize("how", ["by-reference", "contained", "no-subject", "in-a-bundle", "the-task-moved"])
@pytest.mark.every
def test_another_patients_record_never_enters_and_somebody_is_told(exchange, how):
    request_id, subject = started(exchange)
    number = ask(exchange, request_id)
    other = exchange.put("alice", patient(identifier=[{"system": "urn:test:mrn", "value": "M2"}]))
    theirs = {"reference": f"Patient/{other['id']}"}
    right = output(f"AllergyIntolerance/{exchange.put('alice', allergy(subject))['id']}")
    elements = {"output": [right]}
    if how == "by-reference":
        elements["output"].append(output(f"AllergyIntolerance/{exchange.put('alice', allergy(theirs))['id']}"))
    elif how == "contained":
        elements |= {"contained": [allergy(theirs) | {"id": "a1"}], "output": [right, output("#a1")]}
    elif how == "no-subject":
        unsaid = {"resourceType": "DocumentReference", "id": "d1", "status": "current", "content": [{"attachment": {}}]}
        elements |= {"contained": [unsaid], "output": [output("#d1")]}
    elif how == "in-a-bundle":
        entry = {"resource": allergy(theirs) | {"id": "x"}}
        made = exchange.put("alice", {"resourceType": "Bundle", "type": "collection", "entry": [entry]})
        elements["output"].append(output(f"Bundle/{made['id']}"))
    else:
        elements["for"] = theirs
    answered(exchange, status="completed", **elements)
    seen = one(exchange, request_id, number)
    assert seen.word is AskWord.ANOTHER and not seen.last.outputs and not seen.last.kept_sha256
    bobs = exchange.find("bob", "AllergyIntolerance")
    mine = [each for each in bobs if "Synthetic" in str(exchange.find("bob", "Patient"))]
    assert len(bobs) == len(mine) <= 1  # the right one is in the chart, and found there
    assert all(other["id"] not in str(each) for each in packed(exchange, request_id))
    assert len(exchange.find("bob", "Patient")) == 1


@pytest.mark.parametrize(
    "elements, word, note",
    [
        (
            {"status": "rejected", "statusReason": {"text": "No such\nrecord here"}},
            AskWord.REJECTED,
            "No such record here",
        ),
        ({"status": "failed"}, AskWord.REJECTED, "no reason given"),
        ({"status": "completed"}, AskWord.NOTHING, ""),
        ({"status": "completed", "output": [output("AllergyIntolerance/nobody")]}, AskWord.NOTHING, "nobody"),
        (
            {"status": "completed", "output": [output("https://other.example/fhir/Observation/1")]},
            AskWord.NOTHING,
            "other",
        ),
    ],
)
def test_a_refusal_and_an_empty_answer_are_told_and_the_next_move_is_a_persons(exchange, elements, word, note):
    request_id, _ = started(exchange)
    number = ask(exchange, request_id)
    answered(exchange, **elements)
    seen = one(exchange, request_id, number)
    assert seen.word is word and note in seen.last.note
    assert states(exchange, request_id)["allergies"] is State.MISSING
    answered(exchange, status="in-progress")  # what is over is not watched on
    assert len(one(exchange, request_id, number).events) == 2


def test_nothing_is_asked_twice_by_itself_and_again_only_by_a_person(exchange):
    request_id, _ = started(exchange)
    number = ask(exchange, request_id)
    with pytest.raises(NotPossible, match="was asked for allergies already, by A. Reader"):
        ask(exchange, request_id)
    today, words = exchange.clock().date(), dict(actor="B. Other", reason="overdue")
    due = (today + timedelta(days=20)).isoformat()
    second = asking.ask_again(exchange.engine, exchange.config, request_id, number, due, today=today, **words)
    with pytest.raises(NotPossible, match="B. Other asked again already"):
        asking.ask_again(exchange.engine, exchange.config, request_id, number, due, today=today, **words)
    exchange.later(days=30)
    exchange.watch()
    asked = [each for each in exchange.find("alice", "Task") if "data-request" in str(each["code"])]
    assert len(asked) == 2 and one(exchange, request_id, second).is_late(exchange.clock().date())


@pytest.mark.long
def test_what_is_called_off_is_cancelled_there(exchange):
    request_id, _ = started(exchange)
    number = ask(exchange, request_id)
    with exchange.engine.begin() as conn:
        last = source_asks.get(conn, request_id, number).last
        words = dict(after=last.id, today=date.today(), actor="A. Reader")
        assert source_asks.say(conn, request_id, number, "called-off", **words)
        assert not source_asks.say(conn, request_id, number, "called-off", **words)  # the form came twice
    exchange.drain()
    assert task_at(exchange)["status"] == "cancelled"


def test_a_source_that_takes_no_task_gets_a_letter(make_exchange):
    exchange = make_exchange(at_alice="capabilities: {task: false}, records_office: {fax: '+1 555 0100'}")
    request_id, _ = started(exchange)
    number = ask(exchange, request_id, road="task")
    seen = one(exchange, request_id, number)
    assert seen.word is AskWord.NO_TASK and seen.by_letter and not exchange.parked(request_id)
    assert not [each for each in exchange.find("alice", "Task") if "data-request" in str(each["code"])]


@pytest.mark.long
def test_the_consultant_is_told_what_is_not_there_on_the_task_and_when_that_changes(exchange):
    request_id, _ = started(exchange)
    [task] = [each for each in exchange.find("bob", "Task") if "fulfill" in str(each["code"])]
    [told] = [each["text"] for each in task["note"]]
    assert told.startswith("Not among the records on") and "Allergies and intolerances: missing" in told
    world = (exchange.engine, exchange.payloads, exchange.config, request_id)
    checklists.say(*world, Topic.ITEM, "allergies", "waived", actor="A. Reader", reason="none known to the office")
    exchange.drain()
    task = exchange.find("bob", "Task", _id=task["id"])[0]
    assert "Allergies and intolerances: sent without it (A. Reader said waived" in task["note"][-1]["text"]
    assert len(task["note"]) == 2 and "none known to the office" in task["note"][-1]["text"]
    checklists.say(*world, Topic.ITEM, "timeline", "there", actor="A. Reader", reason="no news for the consultant")
    exchange.drain()
    assert len(exchange.find("bob", "Task", _id=task["id"])[0]["note"]) == 2


@pytest.mark.long
def test_the_first_page_of_the_summary_says_what_is_not_there(make_exchange):
    exchange = make_exchange(accepts="documents")
    started(exchange)
    [summary] = [each for each in exchange.find("bob", "DocumentReference") if "rendition" in str(each["identifier"])]
    words = words_of_pdf(base64.b64decode(summary["content"][0]["attachment"]["data"]))
    text = " ".join(str(words).split())
    assert "Not there on" in text and "Allergies and intolerances: missing" in text
