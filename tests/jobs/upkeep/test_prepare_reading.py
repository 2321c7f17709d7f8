"""The key facts of a long chart are there before anybody opens it; what cannot be made ahead is said, and the page makes it."""

import pytest
from sqlalchemy import func, select, text

from integration import reading
from integration.store import key_facts as kept
from integration.store.tables import audit, key_facts
from integration.visit_reading import House
from jobs.upkeep.prepare_reading import NOT_MADE
from mappings.model.errors import PartialError
from mappings.reading.model import VERSION
from tests.jobs.exchange import a_request, load_chart

pytestmark = pytest.mark.postgres


def rows(exchange) -> int:
    with exchange.engine.connect() as conn:
        return conn.execute(select(func.count()).select_from(key_facts)).scalar_one()


def looked(exchange) -> int:
    with exchange.engine.connect() as conn:
        return conn.execute(select(func.count()).where(audit.c.action == reading.LOOKED)).scalar_one()


def test_a_long_chart_is_made_ahead_once_and_opened_as_it_is(exchange, monkeypatch):
    monkeypatch.setattr(kept, "MANY", 5)
    chart = load_chart(exchange)
    request_id = exchange.submit(a_request())
    exchange.drain()
    assert rows(exchange) == 1 and looked(exchange) == 0, "nobody looked"
    with exchange.engine.connect() as conn:
        assert kept.to_make(conn, VERSION) == [] and len(kept.to_make(conn, VERSION + 1)) == 1

    def never(*_):
        raise AssertionError("made anew")

    house = House(exchange.engine, exchange.payloads, exchange.config)
    with monkeypatch.context() as patched:
        patched.setattr(reading, "_make", never)
        found = reading.read(house, request_id, exchange.clock().date(), actor="bob")
    assert found.facts is not None and found.facts.packet_id == f"{request_id}-p1"

    exchange.change("alice", chart["condition"], code={"text": "corrected"})
    exchange.watch()
    assert rows(exchange) == 2, "the packet of a correction is made ahead too, however few records it has"


def test_what_cannot_be_made_ahead_is_a_finding_and_a_short_chart_makes_no_step(exchange, monkeypatch):
    load_chart(exchange)
    exchange.submit(a_request())
    exchange.drain()
    with exchange.engine.connect() as conn:
        assert conn.execute(text("SELECT count(*) FROM steps WHERE kind = 'prepare_reading'")).scalar_one() == 0

    def cannot(*_):
        raise PartialError(["a record is not there"])

    monkeypatch.setattr(kept, "MANY", 5)
    monkeypatch.setattr(reading, "prepare", cannot)
    exchange.submit(a_request(key="k2", question="Another one?"))
    exchange.drain()
    assert rows(exchange) == 0 and NOT_MADE in exchange.causes()
    with exchange.engine.connect() as conn:
        assert conn.execute(text("SELECT status FROM steps WHERE kind = 'prepare_reading'")).scalar_one() == "done"
