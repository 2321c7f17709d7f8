"""What the app was handed, for its blueprints."""

from collections.abc import Iterator
from datetime import UTC, datetime

from flask import current_app
from sqlalchemy import Engine
from werkzeug.routing import Rule

from integration.live_reads import LiveReads
from integration.packets.payloads import Payloads
from integration.settings.config import Config
from integration.visit_reading import House


def config() -> Config:
    """The configuration."""
    return current_app.extensions["second_opinion"]["config"]


def engine() -> Engine:
    """The database."""
    return current_app.extensions["second_opinion"]["engine"]


def visits() -> House:
    """What reading and changing a visit needs."""
    return House(engine(), payloads(), config())


def reads() -> LiveReads:
    """Short looks into endpoints' servers."""
    return current_app.extensions["second_opinion"]["reads"]


def payloads() -> Payloads:
    """The payload store."""
    return current_app.extensions["second_opinion"]["payloads"]


def intake(fulfiller: str) -> dict:
    """What taking in a new request needs of the configuration and the clock."""
    return {"today": datetime.now(UTC).date(), **config().intake(fulfiller)}


def extension() -> dict:
    """Everything the app was handed, and what is made once per process."""
    return current_app.extensions["second_opinion"]


def place_name(key: str | None) -> str:
    """An endpoint's organization as people know it; its key when the configuration has none."""
    endpoint = config().endpoints.get(key or "")
    return endpoint.name if endpoint is not None else key or ""


def rules() -> Iterator[Rule]:
    """The app's routes."""
    return current_app.url_map.iter_rules()
