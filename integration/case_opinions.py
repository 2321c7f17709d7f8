"""The requests and opinions of one case side by side: who was asked, what came of it, and what went along. No clinical content."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from integration.store import acknowledgments, reports, requests
from integration.store.reports import Report
from integration.store.requests import Request
from integration.store.scope import EVERYTHING, Scope
from integration.views.opinion import standing_of
from mappings.model.acknowledgment import Decision, Standing


@dataclass(frozen=True)
class CaseOpinion:
    """One request of a case. ``report``: its newest that is not preliminary; ``decision``: the last word on it, None while there is none.

    ``goes_along``: what the patient said about the opinions before it: yes, no, or empty: nobody has said.
    """

    request_id: str
    key: str
    number: int
    placer: str
    fulfiller: str
    consultant: str
    status: str
    asked_at: datetime
    report: Report | None
    standing: Standing
    decision: Decision | None
    goes_along: str
    said_by: str


def of_case(conn: Connection, case: str, scope: Scope = EVERYTHING) -> list[CaseOpinion]:
    """Every request of a case that ``scope`` holds, the first one first; without those entered in error."""
    rows = [each for each in requests.of_case(conn, case) if scope.holds(each.placer, each.fulfiller)]
    return [_opinion(conn, each) for each in rows if each.status != "entered-in-error"]


def _opinion(conn: Connection, row: Request) -> CaseOpinion:
    content, report = requests.content(row), reports.newest(conn, row.id)
    said = acknowledgments.of_request(conn, row.id)
    words = [each.word for each in said if each.undone_at is None and report and each.revision == report.revision]
    earlier, who = content.earlier_opinions, content.consultant
    return CaseOpinion(
        request_id=row.id,
        key=row.key,
        number=content.opinion_number,
        placer=row.placer,
        fulfiller=row.fulfiller,
        consultant=" ".join([*who.name.given, who.name.family]) if who and who.name else "",
        status=row.status,
        asked_at=row.created_at,
        report=report,
        standing=standing_of(report, said),
        decision=words[-1].decision if words else None,
        goes_along=earlier.answer if earlier else "",
        said_by=f"{earlier.said_by}, {earlier.said_on}" if earlier else "",
    )


def view(opinion: CaseOpinion) -> dict:
    """As JSON: ids and words, nobody by name."""
    return {
        "request_id": opinion.request_id,
        "number": opinion.number,
        "fulfiller": opinion.fulfiller,
        "status": opinion.status,
        "asked_at": opinion.asked_at,
        "report_revision": opinion.report.revision if opinion.report else None,
        "report_state": opinion.report.state if opinion.report else None,
        "standing": opinion.standing.value,
        "decision": opinion.decision.value if opinion.decision else None,
        "earlier_go_along": opinion.goes_along or None,
    }
