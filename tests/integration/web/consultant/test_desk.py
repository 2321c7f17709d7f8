"""A consulting practice without an EHR answers on the pages, and the referring side hears it as it hears any EHR."""

import json

import pytest

from integration import checklists, desk
from integration.store import desk as rows
from integration.store.desk import Show
from integration.store.operations import NotPossible, WrongWords
from integration.store.scope import EVERYTHING, Scope
from mappings.model.desk import TypedSaid
from mappings.model.states import Status
from tests.integration.web.consultant.practice import at_our_pages
from tests.jobs.exchange import a_request, load_chart

pytestmark = pytest.mark.postgres
ACCEPT = TypedSaid("accept", people="Dr. Bob Example")


@pytest.fixture
def asked(exchange):
    at_our_pages(exchange)
    load_chart(exchange)
    request_id = exchange.submit(a_request())
    exchange.drain()
    return exchange, request_id


def say(exchange, request_id, typed, last=0, actor="bob"):
    return desk.answer(exchange.engine, exchange.config, request_id, typed, last=last, actor=actor)


def newest(exchange, request_id) -> int:
    with exchange.engine.connect() as conn:
        return rows.of_request(conn, request_id)[-1].id


def task(exchange):
    return exchange.find("bob", "Task")[0]


def status(exchange, request_id):
    exchange.drain()
    return exchange.view(request_id)["status"]


def test_accepting_is_a_version_of_the_task_and_the_watch_is_due_at_once(asked):
    exchange, request_id = asked
    before = task(exchange)
    say(exchange, request_id, ACCEPT)
    after = task(exchange)
    assert int(after["meta"]["versionId"]) == int(before["meta"]["versionId"]) + 1
    assert (after["status"], after["owner"]) == ("accepted", {"display": "Dr. Bob Example"})
    assert after["focus"] == before["focus"] and after["input"] == before["input"]
    assert status(exchange, request_id) == "accepted"


def test_declining_gives_the_other_side_the_reason_in_words_and_as_a_code(asked):
    exchange, request_id = asked
    with pytest.raises(WrongWords, match="reason"):
        say(exchange, request_id, TypedSaid("decline", words="no"))
    assert task(exchange)["status"] == "requested" and status(exchange, request_id) == "requested"
    say(exchange, request_id, TypedSaid("decline", "not-our-field", "Ask a surgeon."))
    reason = task(exchange)["statusReason"]
    assert reason["coding"][0]["code"] == "not-our-field"
    assert status(exchange, request_id) == "rejected"
    assert exchange.view(request_id)["status_reason"] == "It is not our field: Ask a surgeon."
    with pytest.raises(NotPossible, match="the request is rejected"):
        say(exchange, request_id, ACCEPT, last=newest(exchange, request_id))


def test_what_is_asked_for_is_on_the_list_and_the_request_waits(asked):
    exchange, request_id = asked
    say(exchange, request_id, TypedSaid("ask", words="The slides, please.", items=("glass-slides",)))
    said = task(exchange)
    assert said["status"] == "on-hold" and "awaiting-information" in json.dumps(said["businessStatus"])
    assert "Asked for:" in said["statusReason"]["text"] and "The slides, please." in said["statusReason"]["text"]
    assert status(exchange, request_id) == "on-hold"
    now = exchange.clock().date()
    found = checklists.judged(exchange.engine, exchange.payloads, exchange.config, request_id, now)
    item = next(each for each in found.items if each.kind.key == "glass-slides")
    assert item.rule.need == "required" and item.is_open


def test_of_two_people_at_once_the_second_is_told_who_was_first(asked):
    exchange, request_id = asked
    say(exchange, request_id, ACCEPT)
    with pytest.raises(NotPossible, match="bob said accept at"):
        say(exchange, request_id, TypedSaid("decline", "not-in-time"), actor="carol")
    assert task(exchange)["status"] == "accepted"
    last = newest(exchange, request_id)
    say(
        exchange, request_id, TypedSaid("hand-over", people="Dr. Carol\nDr. Dan\n\nDr. Carol"), last=last, actor="carol"
    )
    assert task(exchange)["owner"] == {"display": "Dr. Carol, Dr. Dan"} and task(exchange)["status"] == "accepted"


def test_a_canceled_request_and_one_that_is_not_there_yet_are_not_answered(exchange):
    at_our_pages(exchange)
    load_chart(exchange)
    request_id = exchange.submit(a_request())
    with pytest.raises(NotPossible, match="still on its way"):
        say(exchange, request_id, ACCEPT)
    exchange.drain()
    exchange.change("bob", task(exchange), status="cancelled", statusReason={"text": "stopped"})
    exchange.watch()
    with pytest.raises(NotPossible, match="cancelled"):
        say(exchange, request_id, ACCEPT)


def test_a_practice_with_an_ehr_answers_there(asked):
    exchange, request_id = asked
    bob = exchange.config.endpoints["bob"].model_copy(update={"hosted_practice": ""})
    config = exchange.config.model_copy(update={"endpoints": {**exchange.config.endpoints, "bob": bob}})
    with pytest.raises(NotPossible, match="answers are given in the EHR of Dr Bob"):
        desk.answer(exchange.engine, config, request_id, ACCEPT, last=0, actor="bob")
    seen = desk.look(exchange.engine, config, request_id, actor="bob")
    assert not seen.is_hosted and seen.may == ()


def test_the_inbox_is_of_the_practices_that_are_asked_with_what_is_new(asked):
    exchange, request_id = asked

    def inbox(scope=EVERYTHING, show=Show.OPEN):
        made = (exchange.engine, exchange.payloads, exchange.config, scope, show, exchange.clock())
        return desk.inbox(*made, actor="bob")

    lines, counts, following = inbox()
    assert [(each.asked.id, each.asked.news) for each in lines] == [(request_id, "new")] and following is None
    assert counts == {Show.OPEN: 1, Show.UNANSWERED: 1, Show.DONE: 0}
    assert lines[0].missing is not None and lines[0].is_hosted
    assert inbox(Scope(placers=frozenset({"alice", "bob"})))[0] == []
    assert inbox(Scope(fulfillers=frozenset({"alice"})))[0] == []
    assert len(inbox(Scope(fulfillers=frozenset({"bob"})))[0]) == 1
    desk.look(exchange.engine, exchange.config, request_id, actor="bob")
    assert inbox()[0][0].asked.news == ""
    say(exchange, request_id, ACCEPT)
    exchange.drain()
    line = inbox()[0][0]
    assert (line.asked.news, line.asked.people) == ("changed", ["Dr. Bob Example"])
    assert inbox(show=Show.UNANSWERED)[0] == []
    assert desk.look(exchange.engine, exchange.config, request_id, actor="bob").status is Status.ACCEPTED
