"""A chart is gathered from servers with the vendors' habits, or a person is told which part of it is not."""

import pytest
from sqlalchemy import text

from integration.store.schedules import names
from tests.jobs.exchange import Exchange, a_request
from tests.servers.vendors.charts import MRN, load
from tests.servers.vendors.epic import Epic
from tests.servers.vendors.oracle_health import OracleHealth

pytestmark = pytest.mark.postgres
OFFERED = ["Condition", "DiagnosticReport", "Encounter", "Observation"]


def gather(exchange: Exchange, *, hurry: bool = True, **fields) -> dict:
    name = {"family": "Synthetic1", "given": ["Ada"]}
    patient = {"identifiers": [{"system": MRN, "value": "M1"}], "name": name, "birth_date": "1960-01-01"}
    request_id = exchange.submit(a_request(patient=patient, **fields))
    exchange.drain(hurry=hurry)
    return exchange.view(request_id)


def pain(patient: str, category: str) -> dict:
    return {
        "resourceType": "Observation",
        "status": "final",
        "category": [{"coding": [{"code": category}]}],
        "code": {"text": f"of {category}"},
        "subject": {"reference": patient},
    }


def test_results_are_gathered_by_category_where_the_patient_alone_is_refused(make_exchange):
    with Epic() as epic:
        patient, _ = load(epic, results=2)
        epic.put(pain(patient, "vital-signs"))
        exchange = make_exchange(alice=epic.url, at_alice="profile: epic")
        view = gather(exchange, records={"types": OFFERED})
        assert view["records"] == "verified", view["owed"]
        assert len(exchange.find("bob", "Observation")) == 3
        assert "gathered-in-part" in exchange.causes()


@pytest.mark.long
def test_which_categories_a_site_has_is_its_own_to_say(make_exchange):
    with Epic() as epic:
        patient, _ = load(epic, results=1)
        epic.put(pain(patient, "survey"))
        at_alice = "profile: epic, records_by: {Observation: ['category=survey']}"
        exchange = make_exchange(alice=epic.url, at_alice=at_alice)
        gather(exchange, records={"types": OFFERED})
        assert [each["code"]["text"] for each in exchange.find("bob", "Observation")] == ["of survey"]


def test_what_the_client_may_not_read_is_no_smaller_packet(make_exchange):
    with Epic() as epic:
        load(epic)
        exchange = make_exchange(alice=epic.url, at_alice="profile: epic")
        view = gather(exchange, records={"types": [*OFFERED, "CarePlan"]})
        assert view["records"] == "blocked" and exchange.causes() >= {"http-403"}
        assert exchange.find("bob", "Observation") == []


@pytest.mark.long
def test_a_search_that_the_server_forgot_begins_anew(make_exchange):
    with Epic(page=2) as epic:
        patient, _ = load(epic, results=5)
        forgotten = [True]

        def search(kind, asked, real=epic._search):
            if "sessionID" in dict(asked.query) and forgotten:
                forgotten.pop()
                epic.expire_sessions()
            return real(kind, asked)

        epic._search = search
        exchange = make_exchange(alice=epic.url, at_alice="profile: epic")
        assert gather(exchange, records={"types": OFFERED})["records"] == "verified"
        assert len(exchange.find("bob", "Observation")) == 5 and not forgotten


@pytest.mark.parametrize("records", [{}, {"since": "2020-01-01"}], ids=["all", "since"])
def test_a_chart_whose_pages_double_arrives_once(make_exchange, records):
    """What is younger than a date is asked for by a closed range there."""
    with OracleHealth(page=2) as oracle:
        load(oracle, results=5)
        exchange = make_exchange(alice=oracle.url, at_alice="profile: oracle-health")
        assert gather(exchange, records=records)["records"] == "verified"
        assert len(exchange.find("bob", "Observation")) == 5


def test_a_daily_ceiling_is_waited_for_and_nobody_is_called(make_exchange):
    with Epic() as epic:
        load(epic)
        epic.ceiling = 0
        exchange = make_exchange(alice=epic.url, at_alice="profile: epic")
        types = [*OFFERED, "DocumentReference"]
        view = gather(exchange, records={"types": types}, hurry=False)
        [step] = [each for each in view["owed"] if each["kind"] == "gather_records"]
        assert (step["status"], step["cause"]) == ("waiting", "daily-ceiling"), step
        with exchange.engine.connect() as conn:
            assert conn.execute(text("SELECT failures FROM endpoints WHERE key = 'alice'")).scalar() == 0
        epic.new_day()
        epic.ceiling = None
        exchange.drain()
        assert exchange.view(view["request_id"])["records"] == "verified"


def test_a_chart_behind_glass_is_said_to_be_one(make_exchange):
    with Epic() as epic:
        patient, _ = load(epic)
        exchange = make_exchange(alice=epic.url, at_alice="profile: epic")
        epic.restricted.add(patient)
        view = gather(exchange, records={"types": OFFERED})
        [step] = [each for each in view["owed"] if each["kind"] == "gather_records"]
        assert (step["status"], step["cause"]) == ("parked", "break-the-glass"), step


@pytest.mark.parametrize(("keys", "polled"), [("profile: epic", False), ("profile: epic, finds_orders: true", True)])
@pytest.mark.long
def test_who_searches_orders_by_patient_only_is_not_polled(make_exchange, keys, polled):
    with Epic() as epic:
        exchange = make_exchange(alice=epic.url, at_alice=keys)
        assert ("poll_requests alice" in names(exchange.config)) is polled
        exchange.poll()  # as often as it is asked for by hand it says why not
        assert "http-400" in exchange.causes()
