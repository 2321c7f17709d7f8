"""A real Chromium in front of the real pages over a real database with a busy night in it."""

import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine, event, update

from integration.store import alarms, endpoint_checks
from integration.store.findings import record
from integration.store.tables import attempts, deliveries, endpoints, notices, requests, steps
from integration.web.server import create_servers
from mappings.model.findings import Finding
from tests.integration.web.site import Site

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
# Playwright goes on when the next page has begun: a busy machine has its stylesheet, or its lower half, later.
ACTS, WAITS = ("click", "press", "check", "select_option"), ("wait_for_selector", "wait_for")
SCREENSHOTS = Path(__file__).parents[2] / "artifacts" / "screenshots"
WIDTHS = (390, 1280)
# For what does not depend on the width, and for the pages whose layout `make test` looks at in both.
on_phone, at_desk = (pytest.mark.parametrize("page", [width], ids=[f"{width}px"], indirect=True) for width in WIDTHS)
in_both_widths = pytest.mark.parametrize("page", WIDTHS, ids=lambda width: f"{width}px", indirect=True)


def then_loaded(act):
    """`act` of a page or locator, and wait until the page that it led to is all there."""

    def acted(acts_on, *given, **named):
        done = act(acts_on, *given, **named)
        page = getattr(acts_on, "page", acts_on)
        if not page.is_closed():
            page.wait_for_load_state()
        return done

    return acted


@pytest.fixture(scope="session")
def chromium():
    """The browser of this machine; nothing is downloaded."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="the Python package playwright is not installed")
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        pytest.skip("Chromium is not installed: apt-get install chromium")
    with pytest.MonkeyPatch.context() as patch, sync_api.sync_playwright() as playwright:
        for kind, names in ((sync_api.Page, ACTS + WAITS[:1]), (sync_api.Locator, ACTS + WAITS[1:])):
            for name in names:
                patch.setattr(kind, name, then_loaded(getattr(kind, name)))
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def site(tmp_path, database):
    """The pages at a loopback address, with a busy night in the tables."""
    made = Site(tmp_path, database)
    with unhurried(made.engine):
        busy_night(made)
    server = create_servers(made.app, host="127.0.0.1", port=0, threads=8)
    made.address = f"http://127.0.0.1:{server.port}"
    threading.Thread(target=server.run, daemon=True).start()
    yield made
    server.close()


# A journey on a phone has the narrower page and the same words; at a desk it is walked in `make test-long`.
@pytest.fixture(params=[390, pytest.param(1280, marks=pytest.mark.long)], ids=lambda width: f"{width}px")
def page(chromium, site, request):  # asks for the site, so that the browser is closed before what it looks at
    """A page of one width; an error on its console fails the test."""
    context = chromium.new_context(viewport={"width": request.param, "height": 900})
    opened, problems = context.new_page(), []
    opened.set_default_timeout(30_000)
    opened.on(
        "console",
        lambda said: (
            problems.append(said.text) if said.type == "error" and "400 (BAD REQUEST)" not in said.text else None
        ),
    )
    opened.on("pageerror", lambda error: problems.append(str(error)))
    opened.width = request.param
    yield opened
    context.close()
    assert problems == []


@contextmanager
def unhurried(engine: Engine) -> Iterator[None]:
    """On a busy machine a set-up rests longer within a transaction than the product lets any process rest."""

    def rest_long(connection) -> None:
        connection.connection.cursor().execute("SET LOCAL idle_in_transaction_session_timeout = 0")

    event.listen(engine, "begin", rest_long)
    try:
        yield
    finally:
        event.remove(engine, "begin", rest_long)


def busy_night(site: Site) -> None:
    """Requests in every state, failures of several causes, an endpoint that is down, latencies, findings."""
    now = datetime.now(UTC)
    for number in range(8):
        request_id = site.request(
            f"k{number}",
            priority=("routine", "urgent", "asap")[number % 3],
            wanted_by=(now + timedelta(days=number - 1)).date().isoformat() if number != 5 else None,
            fulfiller=("mercy", "bob")[number % 2],
        )
        site.with_due(
            request_id, now + timedelta(hours=(-30, -2, 5, 20, 40, 0, 90, 200)[number]) if number != 5 else None
        )
    with site.engine.begin() as conn:
        ids = sorted(row.id for row in conn.execute(requests.select().where(requests.c.key.like("k%"))))
        first = {row.request_id: row.deadline for row in conn.execute(steps.select())}
        conn.execute(update(steps).values(status="done", finished_at=now - timedelta(hours=1)))
        conn.execute(
            update(requests)
            .where(requests.c.id == ids[-1])
            .values(status="completed", records="verified", closed_at=now, created_at=now - timedelta(days=3))
        )
    stories = (
        ("push_records", "parked", "timeout", 12, None),
        (
            "match_people",
            "parked",
            "patient-similar",
            1,
            "Compare with the staff of the endpoint, then link the patient.",
        ),
        ("verify_records", "waiting", "http-503", 2, None),
        ("push_records", "parked", "http-422", 1, None),
        ("send_request", "due", None, 0, None),
        (
            "gather_records",
            "parked",
            "record-partial",
            1,
            "Ask the placer's IT to make the missing part readable, then retry.",
        ),
    )
    for request_id, (kind, status, cause, failed, action) in zip(ids, stories, strict=False):
        _story(site, request_id, first[request_id], now, kind, status, cause, failed, action)
    _alarms(site, now)
    _check(site, now)
    with site.engine.begin() as conn:
        conn.execute(
            update(endpoints)
            .where(endpoints.c.key == "mercy")
            .values(
                last_success_at=now - timedelta(minutes=3),
                last_failure_at=now - timedelta(minutes=1),
                failures=2,
                last_failure="push_records: mercy did not answer (timeout)",
                latencies=[300 + (number * 37) % 400 for number in range(40)],
            )
        )
        conn.execute(
            update(endpoints)
            .where(endpoints.c.key == "bob")
            .values(paused=True, paused_reason="planned maintenance", last_success_at=now)
        )


def _check(site: Site, now: datetime) -> None:
    """A check of an EHR that was upgraded; another one was asked for."""
    report = {
        "write": "report",
        "road": "fhir-document",
        "level": "read-back",
        "tried": True,
        "says": "a DocumentReference over FHIR; found there and compared with what was sent",
        "degrades": ["only as text/plain", "hl7v2: config.yaml has no section hl7v2 for mercy"],
    }
    asking = {**report, "write": "request", "road": None, "level": None, "says": "not possible", "degrades": []}
    found = {
        "endpoint": "mercy",
        "problems": [],
        "changed_since": ["it ran Epic May 2026, and runs Epic August 2026"],
        "compared_with": now.isoformat(),
        "writes": [report, asking],
        "tried": [
            {"what": "DocumentReference by identifier", "worked": False, "says": "refused (http-400)"},
            {"what": "read back", "worked": True, "says": "it says the same words in another notation"},
            {"what": "largest page", "worked": None, "says": "no type that we may search shows more than two records"},
        ],
        "left_there": ["DocumentReference/e7 (SOE ref check-1-1)"],
        "config_yaml": "  mercy:\n    profile: epic\n    roads: [fhir-document, download]    # not hl7v2: see above\n"
        "    closes_on: [read-back, handed-over]    # what can be known here is unverifiable: each report waits for a person",
    }
    with site.engine.begin() as conn:
        endpoint_checks.keep(conn, "mercy", found, now - timedelta(minutes=9), actor="ann")
        endpoint_checks.ask(conn, "mercy", actor="ann", reason="they upgraded")
        # its step is done elsewhere: the queue's night stays as it is
        conn.execute(update(steps).where(steps.c.kind == endpoint_checks.STEP).values(status="done"))


def _alarms(site: Site, now: datetime) -> None:
    """One told by two ways, of which one fails; one silenced; one over."""
    with site.engine.begin() as conn:
        for rule, subject, message in (
            ("parked", "mercy", "3 step(s) at mercy have waited for a person for more than 15 minutes."),
            (
                "endpoint-down",
                "bob",
                "bob has answered nothing since 2026-03-01 12:00 UTC; what is due there waits. Call its contact.",
            ),
            (
                "database-away",
                "",
                "the database did not answer from 2026-03-01 03:00:00 UTC on; work went on by itself when it was back",
            ),
        ):
            alarms.raise_alarm(conn, rule, subject, message, now - timedelta(minutes=40))
        alarms.recover(conn, "database-away", "", now - timedelta(minutes=38))
        alarms.silence(
            conn,
            "endpoint-down",
            "bob",
            now + timedelta(hours=3),
            now,
            actor="cli ada",
            reason="their upgrade, ticket 811",
        )
        row = dict(
            recipient="on-call",
            channel="e-mail",
            kind="raised",
            rule="parked",
            content={},
            next_attempt_at=now,
            created_at=now,
        )
        ids = [alarm.id for alarm in alarms.open_alarms(conn) if alarm.rule == "parked"]
        conn.execute(notices.insert().values(**row, key="one", alarm_ids=ids, status="sent", sent_at=now, attempts=1))
        failing = dict(attempts=4, last_error="pager.example.org answered 503")
        conn.execute(
            notices.insert().values(
                {**row, "recipient": "pager", "channel": "webhook", "key": "two", "alarm_ids": ids, **failing}
            )
        )


def _story(site: Site, request_id: str, deadline, now, kind, status, cause, failed, action) -> None:
    endpoint = "alice" if kind == "gather_records" else "mercy"
    delivery_id = site.delivery(
        request_id, status="parked" if status == "parked" else "retrying", cause=cause, endpoint=endpoint
    )
    step_id = site.step(
        kind,
        endpoint,
        status,
        request_id=request_id,
        delivery_id=delivery_id,
        cause=cause,
        attempts=failed,
        action=action,
        message=f"{kind}: {endpoint} did not answer ({cause})" if cause else None,
        deadline=deadline,
        next_attempt_at=now + timedelta(minutes=4),
        first_attempt_at=now - timedelta(hours=3) if failed else None,
    )
    with site.engine.begin() as conn:
        for number in range(failed):
            at = now - timedelta(minutes=10 * (failed - number))
            conn.execute(
                attempts.insert().values(
                    step_id=step_id,
                    request_id=request_id,
                    delivery_id=delivery_id,
                    kind=kind,
                    endpoint=endpoint,
                    lease_no=number + 1,
                    started_at=at,
                    finished_at=at + timedelta(seconds=30),
                    outcome="temporary",
                    status_code=503 if cause == "http-503" else None,
                    cause=cause,
                    message=f"{kind}: no whole answer",
                )
            )
        refused = "the order says stat; an emergency is not for a second opinion by this way"
        record(conn, [Finding("request-refused", refused, "ServiceRequest/42", "error")], endpoint="mercy")
        record(
            conn,
            [
                Finding(
                    "reference-unresolved",
                    "Encounter/9 is not in the packet",
                    f"Observation/{number}#Observation.encounter",
                )
                for number in range(3)
            ],
            request_id=request_id,
            delivery_id=delivery_id,
            endpoint=endpoint,
        )
        conn.execute(update(deliveries).where(deliveries.c.id == delivery_id).values(attempts=failed))
