"""Every command has ``--json`` and prints one JSON value with it; each that needs no other server is run with it."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner
from sqlalchemy import insert, select, text

import second_opinion
from integration.received import receive
from integration.store import alarms, bulk
from integration.store.filters import parse
from integration.store.tables import attempts, steps
from tests import directory_files
from tests.integration.web.access.smart_client import key_set, public_jwk
from tests.jobs.exchange import Exchange, a_request, load_chart
from tests.reference_pages import commands

EXAMPLE = Path(__file__).parents[2] / "examples" / "oncology-request.yaml"
PEOPLE = "npidata_pfile_20050523-20261108.csv"
PASSWORD = "a long and quite synthetic password"
RUNS_ON = "runs until it is stopped: there is no result to print"
EXEMPT = {"serve": RUNS_ON, "web": RUNS_ON, "worker": RUNS_ON, "listen": RUNS_ON}
RUN_ELSEWHERE = {
    "demo": "tests/e2e/test_demo.py; its last line is the value, what happens is told before it",
    "restore": "tests/jobs/test_restore.py; it replaces the database",
    "directory sync": "tests/integration/directory/test_syncing.py; it asks a FHIR directory",
    "alerts test": "tests/jobs/upkeep/test_alerts.py; it asks a mail server",
    "endpoints moved": "tests/jobs/upkeep/test_endpoint_moved.py; it needs an endpoint that moved",
    "keys retire": "tests/second_opinion/test_keys.py; it needs the kid of a key that was rotated",
    "deliveries resend": "tests/integration/web/operations/test_ways_on.py; it needs a delivery that stopped",
    "subscriptions show": "tests/second_opinion/test_subscriptions.py; it needs an endpoint with hints",
    "subscriptions create": "tests/second_opinion/test_subscriptions.py; it needs an endpoint with hints",
    "deliveries confirm": "tests/jobs/test_roads.py; it needs a document that waits for a person",
    "deliveries take-back": "tests/jobs/test_roads.py; it needs a document that was handed over",
    "visits link": "tests/jobs/steps/test_watch_visit.py; it needs an appointment that an EHR shows",
    "visits no-show": "tests/integration/test_visits.py; it needs a visit that is over",
    "visits completed": "tests/integration/test_visits.py; it needs a visit that is over",
    "requests encounter": "tests/jobs/test_roads.py; it needs a report that waits for a visit",
    "deliveries send-again": "tests/jobs/test_roads.py; it needs a document of which nobody knows",
    "opinions acknowledge": "tests/jobs/test_reading_of_reports.py; it needs a report",
    "opinions take-back": "tests/jobs/test_reading_of_reports.py; it needs a report",
    "sources letter": "tests/integration/web/coordinator/test_sources.py; it needs an office that records are sent to",
    **dict.fromkeys(
        ("records gather", "records gathered", "records stop"),
        "tests/integration/web/coordinator/test_elsewhere.py; it needs an endpoint with the role source",
    ),
    "suitability go-on": "tests/jobs/test_suitability.py; it needs a program that refuses",
    "desk answer": "tests/integration/web/consultant/test_desk_pages.py; it needs a practice that is hosted here",
    "desk report save": "tests/integration/web/consultant/test_report_pages.py; it needs a practice that is hosted here",
    "desk report sign": "tests/integration/web/consultant/test_report_pages.py; it needs a report",
    "desk report retract": "tests/integration/web/consultant/test_report_pages.py; it needs a signed report",
    "release report": "tests/integration/web/patient/test_own_page.py; it needs a report",
    "release take-back": "tests/integration/web/patient/test_own_page.py; it needs a report that was released",
    "coverage ask": "tests/jobs/steps/test_ask_payer.py; it needs an insurer's system",
    "visits times": "tests/jobs/steps/test_book_visit.py; it needs a calendar that offers times",
    "visits book": "tests/jobs/steps/test_book_visit.py; it needs a calendar that offers times",
    "findings skip": "tests/integration/web/operations/test_ways_on.py; it needs an order that was refused",
    "health-links revoke": "tests/integration/web/test_health_links.py; it needs the id of a link",
    "records open-link": "tests/integration/health_links/test_opening.py; it asks the link's server",
    "database start": "tests/integration/postgres/test_embedded.py; it starts another PostgreSQL",
}


def to_run(exchange: Exchange, folder: Path) -> list[tuple[str, tuple[str, ...]]]:
    """Commands with what they need, in an order in which each can do something."""
    load_chart(exchange, observations=1)
    request_id, other = exchange.submit(a_request()), exchange.submit(a_request(key="k2"))
    exchange.drain()
    with exchange.engine.begin() as conn:
        made = {
            "request_id": other,
            "endpoint": "bob",
            "kind": "push_records",
            "status": "parked",
            "cause": "timeout",
            "delivery_id": f"{other}-records-1",
        }
        conn.execute(
            text("UPDATE steps SET status = 'done' WHERE request_id = :id AND kind = 'push_records'"), {"id": other}
        )
        step = conn.execute(insert(steps).values(made).returning(steps.c.id)).scalar_one()
        operation = bulk.start_retry(conn, parse("kind:push_records"), datetime.now(UTC), actor="test", reason="test")
        alarms.raise_alarm(conn, "silence", "bob", "nothing succeeds")
        one = text("SELECT source FROM delivery_items WHERE delivery_id = :id AND source LIKE 'Observation/%' LIMIT 1")
        item = conn.execute(one, {"id": f"{other}-records-1"}).scalar_one()
        attempt = str(conn.execute(select(attempts.c.id).limit(1)).scalar_one())
    request, new, because = folder / "request.json", folder / "new.json", ("--reason", "tested")
    new.write_text(a_request(key="k3").model_dump_json(exclude_defaults=True))
    keys = folder / "jwks.json"
    keys.write_text(key_set(public_jwk("ES384", "k1")))
    request.write_text(a_request(question="Is surgery needed now?").model_dump_json(exclude_defaults=True))
    file, arrived = folder / "note.txt", []
    file.write_text("synthetic\n")
    for words in (b"one", b"two"):
        world = (exchange.engine, exchange.payloads, exchange.config)
        arrived.append(receive(*world, request_id, [words], name="a.txt", claimed=None, actor="test")[0].id)
    lists = folder / "lists.yaml"
    lists.write_text("checklists: {ours: {extends: general}}")
    return [
        ("accounts add", ("ann", "--role", "admin")),
        ("accounts add", ("bob", "--role", "operator")),
        ("accounts list", ()),
        ("accounts roles", ("bob", "--role", "clinical-data")),
        ("accounts practices", ("bob", "--no-practice")),
        ("accounts password", ("bob",)),
        ("accounts disable", ("bob",)),
        ("accounts enable", ("bob",)),
        ("accounts sign-out", ("bob",)),
        ("alarms list", ()),
        ("alarms silence", ("silence", "bob", "--hours", "1", *because)),
        ("alarms unsilence", ("silence", "bob", *because)),
        ("api spec", ()),
        ("attempts list", (request_id,)),
        ("attempts show", (attempt,)),
        ("audit verify", ()),
        ("backup", (str(folder / "backup.zip"),)),
        ("check config", ()),
        ("cases show", (request_id,)),
        ("cases board", ("--practice", "alice")),
        ("checklists check", (str(lists),)),
        ("checklists show", ("breast",)),
        ("checklists explain", (request_id,)),
        ("checklists say", (request_id, "--item", "glass-slides=requested", *because)),
        ("suitability show", (request_id,)),
        ("coverage show", (request_id,)),
        ("coverage read", (request_id, *because)),
        (
            "coverage record",
            (request_id, "--answer", "covered", "--asked", "a visit", "--insurer", "Example Health")
            + ("--given-at", "2026-01-05T10:00:00-05:00"),
        ),
        ("suitability answer", (request_id, "everyday-care", "no", *because)),
        (
            "sources ask",
            (request_id, "--item", "allergies", "--place", "Mercy", "--fax", "+1 555", "--due", "2090-01-01", *because),
        ),
        ("sources list", (request_id,)),
        (
            "sources say",
            (
                request_id,
                "1",
                "sent",
                "--on",
                datetime.now(UTC).date().isoformat(),
                "--by",
                "Ann",
                "--by-way",
                "fax",
                *because,
            ),
        ),
        ("sources say", (request_id, "1", "rejected", *because)),
        ("sources again", (request_id, "1", "--due", "2090-01-01", *because)),
        ("parcels add", (request_id, "glass-slides", *because)),
        ("parcels move", (request_id, "1", "shipped", "--by", "Ann", "--carrier", "FedEx")),
        ("parcels list", (request_id,)),
        ("visits record", (request_id, "--day", "2035-03-14", "--time", "10:30", "--told-by", "desk")),
        ("visits show", (request_id,)),
        ("visits reschedule", (request_id, "--day", "2035-03-15", "--time", "10:30", "--told-by", "desk", *because)),
        ("visits cancel", (request_id, *because)),
        ("clients add", ("alice", "lab", "--jwks", str(keys), "--scopes", "system/*.rs")),
        ("clients list", ()),
        ("clients revoke", ("alice", "lab", *because)),
        ("database migrate", ()),
        ("database stop", ()),
        ("deliveries list", ()),
        ("deliveries show", (f"{request_id}-records-1",)),
        ("deliveries retry", (f"{other}-records-1", *because)),
        ("waive", (other, item, *because)),
        ("deliveries park", (f"{other}-records-1", *because)),
        ("directory load", (str(directory_files.write(folder / PEOPLE, [directory_files.row(1)])),)),
        ("directory search", ("--name", "smith")),
        ("directory show", ("1",)),
        ("directory add", ("family=Lopez", *because)),
        ("directory correct", ("1", "languages=es", *because)),
        ("endpoints check", ("bob",)),
        ("endpoints list", ()),
        ("endpoints pause", ("bob", *because)),
        ("endpoints resume", ("bob", *because)),
        ("findings list", ()),
        ("keys new", ("production",)),
        ("keys rotate", ("production",)),
        ("keys list", ()),
        ("opinions show", (request_id,)),
        ("map", (str(EXAMPLE),)),
        ("operations list", ()),
        ("operations stop", (str(operation), *because)),
        ("packet download", (request_id, str(folder / "packet.zip"), *because)),
        ("packet show", (request_id,)),
        ("patients compare", (request_id, "bob")),
        ("patients link", (request_id, "bob", "Patient/1", *because)),
        ("patients unlink", (request_id, "bob", *because)),
        ("medications show", (request_id,)),
        ("questions show", (request_id,)),
        ("questions set", (other, str(file), "--version", "1", *because)),
        ("records receive", (request_id, str(file))),
        ("records accept", (request_id, arrived[0], "--kind", "operative-note", "--source", "x", *because)),
        ("records take-back", (request_id, arrived[0], "--because", "wrong-record", *because)),
        ("records list", (request_id,)),
        ("consent show", (request_id,)),
        ("consent record", (request_id, "given", "--how", "in-person", "--by", "Ann")),
        ("private-links make", (request_id, "--opened-by", "code")),
        ("private-links list", (request_id,)),
        ("private-links revoke", (request_id, "1", *because)),
        ("packet key-facts", (request_id,)),
        ("health-links make", (request_id, "--patient-asked")),
        ("health-links list", (request_id,)),
        ("library show", (request_id,)),
        ("opinions numbers", ()),
        ("desk list", ()),
        ("desk show", (request_id,)),
        ("desk report show", (request_id,)),
        ("requests content", (request_id, *because)),
        ("requests list", ()),
        ("requests revise", (request_id, str(request), "--check", *because)),
        ("requests show", (request_id,)),
        ("requests cancel", (request_id, *because)),
        ("schedules list", ()),
        ("schedules run", ("prune", *because)),
        ("steps list", ()),
        ("steps retry", (str(step), *because)),
        ("steps park", (str(step), *because)),
        ("submit", (str(new),)),
        ("tokens add", ("probe", "--role", "viewer")),
        ("tokens list", ()),
        ("tokens revoke", ("probe",)),
        ("top", ()),
        ("database restored", ()),
    ]


def all_commands() -> dict[str, object]:
    return {words.removeprefix("second-opinion "): command for words, command in commands()}


def test_every_command_has_json():
    without = [
        words
        for words, command in all_commands().items()
        if words not in EXEMPT and not any("--json" in parameter.opts for parameter in command.params)
    ]
    assert not without, f"give them @with_json, or a reason in EXEMPT: {', '.join(without)}"
    assert not {*EXEMPT, *RUN_ELSEWHERE} - all_commands().keys()


@pytest.mark.postgres
def test_with_json_each_command_prints_one_json_value(exchange, tmp_path, database):
    table = to_run(exchange, tmp_path)
    missing = all_commands().keys() - {words for words, _ in table} - EXEMPT.keys() - RUN_ELSEWHERE.keys()
    assert not missing, f"say in this test how to run {', '.join(sorted(missing))}"
    runner, wrong = CliRunner(env={"SECOND_OPINION_DATABASE_URL": database.url}), []
    for words, more in table:
        done = runner.invoke(
            second_opinion.cli,
            ["--config", str(tmp_path / "config.yaml"), *words.split(), *more, "--json"],
            input=PASSWORD,
        )
        try:
            json.loads(done.stdout)
        except ValueError:
            wrong.append(
                f"{words}: exit code {done.exit_code}, printed {done.stdout[:200]!r} {done.stderr[-300:]!r} {done.exception!r}"
            )
    assert not wrong, "\n".join(wrong)
