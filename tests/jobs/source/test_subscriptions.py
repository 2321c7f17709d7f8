"""Once a day a poll looks whether what should tell us of news still can."""

from dataclasses import replace

import pytest
from sqlalchemy import select

from integration.settings.hints import Hints
from integration.store.tables import findings
from mappings.subscription import criteria_of, rest_hook
from tests.jobs.steps.test_polling import poll
from tests.servers.unkind import Unkind

pytestmark = pytest.mark.postgres


def told(exchange) -> list[str]:
    with exchange.engine.connect() as conn:
        return list(conn.execute(select(findings.c.message).where(findings.c.cause == "hints-silent")).scalars())


@pytest.mark.parametrize(
    "status, words",
    [("active", None), ("error", "is error there"), ("off", "is off there"), (None, "no Subscription there")],
)
def test_a_subscription_that_ended_is_a_finding_once_and_orders_are_polled_all_the_same(
    make_exchange, tmp_path, status, words
):
    with Unkind(inner=False) as server:
        exchange = make_exchange(alice=server.url)
        config = exchange.world.config
        (tmp_path / "hints").write_text("a secret of more than 24 characters")
        alice = config.endpoints["alice"].model_copy(update={"hints": Hints(secret_file=str(tmp_path / "hints"))})
        exchange.world = replace(
            exchange.world, config=config.model_copy(update={"endpoints": {**config.endpoints, "alice": alice}})
        )
        if status:
            address = f"{config.web.address}/hooks/alice"
            server.put({**rest_hook(address, "Bearer x", criteria_of("placer")[0]), "status": status})
        poll(exchange)
        poll(exchange)
        assert [words in each for each in told(exchange)] == ([] if words is None else [True])
        assert ("GET", "/fhir/ServiceRequest") in [(method, path.partition("?")[0]) for method, path in server.log]
