"""A patient's private links, for the case, API and commands: never the link itself."""

from collections.abc import Iterable
from datetime import datetime

from integration.store.private_links import PrivateLink
from integration.views.case import Part
from integration.views.texts import t
from mappings.model.private_link import LinkState


def part(links: Iterable[PrivateLink], now: datetime) -> Part:
    """One row of the case."""
    page, states = "private_links.show", {each.state(now) for each in links}
    if LinkState.OPEN in states:
        return Part("private-link", "done", t("case.private_link.open"), endpoint=page)
    says = t("case.private_link.over" if states else "case.private_link.none")
    return Part("private-link", "none", says, t("case.private_link.make"), "coordinator", endpoint=page)


def view(link: PrivateLink, now: datetime) -> dict:
    """As JSON."""
    return {
        "id": link.id,
        "state": link.state(now).value,
        "opened_by": link.opened_by,
        "language": link.language,
        "expires_at": link.expires_at,
        "opened": link.opened,
        "failures": link.failures,
        "actor": link.actor,
        "created_at": link.created_at,
        "revoked_at": link.revoked_at,
        "revoked_by": link.revoked_by,
        "revoked_reason": link.revoked_reason,
    }
