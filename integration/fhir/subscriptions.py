"""The Subscriptions of a server that notify us: which stand there, and what keeps them silent."""

from datetime import datetime

from integration.fhir.server import FhirServer
from mappings.subscription import asks_for, is_ours, why_no_news


def subscriptions_to(server: FhirServer, address: str) -> list[dict]:
    """Those that notify ``address``. A server that ignores the parameter shows others too: they are left out."""
    found = server.search_all("Subscription", {"url": address})
    return [each for each in found if each.get("resourceType") == "Subscription" and is_ours(each, address)]


def missing_notifications(found: list[dict], wanted: tuple[str, ...], now: datetime) -> list[str]:
    """For each search nobody tells us of: why, as a sentence. One that works is enough."""
    return [sentence for criteria in wanted if (sentence := _trouble(found, criteria, now)) is not None]


def _trouble(found: list[dict], criteria: str, now: datetime) -> str | None:
    kind = criteria.partition("?")[0]
    about = [each for each in found if asks_for(each).partition("?")[0] == kind]
    if not about:
        return f"no Subscription there tells us of news about {kind}"
    why = [why_no_news(each, now) for each in about]
    return None if None in why else f"Subscription/{about[-1].get('id')} about {kind} {why[-1]}"
