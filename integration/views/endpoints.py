"""How the endpoints are, for pages, API and command line: health as a word, open work, step times."""

from datetime import UTC, datetime, timedelta
from statistics import median

from sqlalchemy import Connection

from integration.settings.config import Config, Endpoint
from integration.store import endpoint_health, open_work
from integration.store.endpoint_health import Health
from integration.store.open_work import EndpointWork
from mappings.model.causes import cause_named
from mappings.suitability import in_words


def endpoint_views(conn: Connection, config: Config) -> list[dict]:
    """Each configured endpoint with its health as a word."""
    known = endpoint_health.of_all(conn)
    return [
        {
            "key": key,
            "name": endpoint.name,
            "role": endpoint.role,
            "base_url": endpoint.base_url,
            "accepts": endpoint.accepts,
            "contact": endpoint.contact,
            "roads": [str(each) for each in endpoint.road_names] if endpoint.is_placer else [],
            "closes_on": list(endpoint.closes_on) if endpoint.is_placer else [],
            "allowed_differences": allowed_differences(endpoint),
            "program": list(in_words(endpoint.program_rules)) if endpoint.program_rules else [],
            **health_words(known.get(key)),
        }
        for key, endpoint in config.endpoints.items()
    ]


def allowed_differences(endpoint: Endpoint) -> list[str]:
    """A sentence for each reviewed exception from the comparison of what is read back there."""
    today = datetime.now(UTC).date()
    return [each.sentence(today) for each in endpoint.verification.allowances]


def health_words(known: Health | None) -> dict:
    """How an endpoint is, as a word, with what it was told from; None: nothing is known of it."""
    if known is None:
        return {"health": "not used yet"}
    return {
        "health": _word(known),
        "paused": known.paused,
        "paused_reason": known.paused_reason,
        "breaker": known.breaker,
        "breaker_until": known.breaker_until,
        "failures": known.failures,
        "last_success_at": known.last_success_at,
        "last_failure_at": known.last_failure_at,
        "last_failure": known.last_failure,
        "last_answer": cause_named(known.last_failure_cause).happened if known.last_failure_cause else None,
        "latencies": known.latencies,
    }


def _word(known: Health) -> str:
    if known.paused:
        return "paused"
    if known.breaker != "closed":
        resting = known.breaker_until is not None and known.breaker_until > datetime.now(UTC)
        return "resting" if resting else "probing"
    if known.failures or _refuses(known):
        return "failing"
    return "well" if known.last_success_at else "not used yet"


def _refuses(known: Health) -> bool:
    return known.last_failure_at is not None and (
        known.last_success_at is None or known.last_failure_at > known.last_success_at
    )


def endpoint_board(conn: Connection, config: Config, now: datetime) -> list[dict]:
    """Each endpoint with its health, open work, step times, and how long it has been silent with work to do."""
    work = open_work.by_endpoint(conn)
    views = endpoint_views(conn, config)
    for view in views:
        view["work"], view["latency"] = work.get(view["key"]), _latency(view.get("latencies") or ())
        view["silent"] = _silence(view, view["work"], now, timedelta(hours=config.alerts.rules.silence.hours))
    return views


def _latency(newest_first: tuple[int, ...]) -> dict | None:
    if not newest_first:
        return None
    times = newest_first[::-1]
    return {"last": times[-1], "median": round(median(times)), "longest": max(times), "n": len(times), "times": times}


def _silence(view: dict, work: EndpointWork | None, now: datetime, after: timedelta) -> timedelta | None:
    """How long nothing succeeded although something is due; None when that is not long."""
    if work is None or work.oldest_due is None or view.get("paused"):
        return None
    last = view.get("last_success_at")
    quiet = now - (max(last, work.oldest_due) if last else work.oldest_due)
    return quiet if quiet > after else None
