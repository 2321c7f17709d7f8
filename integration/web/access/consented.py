"""Pages on which the side that is asked would read a chart as it was gathered: not against the patient's consent.

What stays home does not leave for their system; it must not be read here instead. Where kinds are left out these pages are shut
as a whole, because they show all kinds together: what was delivered is read where it was delivered.
"""

from datetime import UTC, datetime

from flask import Response, g, request

from integration.store import audit, consents, requests
from integration.views.texts import t
from integration.web import pages, problems, world
from integration.web.access import scope
from integration.web.problems import Problem
from mappings.model.consent import why_not_to

READS_CHARTS = frozenset(
    {
        *(f"key_facts.{each}" for each in ("show", "rest", "element", "document", "document_bytes")),
        *(f"packets.{each}" for each in ("look", "read", "download")),
        *("medications.show", "api.key_facts", "api.medications"),
    }
)
REFUSED = "data.kept"


def refused() -> Response | None:
    """The answer where consent keeps who asks from reading; None where nothing does, and for the patient's own practice."""
    request_id = (request.view_args or {}).get("request_id")
    if request.endpoint not in READS_CHARTS or not request_id or scope.mine().whole:
        return None
    with world.engine().begin() as conn:
        row = requests.get(conn, request_id)
        if scope.mine().asks_for(row.placer):
            return None
        newest = consents.newest(conn, request_id)
        stands = newest.consent if newest else None
        asks, today = world.config().asks_consent(row.fulfiller), datetime.now(UTC).date()
        why = why_not_to(stands, row.fulfiller, today, is_required=asks)
        if not why and not (stands and stands.left_home):
            return None
        audit.record(conn, g.actor, REFUSED, request_id, subject=row.fulfiller, reason=why or "consent-limited")
    words = t("consent.shut" if why else "consent.shut_limited")
    if request.path.startswith("/api/"):
        return problems.known(Problem("not-possible", words))
    return pages.problem(t("consent.title"), words, 409)
