"""One case as its two sides see it: the parts of it, what each says, and who has the next move. No clinical content."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from integration.store.request_list import Waits
from integration.store.requests import Request
from integration.views.levels import records_words
from integration.views.texts import t
from mappings.model.states import FINAL, Records, Status
from mappings.model.steps import Group, of_group

LATEST = datetime.max.replace(tzinfo=UTC)
ORDER = ("late", "open", "waiting", "none", "done")
RETURNS = of_group(Group.REPORT)
HERE = Records.VERIFIED, Records.ACKNOWLEDGED


@dataclass(frozen=True)
class Part:
    """One part of a case. ``state``: done, open (somebody here has to do something), late, waiting (for somebody else), none.

    ``next`` is the move, ``who`` has it (a role, or exchange or patient), ``by`` when; ``endpoint``: the Flask endpoint of its
    page, which takes request_id.
    """

    key: str
    state: str
    says: str
    next: str = ""
    who: str = ""
    by: datetime | None = None
    endpoint: str = ""


def in_order(parts: Iterable[Part]) -> list[Part]:
    """The next move first: what is late, then what somebody here can do, then what others owe; each by its time."""
    return sorted(parts, key=lambda part: (ORDER.index(part.state), part.by or LATEST))


def request_part(row: Request, now: datetime) -> Part:
    """Whether it was sent, taken and answered."""
    status, says = Status(row.status), t(f"case.request.{row.status}")
    if status is Status.COMPLETED:
        return Part("request", "done", says)
    if status in (Status.REJECTED, Status.FAILED):
        return Part("request", "open", says, t("case.request.elsewhere"), "coordinator")
    if status in FINAL:
        return Part("request", "done", says)
    if status is Status.DRAFT:
        return Part("request", "waiting", says, t("case.request.sends"), "exchange", row.records_due_at)
    if status is Status.ON_HOLD:
        return Part("request", "open", says, t("case.request.told"), "coordinator")
    takes = status in (Status.REQUESTED, Status.RECEIVED)
    return Part("request", "waiting", says, t("case.request.takes" if takes else "case.request.answers"), "consultant")


def records_part(row: Request, arrived_as: str | None, waits: Waits | None, now: datetime) -> Part:
    """The records on their way: there, late, held up, or under way."""
    says, page = records_words(row.records, arrived_as), "packets.manifest"
    if Records(row.records) in HERE:
        return Part("records", "done", says, endpoint=page)
    if row.closed_at is not None or Status(row.status) in FINAL:
        return Part("records", "none", says, endpoint=page)
    is_late = row.records_due_at is not None and row.records_due_at < now
    is_held = waits is not None and waits.status == "parked" and waits.kind not in RETURNS
    who, move = ("operator", "case.records.held") if is_held else ("exchange", "case.records.sends")
    state = "late" if is_late else "open" if is_held else "waiting"
    return Part("records", state, says, t(move), who, row.records_due_at, page)


def report_part(row: Request, waits: Waits | None) -> Part:
    """The opinion: signed, and back in the chart of who asked."""
    if row.closed_at is not None:
        return Part("report", "done", t("case.report.closed"))
    if Status(row.status) is not Status.COMPLETED:
        return Part("report", "none", t("case.report.not_yet"))
    if waits is not None and waits.status == "parked" and waits.kind in RETURNS:
        return Part("report", "open", t("case.report.held"), t("case.report.carry"), "coordinator")
    return Part("report", "waiting", t("case.report.there"), t("case.report.returns"), "exchange")
