"""Subscriptions: the resource that asks a server to tell us of news, and what its notifications say they are.

R4: https://hl7.org/fhir/R4/subscription.html ; the backport: https://hl7.org/fhir/uv/subscriptions-backport
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from mappings.codes import as_dict
from mappings.times import as_instant

HANDSHAKE, HEARTBEAT, QUERY_STATUS, EVENT = "handshake", "heartbeat", "query-status", "event-notification"
KINDS = (HANDSHAKE, HEARTBEAT, QUERY_STATUS, EVENT)
PLAIN = "rest-hook"  # a notification of R4 itself, or one that does not say what it is
TELLS_NEWS = (EVENT, PLAIN)
# What is watched at each side. A placer's orders; a fulfiller's Tasks and reports. Every status: a withdrawn one is news too.
CRITERIA = {
    "placer": ("ServiceRequest?status=active,on-hold,revoked,completed,entered-in-error",),
    "fulfiller": (
        "Task?status=requested,received,accepted,rejected,in-progress,on-hold,completed,cancelled,failed",
        "DocumentReference?status=current,superseded,entered-in-error",
    ),
}
_BACKPORT = "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition"


def criteria_of(role: str) -> tuple[str, ...]:
    """The searches whose news are asked for at an endpoint in this role; none at a directory or a payer."""
    return CRITERIA["placer"] + CRITERIA["fulfiller"] if role == "both" else CRITERIA.get(role, ())


def rest_hook(address: str, authorization: str, criteria: str, *, topic: str | None = None) -> dict[str, Any]:
    """A Subscription without payload: the notification says that there is news, and we look for ourselves.

    ``topic``: the canonical address of a SubscriptionTopic makes it one of the backport, ``criteria`` its filter.
    """
    channel: dict[str, Any] = {"type": "rest-hook", "endpoint": address, "header": [f"Authorization: {authorization}"]}
    subscription: dict[str, Any] = {
        "resourceType": "Subscription",
        "status": "requested",
        "reason": "Second opinions: tells the exchange to look now instead of at its next turn",
        "criteria": criteria,
        "channel": channel,
    }
    if topic is None:
        return subscription
    channel["payload"] = "application/fhir+json"
    content = {"url": f"{_BACKPORT}/backport-payload-content", "valueCode": "empty"}
    return {
        **subscription,
        "meta": {"profile": [f"{_BACKPORT}/backport-subscription"]},
        "criteria": topic,
        "_criteria": {"extension": [{"url": f"{_BACKPORT}/backport-filter-criteria", "valueString": criteria}]},
        "channel": {**channel, "_payload": {"extension": [content]}},
    }


def kind_of(notification: object) -> str:
    """What a notification says it is; whatever cannot be read is the plain one of R4: a hint without a word.

    The first entry of the Bundle is its status: Parameters in R4, SubscriptionStatus in R4B.
    """
    entries = as_dict(notification).get("entry")
    first = as_dict(as_dict(entries[0]).get("resource")) if isinstance(entries, list) and entries else {}
    said = first.get("type") or next(_parameters(first, "type"), None)
    return said if isinstance(said, str) and said in KINDS else PLAIN


def _parameters(resource: Mapping[str, Any], name: str) -> Iterator[Any]:
    given = resource.get("parameter")
    found = (as_dict(each) for each in given) if isinstance(given, list) else iter(())
    return (each.get("valueCode") for each in found if each.get("name") == name)


def is_ours(subscription: Mapping[str, Any], address: str) -> bool:
    """Whether it notifies this address of ours."""
    return as_dict(subscription.get("channel")).get("endpoint") == address


def asks_for(subscription: Mapping[str, Any]) -> str:
    """The search whose news it tells of."""
    extensions = as_dict(subscription.get("_criteria")).get("extension")
    filters = [as_dict(each).get("valueString") for each in extensions] if isinstance(extensions, list) else []
    return str(next(filter(None, filters), None) or subscription.get("criteria") or "")


def why_no_news(subscription: Mapping[str, Any], now: datetime) -> str | None:
    """Why no notification comes by it, as the second half of a sentence; None: it is active, or about to be."""
    status = subscription.get("status")
    if status not in ("requested", "active"):
        return f"is {status if status in ('error', 'off') else 'in no known status'} there: nothing is told by it"
    end = as_instant(subscription.get("end"))
    is_over = end is not None and datetime.fromisoformat(end) <= now
    return f"ended on {str(end)[:10]}: nothing is told by it" if is_over else None
