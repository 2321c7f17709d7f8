"""What comes while something else of the same request is under way: nothing is dropped, and a cancellation stops what is owed."""

import pytest
from sqlalchemy import select, text

from integration.store import deliveries, operations, steps
from integration.store.tables import deliveries as delivery_table
from integration.store.tables import steps as step_table
from mappings.model.delivery import DeliveryKind
from mappings.model.errors import TemporaryError
from tests.jobs.exchange import a_request, load_chart
from tests.servers.lying import LyingProxy

pytestmark = pytest.mark.postgres
REFUSED = (422, [("Content-Type", "application/fhir+json")], b'{"resourceType":"OperationOutcome","issue":[]}')


def statuses(exchange, request_id):
    with exchange.engine.connect() as conn:
        return dict(
            conn.execute(
                select(delivery_table.c.id, delivery_table.c.status).where(
                    delivery_table.c.request_id == request_id, delivery_table.c.kind == "records"
                )
            ).all()
        )


def test_a_second_correction_of_the_chart_waits_for_the_first_and_neither_is_lost(make_exchange):
    refuses = []
    exchange = make_exchange(
        before={
            "bob": lambda url: LyingProxy(
                url, ask=lambda method, path, headers, body: REFUSED if refuses and method != "GET" else body
            )
        }
    )
    chart = load_chart(exchange)
    request_id = exchange.submit(a_request())
    exchange.drain()
    refuses.append(True)
    exchange.change("alice", chart["observation-3"], status="corrected", valueQuantity={"value": 3.5, "unit": "g"})
    exchange.watch()
    assert list(statuses(exchange, request_id).values()) == ["verified", "parked"]
    exchange.change("alice", chart["observation-4"], status="corrected", valueQuantity={"value": 4.5, "unit": "g"})
    exchange.watch()
    assert len(statuses(exchange, request_id)) == 2, "no third delivery that nothing would send"
    refuses.clear()
    with exchange.engine.begin() as conn:
        operations.retry_delivery(
            conn, deliveries.delivery_id_of(request_id, DeliveryKind.RECORDS, 2), actor="test", reason="mended"
        )
    exchange.drain()
    exchange.watch()
    assert list(statuses(exchange, request_id).values()) == ["verified"] * 3
    values = {
        each["valueQuantity"]["value"] for each in exchange.find("bob", "Observation") if each["status"] == "corrected"
    }
    assert {str(value) for value in values} == {"3.5", "4.5"}


def test_a_step_of_one_delivery_is_never_dropped_for_that_of_another(exchange):
    request_id = exchange.submit(a_request())
    with exchange.engine.begin() as conn:
        conn.execute(text("UPDATE steps SET status = 'done'"))
        for kind, delivery in (("push_records", "first"), ("match_people", "second")):
            steps.create(conn, kind, "bob", request_id=request_id, delivery_id=delivery)
        step = conn.execute(select(step_table).where(step_table.c.kind == "match_people")).one()
    with (
        exchange.engine.begin() as conn,
        pytest.raises(TemporaryError, match="push_records of delivery first is still open"),
    ):
        steps.finish(conn, step, next_steps=(steps.NextStep("push_records", "bob", delivery_id="second"),))


def test_what_leads_to_sending_is_not_begun_after_a_cancellation(exchange):
    request_id = exchange.submit(a_request())
    with exchange.engine.begin() as conn:
        step = conn.execute(select(step_table).where(step_table.c.kind == "gather_records")).one()
        operations.cancel(conn, request_id, actor="test", reason="the patient withdrew")
        steps.finish(
            conn, step, next_steps=(steps.NextStep("match_people", "bob"), steps.NextStep("mirror_status", "alice"))
        )
        kinds = conn.execute(select(step_table.c.kind).where(step_table.c.status == "due")).scalars().all()
    assert sorted(kinds) == ["cancel_request", "mirror_status"]


def cancelled_when(exchange, request_id, once):
    """Cancels at the first call."""
    if once:
        once.clear()
        with exchange.engine.begin() as conn:
            conn.execute(text("SET LOCAL lock_timeout = '5s'"))
            operations.cancel(conn, request_id, actor="test", reason="the patient withdrew")


@pytest.mark.parametrize("at", ["Observation", "Condition"])
def test_a_cancellation_while_the_chart_is_read_stops_what_would_follow(make_exchange, at):
    once = []

    def tell(method, path, answer):
        if method == "GET" and f"/{at}?" in path:
            cancelled_when(exchange, request_id, once)
        return answer

    exchange = make_exchange(before={"alice": lambda url: LyingProxy(url, tell=tell)})
    load_chart(exchange)
    request_id = exchange.submit(a_request())
    once.append(True)
    exchange.drain()
    view = exchange.view(request_id)
    assert (view["status"], view["owed"]) == ("cancelled", [])
    assert [exchange.find("bob", kind) for kind in ("Patient", "Observation", "ServiceRequest", "Task")] == [[]] * 4
    assert set(statuses(exchange, request_id).values()) == {"cancelled"}


def test_a_task_whose_answer_was_lost_is_cancelled_too(make_exchange):
    swallowed = []

    def tell(method, path, answer):
        if method == "POST" and path.endswith("/Task") and not swallowed:
            swallowed.append(path)
            return None
        return answer

    exchange = make_exchange(before={"bob": lambda url: LyingProxy(url, tell=tell)})
    load_chart(exchange)
    request_id = exchange.submit(a_request())
    exchange.drain(hurry=False)
    assert swallowed and [each["status"] for each in exchange.find("bob", "Task")] == ["requested"]
    with exchange.engine.begin() as conn:
        operations.cancel(conn, request_id, actor="test", reason="the patient withdrew")
    exchange.drain()
    assert [each["status"] for each in exchange.find("bob", "Task")] == ["cancelled"]
    assert exchange.view(request_id)["status"] == "cancelled"


def test_after_a_lost_answer_nothing_is_looked_for_before_the_index_must_show_it(make_exchange):
    """A server without conditional create, whose index is late: a look too early finds nothing, and would send again."""
    swallowed, blind = [], []

    def tell(method, path, answer):
        if method == "POST" and path.endswith("/Task") and not swallowed:
            swallowed.append(path)
            return None
        if method == "GET" and "/Task?" in path:
            blind.append(path)
        return answer

    exchange = make_exchange(
        capabilities="{conditional_create: false}", before={"bob": lambda url: LyingProxy(url, tell=tell)}
    )
    load_chart(exchange)
    exchange.submit(a_request())
    looks = len(blind)
    exchange.drain(hurry=False)
    assert swallowed and len(blind) == looks + 1, "it looked once, before it sent"
    with exchange.engine.connect() as conn:
        wait = conn.execute(
            text("SELECT extract(epoch FROM next_attempt_at - now()) FROM steps WHERE kind = 'send_request'")
        ).scalar_one()
    lag = exchange.config.endpoints["bob"].limits.search_lag_seconds
    assert lag - 0.5 < float(wait) <= lag
    exchange.drain()
    assert len(exchange.find("bob", "Task")) == 1
