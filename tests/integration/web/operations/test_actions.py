"""The buttons: asked first, a reason, one effect, audited, told; and never from elsewhere."""

import threading
from datetime import UTC, datetime, timedelta
from html import unescape

import pytest
from sqlalchemy import func, insert, select, update

from integration.store import alarms, bulk, findings, hand_overs, refused_orders, sendings, waivers
from integration.store.filters import parse
from integration.store.tables import bulk_operations, deliveries, delivery_items, endpoints, requests, steps
from integration.store.tables import findings as finding_table
from integration.web.access import accounts as account_pages
from integration.web.access import client_list
from integration.web.operations.actions import ACTIONS
from mappings.model.findings import Finding
from mappings.model.hand_over import HandOver
from mappings.model.request import Identifier
from mappings.model.sending import SendingState
from tests.integration.web.site import Site

pytestmark = pytest.mark.postgres
WRONG_TOKENS = ("", "x", "WyJhIl0.aaaaaa.bbbbbbbbbbbbbbbbbbbbbbbbbbb")


def handed_over(request_id: str) -> dict:
    """A report that somebody says they handed over."""
    row = dict(id=f"{request_id}-report-1", request_id=request_id, endpoint="alice", kind="report")
    return {**row, "status": "handed-over", "road": "download", "level": "handed-over"}


def addresses(site: Site) -> dict[str, str]:
    """A place where each button can be pressed."""
    request_id, taken = site.request(), site.request("taken")
    site.step("match_people", "mercy", request_id=request_id, cause="patient-similar")
    place = "DocumentReference/9#DocumentReference.content[0].attachment"
    delivery = site.delivery(request_id)
    site.step(
        "push_records", request_id=request_id, delivery_id=delivery, items=["Observation/8", "Observation/9", place]
    )
    with site.engine.begin() as conn:
        conn.execute(delivery_items.insert().values(delivery_id=delivery, source="Observation/9", status="missing"))
        waivers.waive(conn, request_id, "Observation/8", actor="test", reason="test")
        document = Identifier(system="urn:test", value=f"DocumentReference/{request_id}-report-1")
        of = dict(request_id=request_id, delivery_id=delivery, road="fhir-document", sha256="0" * 64, control_id=None)
        sendings.begin(conn, "bob", document, tried=[], at=datetime.now(UTC), **of)
        conn.execute(insert(deliveries).values(handed_over(taken)))
        of = dict(request_id=taken, delivery_id=f"{taken}-report-1", road="download", tried=[])
        sendings.note(conn, "alice", document, state=SendingState.HANDED_OVER, **of)
        [carried] = sendings.of_delivery(conn, f"{taken}-report-1")
        hand_overs.add(conn, carried, HandOver("Nora Field"), actor="test", reason="test")
        refused = Finding("request-unreadable", "no question", "ServiceRequest/9#ServiceRequest.code", "error")
        findings.record(conn, [refused], endpoint="alice")
        refused_orders.note(conn, "alice", "ServiceRequest/9", "0" * 64)
        order = conn.execute(
            select(finding_table.c.id).where(finding_table.c.cause == "request-unreadable")
        ).scalar_one()
    step, waiting = site.step("send_request", "bob"), site.step("verify_records", "bob", "waiting")
    with site.engine.begin() as conn:
        conn.execute(update(endpoints).where(endpoints.c.key == "alice").values(paused=True))
        operation = bulk.start_retry(conn, parse("endpoint:bob"), datetime.now(UTC), actor="test", reason="test")
        now = datetime.now(UTC)
        alarms.silence(conn, "parked", "bob", now + timedelta(hours=1), now, actor="test", reason="test")
    return {
        "retry": f"/actions/retry?step={step}:0:parked",
        "park": f"/actions/park?step={waiting}:0:waiting",
        "cancel": f"/actions/cancel?request={request_id}",
        "waive": f"/actions/waive?request={request_id}&item=Observation/9",
        "accept": f"/actions/accept?request={request_id}&item=DocumentReference/9%23DocumentReference.content[0].attachment",
        "undo-waiver": f"/actions/undo-waiver?request={request_id}&item=Observation/8",
        "resend": f"/actions/resend?delivery={delivery}&item=Observation/9",
        "confirm": f"/actions/confirm?delivery={delivery}",
        "take-back": f"/actions/take-back?delivery={taken}-report-1",
        "send-again": f"/actions/send-again?delivery={delivery}",
        "skip-order": f"/actions/skip-order?finding={order}",
        "pause": "/actions/pause?at=bob",
        "resume": "/actions/resume?at=alice",
        "check-endpoint": "/actions/check-endpoint?at=mercy",
        "run-schedule": "/actions/run-schedule?schedule=prune",
        "retry-matching": "/actions/retry-matching?q=endpoint:mercy",
        "stop-operation": f"/actions/stop-operation?operation={operation}",
        "silence": "/actions/silence?rule=parked&subject=mercy",
        "unsilence": "/actions/unsilence?rule=parked&subject=bob",
    }


AUDITED = {
    "retry": "step.retried",
    "park": "step.parked",
    "cancel": "request.cancel-requested",
    "waive": "item.waived",
    "accept": "item.accepted-as-it-is",
    "undo-waiver": "item.waiver-undone",
    "resend": "item.resent",
    "confirm": "delivery.handed-over",
    "take-back": "delivery.taken-back",
    "send-again": "delivery.not-there",
    "skip-order": "order.skipped",
    "pause": "endpoint.paused",
    "resume": "endpoint.resumed",
    "check-endpoint": "endpoint.check-asked",
    "run-schedule": "schedule.run",
    "retry-matching": "bulk.retry-started",
    "stop-operation": "bulk.cancelled",
    "silence": "alarm.silenced",
    "unsilence": "alarm.unsilenced",
}


@pytest.mark.parametrize(
    "name", [name for name in ACTIONS if name not in {**account_pages.ACTIONS, **client_list.ACTIONS}]
)  # those: test_accounts.py, test_client_list.py
def test_each_button_asks_first_needs_a_reason_and_our_own_form_and_leaves_an_audit_row(site, name):
    address = addresses(site)[name]
    before = len(site.audited(AUDITED[name]))
    page = site.get(address)
    assert "second-opinion " in page, "the page names its twin on the command line"
    for token in WRONG_TOKENS:
        refused = site.press(address, token=token, reference="Patient/7")
        assert refused.status_code == 403 and "tested" in refused.text
    foreign = site.client.post(
        address.partition("?")[0],
        data={**site.form(address), "reason": "x"},
        headers={"Origin": "https://evil.example"},
    )
    assert foreign.status_code == 403
    without = site.press(address, reason="  ", reference="Patient/7", by="Nora Field")
    assert without.status_code == 400 and "Write why" in without.text
    assert len(site.audited(AUDITED[name])) == before
    assert site.told(site.press(address, reason="because 3 a.m.", reference="Patient/7", by="Nora Field"))
    assert [row.reason for row in site.audited(AUDITED[name])][before:] == ["because 3 a.m."]


def test_a_form_of_one_browser_is_no_form_of_another(site):
    step = site.step()
    fields = {**site.form(f"/actions/retry?step={step}:0:parked"), "reason": "stolen"}
    assert site.app.test_client().post("/actions/retry", data=fields).status_code == 403
    assert site.row(step).status == "parked"


def test_a_retry_makes_the_step_due_and_its_delivery_and_records_follow(site):
    request_id = site.request()
    step = site.step(request_id=request_id, delivery_id=site.delivery(request_id))
    assert "is due now" in site.told(site.press(f"/actions/retry?step={step}:0:parked&back=/requests/{request_id}"))
    row = site.row(step)
    assert (row.status, row.attempts) == ("due", 0)
    assert "retrying" in site.get(f"/requests/{request_id}")


def test_two_operators_press_retry_at_once_one_effect_and_both_are_told(site):
    step = site.step(request_id=site.request())
    address, told = f"/actions/retry?step={step}:0:parked", []
    forms = [{**site.form(address), "reason": f"operator {number}"} for number in range(2)]
    cookies = site.client.get_cookie("second_opinion_browser").value

    def press(fields):
        client = site.app.test_client()
        client.set_cookie("second_opinion_browser", cookies)
        answer = client.post("/actions/retry", data=fields)
        told.append(unescape(client.get(answer.headers["Location"]).text))

    threads = [threading.Thread(target=press, args=(fields,)) for fields in forms]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert len(site.audited("step.retried")) == 1
    assert sum("is due now." in page for page in told) == 1
    [other] = [page for page in told if "nothing done" in page]
    assert "It was parked and is due now (retried by web at" in other


def test_a_stale_page_is_told_what_changed(site):
    step = site.step()
    fields = {**site.form(f"/actions/retry?step={step}:0:parked"), "reason": "x"}
    with site.engine.begin() as conn:
        conn.execute(update(steps).where(steps.c.id == step).values(lease_no=2, cause="http-422"))
    assert "nothing done. It is parked, after 2 more attempt(s)" in site.told(
        site.client.post("/actions/retry", data=fields)
    )
    with site.engine.begin() as conn:
        conn.execute(update(steps).where(steps.c.id == step).values(status="done"))
    assert "It was parked and is done" in site.told(site.client.post("/actions/retry", data=fields))


def test_selected_steps_are_retried_and_the_rest_is_counted(site):
    ids = [site.step("push_records", endpoint) for endpoint in ("mercy", "bob", "alice")]
    address = "/actions/retry?" + "&".join(f"step={one}:0:parked" for one in ids)
    fields = {**site.form(address), "reason": "all three"}
    with site.engine.begin() as conn:
        conn.execute(update(steps).where(steps.c.id == ids[1]).values(status="leased"))
    assert "Retry 3 steps" in site.get(address)
    message = site.told(site.client.post("/actions/retry", data=fields))
    assert message.startswith("2 of 3 due now. Left alone:")
    assert [site.row(one).status for one in ids] == ["due", "leased", "due"]


def test_cancelling_on_a_stale_page_asks_again_and_loses_nothing_typed(site):
    request_id = site.request()
    fields = {**site.form(f"/actions/cancel?request={request_id}"), "reason": "patient said no"}
    with site.engine.begin() as conn:
        conn.execute(update(requests).where(requests.c.id == request_id).values(status="accepted"))
    again = site.client.post("/actions/cancel", data=fields)
    assert (
        again.status_code == 409
        and "it was draft and is accepted now" in again.text
        and "patient said no" in again.text
    )
    assert "is notified" in site.told(site.press(f"/actions/cancel?request={request_id}"))
    assert "already being cancelled" in site.press(f"/actions/cancel?request={request_id}").text


def test_pausing_twice_changes_nothing_the_second_time(site):
    fields = {**site.form("/actions/pause?at=bob"), "reason": "maintenance"}
    assert "is paused" in site.told(site.client.post("/actions/pause", data=fields))
    assert "was paused already" in site.told(site.client.post("/actions/pause", data=fields))
    assert len(site.audited("endpoint.paused")) == 1 and "maintenance" in site.get("/endpoints")


def test_a_schedule_that_is_due_already_is_not_added_again(site):
    assert "is due now" in site.told(site.press("/actions/run-schedule?schedule=poll_requests alice"))
    assert "due or running already" in site.told(site.press("/actions/run-schedule?schedule=poll_requests alice"))


@pytest.mark.parametrize(
    "address",
    [
        "/actions/fly",
        "/actions/retry",
        "/actions/retry?step=x",
        "/actions/retry?step=999:0",
        "/actions/cancel?request=none",
        "/actions/pause?at=(exchange)",
        "/actions/stop-operation?operation=9",
        "/actions/run-schedule?schedule=x",
        "/actions/retry-matching?q=stat:x",
        "/operations/9",
        "/requests/none",
        "/requests/none/packet",
    ],
)
def test_what_does_not_exist_gets_a_sentence(site, address):
    answer = site.client.get(address)
    assert answer.status_code in (404, 409) and "<h1>" in answer.text and "To the queue" in answer.text


@pytest.mark.parametrize(
    "back", ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:alert(1)", "/\nx"]
)
def test_the_way_back_never_leaves_this_site(site, back):
    step = site.step()
    answer = site.press(f"/actions/retry?step={step}:0:parked", back=back)
    assert answer.headers["Location"] == "/"


# --- many at once ---


def many(site: Site, number: int) -> None:
    row = {"kind": "push_records", "status": "parked", "attempts": 3, "cause": "timeout"}
    with site.engine.begin() as conn:
        conn.execute(steps.insert(), [{**row, "endpoint": f"e{one}"} for one in range(number)])


def test_more_than_was_confirmed_is_asked_again(site):
    many(site, 3)
    fields = {**site.form("/actions/retry-matching?q="), "reason": "all"}
    site.step("push_records", "mercy")
    again = site.client.post("/actions/retry-matching", data=fields)
    assert again.status_code == 409 and "It was 3 and is 4 now" in again.text and "Retry all 4" in again.text
    with site.engine.connect() as conn:
        assert conn.execute(select(func.count()).select_from(bulk_operations)).scalar_one() == 0


def test_all_matching_is_retried_in_batches_with_progress(site):
    many(site, 250)
    answer = site.press("/actions/retry-matching?q=error:timeout", per_second="50", reason="the network is back")
    assert answer.headers["Location"] == "/operations/1"
    assert "0 retried, 0 had changed, 250 left, of 250" in site.get("/operations/1")
    with site.engine.begin() as conn:
        assert bulk.next_batch(conn)
        assert bulk.view(conn, 1)["retried"] == 100
    with site.engine.begin() as conn:
        bulk.next_batch(conn)
        assert not bulk.next_batch(conn)
    page = site.get("/operations/1")
    assert "250 retried, 0 had changed, 0 left" in page and "data-live" not in page
    assert len(site.audited("step.retried")) == 250 and site.audited("step.retried")[0].reason == "the network is back"
    with site.engine.begin() as conn:  # what came of it: the button's effect, not only that it was pressed
        ids = conn.execute(select(steps.c.id).where(steps.c.status == "due").order_by(steps.c.id)).scalars().all()
        conn.execute(update(steps).where(steps.c.id.in_(ids[:200])).values(status="done"))
        conn.execute(update(steps).where(steps.c.id.in_(ids[200:230])).values(status="parked"))
    assert "200 done, 20 under way, 30 waiting for a person again" in site.get("/operations/1")


def test_an_operation_stopped_half_way_has_exact_counts_of_both_halves(site):
    many(site, 250)
    site.press("/actions/retry-matching?q=", per_second="50")
    with site.engine.begin() as conn:
        bulk.next_batch(conn)
    message = site.told(site.press("/actions/stop-operation?operation=1"))
    assert message == "Stopped: 100 retried, 0 had changed, 150 not touched."
    with site.engine.begin() as conn:
        assert not bulk.next_batch(conn)
        assert (
            conn.execute(
                select(func.count()).where(steps.c.status == "due", steps.c.kind == "push_records")
            ).scalar_one()
            == 100
        )
    assert site.client.get("/actions/stop-operation?operation=1").status_code in (200, 409)
    assert "ended already" in site.press("/actions/stop-operation?operation=1").text


def test_two_operations_over_the_same_steps_have_one_effect(site):
    many(site, 20)
    fields = {**site.form("/actions/retry-matching?q="), "reason": "x"}
    for _ in range(2):
        site.client.post("/actions/retry-matching", data=fields)
    with site.engine.begin() as conn:
        bulk.next_batch(conn)
        views = [bulk.view(conn, one) for one in (1, 2)]
    assert [(view["retried"], view["changed"], view["status"]) for view in views] == [(20, 0, "done"), (0, 20, "done")]
    assert len(site.audited("step.retried")) == 20
