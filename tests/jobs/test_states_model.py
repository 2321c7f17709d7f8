"""Request states against a plain model: every pair once, then random, late, repeated and out-of-order events."""

import itertools
from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from sqlalchemy import func, select

from integration.store import requests
from integration.store.tables import audit, events, findings
from integration.store.tables import requests as table
from jobs.steps import watch_fulfiller
from mappings.model.roads import Level
from mappings.model.states import (
    AUDIT_EVENT,
    FINAL,
    NEEDS_REASON,
    OPEN,
    TRANSITIONS,
    Actor,
    Status,
    business_status,
    may_move,
)
from tests.jobs.exchange import a_request

pytestmark = pytest.mark.postgres

# The rules in words, written here a second time on purpose. p placer, f fulfiller, e exchange, o operator.
STOPS = "cancelled: p f o; failed: e o; entered-in-error: p"
MODEL_TEXT = f"""
draft            | requested: p e; {STOPS}
requested        | received: f; accepted: f; rejected: f; in-progress: f; on-hold: f; completed: f; failed: f; {STOPS}
received         | accepted: f; rejected: f; in-progress: f; on-hold: f; completed: f; failed: f; {STOPS}
accepted         | in-progress: f; rejected: f; on-hold: f; completed: f; failed: f; {STOPS}
in-progress      | on-hold: f; completed: f; failed: f; {STOPS}
on-hold          | accepted: f; rejected: f; in-progress: f; completed: f; failed: f; {STOPS}
completed        | entered-in-error: p
rejected         | entered-in-error: p
cancelled        | entered-in-error: p
failed           | entered-in-error: p
entered-in-error |
"""
LETTERS = {actor.value[0]: actor.value for actor in Actor}


def model() -> set[tuple[str, str, str]]:
    """``{(from, to, who)}`` of everything allowed."""
    allowed = set()
    for line in MODEL_TEXT.strip().splitlines():
        current, _, rest = line.partition("|")
        for part in filter(None, (each.strip() for each in rest.split(";"))):
            to, _, actors = part.partition(":")
            allowed |= {(current.strip(), to.strip(), LETTERS[letter]) for letter in actors.split()}
    return allowed


MODEL = model()
ALL = list(itertools.product(Status, Status, Actor))


def test_the_table_allows_exactly_what_the_words_say():
    assert {(str(current), str(to), str(by)) for current, to, by in ALL if may_move(current, to, by)} == MODEL
    assert set(TRANSITIONS) == set(AUDIT_EVENT) == set(Status) and len(set(AUDIT_EVENT.values())) == len(Status)


def test_no_status_can_be_left_by_nobody_and_none_moves_to_itself():
    assert {current for current in Status if not TRANSITIONS[current]} == {Status.ENTERED_IN_ERROR}
    assert not {current for current, to, _ in MODEL if current == to}
    reachable, todo = {"draft"}, ["draft"]
    while todo:
        here = todo.pop()
        new = {to for current, to, _ in MODEL if current == here} - reachable
        reachable |= new
        todo += new
    assert reachable == set(Status)
    assert all(to in FINAL for current, to, _ in MODEL if current in FINAL) and OPEN | FINAL == set(Status)


def test_every_pair_and_actor_on_the_database(database):
    with database.engine.begin() as conn:
        request_id, _ = requests.take_in(conn, a_request(), actor="test")
    for current, to, by in ALL:
        with database.engine.connect() as conn, conn.begin() as transaction:
            conn.execute(table.update().values(status=current, status_reason=None))
            moved = requests.advance(conn, request_id, to, by)
            row = requests.get(conn, request_id)
            written = conn.execute(
                select(audit.c.action, audit.c.actor, audit.c.detail).where(audit.c.action != "request.taken-in")
            ).all()
            transaction.rollback()
        case = (str(current), str(to), str(by))
        assert moved == (case in MODEL), case
        assert row.status == (to if moved else current), case
        assert bool(row.status_reason) == (moved and to in NEEDS_REASON), case
        assert [tuple(each) for each in written] == ([(AUDIT_EVENT[to], by, {"from": current})] if moved else []), case


class Requests(RuleBasedStateMachine):
    """One request; operators, the exchange and a fulfiller whose Task versions arrive late, again, and out of order."""

    versions = Bundle("versions")

    def __init__(self, engine, key: str):
        super().__init__()
        self.engine, self.status, self.history, self.seen, self.closed, self.next_version = (
            engine,
            "draft",
            [],
            set(),
            False,
            0,
        )
        with engine.begin() as conn:
            self.id, _ = requests.take_in(conn, a_request(key=key), actor="test")

    @rule(to=st.sampled_from(Status), by=st.sampled_from(Actor), reason=st.sampled_from([None, "", "because"]))
    def move(self, to, by, reason):
        with self.engine.begin() as conn:
            moved = requests.advance(conn, self.id, to, by, reason=reason)
        self._expect(moved, to, by)

    @rule(target=versions, status=st.sampled_from([None, *Status]))
    def the_task_changes(self, status):
        self.next_version += 1
        return self.next_version, status

    @rule(version=versions)
    def a_version_arrives(self, version):
        number, status = version
        ctx = SimpleNamespace(request_id=self.id, world=SimpleNamespace(engine=self.engine))
        reading = SimpleNamespace(version=str(number), status=status, reason=None, last_updated=None)
        with self.engine.begin() as conn:
            row = requests.get(conn, self.id)
        news = watch_fulfiller._is_news(ctx, reading)
        assert news == (number not in self.seen)
        if not news or self.status in FINAL:  # watch_fulfiller reads no Task after the end
            return
        before = self.status
        with self.engine.begin() as conn:
            watch_fulfiller._store_event(conn, ctx, row, reading)
        self.seen.add(number)
        applied = status is not None and (before, str(status), "fulfiller") in MODEL
        if applied:
            self._expect(True, status, Actor.FULFILLER)
        self._check_event(number, applied, flagged=status is not None and str(status) != before and not applied)

    @rule()
    def its_report_is_verified(self):
        with self.engine.begin() as conn:
            closed = requests.close(conn, self.id, f"{self.id}-report-1", road="fhir-document", level=Level.READ_BACK)
        assert closed == (self.status == "completed" and not self.closed)
        self.closed = self.closed or closed

    def _expect(self, moved: bool, to, by) -> None:
        assert moved == ((self.status, str(to), str(by)) in MODEL)
        if moved:
            self.history.append((self.status, str(to)))
            self.status = str(to)

    def _check_event(self, number: int, applied: bool, flagged: bool) -> None:
        with self.engine.connect() as conn:
            [event] = conn.execute(
                select(events).where(events.c.request_id == self.id, events.c.version == str(number))
            ).all()
            found = conn.execute(
                select(func.count()).where(findings.c.request_id == self.id, findings.c.cause == "inbound.illegal")
            ).scalar_one()
        assert (event.applied, event.why is not None) == (applied, flagged)
        assert found or not flagged

    @invariant()
    def the_row_and_the_trail_say_the_same(self):
        with self.engine.begin() as conn:
            row = requests.get(conn, self.id)
            trail = conn.execute(
                select(audit.c.action, audit.c.detail)
                .where(audit.c.request_id == self.id, audit.c.action.in_(AUDIT_EVENT.values()))
                .order_by(audit.c.id)
            ).all()
        assert row.status == self.status and (row.closed_at is not None) == self.closed
        assert [(each.detail["from"], each.action.removeprefix("request.")) for each in trail] == self.history
        assert business_status(Status(row.status)) and (row.status_reason or row.status not in NEEDS_REASON)


def test_late_repeated_and_out_of_order_events_follow_the_model(database):
    keys = (f"model-{number}" for number in itertools.count())
    run_state_machine_as_test(
        lambda: Requests(database.engine, next(keys)),
        settings=settings(
            max_examples=40, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
