"""A chart of many thousand records: one statement of PostgreSQL takes 65,535 values, and an open transaction waits 2 seconds for the next."""

import pytest

from integration.store import deliveries, findings, links, requests
from mappings.model.delivery import DeliveryKind
from mappings.model.findings import Finding
from tests.jobs.exchange import a_request

pytestmark = pytest.mark.postgres
MANY = [f"Observation/{number}" for number in range(17_000)]


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
