"""The step that prunes takes what was shown and given at a hosted practice only when it has ended for good."""

import time

import pytest
from sqlalchemy import text

from integration.store import client_tokens, clients, steps

pytestmark = pytest.mark.postgres


def test_assertions_and_tokens_go_when_they_have_ended(exchange):
    def left() -> tuple[int, int]:
        with exchange.engine.begin() as conn:
            steps.create(conn, "prune", "bob")
        exchange.drain()
        with exchange.engine.connect() as conn:
            counted = text("SELECT (SELECT count(*) FROM client_assertions), (SELECT count(*) FROM client_tokens)")
            return tuple(conn.execute(counted).one())

    with exchange.engine.begin() as conn:
        client_id = clients.add(conn, "alice", "lab", scopes=["system/*.rs"], actor="test", jwks="{}")
        client = clients.find(conn, "alice", client_id)
        for jti, ends_at in (("old", time.time() - 3600), ("new", time.time() + 300), ("just over", time.time() - 60)):
            assert client_tokens.use_once(conn, client_id, jti, ends_at)
        client_tokens.give(conn, client, ["system/*.rs"])
    assert left() == (2, 1), "what has just ended is kept for a margin"
    with exchange.engine.begin() as conn:
        conn.execute(text("UPDATE client_tokens SET expires_at = now() - interval '1 second'"))
    assert left() == (2, 0)
