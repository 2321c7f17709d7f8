"""What /metrics says is true, only counts up, costs little and names no patient; alert rules and dashboard use what is there."""

import json
import re
import subprocess
import time
import urllib.parse
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import create_engine, event, text, update

from integration.packets.payloads import Payloads
from integration.queue import Limits, dispatch_endpoint
from integration.store import alarms, deadlines, totals
from integration.store.tables import endpoints, requests
from integration.web import create_app
from tests.integration.web.serving import serving
from tests.integration.web.site import Site
from tests.jobs.exchange import a_request, load_chart
from tests.servers.prometheus import asked, program, prometheus

DEPLOY = Path(__file__).parents[3] / "deploy"
RULES, DASHBOARD = DEPLOY / "prometheus" / "second-opinion.rules.yml", DEPLOY / "grafana" / "second-opinion.json"


def scrape(app) -> dict[str, dict[tuple, float]]:
    """``{sample name: {values of its labels, by their names: value}}`` of one scrape."""
    answer = app.test_client().get("/metrics")
    assert answer.status_code == 200 and answer.content_type.startswith("text/plain")
    found: dict[str, dict[tuple, float]] = {}
    for family in text_string_to_metric_families(answer.text):
        for sample in family.samples:
            found.setdefault(sample.name.removeprefix("second_opinion_"), {})[
                tuple(sample.labels[name] for name in sorted(sample.labels))
            ] = sample.value
    return found


def promtool(*words: str, given: str | None = None, cwd: Path | None = None) -> str:
    """Run promtool; it has to be content."""
    if program("promtool") is None:
        pytest.skip("promtool is not here: install the Debian package prometheus (python -m tests.prepare does it)")
    done = subprocess.run(
        [program("promtool"), *words], input=given, capture_output=True, text=True, timeout=60, cwd=cwd
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.mark.postgres
def test_open_work_is_counted_as_it_is(site):
    now = datetime.now(UTC)
    late, risky, held = (site.request(f"k{number}") for number in range(3))
    for request_id, days in ((late, -1), (risky, 1), (held, 9)):
        site.with_due(request_id, now + timedelta(days=days))
    site.step(request_id=held), site.step("verify_records", "bob", "due", next_attempt_at=now - timedelta(minutes=10))
    site.delivery(held, status="sent")
    with site.engine.begin() as conn:
        alarms.raise_alarm(conn, "endpoint-down", "mercy", "mercy has answered nothing")
        conn.execute(
            update(endpoints)
            .where(endpoints.c.key == "mercy")
            .values(breaker="half-open", breaker_until=now + timedelta(minutes=1))
        )
        conn.execute(
            text(
                "INSERT INTO ticks VALUES ('check_alarms', now() - interval '20 s', now() - interval '17 s'), ('prune', '2026-01-01', '2026-01-02')"
            )
        )
    found = scrape(site.app)
    assert found["requests_open"] == {("draft",): 3} and found["deliveries_open"] == {("mercy", "sent"): 1}
    assert found["steps_open"][("mercy", "parked")] == 1 and found["steps_parked"] == {("timeout", "mercy"): 1}
    assert 600 <= found["oldest_due_seconds"][("bob",)] < 700
    assert (found["records_late"][()], found["records_at_risk"][()]) == (1, 2)
    assert found["alarms_open"][("endpoint-down",)] == 1 and found["alarms_open"][("silence",)] == 0
    assert {where for where, value in found["endpoint_health"].items() if value} == {
        ("alice", "not used yet"),
        ("bob", "not used yet"),
        ("mercy", "resting"),
    }
    assert (
        2.9 < found["tick_drift_seconds"][("check_alarms",)] < 3.1 and found["tick_drift_seconds"][("prune",)] == 86400
    )
    assert time.time() - found["tick_timestamp_seconds"][("check_alarms",)] < 60
    assert (
        found["database_up"][()] == 1
        and found["database_size_bytes"][()] > 1e6
        and list(found["build_info"].values()) == [1]
    )


@pytest.mark.postgres
def test_late_and_at_risk_are_those_of_the_deadlines_page(site):
    now = datetime.now(UTC)
    for number in range(12):
        request_id = site.request(f"k{number}")
        site.with_due(request_id, now + timedelta(hours=(number - 4) * 20) if number else None)
        if number % 3 == 0:
            site.step(request_id=request_id)
    with site.engine.begin() as conn:
        conn.execute(update(requests).where(requests.c.key.in_(("k2", "k6"))).values(records="verified"))
        conn.execute(update(requests).where(requests.c.key == "k9").values(closed_at=now))
        board = deadlines.board(conn, now)
        assert (
            deadlines.numbers(conn, now) == (board["late"][0], board["risk"][0])
            and board["late"][0]
            and board["risk"][0]
        )


@pytest.mark.postgres
def test_what_was_done_is_counted_once_and_never_falls_when_history_is_removed(exchange):
    load_chart(exchange, observations=1)
    request_id = exchange.submit(a_request())
    exchange.drain()
    exchange.answer()
    exchange.watch()
    assert exchange.view(request_id)["closed"]
    found = scrape(exchange.app)
    with exchange.engine.begin() as conn:
        written = dict(
            conn.execute(text("SELECT endpoint, count(*) FROM attempts WHERE outcome = 'done' GROUP BY 1")).all()
        )
        conn.execute(text("TRUNCATE attempts CASCADE"))
    done = {endpoint: number for (endpoint, outcome), number in found["attempts_total"].items() if outcome == "done"}
    assert (
        done.keys() == written.keys()
        and all(done[endpoint] <= written[endpoint] for endpoint in done)
        and sum(done.values()) > 6
    )
    assert found["loops_closed_total"][("read-back",)] == 1 and found["loops_closed_total"][("handed-over",)] == 0
    assert found["records_verified_seconds_count"] == found["report_returned_seconds_count"] == {("bob",): 1}
    assert (
        found["step_duration_seconds_count"][("push_records",)]
        == found["step_duration_seconds_bucket"][("push_records", "+Inf")]
        >= 1
    )
    assert scrape(exchange.app)["attempts_total"] == found["attempts_total"]
    told = exchange.app.test_client().get("/metrics").text
    assert request_id not in told and not re.search(r"Synthetic|M1|r[0-9a-f]{20}", told)


@pytest.mark.postgres
def test_a_second_version_of_the_records_is_not_counted_again(site):
    request_id = site.request()
    with site.engine.begin() as conn:
        for version in (1, 2):
            conn.execute(
                text(
                    "INSERT INTO deliveries (id, request_id, endpoint, kind, version, status) VALUES (:id, :request, 'mercy', 'records', :version, 'verified')"
                ),
                {"id": f"d{version}", "request": request_id, "version": version},
            )
            totals.records_verified(conn, request_id)
    assert scrape(site.app)["records_verified_seconds_count"] == {("mercy",): 1}


@pytest.mark.postgres
def test_buckets_hold_what_is_not_longer_than_their_bound(site):
    with site.engine.begin() as conn:
        for seconds in (0.05, 0.051, 7, 99_999):
            totals.count(conn, totals.STEP, seconds, endpoint="bob", kind="push_records", outcome="done")
        totals.count(conn, totals.STEP, 0, endpoint="bob", kind="push_records", outcome="lost")
    found = scrape(site.app)
    counts = {float(bound): value for (_, bound), value in found["step_duration_seconds_bucket"].items()}
    assert (counts[0.05], counts[0.1], counts[5], counts[10], counts[1800], counts[float("inf")]) == (1, 2, 2, 3, 3, 4)
    assert found["step_duration_seconds_sum"][("push_records",)] == pytest.approx(100_006.101)
    assert found["attempts_total"] == {("bob", "done"): 4, ("bob", "lost"): 1}


@pytest.mark.postgres
def test_a_worker_that_died_is_an_attempt_that_was_lost(site):
    for kind, started in (("push_records", True), ("verify_records", False)):
        site.step(
            kind, status="leased", started=started, lease_no=1, lease_until=datetime.now(UTC) - timedelta(minutes=1)
        )
    dispatch_endpoint(site.engine, "mercy", Limits())
    found = scrape(site.app)
    assert found["attempts_total"] == {("mercy", "lost"): 1} and "step_duration_seconds_count" not in found


@pytest.mark.postgres
def test_without_the_database_it_says_that_it_is_away(site):
    nowhere = create_engine("postgresql+psycopg://nobody@127.0.0.1:9/nothing", connect_args={"connect_timeout": 2})
    found = scrape(create_app(site.config, nowhere, Payloads(site.config.payloads.url)))
    assert found["database_up"] == {(): 0} and found.keys() == {"database_up", "build_info"}


@pytest.mark.postgres
def test_a_scrape_reads_no_table_that_grows_from_end_to_end(site):
    """With history in the tables, each statement of a scrape goes by an index."""
    with site.engine.begin() as conn:
        conn.execute(
            text("""INSERT INTO requests (id, key, placer, fulfiller, status, priority, body, body_sha256, patient_hash, records_due_at, closed_at)
            SELECT 'r' || n, 'k' || n, 'alice', 'mercy', 'completed', 'routine', '{}', '', '', now(), CASE WHEN n > 20 THEN now() END FROM generate_series(1, 4000) n""")
        )
        conn.execute(
            text(
                "INSERT INTO steps (request_id, kind, endpoint, status, finished_at) SELECT 'r' || n, k, 'mercy', 'done', now() "
                "FROM generate_series(1, 4000) n, unnest(ARRAY['gather_records', 'push_records', 'verify_records']) k"
            )
        )
        conn.execute(
            text(
                "INSERT INTO steps (request_id, kind, endpoint, status) SELECT 'r' || n, 'return_report', 'mercy', 'parked' FROM generate_series(1, 20) n"
            )
        )
        conn.execute(
            text(
                "INSERT INTO deliveries (id, request_id, endpoint, kind, status) SELECT 'd' || n, 'r' || n, 'mercy', 'records', 'verified' FROM generate_series(1, 4000) n"
            )
        )
        conn.execute(
            text(
                "INSERT INTO attempts (step_id, kind, endpoint, lease_no, started_at, outcome) SELECT n, 'push_records', 'mercy', 1, now(), 'done' FROM generate_series(1, 9000) n"
            )
        )
        conn.execute(
            text(
                "INSERT INTO ticks SELECT name, now() - n * interval '1 min' FROM generate_series(1, 4000) n, unnest(ARRAY['check_alarms', 'prune']) name"
            )
        )
    with site.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
        conn.execute(text("VACUUM ANALYZE"))
    asked = []
    event.listen(
        site.engine,
        "before_cursor_execute",
        lambda conn, cursor, statement, values, *_: asked.append((statement, values)),
    )
    scrape(site.app)
    selects = [(statement, values) for statement, values in asked if statement.lstrip().upper().startswith("SELECT")]
    assert len(selects) > 10
    with site.engine.connect() as conn:
        for statement, values in selects:
            plan = "\n".join(conn.exec_driver_sql(f"EXPLAIN {statement}", values).scalars())
            assert not re.search(r"Seq Scan on (requests|steps|deliveries|attempts|ticks|exchanges|audit)\b", plan), (
                f"{statement}\n{plan}"
            )


@pytest.mark.postgres
def test_promtool_finds_nothing_to_say_about_the_metrics(site):
    site.step(request_id=site.request())
    with site.engine.begin() as conn:
        totals.count(conn, totals.STEP, 1, endpoint="bob", kind="push_records", outcome="done")
    assert promtool("check", "metrics", given=site.client.get("/metrics").text).strip() == ""


def test_the_alert_rules_are_right_and_do_what_their_tests_say(tmp_path):
    assert "SUCCESS" in promtool("check", "rules", str(RULES))
    promtool("test", "rules", "second-opinion.rules.test.yml", cwd=RULES.parent)
    tested = RULES.with_name("second-opinion.rules.test.yml").read_text(encoding="utf-8")
    for alert in re.findall(r"alert: (\w+)", RULES.read_text(encoding="utf-8")):
        assert tested.count(f"alertname: {alert}") >= 2, f"{alert} needs a test that it is quiet and one that it fires"


def panels() -> list[dict]:
    return json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"]


def expressions() -> list[str]:
    """Every PromQL of the dashboard with its variables filled in as Grafana does."""
    filled = {"$__rate_interval": "5m", '"$job"': '".*"', '"$endpoint"': '".*"'}
    found = [target["expr"] for panel in panels() for target in panel["targets"]]
    for name, value in filled.items():
        found = [expression.replace(name, value) for expression in found]
    assert len(found) > 15 and not any("$" in expression for expression in found)
    return found


def test_every_promql_of_the_dashboard_parses(tmp_path):
    rules = [{"record": f"panel:{number}", "expr": expression} for number, expression in enumerate(expressions())]
    (tmp_path / "panels.json").write_text(json.dumps({"groups": [{"name": "panels", "rules": rules}]}))  # JSON is YAML
    assert f"{len(rules)} rules found" in promtool("check", "rules", str(tmp_path / "panels.json"))


def test_the_dashboard_has_the_shape_grafana_imports():
    """As far as its import checks it; a real Grafana has not been tried."""
    board = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    assert board["id"] is None and board["uid"] and board["title"] and board["schemaVersion"] >= 36
    variables = {each["name"]: each for each in board["templating"]["list"]}
    assert (variables["datasource"]["type"], variables["datasource"]["query"]) == ("datasource", "prometheus")
    ids = [panel["id"] for panel in board["panels"]]
    assert len(set(ids)) == len(ids)
    taken = set()
    for panel in board["panels"]:
        assert panel["type"] and panel["title"] and panel["description"] and panel["fieldConfig"]["defaults"], panel[
            "title"
        ]
        for where in (panel, *panel["targets"]):
            assert where["datasource"] == {"type": "prometheus", "uid": "${datasource}"}, panel["title"]
        references = [target["refId"] for target in panel["targets"]]
        assert len(set(references)) == len(references)
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert place["x"] + place["w"] <= 24 and not cells & taken, f"{panel['title']} lies over another panel"
        taken |= cells
    used = set(re.findall(r"\$(\w+)", json.dumps(board["panels"]))) - {"__rate_interval"}
    assert used <= set(variables), "a panel uses a variable that is not there"


def lively(site: Site) -> None:
    """Something of everything, so that every metric has a sample."""
    (
        site.step(request_id=site.request()),
        site.step("verify_records", "bob", "due", next_attempt_at=datetime.now(UTC) - timedelta(minutes=1)),
    )
    site.delivery(site.request("k2"))
    with site.engine.begin() as conn:
        conn.execute(update(endpoints).values(last_success_at=datetime.now(UTC)))
        conn.execute(text("INSERT INTO ticks VALUES ('check_alarms', now(), now())"))
        for name in totals.BOUNDS:
            totals.count(
                conn, name, 1, endpoint="mercy", kind="push_records" if name == totals.STEP else "", outcome="done"
            )


@pytest.mark.postgres
def test_rules_and_dashboard_use_only_metrics_that_are_there_and_all_are_told_in_the_documentation(site):
    lively(site)
    there = {f"second_opinion_{name}" for name in scrape(site.app)}
    for file in (RULES, DASHBOARD):
        used = set(re.findall(r"\bsecond_opinion_\w+", file.read_text(encoding="utf-8")))
        assert used <= there, f"{file.name} uses {sorted(used - there)}"
    page = (DEPLOY.parent / "docs" / "how-to" / "monitor.md").read_text(encoding="utf-8")
    families = {re.sub(r"_(bucket|sum|count|total)$", "", name) for name in there}
    assert not [name for name in families if f"`{name}" not in page], "docs/how-to/monitor.md does not tell them"


@pytest.mark.postgres
def test_a_real_prometheus_scrapes_loads_the_rules_and_answers_every_panel(site, tmp_path):
    if program("prometheus") is None:
        pytest.skip("prometheus is not here: install the Debian package prometheus (python -m tests.prepare does it)")
    lively(site)
    with serving(site.app) as port, prometheus(tmp_path, port, RULES) as base:
        until = time.monotonic() + 40
        while (
            not (count := asked(base, "query?query=count_over_time(second_opinion_build_info[1m])")["result"])
            or float(count[0]["value"][1]) < 3
        ):
            assert time.monotonic() < until, "nothing was scraped"
            time.sleep(0.3)
        for expression in expressions():
            query = urllib.parse.urlencode({"query": expression.replace("[5m]", "[10s]")})
            assert asked(base, f"query?{query}")["result"], f"this panel shows nothing: {expression}"
        rules = [rule for group in asked(base, "rules")["groups"] for rule in group["rules"]]
        assert {rule["health"] for rule in rules} == {"ok"} and len(rules) == len(
            re.findall("alert: ", RULES.read_text(encoding="utf-8"))
        )
