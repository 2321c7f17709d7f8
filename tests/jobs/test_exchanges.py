"""Each attempt keeps what it exchanged with other servers: when it went well, when it was refused, when the answer was cut."""

import json
import re
from datetime import UTC, datetime

import pytest
from sqlalchemy import func, select, text, update

from integration.fhir.exchanges import Exchange
from integration.store import exchanges as store
from integration.store import steps
from integration.store.tables import attempts, audit, exchanges
from jobs.recorder import FIRST, LAST, Recorder
from tests.jobs.exchange import a_request, load_chart
from tests.servers.lying import LyingProxy, swallow_first_writes

pytestmark = pytest.mark.postgres
REFUSAL = {
    "resourceType": "OperationOutcome",
    "issue": [
        {
            "severity": "error",
            "code": "business-rule",
            "expression": ["ServiceRequest.code"],
            "diagnostics": "Ada Synthetic-Test <script>alert(1)</script> \u202e may not be referred; limit is 1.10",
        }
    ],
}


def refusing(kind):
    """A proxy whose server refuses to store one type of resource."""

    def refuse(method, path, headers, body):
        if method == "POST" and f'"resourceType":"{kind}"'.encode() in body[:60]:
            return 422, [("Content-Type", "application/fhir+json")], json.dumps(REFUSAL).encode()
        return body

    return lambda url: LyingProxy(url, ask=refuse)


def rows(exchange, **where):
    """``[(attempt, exchange)]`` in order."""
    wanted = select(attempts, exchanges).join(exchanges, exchanges.c.attempt_id == attempts.c.id)
    for name, value in where.items():
        wanted = wanted.where(attempts.c[name] == value)
    with exchange.engine.connect() as conn:
        return conn.execute(wanted.order_by(exchanges.c.attempt_id, exchanges.c.number)).mappings().all()


@pytest.fixture
def refused(make_exchange):
    """A loop that stopped because the fulfiller refuses the ServiceRequest: (exchange, request id)."""
    exchange = make_exchange(before={"bob": refusing("ServiceRequest")})
    load_chart(exchange, observations=1)
    request_id = exchange.submit(a_request(records={"types": ["Condition", "Observation"]}))
    exchange.drain()
    return exchange, request_id


def test_a_refusal_is_kept_with_its_bodies_and_what_went_well_without(refused):
    exchange, request_id = refused
    assert exchange.parked(request_id) == ["http-422"]
    found = rows(exchange, request_id=request_id)
    [refusal] = [row for row in found if row["cause_1"]]
    assert (refusal["kind"], refusal["method"], refusal["shown"], refusal["status"]) == (
        "send_request",
        "POST",
        "ServiceRequest",
        422,
    )
    assert refusal["issues"] == ["error business-rule ServiceRequest.code"]
    assert all(row["request_body"] is None and row["response_body"] is None for row in found if row is not refusal)
    with exchange.engine.connect() as conn:
        sent, answered = store.bodies(conn, refusal["attempt_id"], refusal["number"])
    assert b"Is surgery needed?" in sent.data and json.loads(answered.data) == REFUSAL and not answered.cut


@pytest.mark.long
def test_the_searches_of_a_chart_run_in_threads_and_all_of_them_are_kept_by_name(refused):
    exchange, request_id = refused
    gathered = rows(exchange, request_id=request_id, kind="gather_records")
    shown = {row["shown"] for row in gathered}
    assert {"Condition?patient&_count", "Observation?patient&_count"} <= shown and len(gathered) > 3
    assert [row["number"] for row in gathered][:3] == [1, 2, 3]
    everything = "\n".join(
        str({key: value for key, value in row.items() if not key.endswith("_body")})
        for row in rows(exchange, request_id=request_id)
    )
    assert not re.search("Synthetic-Test|1960-01-01|M1|surgery", everything)


def test_a_cut_answer_is_kept_as_unknown(make_exchange):
    exchange = make_exchange(before={"bob": lambda url: LyingProxy(url, tell=swallow_first_writes(1))})
    load_chart(exchange, observations=1)
    request_id = exchange.submit(a_request(records={"types": ["Condition", "Observation"]}))
    exchange.drain()
    [cut] = [row for row in rows(exchange, request_id=request_id) if row["cause_1"]]
    assert (cut["outcome"], cut["status"], cut["cause_1"], cut["method"]) == ("unknown", None, "cut", "POST")
    assert cut["request_body"] is not None and cut["response_body"] is None


@pytest.mark.long
def test_an_uneventful_watch_leaves_neither_an_attempt_nor_exchanges(exchange):
    load_chart(exchange, observations=1)
    request_id = exchange.submit(a_request(records={"types": ["Condition", "Observation"]}))
    exchange.drain()
    before = len(rows(exchange)), len(exchange.view(request_id)["attempts"])
    exchange.watch()
    assert (len(rows(exchange)), len(exchange.view(request_id)["attempts"])) == before


@pytest.mark.long
def test_a_poll_that_belongs_to_no_request_keeps_its_exchanges_too(exchange):
    exchange.poll()
    assert [row["shown"] for row in rows(exchange, kind="poll_requests")] == [
        "metadata",
        "ServiceRequest?status&_count",
    ]


@pytest.mark.long
def test_of_very_many_exchanges_the_first_and_the_last_are_kept_and_the_gap_is_known(database):
    recorder = Recorder()
    for number in range(1, 301):
        recorder(Exchange("bob", "GET", f"Basic/{number}", 200, datetime.now(UTC), 1, 0, 2))
    with database.engine.begin() as conn:
        step = conn.execute(
            text("INSERT INTO steps (kind, endpoint, status) VALUES ('prune', 'bob', 'due') RETURNING *")
        ).one()
        attempt_id = steps.record_attempt(conn, step, datetime.now(UTC), "done")
        recorder.store(conn, attempt_id)
        kept = store.of_attempt(conn, attempt_id)
    assert [each.number for each in kept] == [*range(1, FIRST + 1), *range(301 - LAST, 301)]
    assert store.left_out(kept) == 300 - FIRST - LAST and kept[-1].shown == "Basic/300"


def test_bodies_go_after_their_retention_and_the_list_much_later(refused):
    exchange, request_id = refused

    def prune(days):
        with exchange.engine.begin() as conn:
            conn.execute(update(exchanges).values(began=func.now() - text(f"interval '{days} days'")))
            steps.create(conn, "prune", "bob")
        exchange.drain()
        found = rows(exchange, request_id=request_id)
        return len(found), len([row for row in found if row["response_body"] is not None])

    number, bodies = prune(29)
    assert number > 10 and bodies == 1
    assert prune(31) == (number, 0)
    assert prune(366) == (0, 0)
    assert exchange.view(request_id)["attempts"], "the attempt itself stays"


@pytest.mark.long
def test_pruning_goes_on_until_nothing_is_left(refused, monkeypatch):
    exchange, request_id = refused
    monkeypatch.setattr(store, "PRUNED_AT_ONCE", 7)
    with exchange.engine.begin() as conn:
        conn.execute(update(exchanges).values(began=func.now() - text("interval '400 days'")))
        steps.create(conn, "prune", "bob")
    exchange.drain()
    assert rows(exchange, kind="prune") == [] and 0 < len(rows(exchange))
    for _ in range(20):
        exchange.watch()
    assert rows(exchange, request_id=request_id, kind="gather_records") == []


# The pages and the command line


def token(client, address):
    return re.search(r'name="token" value="([^"]+)"', client.get(address).text).group(1)


def refusal_of(exchange, request_id):
    return next(row for row in rows(exchange, request_id=request_id) if row["cause_1"])


@pytest.mark.long
def test_the_attempt_page_shows_exchanges_and_no_content(refused):
    exchange, request_id = refused
    refusal = refusal_of(exchange, request_id)
    client = exchange.app.test_client()
    address = f"/requests/{request_id}/attempts/{refusal['attempt_id']}"
    assert address in client.get(f"/requests/{request_id}").text
    assert address in client.get(f"/requests/{request_id}/deliveries/{request_id}-request-1").text
    page = client.get(address).text
    assert "POST ServiceRequest" in page and "422" in page and "business-rule ServiceRequest.code" in page
    assert not re.search("Synthetic-Test|may not be referred|surgery", page)
    assert client.get(f"/requests/other/attempts/{refusal['attempt_id']}").status_code == 404
    assert client.get(f"/requests/{request_id}/attempts/99999999999999999999").status_code == 404


def test_a_look_at_bodies_is_recorded_before_anything_is_shown(refused):
    exchange, request_id = refused
    refusal, client = refusal_of(exchange, request_id), exchange.app.test_client()
    address = f"/requests/{request_id}/attempts/{refusal['attempt_id']}"

    def look(**fields):
        return client.post(
            f"{address}/look", data={"token": token(client, address), "number": refusal["number"], **fields}
        )

    def looks():
        with exchange.engine.connect() as conn:
            return conn.execute(select(audit).where(audit.c.action == "attempt.looked-at")).all()

    for answer, status in ((look(), 400), (look(reason="why", token="forged"), 403)):
        assert answer.status_code == status and "may not be referred" not in answer.text
    assert looks() == []
    page = look(reason="the referral desk asks").text
    assert "may not be referred; limit is 1.10" in page and "Is surgery needed?" in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page and "<script>alert" not in page and "\u202e" not in page
    [row] = looks()
    assert (row.reason, row.subject) == (
        "the referral desk asks",
        f"attempt {refusal['attempt_id']} exchange {refusal['number']}",
    )
    assert look(reason="again", number="1").status_code == 404, "nothing is kept of what went well"


@pytest.mark.long
def test_the_command_line_shows_the_same_and_records_the_look(refused, tmp_path, database):
    from click.testing import CliRunner

    import second_opinion

    exchange, request_id = refused
    attempt_id = refusal_of(exchange, request_id)["attempt_id"]

    def run(*words, code=0):
        result = CliRunner(env={"SECOND_OPINION_DATABASE_URL": database.url}).invoke(
            second_opinion.cli, ["--config", str(tmp_path / "config.yaml"), "attempts", *words]
        )
        assert result.exit_code == code, result.output
        return result.output

    assert f"{attempt_id} " in run("list", request_id)
    shown = run("show", str(attempt_id))
    assert "POST ServiceRequest" in shown and "business-rule" in shown and "surgery" not in shown
    assert "--reason" in run("show", str(attempt_id), "--bodies", code=2)
    assert "there is no attempt 99" in run("show", "99999", code=1)
    seen = json.loads(run("show", str(attempt_id), "--bodies", "--reason", "desk", "--json"))
    bodies = [body for each in seen["exchanges"] for body in each["bodies"]]
    assert [body["which"] for body in bodies] == ["request", "response"] and "may not be referred" in bodies[1]["text"]
    assert "may not be referred" in run("show", str(attempt_id), "--bodies", "--reason", "desk")
    with exchange.engine.connect() as conn:
        assert (
            conn.execute(
                select(func.count()).select_from(audit).where(audit.c.action == "attempt.looked-at")
            ).scalar_one()
            == 2
        )
