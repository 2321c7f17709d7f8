"""The API: what the pages do, for programs; one effect, a reason, one shape for what goes wrong, no patient in an address."""

import json
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

import pytest

from integration.store import alarms, endpoint_checks
from integration.store.search import COUNT_CAP
from integration.store.tables import delivery_items
from integration.web.problems import BASE, PROBLEMS
from tests.integration.web.site import Site, a_request

pytestmark = pytest.mark.postgres


@pytest.fixture
def api(site):
    """Asks the API; what it answers has to be JSON with this status."""

    def ask(method: str, address: str, body=None, *, status: int = 200, headers=()):
        answer = site.client.open(address, method=method, json=body, headers=dict(headers))
        assert answer.status_code == status, (answer.status_code, answer.text[:1500])
        assert answer.content_type == ("application/problem+json" if status >= 400 else "application/json")
        return answer.json

    return ask


def kind(problem: dict) -> str:
    """The last word of a problem's type; it has to be one that is documented, with its title and status."""
    name = problem["type"].removeprefix(BASE)
    assert PROBLEMS[name] == (problem["status"], problem["title"]) and problem["detail"].endswith((".", "?"))
    return name


def test_steps_are_found_by_filter_and_paged_without_losing_rows_of_the_same_second(site, api):
    due = datetime(2026, 3, 1, tzinfo=UTC)
    made = {site.step(request_id=site.request(f"k{number}"), deadline=due) for number in range(5)}
    site.step("verify_records", "bob")
    found, after = [], ""
    for _ in range(9):
        page = api("GET", f"/api/steps?q=endpoint:mercy&limit=2{after}")
        found += [step["id"] for step in page["items"]]
        if page["next"] is None:
            break
        after = f"&after={quote(page['next'])}"
    assert sorted(found) == sorted(made)
    first = page["items"][0]
    assert (first["status"], first["cause"], first["lease_no"], first["deadline"]) == (
        "parked",
        "timeout",
        0,
        "2026-03-01T00:00:00Z",
    )
    assert first["happened"].startswith("The endpoint took too long") and first["advice"]


def test_a_step_without_a_deadline_says_null(site, api):
    site.step()
    assert api("GET", "/api/steps")["items"][0]["deadline"] is None


def test_counts_are_those_of_the_tabs_and_say_what_a_retry_would_work_on(site, api):
    site.step(), site.step("verify_records", "bob", "due", attempts=0)
    counted = api("GET", "/api/steps/counts")
    assert (counted["counts"]["parked"], counted["counts"]["due"], counted["counts"]["all"]) == (1, 1, 2) and counted[
        "counts"
    ]["all"] < COUNT_CAP
    assert counted["retryable"] == 1
    assert api("GET", "/api/steps/counts?q=endpoint:bob")["retryable"] == 0


def test_failures_are_grouped_and_name_the_filter_that_finds_them(site, api):
    one, _ = site.step(request_id=site.request()), site.step("verify_records", "bob", cause="http-503")
    groups = {group["endpoint"]: group for group in api("GET", "/api/failures")["items"]}
    assert groups["mercy"]["number"] == 1 and groups["mercy"]["cause"] == "timeout"
    assert [step["id"] for step in api("GET", f"/api/steps?q={quote(groups['mercy']['q'])}")["items"]] == [one]


def test_a_patient_identifier_is_refused_in_an_address_and_search_gives_what_may_stand_there(site, api):
    request_id = site.request()
    step = site.step(request_id=request_id)
    found = api("POST", "/api/search", {"q": "patient:M1 state:parked"})
    assert "M1" not in found["q"] and "M1" not in found["steps"]
    assert [one["id"] for one in api("GET", found["steps"])["items"]] == [step]
    for route in ("steps", "steps/counts", "failures"):
        refused = api("GET", f"/api/{route}?q=patient:M1", status=400)
        assert (
            kind(refused) == "patient-in-address"
            and "/api/search" in refused["detail"]
            and "M1" not in json.dumps(refused)
        )
        api("GET", f"/api/{route}?q={quote(found['q'])}")


def test_a_filter_that_cannot_be_read_says_where(api):
    wrong = api("GET", "/api/steps?q=endpoint:mercy%20stat:x", status=400)
    assert kind(wrong) == "wrong-filter" and "did you mean state:" in wrong["detail"]
    assert [(each["position"], each["length"]) for each in wrong["errors"]] == [(15, 6)]


UNKNOWN_IN_ADDRESS = {
    "/api/steps?query=x": "`query` is not a key here",
    "/api/steps?limit=0": "at least 1",
    "/api/steps?limit=many": "whole number",
    "/api/steps?q=a&q=b": "more than once",
    "/api/steps?after=yesterday": "not the `next`",
    "/api/alarms?x=1": "the keys are none",
    "/api/numbers?days=3": "must be",
}


def test_an_address_with_what_the_route_does_not_know_is_refused_with_a_sentence(api):
    for address, words in UNKNOWN_IN_ADDRESS.items():
        wrong = api("GET", address, status=400)
        assert kind(wrong) == "wrong-query" and words in wrong["detail"] and wrong["errors"], wrong


def test_a_step_is_retried_once_and_the_second_is_told_what_happened(site, api):
    step = site.step(request_id=site.request())
    seen = {"reason": "their server is up", "seen": {"lease_no": 0, "status": "parked"}}
    assert api("POST", f"/api/steps/{step}/retry", seen) == {
        "changed": True,
        "message": f"Step {step} (push_records, mercy) is due now.",
    }
    late = api("POST", f"/api/steps/{step}/retry", seen, status=409)
    assert kind(late) == "not-possible" and "It was parked and is due now (retried by api at " in late["detail"]
    assert [(row.actor, row.reason) for row in site.audited("step.retried")] == [("api", "their server is up")]


def test_without_saying_what_was_seen_a_step_is_parked_and_retried_as_it_stands(site, api):
    step = site.step(status="waiting", lease_no=7)
    api("POST", f"/api/steps/{step}/park", {"reason": "wait for Monday"})
    assert (site.row(step).status, site.row(step).cause) == ("parked", "parked-by-person")
    api("POST", f"/api/steps/{step}/retry", {"reason": "Monday"})
    assert site.row(step).status == "due"
    assert kind(api("POST", f"/api/steps/{step}/retry", {"reason": "again"}, status=409)) == "not-possible"


def test_everything_that_matches_is_retried_in_the_background_when_it_is_as_many_as_expected(site, api):
    for number in range(3):
        site.step(request_id=site.request(f"k{number}"))
    surprise = api("POST", "/api/steps/retry", {"q": "endpoint:mercy", "expected": 2, "reason": "up"}, status=409)
    assert kind(surprise) == "not-possible" and not site.audited("bulk.retry-started")
    wanted = {"q": "endpoint:mercy", "expected": 3, "reason": "up", "per_second": 10}
    begun = api("POST", "/api/steps/retry", wanted, status=202)
    assert (begun["total"], begun["left"], begun["status"], begun["per_second"], begun["actor"]) == (
        3,
        3,
        "running",
        10,
        "api",
    )
    assert api("GET", f"/api/operations/{begun['id']}") == begun == api("GET", "/api/operations")["items"][0]
    assert "3" in api("POST", f"/api/operations/{begun['id']}/stop", {"reason": "not yet"})["message"]
    assert api("GET", f"/api/operations/{begun['id']}")["status"] == "cancelled"
    assert kind(api("POST", f"/api/operations/{begun['id']}/stop", {"reason": "again"}, status=409)) == "not-possible"
    assert kind(api("POST", "/api/operations/99/stop", {"reason": "x"}, status=404)) == "unknown"


def test_a_patient_may_be_named_in_a_body_and_only_the_hash_is_kept(site, api):
    site.step(request_id=site.request())
    begun = api("POST", "/api/steps/retry", {"q": "patient:M1", "expected": 1, "reason": "up"}, status=202)
    assert begun["total"] == 1 and "M1" not in begun["filter"]


def test_an_endpoint_is_checked_and_what_was_found_is_told(site, api):
    never = api("GET", "/api/endpoints/mercy/check")
    assert (never["endpoint"], never["done_at"], never["asked_at"], never["found"]) == ("mercy", None, None, None)
    assert api("POST", "/api/endpoints/mercy/check", {"reason": "their upgrade"})["changed"] is True
    assert api("POST", "/api/endpoints/mercy/check", {"reason": "again"})["changed"] is False
    assert api("GET", "/api/endpoints/mercy/check")["asked_at"]
    with site.engine.begin() as conn:
        endpoint_checks.keep(conn, "mercy", {"problems": ["no TLS"]}, datetime.now(UTC), actor="test")
    assert api("GET", "/api/endpoints/mercy/check")["found"] == {"problems": ["no TLS"]}
    assert kind(api("GET", "/api/endpoints/nowhere/check", status=404)) == "unknown"


def test_endpoints_are_paused_and_resumed_and_say_how_they_are(site, api):
    site.step(), site.step("send_request", "mercy", "due", due_at=datetime.now(UTC) - timedelta(hours=3))
    mercy = {each["key"]: each for each in api("GET", "/api/endpoints")["items"]}["mercy"]
    assert (mercy["open_steps"], mercy["parked_steps"], mercy["health"]) == (2, 1, "not used yet") and mercy[
        "silent_seconds"
    ] > 3600
    assert api("POST", "/api/endpoints/mercy/pause", {"reason": "maintenance"})["changed"] is True
    assert api("POST", "/api/endpoints/mercy/pause", {"reason": "maintenance"})["changed"] is False
    mercy = {each["key"]: each for each in api("GET", "/api/endpoints")["items"]}["mercy"]
    assert (mercy["health"], mercy["paused_reason"], mercy["silent_seconds"]) == ("paused", "maintenance", None)
    api("POST", "/api/endpoints/mercy/resume", {"reason": "done"})
    assert [row.reason for row in site.audited("endpoint.resumed")] == ["done"]


def test_schedules_are_listed_and_run(site, api):
    assert [each["name"] for each in api("GET", "/api/schedules")["items"]] == ["poll_requests alice", "prune"]
    assert api("POST", "/api/schedules/poll_requests%20alice/run", {"reason": "now"})["changed"] is True
    assert api("POST", "/api/schedules/poll_requests%20alice/run", {"reason": "now"})["changed"] is False
    assert kind(api("POST", "/api/schedules/lunch/run", {"reason": "now"}, status=404)) == "unknown"


def test_deadlines_numbers_and_alarms_are_those_of_the_pages(site, api):
    late, undated = site.request(), site.request("k2")
    site.with_due(late, datetime.now(UTC) - timedelta(days=1))
    board = api("GET", "/api/deadlines")
    assert [each["request_id"] for each in board["late"]["items"]] == [late] and board["undated"] == 1 and undated
    assert (
        api("GET", "/api/numbers?days=7")["summary"]["requests"] == 2
        and len(api("GET", "/api/numbers?days=7")["series"]) == 7
    )
    with site.engine.begin() as conn:
        alarms.raise_alarm(conn, "endpoint-down", "mercy", "mercy has answered nothing")
    assert [each["rule"] for each in api("GET", "/api/alarms")["items"]] == ["endpoint-down"]


def test_a_request_is_shown_and_cancelled_unless_it_moved_on(site, api):
    request_id = site.request()
    site.step(request_id=request_id, delivery_id=site.delivery(request_id))
    view = api("GET", f"/api/requests/{request_id}")
    assert (view["status"], view["closed"], len(view["owed"]), view["deliveries"][0]["kind"]) == (
        "draft",
        False,
        2,
        "records",
    )
    assert "patient" not in json.dumps(view) and "Synthetic" not in json.dumps(view)
    assert (
        kind(api("POST", f"/api/requests/{request_id}/cancel", {"reason": "withdrew", "seen": "accepted"}, status=409))
        == "not-possible"
    )
    assert api("POST", f"/api/requests/{request_id}/cancel", {"reason": "withdrew", "seen": "draft"})["changed"] is True
    assert api("GET", f"/api/requests/{request_id}")["cancel_requested"] is True
    assert kind(api("POST", f"/api/requests/{request_id}/cancel", {"reason": "withdrew"}, status=409)) == "not-possible"


def test_the_items_of_a_delivery_come_page_by_page(site, api):
    request_id = site.request()
    delivery = site.delivery(request_id)
    with site.engine.begin() as conn:
        conn.execute(
            delivery_items.insert(),
            [
                {
                    "delivery_id": delivery,
                    "source": f"Observation/{number}",
                    "status": "missing" if number == 3 else "verified",
                }
                for number in range(5)
            ],
        )
    address = f"/api/requests/{request_id}/deliveries/{delivery}"
    first = api("GET", f"{address}?limit=3")
    rest = api("GET", f"{address}?limit=3&after={first['next']}")
    assert [len(first["items"]), len(rest["items"]), rest["next"]] == [3, 2, None]
    assert first["delivery"]["status"] == "parked" and first["counts"] == {"verified": 4, "missing": 1}
    assert [item["source"] for item in api("GET", f"{address}?status=missing")["items"]] == ["Observation/3"]
    assert kind(api("GET", f"/api/requests/{request_id}/deliveries/other", status=404)) == "unknown"
    assert kind(api("GET", f"/api/requests/r00/deliveries/{delivery}", status=404)) == "unknown"


def a_body(**fields) -> dict:
    return json.loads(a_request(**fields).model_dump_json(exclude_defaults=True))


def test_a_request_is_taken_in_once_and_all_mistakes_of_it_are_said(site, api):
    made = api("POST", "/api/requests", a_body(), status=201)
    assert made["new"] is True and api("POST", "/api/requests", a_body()) == {**made, "new": False}
    assert kind(api("POST", "/api/requests", a_body(question="Another?"), status=409)) == "key-reused"
    wrong = api(
        "POST",
        "/api/requests",
        {**a_body(), "priority": "stat", "colour": "red", "patient": {"identifiers": []}},
        status=400,
    )
    assert kind(wrong) == "wrong-body" and {"colour", "priority"} <= {
        error.get("path", "?") for error in wrong["errors"]
    } | {"colour"}
    assert len(wrong["errors"]) >= 3 and all(error["message"] for error in wrong["errors"])
    elsewhere = api("POST", "/api/requests", a_body(key="k9", fulfiller="nobody"), status=400)
    assert [error["path"] for error in elsewhere["errors"]] == ["fulfiller"]


REASONLESS = (
    {},
    {"reason": ""},
    {"reason": "  \t"},
    {"reason": None},
    {"reason": 7},
    {"reason": "x\x00y"},
    {"reason": "x" * 1001},
    [],
    "reason",
    7,
)


def action_addresses(site: Site) -> list[str]:
    """Every POST that needs a reason."""
    step, waiting, request_id = site.step(), site.step("verify_records", "bob", "waiting"), site.request()
    return [
        f"/api/steps/{step}/retry",
        f"/api/steps/{waiting}/park",
        "/api/steps/retry",
        f"/api/requests/{request_id}/cancel",
        "/api/endpoints/mercy/pause",
        "/api/endpoints/mercy/resume",
        "/api/endpoints/mercy/check",
        "/api/schedules/prune/run",
        "/api/operations/1/stop",
        f"/api/requests/{request_id}/waivers",
        f"/api/requests/{request_id}/waivers/undo",
        f"/api/requests/{request_id}/checklist",
        f"/api/requests/{request_id}/acknowledgments/1/take-back",
        f"/api/desk/{request_id}/report/1/retract",
        f"/api/requests/{request_id}/suitability",
        f"/api/requests/{request_id}/sources",
        f"/api/requests/{request_id}/sources/1/say",
        f"/api/requests/{request_id}/sources/1/again",
        f"/api/requests/{request_id}/parcels",
        f"/api/requests/{request_id}/parcels/1",
        f"/api/requests/{request_id}/medications",
        f"/api/requests/{request_id}/questions",
        f"/api/requests/{request_id}/records-received/x/accept",
        f"/api/requests/{request_id}/records-received/x/take-back",
        f"/api/requests/{request_id}/records-elsewhere",
        f"/api/requests/{request_id}/records-elsewhere/mercy/stop",
        f"/api/requests/{request_id}/visit",
        f"/api/requests/{request_id}/coverage/read",
        f"/api/requests/{request_id}/coverage/payer",
        f"/api/requests/{request_id}/visit/times",
        f"/api/requests/{request_id}/private-links/1/revoke",
        f"/api/requests/{request_id}/health-links/x/revoke",
        f"/api/requests/{request_id}/release/take-back",
        "/api/directory",
        "/api/directory/1/correct",
        "/api/deliveries/none/resend",
        "/api/deliveries/none/confirm",
        "/api/deliveries/none/send-again",
        "/api/deliveries/none/take-back",
        "/api/findings/1/skip",
    ]


FILES = "/api/requests/<request_id>/records-received"  # bytes, not JSON


def test_every_action_needs_a_reason(site, api):
    addresses = action_addresses(site)
    posts = {
        rule.rule for rule in site.app.url_map.iter_rules() if rule.rule.startswith("/api/") and "POST" in rule.methods
    }
    reasonless = {
        "/api/requests",
        "/api/search",
        "/api/requests/<request_id>/coverage",
        "/api/requests/<request_id>/acknowledgments",
        "/api/desk/<request_id>/answers",
        "/api/requests/<request_id>/consent",
        "/api/requests/<request_id>/private-links",
        "/api/requests/<request_id>/health-links",
        "/api/requests/<request_id>/records-received/link",
        "/api/requests/<request_id>/release",
        "/api/desk/<request_id>/report",
        "/api/desk/<request_id>/report/sign",
        FILES,
    }
    adapter = site.app.url_map.bind("localhost")
    tried = {adapter.match(each, method="POST", return_rule=True)[0].rule for each in addresses}
    assert tried == posts - reasonless, "a new POST is not in this test"
    for address in addresses:
        for body in REASONLESS:
            assert kind(api("POST", address, body, status=400)) == "wrong-body"
        unknown = api("POST", address, {"reason": "x", "reasn": "y"}, status=400)
        assert any("is not a key here; did you mean `reason`?" in error["message"] for error in unknown["errors"])
    assert not any(
        site.audited(action)
        for action in ("step.retried", "step.parked", "endpoint.paused", "request.cancel-requested")
    )


FORMS = ("application/x-www-form-urlencoded", "text/plain", None, "multipart/form-data; boundary=x")


def test_a_form_of_another_site_presses_no_button(site):
    for address in [*action_addresses(site), "/api/requests", "/api/search"]:
        for content_type in FORMS:
            answer = site.client.post(address, data='{"reason": "x"}', content_type=content_type)
            assert answer.status_code == 415 and kind(answer.json) == "not-json"
    assert not site.audited("step.retried")


def test_another_origin_presses_no_button_and_ours_does(site, api):
    step = site.step()
    for origin in ("https://evil.example", "null", "http://localhost:81", "https://localhost"):
        assert (
            kind(api("POST", f"/api/steps/{step}/retry", {"reason": "x"}, status=403, headers={"Origin": origin}))
            == "foreign-origin"
        )
    assert site.row(step).status == "parked"
    api("POST", f"/api/steps/{step}/retry", {"reason": "x"}, headers={"Origin": "http://localhost"})


NO_JSON = (
    b"",
    b"{",
    b'{"reason": "x",}',
    b"reason: x",
    b"\xff\xfe",
    b'{"reason": NaN}',
    b"[" * 100_000,
    b'{"reason": "\\ud800"}',
)


def test_a_body_that_is_no_json_is_said(site):
    for data in NO_JSON:
        for address in ("/api/steps/1/retry", "/api/search", "/api/requests"):
            answer = site.client.post(address, data=data, content_type="application/json")
            assert answer.status_code == 400 and kind(answer.json) == "wrong-body", (data[:20], answer.text)


NOT_THERE = (
    ("GET", "/api/nothing", 404),
    ("GET", "/api/steps/x/retry", 404),
    ("DELETE", "/api/steps", 405),
    ("POST", "/api/alarms", 405),
    ("GET", "/api/requests/r%00", 404),
    ("GET", "/api/operations/99999999999999999999", 404),
    ("GET", "/api/requests/" + "r" * 5000, 404),
)


def test_what_is_not_there_is_said_in_the_same_shape(site, api):
    for method, address, status in NOT_THERE:
        answer = site.client.open(address, method=method)
        assert answer.status_code == status and answer.content_type == "application/problem+json"
        assert answer.json["status"] == status and answer.json["detail"]
        assert status != 405 or "GET" in answer.headers["Allow"]
    assert kind(api("POST", "/api/steps/99999999999999999999/retry", {"reason": "x"}, status=404)) == "unknown"
    assert kind(api("GET", "/api/alarms", status=421, headers={"Host": "evil.example"})) == "wrong-host"


def test_nothing_of_a_patient_is_in_any_answer(site, api):
    request_id = site.request()
    site.step(request_id=request_id, delivery_id=site.delivery(request_id))
    for address in (
        "steps",
        "steps/counts",
        "failures",
        "operations",
        "endpoints",
        "schedules",
        "deadlines",
        "numbers",
        "alarms",
        "findings",
        "requests",
        f"requests/{request_id}",
        f"requests/{request_id}/items",
        f"requests/{request_id}/deliveries/{request_id}-records-1",
    ):
        told = json.dumps(api("GET", f"/api/{address}"))
        assert not any(word in told for word in ("Synthetic", "Ada", '"M1"', "surgery", "synthetic diagnosis")), address
