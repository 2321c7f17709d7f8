"""A real HAPI tells us of news: its rest-hook reaches our address, and the poll is due."""

import secrets
import time

import pytest
from sqlalchemy import select

from integration.fhir.subscriptions import missing_notifications, subscriptions_to
from integration.store.tables import hints, steps
from integration.web import create_app
from jobs.schedule import take_up_hints
from mappings.subscription import criteria_of, rest_hook
from tests.integration.fhir.endpoints import endpoint
from tests.integration.web.serving import serving
from tests.integration.web.site import Site

pytestmark = [pytest.mark.hapi, pytest.mark.postgres]
SECRET = secrets.token_hex(24)


@pytest.fixture(scope="module")
def notifying(tmp_path_factory):
    from tests.servers.hapi import Hapi
    from tests.servers.process import ServerUnavailable

    try:
        with Hapi(tmp_path_factory.mktemp("hapi")) as hapi:
            yield hapi.start(name="notifying", extra=["--subscriptions"])
    except ServerUnavailable as error:
        pytest.skip(str(error))


@pytest.fixture
def site(tmp_path, database, monkeypatch) -> Site:
    from integration.settings.config import load_config

    (tmp_path / "hints").write_text(SECRET)
    made = Site(tmp_path, database)
    path = tmp_path / "config.yaml"
    path.write_text(path.read_text().replace("alice: {base_url", "alice: {hints: {secret_file: hints}, base_url"))
    made.config = load_config(path, {})
    made.app = create_app(made.config, made.engine, made.payloads)
    return made


@pytest.mark.long
def test_an_order_at_a_real_server_makes_our_poll_due(notifying, site):
    from datetime import UTC, datetime

    from integration.fhir.server import FhirServer
    from integration.fhir.transport import Transport

    at = endpoint(notifying, timeout_seconds=60)
    server = FhirServer(at, Transport(at))
    with serving(site.app) as port:
        address = f"http://127.0.0.1:{port}/hooks/alice"
        for criteria in criteria_of("placer"):
            server.create(rest_hook(address, f"Bearer {SECRET}", criteria), authored=True)
        until(lambda: [each["status"] for each in subscriptions_to(server, address)] == ["active"])
        assert missing_notifications(subscriptions_to(server, address), criteria_of("placer"), datetime.now(UTC)) == []
        patient = server.create({"resourceType": "Patient"}).location
        order = {"resourceType": "ServiceRequest", "status": "active", "intent": "order", "subject": {"reference": patient}}  # fmt: skip
        server.create(order)
        until(lambda: heard(site) == ["rest-hook"])
    assert take_up_hints(site) == 1
    with site.engine.connect() as conn:
        assert conn.execute(select(steps.c.kind, steps.c.endpoint)).all() == [("poll_requests", "alice")]


def heard(site) -> list[str]:
    with site.engine.connect() as conn:
        return list(conn.execute(select(hints.c.kind)).scalars())


def until(true, seconds=60):
    began = time.monotonic()
    while not true():
        assert time.monotonic() - began < seconds
        time.sleep(0.2)
