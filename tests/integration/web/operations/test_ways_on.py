"""Nobody is stuck: for each cause that parks a step, the page has a button that leads on, and the command it names exists."""

import re
import shlex
from html import unescape

import pytest
from sqlalchemy import select

import second_opinion
from integration.store import findings, refused_orders
from integration.store.tables import findings as finding_table
from mappings.model.causes import CAUSES, WAYS, Way
from mappings.model.findings import Finding

pytestmark = pytest.mark.postgres
ITEM = "DocumentReference/9#DocumentReference.content[0].attachment"
OF_A_STEP = {
    Way.GO_ON,
    Way.RETRY,
    Way.WAIVE,
    Way.RESEND,
    Way.CONFIRM,
    Way.SEND_AGAIN,
    Way.LINK,
    Way.CANCEL,
    Way.ENDPOINT,
}


def buttons(page: str) -> list[tuple[bool, str, str]]:
    """(stands first, address, words) of each button about the parked step."""
    card = re.search(r'<li class="card card-parked".*?</li>', page, re.S).group()
    return [
        ("quiet" not in kind, unescape(address), re.sub(r"\s*<.*", "", words, flags=re.S))
        for kind, address, words in re.findall(r'<a class="button([^"]*)" href="([^"]*)">(.*?)</a>', card, re.S)
    ]


def the_command_exists(page: str) -> None:
    shown = re.search(r"<code>second-opinion ([^<]*)</code>", page).group(1)
    words, command = shlex.split(unescape(shown)), second_opinion.cli
    while words and hasattr(command, "commands"):
        command = command.commands[words.pop(0)]
    options = {option for parameter in command.params for option in parameter.opts}
    assert all(word in options for word in words if word.startswith("--")), shown


@pytest.mark.parametrize("word", sorted(CAUSES))
def test_each_cause_leads_on_from_the_page_and_by_command(site, word):
    """The walk of a person at night: what happened, what to do, a button, what it would do, and its twin."""
    cause, request_id = CAUSES[word], site.request()
    delivery_id = site.delivery(request_id)
    site.step(
        "push_records",
        "mercy",
        request_id=request_id,
        delivery_id=delivery_id,
        cause=word,
        message=f"{ITEM} is what it is about",
        items=[ITEM],
    )
    page = site.get(f"/requests/{request_id}")
    card = unescape(re.sub(r"<[^>]+>", "", re.search(r'<li class="card card-parked".*?</li>', page, re.S).group()))
    assert cause.happened in card and cause.to_do in card and ITEM in card
    assert "second-opinion " not in card, "what to do is a button, not a command beside it"
    found = buttons(page)
    wanted = {WAYS[way].action for way in cause.ways if way in OF_A_STEP}
    there = {address.partition("?")[0].removeprefix("/actions/") for _, address, _ in found}
    assert {name for name in wanted if "." not in name} <= there
    assert any("/patient/" in address or "compare" in address for _, address, _ in found) or Way.LINK not in cause.ways
    firsts = [address for first, address, _ in found if first]
    assert len(firsts) <= 1
    assert not any(address.startswith("/actions/retry") for address in firsts) or cause.retry_helps
    for _, address, _ in found:
        asked = site.get(address)
        if address.startswith("/actions/"):
            the_command_exists(asked)


def test_the_name_of_an_item_stands_on_its_button(site):
    request_id = site.request()
    site.step(request_id=request_id, cause="attachment-too-large", items=[ITEM], message=f"{ITEM} is too large")
    words = [each for _, _, each in buttons(site.get(f"/requests/{request_id}"))]
    assert any(f"Send without {ITEM}" in unescape(each) for each in words)


def test_a_refused_order_is_skipped_from_the_page_and_its_alarm_ends(site):
    with site.engine.begin() as conn:
        refused = Finding("request-unreadable", "no question", "ServiceRequest/9#ServiceRequest.code", "error")
        findings.record(conn, [refused], endpoint="alice")
        refused_orders.note(conn, "alice", "ServiceRequest/9", "0" * 64)
    page = site.get("/findings")
    address = unescape(re.search(r'href="(/actions/skip-order[^"]*)"', page).group(1))
    the_command_exists(site.get(address))
    assert "ServiceRequest/9" in site.told(site.press(address, reason="it was a test order"))
    with site.engine.connect() as conn:
        assert conn.execute(select(finding_table.c.severity)).scalars().all() == ["info"]
        assert refused_orders.skipped(conn, "alice", ["ServiceRequest/9"]) == {"ServiceRequest/9": "0" * 64}
    assert "skip-order" not in site.get("/findings")


def test_viewers_see_no_button_and_may_not_press_one(site):
    from integration.web.access.roles import ACTIONS_NEED, NEEDS, Role

    assert NEEDS["actions.do"] is NEEDS["api.resend"] is Role.OPERATOR
    buttons = {NEEDS["api.waive"], *(ACTIONS_NEED[name] for name in ("waive", "accept", "undo-waiver"))}
    assert buttons == {frozenset({Role.OPERATOR, Role.COORDINATOR})}
    assert not {"resend", "skip-order"} & ACTIONS_NEED.keys()
