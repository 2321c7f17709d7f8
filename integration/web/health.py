"""Liveness, readiness and numbers for machines."""

from flask import Blueprint, Response
from flask.typing import ResponseReturnValue
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from integration.packets.payloads import PayloadsAway
from integration.postgres import health as database_health
from integration.web import pages, world
from integration.web.metrics import Metrics

blueprint = Blueprint("health", __name__)


@blueprint.get("/health/live")
def live() -> ResponseReturnValue:
    """The process runs."""
    return {"live": True}


@blueprint.get("/health/ready")
def ready() -> ResponseReturnValue:
    """It can do its work now: database and payload store can be written. 503 names what is missing."""
    missing = list(filter(None, [database_health.problem(world.engine())]))
    try:
        world.payloads().check_writable()
    except PayloadsAway:
        missing.append("payloads cannot be stored (disk full or read-only)")
    return ({"ready": not missing, "missing": missing}, 503 if missing else 200)


@blueprint.get("/metrics")
def metrics() -> ResponseReturnValue:
    """Prometheus text; no patient, no request."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(Metrics(world.config(), world.engine(), pages.now()))
    return Response(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)
