"""What the app was handed, for its blueprints."""
from flask import current_app
from sqlalchemy import Engine

from integration.config import Config
from integration.payloads import Payloads


def config() -> Config:
    """The configuration."""
    return current_app.extensions["second_opinion"]["config"]


def engine() -> Engine:
    """The database."""
    return current_app.extensions["second_opinion"]["engine"]


def payloads() -> Payloads:
    """The payload store."""
    return current_app.extensions["second_opinion"]["payloads"]
