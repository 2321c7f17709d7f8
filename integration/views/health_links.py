"""Links that the patient carries: the part of a case, and as the API and commands show them."""

from sqlalchemy import Connection

from integration.health_links.making import Links
from integration.store import health_links
from integration.store.health_links import HealthLink
from integration.views.case import Part
from integration.views.texts import t


def part(conn: Connection, request_id: str) -> Part:
    """How many open the records now."""
    now = health_links.database_time(conn)
    good = sum(each.state(now) == "good" for each in health_links.of_request(conn, request_id))
    says = t("links.part.good", n=good) if good else t("links.part.none")
    return Part("health-links", "done" if good else "none", says, endpoint="health_links.show")


def view(found: Links) -> dict:
    """As JSON; nothing in it opens a link."""
    return {
        "request_id": found.request_id,
        "left_out": [each.value for each in found.left_out],
        "health_links": [_one(each, found) for each in found.links],
    }


def _one(link: HealthLink, found: Links) -> dict:
    opened = found.accesses.get(link.id, [])
    return {
        "id": link.id,
        "state": link.state(found.now),
        "has_passcode": link.needs_passcode,
        "later_records": link.is_long_term,
        "attempts_left": link.attempts_left,
        "files": len(found.files[link.id]),
        "packet_version": link.packet_version,
        "documents_left_out": link.left_out,
        "holds_too_much": link.id in found.too_much,
        **{name: getattr(link, name) for name in ("made_by", "created_at", "expires_at")},
        **{name: getattr(link, name) for name in ("ended_at", "ended_by", "ended_because")},
        "openings": [
            {"at": each.at, "recipient": each.recipient, "what": each.what, "files": each.files} for each in opened
        ],
    }
