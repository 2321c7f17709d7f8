"""Pages on which the side that is asked reads a chart as it was gathered: within the patient's consent.

What stays home does not leave for their system; it must not be read here instead. Where nothing may leave for them these pages
are shut. Where kinds of record are left out, what is read leaves them out (`limit`) and the page names the kinds.
"""

import re
from collections.abc import Callable

from flask import Response, g, request
from sqlalchemy import Connection

from integration.store import audit, consents, deliveries, requests
from integration.views.texts import t
from integration.web import pages, problems, world
from integration.web.access import scope
from integration.web.problems import Problem
from mappings.model.consent import Consent

READS_CHARTS = frozenset(
    {
        *(f"key_facts.{each}" for each in ("show", "rest", "element", "document", "document_bytes")),
        *(f"packets.{each}" for each in ("look", "read", "download")),
        *("medications.show", "api.key_facts", "api.medications"),
        *("packets.manifest", "checklist.show", "api.checklist"),
    }
)
REFUSED = "data.kept"
_RECORD = re.compile(r"([A-Z][A-Za-z]+)/[A-Za-z0-9.-]+")


def refused() -> Response | None:
    """The answer where consent keeps who asks from reading; None where it does not, and for the patient's own practice."""
    request_id = (request.view_args or {}).get("request_id")
    if request.endpoint not in READS_CHARTS or not request_id or scope.mine().whole:
        return None
    with world.engine().begin() as conn:
        row = requests.get(conn, request_id)
        if scope.mine().asks_for(row.placer):
            return None
        asks = world.config().asks_consent(row.fulfiller)
        why = consents.why_not_to(conn, request_id, row.fulfiller, is_required=asks)
        if not why:
            return None
        audit.record(conn, g.actor, REFUSED, request_id, subject=row.fulfiller, reason=why)
    if request.path.startswith("/api/"):
        return problems.known(Problem("not-possible", t("consent.shut")))
    return pages.problem(t("consent.title"), t("consent.shut"), 409)


def limit(request_id: str) -> Consent | None:
    """What who asks may read of the chart: None for all of it, else the consent that leaves kinds of record out for them.

    Raises UnknownRequest.
    """
    mine = scope.mine()
    if mine.whole:
        return None
    with world.engine().connect() as conn:
        if mine.asks_for(requests.get(conn, request_id).placer):
            return None
        newest = consents.newest(conn, request_id)
    return newest.consent if newest is not None and newest.consent.left_home else None


def hides(conn: Connection, request_id: str) -> Callable[[str], bool]:
    """Whether a record (``Type/id``, maybe with what follows) is not named to who asks. Raises UnknownRequest."""
    within = limit(request_id)
    if within is None:
        return lambda name: False
    gone = deliveries.left_out_by_consent(conn, request_id)

    def is_hidden(name: str) -> bool:
        found = _RECORD.match(name)
        return found is not None and (found[0] in gone or not within.lets_go({"resourceType": found[1]}))

    return is_hidden
