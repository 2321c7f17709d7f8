"""What follows from a correction, as sentences for whoever confirms it: pages and command line say the same."""

from datetime import date

from sqlalchemy import Connection

from integration.store import deliveries
from integration.store.requests import Request
from integration.store.revisions import Plan, has_begun
from integration.views.texts import t
from mappings.model.delivery import DeliveryKind


def consequences(conn: Connection, row: Request, plan: Plan, *, place: str, accepts: str) -> list[str]:
    """Who is told what again, which times move, what goes on."""
    said = [_telling(plan, place)]
    if plan.told and accepts == "documents" and _summary_is_there(conn, row.id):
        said.append(t("correct.summary", place=place))
    if plan.due_before != plan.due_after:
        said.append(t("correct.deadline", before=_day(plan.due_before), after=_day(plan.due_after)))
    if plan.reads_chart:
        said.append(t("correct.chart"))
    if plan.retried:
        said.append(t("correct.retried", n=len(plan.retried)))
    return [*said, t("correct.kept", n=plan.version - 1)]


def _telling(plan: Plan, place: str) -> str:
    if not plan.was_sent:
        return t("correct.unsent", place=place)
    if not plan.told:
        return t("correct.untold", place=place)
    return t("correct.resent", place=place, resources=", ".join(plan.told))


def _summary_is_there(conn: Connection, request_id: str) -> bool:
    return any(map(has_begun, deliveries.of_request(conn, request_id, DeliveryKind.RECORDS)))


def _day(value: date | None) -> str:
    return value.strftime("%Y-%m-%d") if value else t("time.none")
