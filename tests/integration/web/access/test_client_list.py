"""The page of clients of hosted practices: when each was last here, whose keys cannot be had, and the button that ends one."""

from datetime import UTC, datetime

import pytest
from sqlalchemy import text

from integration.store import alarm_rules, clients
from integration.store.roles import Role
from tests.integration.web.access.guarded import hidden

pytestmark = pytest.mark.postgres
URL = "https://ehr.example.org/jwks.json"


def registered(guarded, name: str = "mercy-ehr") -> str:
    with guarded.engine.begin() as conn:
        return clients.add(
            conn, "alice", name, scopes=["system/Patient.r?name=Ada"], actor="test", jwks="{}", jwks_url=URL
        )


def test_a_client_is_shown_with_its_trouble_and_revoked(guarded):
    client = registered(guarded)
    with guarded.engine.begin() as conn:
        clients.keep_problem(conn, client, "its address answers 503.")
    guarded.as_(Role.ADMIN)
    page, ask = guarded.get("/clients"), f"/actions/revoke-client?client={client}"
    assert client in page and URL in page and "its address answers 503." in page and ask in page
    assert "system/Patient.r" in page and "Ada" not in page, "the search of a scope may name a patient"
    fields = hidden(guarded.get(ask))
    assert "is revoked" in guarded.told(guarded.press(ask))
    [row] = guarded.audited("client.revoked")
    assert (row.actor, row.reason) == ("olga", "tested") and "its address answers" not in guarded.get("/clients")
    again = guarded.client.post("/actions/revoke-client", data={**fields, "reason": "twice"})
    assert "revoked already" in guarded.told(again)


def test_whose_keys_cannot_be_fetched_is_an_alarm_until_they_can(guarded):
    client, now = registered(guarded), datetime.now(UTC)
    with guarded.engine.begin() as conn:
        clients.keep_problem(conn, client, "its address answers 503.")
    assert [each[0] for each in _alarms(guarded, now)] == ["alice mercy-ehr"]
    with guarded.engine.begin() as conn:
        clients.keep_keys(conn, client, "{}", 3600)
    assert _alarms(guarded, now) == []


def _alarms(guarded, now: datetime) -> list[tuple[str, str]]:
    [rule] = [each for each in alarm_rules.rules(guarded.config, now) if each.name == alarm_rules.CLIENT_KEYS]
    with guarded.engine.connect() as conn:
        return [tuple(row) for row in conn.execute(text(rule.query), rule.values)]


def test_only_admins_see_it(guarded):
    assert guarded.as_(Role.OPERATOR).get("/clients").status_code == 403
