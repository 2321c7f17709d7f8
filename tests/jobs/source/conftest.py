"""Dr Alice's server is unkind; Dr Bob's is ours."""

import pytest

from tests.jobs.exchange import Exchange, a_request, patient
from tests.servers.unkind_source import UnkindSource


class Gathering:
    """An unkind source and the Exchange that gathers from it."""

    def __init__(self, source: UnkindSource, make_exchange):
        self.source, self._make, self._exchange, self.accepts = source, make_exchange, None, "resources"

    @property
    def exchange(self) -> Exchange:
        self._exchange = self._exchange or self._make(alice=self.source.address, accepts=self.accepts)
        return self._exchange

    def gather(self, **fields) -> str:
        request_id = self.exchange.submit(a_request(**fields))
        self.exchange.drain()
        return request_id

    def at_bob(self, kind: str) -> dict[str, dict]:
        """``{id at the source: resource at Bob}``."""
        found = {}
        for each in self.exchange.find("bob", kind):
            ours = [one["value"] for one in each.get("identifier", []) if one.get("system") == "urn:test:alice"]
            found[(ours or [f"{kind}/?"])[0].split("/", 1)[1]] = each
        return found

    def message(self, request_id: str) -> str:
        """What the parked or waiting step says."""
        owed = self.exchange.view(request_id)["owed"]
        return " ".join(each["message"] or "" for each in owed if each["status"] != "done")

    def findings(self) -> dict[str, set[str]]:
        """``{cause: places}``."""
        from sqlalchemy import select

        from integration.store.tables import findings

        causes: dict[str, set[str]] = {}
        with self.exchange.engine.connect() as conn:
            for row in conn.execute(select(findings.c.cause, findings.c.path)):
                causes.setdefault(row.cause, set()).add(row.path)
        return causes


@pytest.fixture
def gathering(make_exchange):
    with UnkindSource({**patient(), "id": "p1"}) as source:
        yield Gathering(source, make_exchange)
