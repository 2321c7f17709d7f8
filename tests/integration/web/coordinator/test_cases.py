"""One page for one case, and the board: the next move, whose it is and by when; sorted, paged, scoped, recorded."""

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import delete, insert, update

from integration import cases
from integration.cases import PARTS
from integration.store import board
from integration.store import requests as rows
from integration.store.board import Show, Sort
from integration.store.roles import Role
from integration.store.scope import EVERYTHING, Scope
from integration.store.tables import reports, requests, steps
from integration.views import board as boards
from integration.views.case import Part, in_order, label
from mappings.model import consent
from mappings.model.errors import ExchangeError
from mappings.model.moves import WHOSE, Move
from mappings.model.states import Visit
from tests.mappings.checklists.charts import report, result

pytestmark = pytest.mark.postgres
NOW = datetime(2026, 12, 1, 12, tzinfo=UTC)
OF_ALICE = Scope(placers=frozenset({"alice"}))


def stands(site, request_id: str, **columns) -> str:
    with site.engine.begin() as conn:
        conn.execute(update(requests).where(requests.c.id == request_id).values(**columns))
    return request_id


def one_of_each(site) -> dict[Move, str]:
    """A request of Alice's for each move."""
    made = {move: site.request(f"k-{move}", wanted_by="2027-01-01") for move in Move}
    statuses = {Move.DECLINED: "rejected", Move.TELL: "on-hold", Move.RETURN: "completed", Move.ANSWER: "requested",
                Move.OPINION: "accepted", Move.CARRY: "completed", Move.READ: "completed", Move.HELD: "requested"}  # fmt: skip
    for move, status in statuses.items():
        stands(site, made[move], status=status)
    stands(site, made[Move.READ], closed_at=NOW, closed_level="read-back")
    stands(site, made[Move.DECLINED], updated_at=NOW - timedelta(days=3))
    park(site, made[Move.QUESTION], "gather_records", "information-missing")
    park(site, made[Move.CARRY], "return_report", "to-hand-over")
    park(site, made[Move.HELD], "push_records", "http-422")
    park(site, made[Move.CONSENT], "push_records", consent.WITHDRAWN)
    row = dict(
        id="rep1",
        request_id=made[Move.READ],
        source="DocumentReference/1",
        revision=1,
        state="final",
        resource_sha256="0",
        unread_since=NOW,
    )
    with site.engine.begin() as conn:
        conn.execute(insert(reports).values(row))
    return made


def park(site, request_id: str, kind: str, cause: str) -> None:
    with site.engine.begin() as conn:
        conn.execute(delete(steps).where(steps.c.request_id == request_id))
    site.step(kind, "mercy", request_id=request_id, cause=cause)


def on_board(site, scope=EVERYTHING, show=Show.ALL, **how):
    with site.engine.connect() as conn:
        return board.page(conn, scope, show, NOW, **how)[0]


def test_each_case_has_the_move_that_stands_next_and_its_page_says_the_same(site):
    made = one_of_each(site)
    found = {turn.id: turn for turn in on_board(site)}
    assert {found[request_id].move for request_id in made.values()} == set(Move)
    for move, request_id in made.items():
        assert found[request_id].move is move
        parts = site.client.get(f"/api/cases/{request_id}").json["parts"]
        assert (WHOSE[move], boards.view(found[request_id])["says"]) in {
            (part["who"], part["next"]) for part in parts
        }, (move, parts)


def test_mine_others_and_late_are_what_who_asks_can_do_and_what_has_no_time_left(site):
    made = one_of_each(site)
    for request_id in made.values():
        stands(site, request_id, to_do=0)
    late = stands(site, made[Move.ANSWER], records_due_at=NOW - timedelta(hours=1))
    both = Scope(placers=frozenset({"alice"}), fulfillers=frozenset({"mercy"}))
    shown = {show: {turn.id for turn in on_board(site, OF_ALICE, show)} for show in Show}
    assert shown[Show.ALL] == set(made.values()) == shown[Show.MINE] | shown[Show.OTHERS]
    assert shown[Show.MINE] == {made[move] for move, whose in WHOSE.items() if whose == "coordinator"}
    assert shown[Show.LATE] == {late} and late in shown[Show.OTHERS]
    assert late in {turn.id for turn in on_board(site, both, Show.MINE)}, "the consultant's people answer"
    assert on_board(site, Scope(placers=frozenset({"mercy"}))) == []
    with site.engine.connect() as conn:
        assert board.counts(conn, OF_ALICE, NOW) == {show: len(ids) for show, ids in shown.items()}


def test_what_the_side_that_asks_has_to_do_meanwhile_is_theirs_and_is_counted_when_somebody_opens_the_case(site):
    request_id = stands(site, site.request("k1"), status="requested")
    closed = stands(site, site.request("k2"), status="completed")
    consultants = Scope(fulfillers=frozenset({"mercy"}))
    [turn] = on_board(site, OF_ALICE, Show.MINE)
    assert (turn.id, turn.to_do, turn.move) == (request_id, None, Move.ANSWER)
    assert [each.id for each in on_board(site, OF_ALICE, Show.OTHERS)] == [closed]
    assert "nobody has since it changed" in site.get("/board")
    parts = site.client.get(f"/api/cases/{request_id}").json["parts"]
    theirs = [each for each in parts if each["who"] == "coordinator" and each["state"] in ("open", "late")]
    [item] = [each for each in site.client.get("/api/board").json["items"] if each["request_id"] == request_id]
    assert item["to_do"] == len(theirs) > 1 and f"{len(theirs)} things to do" in site.get("/board?show=mine")
    assert [each.id for each in on_board(site, consultants, Show.MINE)] == [request_id], "they answer"
    stands(site, request_id, status="accepted", to_do=0)
    assert on_board(site, OF_ALICE, Show.MINE) == []
    with site.engine.begin() as conn:
        row = rows.get(conn, request_id)
        rows.set_visit(conn, request_id, Visit.BOOKED, NOW + timedelta(days=9))
        rows.set_to_do(conn, replace(row, updated_at=NOW), 0)
    assert [each.to_do for each in on_board(site, OF_ALICE, Show.MINE)] == [None], "it changed while it was counted"


@pytest.mark.parametrize("status", ["completed", "rejected", "cancelled"])
def test_nobody_has_to_prepare_a_case_that_is_over(site, status):
    request_id = site.request("over")
    prepares = {"suitability", "coverage", "medications", "questions", "visit"}
    assert {part.key for part in case_of(site, request_id) if part.next} & prepares
    stands(site, request_id, status=status, closed_at=NOW)
    assert [part.key for part in case_of(site, request_id) if part.key in prepares and (part.next or part.who)] == []


def case_of(site, request_id: str):
    return cases.read(site.engine, site.payloads, site.config, request_id, NOW, actor="test")[1]


def test_what_is_over_is_not_on_the_board_and_what_was_declined_is_for_two_weeks(site):
    gone = [stands(site, site.request(f"g{status}"), status=status) for status in ("cancelled", "entered-in-error")]
    gone.append(stands(site, site.request("closed"), status="completed", closed_at=NOW))
    old = stands(site, site.request("old"), status="rejected", updated_at=NOW - timedelta(days=15))
    new = stands(site, site.request("new"), status="failed", updated_at=NOW - timedelta(days=13))
    assert [turn.id for turn in on_board(site)] == [new] and old not in gone


def test_the_board_goes_page_by_page_by_the_time_left_and_those_without_one_come_last(site):
    ids = [site.request(f"k{number}") for number in range(7)]
    for number, request_id in enumerate(ids[:5]):
        stands(site, request_id, records_due_at=NOW + timedelta(hours=number // 2))
    stands(site, ids[5], records_due_at=NOW - timedelta(days=9), records="verified")  # there: no time counts any more
    pages, after = [], None
    while True:
        with site.engine.connect() as conn:
            turns, after = board.page(conn, EVERYTHING, Show.ALL, NOW, after=after, limit=2)
        pages.append(turns)
        if after is None:
            break
        after = boards.place(boards.word_of(after))
    flat = [turn for turns in pages for turn in turns]
    assert [len(turns) for turns in pages] == [2, 2, 2, 1] and {turn.id for turn in flat} == set(ids)
    assert [turn.due_at for turn in flat[:5]] == sorted(turn.due_at for turn in flat[:5])
    assert [turn.due_at for turn in flat[5:]] == [None, None]


def test_the_board_goes_by_the_visit_too_and_a_canceled_one_is_none(site):
    ids = [site.request(f"k{number}") for number in range(4)]
    for number, request_id in enumerate(ids[:3]):
        stands(site, request_id, visit="booked", visit_at=NOW + timedelta(days=9 - number))
    stands(site, ids[3], visit="cancelled", visit_at=NOW + timedelta(days=1))
    with site.engine.connect() as conn:
        first, after = board.page(conn, EVERYTHING, Show.ALL, NOW, limit=2, by=Sort.VISIT)
        rest, end = board.page(conn, EVERYTHING, Show.ALL, NOW, after=after, limit=2, by=Sort.VISIT)
    assert [turn.id for turn in (*first, *rest)] == [ids[2], ids[1], ids[0], ids[3]] and end is None
    assert rest[-1].visit_at is None
    page = site.get("/board?by=visit")
    assert page.index(ids[2]) < page.index(ids[0]) and "<strong>the visit</strong>" in page
    items = site.client.get("/api/board?by=visit").json["items"]
    assert [item["request_id"] for item in items][:2] == [ids[2], ids[1]] and items[0]["visit_at"]
    assert site.client.get("/api/board?by=nothing").status_code == 400
    assert site.get("/board?by=nothing").count("<article") == 4


def test_requests_of_one_case_stand_together_where_the_most_urgent_of_them_stands_and_say_so(site):
    first, alone, later, third = (site.request(f"k{number}") for number in range(4))
    for request_id, days in ((first, 9), (alone, 2), (later, 5), (third, 1)):
        stands(site, request_id, records_due_at=NOW + timedelta(days=days))
    stands(site, third, case_id=first)
    order = [first, third, alone, later]
    assert [(turn.id, turn.nth, turn.of_case) for turn in on_board(site)] == [
        (first, 1, 2),
        (third, 2, 2),
        (alone, 1, 1),
        (later, 1, 1),
    ]
    with site.engine.connect() as conn:
        page, after = board.page(conn, EVERYTHING, Show.ALL, NOW, limit=1)
        rest, _ = board.page(conn, EVERYTHING, Show.ALL, NOW, after=boards.place(boards.word_of(after)), limit=9)
    assert [turn.id for turn in (*page, *rest)] == order, "a case that a page cuts goes on on the next one"
    shown = site.get("/board")
    assert shown.count("One case: request") == 2 and "One case: request 2 of 2 in this list" in shown
    items = site.client.get("/api/board").json["items"]
    assert [(each["case"], each["of_case"]) for each in items][:2] == [(first, 2), (first, 2)]
    stands(site, first, fulfiller="elsewhere")
    [only] = [turn for turn in on_board(site, Scope(fulfillers=frozenset({"mercy"}))) if turn.id == third]
    assert only.of_case == 1, "what another practice is asked is not told"


@pytest.mark.parametrize(
    "words",
    [
        "",
        "x",
        "2026-01-01T00:00:00+00:00_r1",
        "2026-01-01_r1_2026-01-01_r1",
        "2026-01-01T00:00:00+00:00_r1_2026-01-01T00:00:00+00:00_",
        "2026-01-01T00:00:00+00:00_r1_2026-01-01T00:00:00+00:00_r\x001",
    ],
)
def test_a_place_that_is_none_begins_at_the_beginning(words):
    assert boards.place(words) is None


def test_the_case_page_says_who_it_is_what_is_missing_and_who_is_next_and_the_look_is_recorded(site):
    request_id = site.request(fulfiller="mercy", wanted_by="2027-03-01")
    other = site.request("k2")
    site.packet(request_id, report("11526-1", "2026-06-01"), result("718-7", "2020-01-01"))
    page = site.get(f"/cases/{request_id}")
    plain = re.sub(r"<[^>]*>", "", page)
    assert "Ada Synthetic-Test" in plain and "Records needed for the visit" in plain and "Coordinator:" in plain
    assert f'href="/cases/{other}"' in page and f'href="/requests/{request_id}/checklist"' in page
    assert [row.request_id for row in site.audited("case.looked-at")] == [request_id]
    site.get("/cases/none", 404)


def test_the_board_page_and_api_say_the_same_and_names_are_shown_to_people_alone_and_recorded(site):
    made = one_of_each(site)
    page = site.get("/board")
    assert page.count("<article") == len(made) and "Ada Synthetic-Test" in page
    [looked] = site.audited("board.looked-at")
    assert set(looked.detail["requests"]) == set(made.values())
    answer = site.client.get("/api/board?show=mine&limit=2")
    assert answer.status_code == 200 and len(answer.json["items"]) == 2 and "Synthetic-Test" not in answer.text
    following = site.client.get("/api/board", query_string={"show": "mine", "after": answer.json["next"]}).json
    assert {item["request_id"] for item in answer.json["items"]}.isdisjoint(
        item["request_id"] for item in following["items"]
    )
    assert site.client.get("/api/board?after=x").status_code == 400
    assert site.get("/board?show=nothing&after=nonsense").count("<article") == len(made)


def test_a_part_that_cannot_be_read_says_so_and_hides_nothing(site, monkeypatch):
    def broken(_case):
        raise ExchangeError("packet p1 is not in the payload store")

    monkeypatch.setitem(PARTS, "checklist", broken)
    plain = re.sub(r"<[^>]*>", "", site.get(f"/cases/{site.request()}"))
    assert "How this stands cannot be read: packet p1" in plain and "Records on their way" in plain


def test_the_next_move_is_at_the_top():
    parts = [
        Part("a", "done", ""),
        Part("b", "waiting", "", by=NOW),
        Part("c", "open", ""),
        Part("d", "open", "", by=NOW),
        Part("e", "late", ""),
    ]
    assert [part.key for part in in_order(parts)] == ["e", "d", "c", "b", "a"]
    assert label("visit") == "Visit" and label("some-part") == "Some part", "a part that came later has a name too"


def test_a_consultant_sees_the_same_board_of_what_is_asked_of_theirs(guarded):
    asked, elsewhere = guarded.request(fulfiller="mercy"), guarded.request("k2", fulfiller="bob")
    guarded.as_(Role.CONSULTANT, practices=("mercy",))
    page = guarded.get("/board")
    assert asked in page and elsewhere not in page
    assert "Correct the request" not in guarded.get(f"/cases/{asked}")
