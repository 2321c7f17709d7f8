"""Liveness, readiness and numbers for machines."""

from flask import Blueprint, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Gauge, generate_latest
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from integration.payloads import PayloadsAway
from integration.web import world

blueprint = Blueprint("health", __name__)


@blueprint.get("/health/live")
def live():
    """The process runs."""
    return {"live": True}


@blueprint.get("/health/ready")
def ready():
    """It can do its work now: the database answers and payloads can be stored. 503 names what is missing."""
    missing = []
    try:
        with world.engine().connect() as conn:
            conn.execute(text("SELECT 1"))
    except SQLAlchemyError:
        missing.append("the database does not answer")
    try:
        world.payloads().check_writable()
    except PayloadsAway:
        missing.append("payloads cannot be stored (disk full or read-only)")
    return ({"ready": not missing, "missing": missing}, 503 if missing else 200)


@blueprint.get("/metrics")
def metrics():
    """Prometheus text: counts from the tables, so that every process gives the same; no patient, no request."""
    registry = CollectorRegistry()
    families = {
        "second_opinion_requests": (
            "Requests by status",
            "SELECT status AS a, '' AS b, count(*) AS n FROM requests GROUP BY 1",
        ),
        "second_opinion_deliveries": (
            "Deliveries by status and endpoint",
            "SELECT status AS a, endpoint AS b, count(*) AS n FROM deliveries GROUP BY 1, 2",
        ),
        "second_opinion_steps_open": (
            "Open steps by status and endpoint",
            "SELECT status AS a, endpoint AS b, count(*) AS n FROM steps "
            "WHERE status IN ('waiting', 'due', 'leased', 'parked') GROUP BY 1, 2",
        ),
        "second_opinion_loops_closed": (
            "Closed loops",
            "SELECT 'closed' AS a, '' AS b, count(*) AS n FROM requests " "WHERE closed_at IS NOT NULL",
        ),
    }
    with world.engine().connect() as conn:
        for name, (words, query) in families.items():
            gauge = Gauge(name, words, ["status", "endpoint"], registry=registry)
            for row in conn.execute(text(query)):
                gauge.labels(row.a, row.b).set(row.n)
    return Response(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)
