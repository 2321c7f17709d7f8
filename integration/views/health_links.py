"""The part of a case about links that the patient carries."""

from sqlalchemy import Connection

from integration.store import health_links
from integration.views.case import Part
from integration.views.texts import t


def part(conn: Connection, request_id: str) -> Part:
    """How many open the records now."""
    now = health_links.database_time(conn)
    good = sum(each.state(now) == "good" for each in health_links.of_request(conn, request_id))
    says = t("links.part.good", n=good) if good else t("links.part.none")
    return Part("health-links", "done" if good else "none", says, endpoint="health_links.show")
