"""A chart of many thousand records: one statement of PostgreSQL takes 65,535 values, and an open transaction waits 5 seconds for the next."""

import pytest
from sqlalchemy import text

from integration.store import deliveries, findings, links, requests
from mappings.model.delivery import DeliveryKind
from mappings.model.findings import Finding
from tests.jobs.exchange import a_request

pytestmark = pytest.mark.postgres
MANY = [f"Observation/{number}" for number in range(17_000)]


@pytest.mark.long
def test_many_thousand_items_links_and_findings_are_stored(database):
    with database.engine.begin() as conn:
        request_id, _ = requests.take_in(conn, a_request(), actor="test")
        delivery_id = deliveries.create(conn, request_id, "bob", DeliveryKind.RECORDS, sources=MANY)
        deliveries.mark_items(
            conn, delivery_id, [dict(source=each, status="sent", target=each, created_by_us=True) for each in MANY]
        )
        links.remember_all(
            conn, "bob", [dict(system="urn:many", value=each, reference=each, origin="created") for each in MANY]
        )
        findings.record(conn, [Finding("many", "one of many", each) for each in MANY], request_id=request_id)
        assert deliveries.counts(conn, delivery_id) == {"sent": len(MANY)}
        assert len(links.find(conn, "bob", "urn:many", MANY)) == len(MANY)


@pytest.mark.parametrize("many", [20_000, 70_000])
@pytest.mark.long
def test_as_many_links_as_a_long_chart_has_are_stored_and_found(database, many):
    values = [f"Observation/{number}" for number in range(many)]
    with database.engine.begin() as conn:
        if many > 20_000:  # on a busy machine this test itself takes longer between two statements
            conn.execute(text("SET LOCAL idle_in_transaction_session_timeout = '60s'"))
        request_id, _ = requests.take_in(conn, a_request(), actor="test")
        links.remember_all(
            conn, "bob", [dict(system="urn:many", value=each, reference=each, origin="created") for each in values]
        )
        assert len(links.find(conn, "bob", "urn:many", values)) == many
        assert len(links.find_rows(conn, "bob", [("urn:many", each) for each in [*values, "Observation/no"]])) == many
        links.verified_as(conn, "bob", "urn:many", dict.fromkeys(values, "1"), dict.fromkeys(values, "abc"))
        rows = links.find_rows(conn, "bob", [("urn:many", each) for each in values])
        assert {(row.version, row.sha256) for row in rows.values()} == {("1", "abc")}


def test_nothing_is_found_of_nothing(database):
    with database.engine.begin() as conn:
        assert links.find_rows(conn, "bob", []) == {} and links.find(conn, "bob", "urn:many", []) == {}
        links.remember_all(conn, "bob", [])


def test_the_last_word_on_an_item_counts(database):
    with database.engine.begin() as conn:
        request_id, _ = requests.take_in(conn, a_request(), actor="test")
        delivery_id = deliveries.create(conn, request_id, "bob", DeliveryKind.RECORDS, sources=["Observation/1"])
        marks = [dict(source="Observation/1", status="sent", target=f"Observation/{n}") for n in (7, 8)]
        deliveries.mark_items(conn, delivery_id, marks)
        assert deliveries.items(conn, delivery_id)["Observation/1"].target == "Observation/8"
