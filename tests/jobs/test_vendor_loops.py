"""Whole loops against servers with the vendors' habits: what is returned, by which road, what is known of it, and that it stands once.

What stands there is read in the server's own store. docs/reference/vendors.md shows the matrix.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest
from sqlalchemy import text

from integration import keys
from integration.store import operations
from tests.jobs.doomed import Doomed, hurry, lease_runs_out
from tests.jobs.exchange import Exchange, a_request
from tests.servers.vendors.athena import Athena
from tests.servers.vendors.charts import MRN, load, note
from tests.servers.vendors.epic import Epic
from tests.servers.vendors.matrix import MATRIX, Row
from tests.servers.vendors.meditech import Meditech
from tests.servers.vendors.oracle_health import OracleHealth
from tests.servers.vendors.vendor import Standing, Vendor

pytestmark = pytest.mark.postgres
EPIC = "profile: epic, document: {encounter_choice: newest}"
LIMITS = "limits: {search_lag_seconds: 1}"
TYPES = ["Condition", "Encounter", "Observation"]
SERVERS = {"epic": Epic, "oracle": OracleHealth, "athena": Athena, "meditech": Meditech}
VENDORS = [each for each in MATRIX if each.stands and each.closes]


class Loop:
    """A vendor-like placer with one patient, and a request about that patient up to the consultant's answer."""

    def __init__(self, vendor: Vendor, make_exchange, settings: str):
        self.vendor, (self.patient, self.visit) = vendor, load(vendor)
        self.exchange: Exchange = make_exchange(alice=vendor.url, at_alice=f"{settings}, {LIMITS}")
        self.request_id = ""

    def ask(self) -> None:
        """The request, and all that follows from it until the consultant is asked."""
        name = {"family": "Synthetic1", "given": ["Ada"]}
        patient = {"identifiers": [{"system": MRN, "value": "M1"}], "name": name, "birth_date": "1960-01-01"}
        self.request_id = self.exchange.submit(a_request(patient=patient, records={"types": TYPES}))
        self.exchange.drain()
        assert self.view["status"] == "requested" and self.view["records"] == "verified", [
            (each["cause"], each["message"]) for each in self.view["owed"]
        ]

    def answer(self, *, drain: bool = True) -> None:
        """The consultant's report; all that follows from it."""
        self.exchange.answer(text_of_report="We agree: operate.")
        if drain:
            self.go_on()

    def go_on(self, rounds: int = 8, *, but: tuple[str, ...] = ()) -> None:
        """What waits, for an index or a next attempt, is due; ``but`` these kinds of steps, which go on waiting."""
        for _ in range(rounds):
            with self.exchange.engine.begin() as conn:
                for kind in but:
                    conn.execute(
                        text(
                            "UPDATE steps SET next_attempt_at = now() + '1 hour' WHERE status = 'waiting' AND kind = :it"
                        ),
                        {"it": kind},
                    )
                conn.execute(
                    text("UPDATE steps SET next_attempt_at = now() WHERE status = 'waiting' AND NOT kind = ANY(:but)"),
                    {"but": list(but)},
                )
            self.exchange.drain(hurry=False)
            if self.view["closed"] or not self._goes_on():
                return
            time.sleep(0.25)  # nothing is looked for in vain before its index had its time

    def _goes_on(self) -> bool:
        """Whether anything but the watches waits for a time: what waits for a person is not changed by asking again."""
        watches = ("watch_fulfiller", "watch_chart")
        return any(each["status"] in ("waiting", "due") and each["kind"] not in watches for each in self.view["owed"])

    @property
    def view(self) -> dict:
        return self.exchange.view(self.request_id)

    @property
    def ours(self) -> list[Standing]:
        return self.vendor.ours_of(self.patient)

    def sending(self) -> dict:
        """The ledger's row of the report."""
        with self.exchange.engine.connect() as conn:
            named = {"id": self.request_id, "report": "%-report-%"}
            row = conn.execute(text("SELECT * FROM sendings WHERE request_id = :id AND value LIKE :report"), named)
            return dict(row.mappings().one())

    def writes(self) -> int:
        """How often a document was sent, whatever came of it."""
        return len([path for method, path in self.vendor.writes() if "ocument" in path])

    def must_have_closed(self) -> None:
        assert self.view["closed"], (self.view["owed"], self.exchange.causes())
        [there] = self.ours
        visible = f"SOE ref {self.request_id}-1"
        said = there.resource.get("description") or there.resource.get("internalnote", "")
        assert visible.encode() in there.data or visible in said


@contextmanager
def started(row: Row, **habits) -> Iterator[Vendor]:
    kind = SERVERS[row.key.partition("-")[0]]
    with kind(**habits) as vendor:
        if row.key == "epic-blind":
            vendor.unregister_reads()
        yield vendor


def ids(row: Row) -> str:
    return row.key


@pytest.fixture
def epic(make_exchange) -> Iterator[Loop]:
    """A request at an Epic-like placer, to be answered."""
    with Epic() as vendor:
        loop = Loop(vendor, make_exchange, EPIC)
        loop.ask()
        yield loop


@pytest.mark.parametrize("row", MATRIX, ids=ids)
@pytest.mark.every
def test_the_matrix(make_exchange, row):
    with started(row) as vendor:
        loop = Loop(vendor, make_exchange, row.settings)
        loop.ask()
        loop.answer()
        loop.go_on()
        sending = loop.sending()
        assert (sending["road"], sending["level"]) == (row.road, row.level), (loop.view["owed"], sending)
        assert len(loop.ours) == row.stands and bool(loop.view["closed"]) == row.closes, loop.view["owed"]


@pytest.mark.parametrize("row", VENDORS, ids=ids)
def test_an_answer_that_never_arrives_leaves_one_document(make_exchange, row):
    with started(row) as vendor:
        loop = Loop(vendor, make_exchange, row.settings)
        loop.ask()
        vendor.faults.swallow = 1
        loop.answer()
        loop.go_on()
        loop.must_have_closed()
        assert vendor.faults.met == {"swallow": 1} and loop.writes() == 1, "it was looked up, and not sent again"


@pytest.mark.parametrize("row", VENDORS, ids=ids)
def test_a_connection_that_is_cut_in_mid_write_leaves_one_document(make_exchange, row):
    with started(row) as vendor:
        loop = Loop(vendor, make_exchange, row.settings)
        loop.ask()
        vendor.faults.cut = 1
        loop.answer()
        loop.go_on()
        loop.must_have_closed()
        assert vendor.faults.met == {"cut": 1}


@pytest.mark.parametrize("row", VENDORS, ids=ids)
def test_an_index_that_is_late_doubles_nothing(make_exchange, row):
    with started(row, lag=0.8) as vendor:
        loop = Loop(vendor, make_exchange, row.settings)
        vendor.lag = 0.0
        loop.ask()
        vendor.lag, vendor.faults.swallow = 0.8, 1
        loop.answer()
        for _ in range(12):
            loop.go_on()
        loop.must_have_closed()


@pytest.mark.parametrize("row", VENDORS, ids=ids)
@pytest.mark.long
def test_a_step_that_is_done_again_sends_nothing_again(make_exchange, row):
    with started(row) as vendor:
        loop = Loop(vendor, make_exchange, row.settings)
        loop.ask()
        loop.answer()
        loop.go_on()
        with loop.exchange.engine.begin() as conn:  # as after a worker that died between its write and its commit
            conn.execute(
                text("UPDATE steps SET status = 'waiting', next_attempt_at = now() WHERE kind = 'return_report'")
            )
        loop.exchange.drain()
        loop.must_have_closed()
        assert loop.writes() == 1


@pytest.mark.parametrize("row", VENDORS, ids=ids)
def test_a_worker_that_is_killed_at_the_write_leaves_one_document(make_exchange, row, tmp_path, database):
    """A worker of its own process, killed after the server filed the document and before it answers."""
    with started(row) as vendor:
        loop = Loop(vendor, make_exchange, row.settings)
        loop.ask()
        loop.answer(drain=False)
        doomed = Doomed(tmp_path, database)
        vendor.faults.written = doomed.die
        hurry(loop.exchange.engine)
        doomed.wait()
        assert doomed.deaths == 1 and len(loop.ours) == 1
        lease_runs_out(loop.exchange.engine)
        loop.go_on()
        loop.must_have_closed()
        assert loop.writes() == 1


@pytest.mark.parametrize("row", VENDORS, ids=ids)
def test_a_foreign_document_is_never_taken_for_ours(make_exchange, row):
    """One document of the same patient, type and day stands there: a search whose parameter is ignored finds just that one."""
    with started(row) as vendor:
        loop = Loop(vendor, make_exchange, row.settings)
        vendor.put(note(loop.patient, loop.visit, text="somebody else's", date="2026-11-29T07:00:00Z", identifier=[]))
        loop.ask()
        vendor.faults.cut = 1
        loop.answer()
        loop.go_on()
        loop.must_have_closed()
        assert len(vendor.documents_of(loop.patient)) == 2
        assert loop.sending()["reference"].rpartition("/")[2] == loop.ours[0].reference.rpartition("/")[2]


@pytest.mark.parametrize("row", VENDORS, ids=ids)
@pytest.mark.long
def test_another_version_over_night_changes_nothing(make_exchange, row):
    with started(row) as vendor:
        loop = Loop(vendor, make_exchange, row.settings)
        loop.ask()
        vendor.upgrade("next")
        loop.exchange.later(days=1)
        loop.answer()
        loop.go_on()
        loop.must_have_closed()


def test_a_daily_ceiling_is_waited_for(epic):
    epic.vendor.ceiling = 0
    epic.exchange.answer()
    with epic.exchange.engine.begin() as conn:
        conn.execute(text("UPDATE steps SET next_attempt_at = now() WHERE status = 'waiting'"))
    epic.exchange.drain(hurry=False)
    [step] = [each for each in epic.view["owed"] if each["kind"] == "return_report"]
    assert (step["status"], step["cause"]) == ("waiting", "daily-ceiling"), step
    assert epic.ours == [] and not epic.view["closed"]
    epic.vendor.ceiling = None
    epic.go_on()
    epic.must_have_closed()


@pytest.mark.long
def test_a_ceiling_that_is_met_by_the_reading_back_loses_and_doubles_nothing(epic):
    epic.vendor.ceiling, epic.vendor.faults.swallow = 1, 1
    epic.answer(drain=False)
    epic.go_on(rounds=3)
    assert len(epic.ours) == 1 and not epic.view["closed"]
    epic.vendor.ceiling = None
    epic.go_on()
    epic.must_have_closed()
    assert epic.writes() == 1


@pytest.mark.parametrize("shown_as", [("text/plain",), ("text/html", "text/rtf")])
def test_a_note_is_found_again_in_whatever_form_it_is_shown(make_exchange, shown_as):
    with Epic(shows_notes_as=shown_as) as vendor:
        loop = Loop(vendor, make_exchange, EPIC)
        loop.ask()
        vendor.faults.swallow = 1
        loop.answer()
        loop.go_on()
        loop.must_have_closed()
        assert loop.sending()["level"] == "read-back"


def test_where_reading_is_not_allowed_and_the_answer_never_arrived_a_person_is_asked(make_exchange):
    with Epic() as vendor:
        vendor.unregister_reads()
        loop = Loop(vendor, make_exchange, EPIC)
        loop.ask()
        vendor.faults.swallow = 1
        loop.answer()
        loop.go_on()
        [step] = [each for each in loop.view["owed"] if each["kind"] == "return_report"]
        assert step["status"] == "parked" and f"SOE ref {loop.request_id}-1" in step["message"], step
        assert len(loop.ours) == 1 and loop.writes() == 1


@pytest.mark.long
def test_a_loop_may_close_on_what_cannot_be_verified_where_the_site_says_so(make_exchange):
    with Epic() as vendor:
        vendor.unregister_reads()
        loop = Loop(vendor, make_exchange, f"{EPIC}, closes_on: [read-back, handed-over, unverifiable]")
        loop.ask()
        loop.answer()
        loop.go_on()
        loop.must_have_closed()
        assert loop.sending()["level"] == "unverifiable"


def test_a_client_that_is_revoked_under_way_waits_with_its_sentence_and_goes_on_by_one_button(make_exchange, tmp_path):
    folder = tmp_path / "data" / "keys"
    keys.make(folder, "production", "ES384", datetime.now(UTC))
    with Epic(lambda: keys.key_set(folder, "production")) as vendor:
        auth = "auth: {type: smart-backend-services, client_id: exchange, keys: production}"
        loop = Loop(vendor, make_exchange, f"{EPIC}, {auth}")
        loop.ask()
        assert all("scope" not in form for form in vendor.sign_in.asked), "none is sent to Epic"
        vendor.sign_in.revoke_client()
        loop.answer()
        [step] = [each for each in loop.view["owed"] if each["kind"] == "return_report"]
        assert (step["status"], step["cause"]) == ("parked", "sign-in-client") and loop.ours == [], step
        vendor.sign_in.is_known = True
        with loop.exchange.engine.begin() as conn:
            operations.retry_step(conn, step["id"], actor="test")
        loop.go_on()
        loop.must_have_closed()


@pytest.mark.long
def test_a_visit_is_demanded_and_a_patient_without_one_is_told(make_exchange):
    with Epic() as vendor:
        loop = Loop(vendor, make_exchange, EPIC)
        loop.ask()
        del vendor.store[loop.visit]
        loop.answer()
        loop.go_on()
        assert loop.ours == [] and loop.exchange.parked(loop.request_id) == ["encounter-unclear"]


@pytest.mark.long
def test_an_elder_platform_that_refuses_what_it_does_not_know_is_told_by_its_words(make_exchange):
    with OracleHealth(unsupported="refused") as vendor:
        loop = Loop(vendor, make_exchange, "profile: oracle-health, document: {encounter_choice: newest}")
        loop.ask()
        loop.answer()
        loop.go_on()
        assert len(loop.ours) <= 1 and (loop.ours or not loop.view["closed"])


def test_athenahealth_gets_an_amendment_beside_the_first_and_a_person_has_a_retraction_deleted(make_exchange):
    """Nobody can change or take back a document by its interface: what replaces says so, and what was wrong is told."""
    [row] = [each for each in MATRIX if each.key == "athena-own"]
    with started(row) as vendor:
        loop = Loop(vendor, make_exchange, row.settings)
        loop.ask()
        report = loop.exchange.answer(text_of_report="We agree: operate.")
        loop.go_on()
        loop.must_have_closed()
        report = loop.exchange.change("bob", report, docStatus="amended", description="amended")
        loop.exchange.watch()
        loop.go_on()
        notes = [each.resource["internalnote"].partition(", ")[2] for each in loop.ours]
        first, second = (f"SOE ref {loop.request_id}-{number}" for number in (1, 2))
        assert notes == [first, f"{second}; replaces {first}"], notes
        loop.exchange.change("bob", report, status="entered-in-error")
        loop.exchange.watch()
        [step] = [each for each in loop.view["owed"] if each["kind"] == "return_report"]
        assert step["cause"] == "to-hand-over" and "have it deleted there" in step["message"], step
        assert len(loop.ours) == 2 and loop.writes() == 2
        with loop.exchange.engine.connect() as conn:
            left = conn.execute(
                text("SELECT detail FROM audit WHERE action = 'data.leaves' AND detail->>'kind' = 'clinicaldocument'")
            )
            items = [each.detail["items"] for each in left]
        assert [each[0].rpartition("-report-")[2] for each in items] == ["1", "2"], "the gate saw each"
