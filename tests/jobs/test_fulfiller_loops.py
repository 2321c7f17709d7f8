"""Records and requests to consulting providers whose servers know no conditions and no search by identifier: each once.

What stands there is counted in the server's own store. tests/jobs/test_vendor_loops.py has the same for what comes back.
"""

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from click.testing import CliRunner
from sqlalchemy import select, text

import second_opinion
from integration.store import handing_over, operations, resending
from integration.store.operations import NotPossible
from integration.store.tables import deliveries, links, sendings
from tests.jobs.doomed import Doomed, lease_runs_out
from tests.jobs.exchange import Exchange, a_request, load_chart
from tests.servers.vendors.charts import person
from tests.servers.vendors.epic import Epic
from tests.servers.vendors.oracle_health import OracleHealth
from tests.servers.vendors.unconditional import Unconditional
from tests.servers.vendors.vendor import Vendor

pytestmark = pytest.mark.postgres


class Sending:
    """A chart at Alice's, and a request for a vendor-like consulting provider who knows the patient."""

    def __init__(self, vendor: Vendor, make_exchange, *, accepts="documents", at_bob="", capabilities="{}"):
        self.vendor = vendor
        who = person(identifier=[{**person()["identifier"][0], "system": "urn:test:mrn"}])
        who["name"] = [{"family": "Synthetic-Test", "given": ["Ada"]}]
        self.patient = f"Patient/{vendor.put(who)['id']}"
        visit = {"status": "finished", "class": {"code": "AMB"}, "subject": {"reference": self.patient}}
        period = {"start": "2026-05-01T09:00:00Z", "end": "2026-05-01T09:30:00Z"}
        self.visit = f"Encounter/{vendor.put({'resourceType': 'Encounter', **visit, 'period': period})['id']}"
        self.exchange: Exchange = make_exchange(
            bob=vendor.url, accepts=accepts, patients="match", at_bob=at_bob, capabilities=capabilities
        )
        self.chart = load_chart(self.exchange, observations=3)
        self.request_id = ""

    def submit(self) -> None:
        self.request_id = self.exchange.submit(a_request())

    def ask(self, rounds: int = 8) -> None:
        """The request, and all that follows from it until the consultant is asked or a person is."""
        self.submit()
        self.go_on(rounds)

    def retry(self) -> None:
        """Somebody presses the button."""
        [step] = [each for each in self.view["owed"] if each["status"] == "parked"]
        with self.exchange.engine.begin() as conn:
            operations.retry_step(conn, step["id"], actor="test")
        self.go_on()

    def say(self, folder, database, word: str, item: str, exit_code: int = 0) -> str:
        """``deliveries confirm`` or ``send-again`` of one document."""
        arguments = ["--config", str(folder / "config.yaml"), "deliveries", word, self.records().id, "--item", item]
        result = CliRunner(env={"SECOND_OPINION_DATABASE_URL": database.url}).invoke(
            second_opinion.cli, [*arguments, "--reason", "looked there", "--json"]
        )
        assert result.exit_code == exit_code, result.output
        return result.output

    def go_on(self, rounds: int = 8) -> None:
        """What waits, for an index or a next attempt, is due."""
        for _ in range(rounds):
            with self.exchange.engine.begin() as conn:
                conn.execute(text("UPDATE steps SET next_attempt_at = now() WHERE status = 'waiting'"))
            self.exchange.drain(hurry=False)
            if self.view["status"] == "requested":
                return
            time.sleep(0.25)

    @property
    def view(self) -> dict:
        return self.exchange.view(self.request_id)

    @property
    def parked(self) -> list[str]:
        return self.exchange.parked(self.request_id)

    def rows(self) -> list:
        """Of the ledger."""
        with self.exchange.engine.connect() as conn:
            return conn.execute(select(sendings).where(sendings.c.request_id == self.request_id)).all()

    def links(self) -> list:
        """What we know to be there."""
        with self.exchange.engine.connect() as conn:
            return conn.execute(select(links).where(links.c.endpoint == "bob")).all()

    def records(self):
        """The delivery of the records."""
        with self.exchange.engine.connect() as conn:
            where = (deliveries.c.request_id == self.request_id, deliveries.c.kind == "records")
            return conn.execute(select(deliveries).where(*where)).one()

    def documents(self) -> Counter:
        """How often each content of ours stands there."""
        return Counter(each.data for each in self.vendor.ours_of(self.patient))

    def must_be_once(self, least: int = 2) -> None:
        there = self.documents()
        assert len(there) >= least and set(there.values()) == {1}, [(data[:40], n) for data, n in there.items()]


FORGETFUL = "document: {finds_by_identifier: false, not_kept: [identifier]}"
OPENED = "{task: true}"  # as if a site of a vendor took requests: then records go there
AT = {
    "epic": (Epic, "profile: epic, document: {encounter_choice: newest}"),
    "oracle": (OracleHealth, "profile: oracle-health, document: {encounter_choice: newest}"),
    "unconditional": (Unconditional, ""),
    "refusing": (lambda: Unconditional(refuses_identifiers=True), "document: {finds_by_identifier: false}"),
    "forgetful": (lambda: Unconditional(keeps_identifiers=False), FORGETFUL),
}


@contextmanager
def started(make_exchange, key: str, **more) -> Iterator[Sending]:
    kind, at_bob = AT[key]
    with kind() as vendor:
        yield Sending(vendor, make_exchange, **{"at_bob": at_bob, "capabilities": OPENED, **more})


@pytest.mark.parametrize("key", AT)
def test_a_swallowed_answer_leaves_each_document_once(make_exchange, key):
    with started(make_exchange, key) as sending:
        sending.vendor.faults.swallow = 1
        sending.ask()
        sending.must_be_once()
        assert sending.view["records"] == "verified", sending.view["owed"]
        documents = [each for each in sending.rows() if each.delivery_id == sending.records().id]
        assert {each.level for each in documents} == {"read-back"} == {sending.records().level}


@pytest.mark.long
def test_an_index_that_is_late_doubles_nothing(make_exchange):
    with started(make_exchange, "forgetful") as sending:
        sending.vendor.lag, sending.vendor.faults.swallow = 0.8, 1
        sending.ask(rounds=20)
        sending.must_be_once()
        assert sending.view["records"] == "verified", sending.view["owed"]


@pytest.mark.parametrize(("key", "accepts"), [("forgetful", "documents"), ("unconditional", "resources")])
def test_a_worker_that_is_killed_at_the_write_leaves_each_once(make_exchange, tmp_path, database, key, accepts):
    """A worker of its own process, killed after the server filed a record and before it answers."""
    with started(make_exchange, key, accepts=accepts, capabilities="{}") as sending:
        strangers(sending.vendor, 150)
        without_people(sending)
        doomed = Doomed(tmp_path, database)

        def written(method: str, path: str) -> None:
            if path.endswith(("/DocumentReference", "/Observation")):
                doomed.die()

        sending.vendor.faults.written = written
        sending.submit()
        doomed.wait()
        assert doomed.deaths == 1 and len(ours_at(sending)) == 1
        lease_runs_out(sending.exchange.engine)
        sending.go_on()
        assert set(Counter(ours_at(sending)).values()) == {1}, ours_at(sending)
        assert sending.view["records"] == "verified", sending.view["owed"]


def ours_at(sending: Sending) -> list[str]:
    """What each document and result of the patient says there."""
    kept = [*sending.vendor.of("DocumentReference"), *sending.vendor.of("Observation")]
    mine = [each for each in kept if each["subject"]["reference"] == sending.patient]
    return [f"{each.get('content', [{}])[0]}{each.get('code')}" for each in mine]


@pytest.mark.long
def test_where_nobody_lets_us_look_a_person_says_it_of_each_document(make_exchange, tmp_path, database):
    with started(make_exchange, "forgetful") as sending:
        sending.vendor.refuses.add("DocumentReference")
        sending.vendor.faults.swallow = 1
        sending.ask()
        assert sending.parked == ["sent-perhaps"] and sum(sending.documents().values()) == 2
        [step] = [each for each in sending.view["owed"] if each["status"] == "parked"]
        [doubt] = [each for each in sending.rows() if each.state == "begun"]
        assert f"SOE ref {sending.request_id}-p1-rendition" in step["message"] and "rendition" in doubt.value

        assert "has no document" in sending.say(tmp_path, database, "confirm", "document:other", exit_code=1)
        sending.say(tmp_path, database, "send-again", "document:rendition")
        sending.vendor.faults.swallow = 1
        sending.go_on()
        assert sending.parked == ["sent-perhaps"] and sorted(sending.documents().values()) == [1, 2], (
            "by that word only"
        )

        sending.say(tmp_path, database, "confirm", "document:rendition")
        sending.go_on()
        assert sending.parked == ["level-too-low"], "the other one cannot be read back"
        sending.vendor.refuses.clear()
        sending.retry()
        assert sending.view["records"] == "verified" and sorted(sending.documents().values()) == [1, 2]
        assert (sending.records().level, doubt.road) == ("handed-over", "fhir-document")


@pytest.mark.long
def test_a_person_says_to_which_visit_the_records_belong(make_exchange):
    with started(make_exchange, "epic", at_bob="profile: epic") as sending:
        sending.ask()
        assert sending.parked == ["encounter-unclear"] and not sending.documents()
        with sending.exchange.engine.begin() as conn:
            handing_over.name_encounter(conn, sending.request_id, sending.visit, actor="test", reason="asked")
        sending.go_on()
        sending.must_be_once()


@pytest.mark.parametrize(("key", "accepts"), [("epic", "documents"), ("oracle", "resources")])
@pytest.mark.long
def test_a_system_that_takes_no_request_is_sent_nothing_and_says_what_to_use(make_exchange, key, accepts):
    with started(make_exchange, key, capabilities="{}", accepts=accepts) as sending:
        sending.ask(rounds=2)
        [step] = [each for each in sending.view["owed"] if each["status"] == "parked"]
        assert (step["kind"], step["cause"]) == ("match_people", "takes-no-request")
        assert "base_url: hosted:<practice>" in step["message"] and "packet download" in step["message"]
        assert sending.vendor.writes() == [], "neither a patient nor a record"


@pytest.mark.parametrize("kind", ["ServiceRequest", "Communication", "Task"])
@pytest.mark.parametrize("key", ["unconditional", "refusing"])
def test_a_swallowed_answer_to_a_part_of_the_request_leaves_it_once(make_exchange, key, kind):
    with started(make_exchange, key) as sending:
        lost = lose_the_answer_to(sending.vendor, kind)
        sending.ask()
        assert lost and sending.view["status"] == "requested", sending.view["owed"]
        sending.go_on()
        assert [len(sending.vendor.of(each)) for each in ("ServiceRequest", "Communication", "Task")] == [1, 1, 1]


def test_a_request_that_may_be_there_waits_for_a_person_who_says_what_it_is_called(make_exchange):
    with started(make_exchange, "refusing") as sending:
        lose_the_answer_to(sending.vendor, "Task")
        sending.vendor.refuses.add("Task")
        sending.ask()
        assert sending.parked == ["sent-perhaps"] and len(sending.vendor.of("Task")) == 1
        [step] = [each for each in sending.view["owed"] if each["status"] == "parked"]
        assert f"the Task with the identifier Task/{sending.request_id}" in step["message"]
        delivery, item = f"{sending.request_id}-request-1", f"Task/{sending.request_id}"
        [task] = sending.vendor.of("Task")
        sending.vendor.refuses.clear()
        with sending.exchange.engine.begin() as conn, pytest.raises(NotPossible, match="Task/<id>"):
            handing_over.confirm(conn, delivery, item, actor="test", reason="seen there")
        with sending.exchange.engine.begin() as conn:
            handing_over.confirm(conn, delivery, item, f"Task/{task['id']}", actor="test", reason="seen there")
        sending.go_on()
        assert sending.view["status"] == "requested" and len(sending.vendor.of("Task")) == 1, sending.view["owed"]
        assert {each.level for each in sending.rows() if each.delivery_id == delivery} == {"read-back"}


def lose_the_answer_to(vendor: Vendor, kind: str) -> list[str]:
    """The first create of a type is done, and its answer never arrives."""
    lost: list[str] = []

    def lose(method: str, path: str) -> None:
        if not lost and method == "POST" and path.endswith(f"/{kind}"):
            lost.append(path)
            raise ConnectionError

    vendor.faults.written = lose
    return lost


def strangers(vendor: Vendor, count: int) -> None:
    """Results of other patients, written long ago: a search whose parameter is ignored answers with all of them."""
    for number in range(count):
        other = {"reference": f"Patient/other{number}"}
        vendor.put({"resourceType": "Observation", "status": "final", "code": {"text": "lab 0"}, "subject": other})


@pytest.mark.parametrize("habit", ["ignores", "refuses"])
def test_records_one_by_one_are_there_once_where_no_identifier_finds_them(make_exchange, habit):
    """More strangers than are read on before a search by identifier is given up."""
    with Unconditional(refuses_identifiers=habit == "refuses", page=200) as vendor:
        strangers(vendor, 150)
        at_bob = "document: {finds_by_identifier: false}" if habit == "refuses" else ""
        sending = Sending(vendor, make_exchange, accepts="resources", at_bob=at_bob)
        without_people(sending)
        lost = lose_the_answer_to(vendor, "Observation")
        sending.ask()
        assert lost and sending.view["records"] == "verified", (sending.view["owed"], sending.exchange.causes())
        ours = [each for each in vendor.of("Observation") if each["subject"]["reference"] == sending.patient]
        assert len(ours) == 3, [each["identifier"] for each in ours]


@pytest.mark.long
def test_a_record_that_may_be_there_waits_for_a_person_where_nobody_can_look(make_exchange):
    with Unconditional(refuses_identifiers=True) as vendor:
        sending = Sending(vendor, make_exchange, accepts="resources", at_bob="document: {finds_by_identifier: false}")
        without_people(sending)
        lose_the_answer_to(vendor, "Observation")
        vendor.refuses.add("Observation")
        sending.ask()
        assert sending.parked == ["cannot-look-up"]
        assert set(Counter(str(each["identifier"]) for each in vendor.of("Observation")).values()) == {1}
        [step] = [each for each in sending.view["owed"] if each["status"] == "parked"]
        assert "the Observation with the identifier urn:test:alice|Observation/" in step["message"]
        written = {f"{each.reference}" for each in sending.links()}
        lost = {key for key in vendor.store if key.startswith("Observation/") and key not in written}
        assert len(lost) == 1
        vendor.store = {key: each for key, each in vendor.store.items() if key not in lost}  # it was rolled back there
        for item in step["items"]:
            with sending.exchange.engine.begin() as conn:
                resending.resend(conn, sending.records().id, item, actor="test", reason="it is not there")
        vendor.refuses.clear()
        sending.go_on()
        assert sending.view["records"] == "verified" and len(vendor.of("Observation")) == 3, sending.view["owed"]


def without_people(sending: Sending) -> None:
    """The records name nobody whom we would have to create there."""
    for each in sending.chart.values():
        if each["resourceType"] == "Observation":
            sending.exchange.change("alice", each, performer=[])
        if each["resourceType"] == "Encounter":
            sending.exchange.change("alice", each, participant=[])


@pytest.mark.parametrize("habit", ["ignores", "refuses"])
def test_a_doctor_whose_answer_was_lost_is_there_once(make_exchange, habit):
    with Unconditional(refuses_identifiers=habit == "refuses", page=200) as vendor:
        for number in range(150):
            vendor.put({"resourceType": "Practitioner", "name": [{"family": f"Stranger{number}"}]})
        at_bob = "document: {finds_by_identifier: false}" if habit == "refuses" else ""
        sending = Sending(vendor, make_exchange, accepts="resources", at_bob=at_bob)
        lost = lose_the_answer_to(vendor, "Practitioner")
        sending.ask()
        ours = [each for each in vendor.of("Practitioner") if each.get("identifier")]
        assert lost and sending.view["records"] == "verified", (sending.view["owed"], sending.exchange.causes())
        assert len(ours) == 1
