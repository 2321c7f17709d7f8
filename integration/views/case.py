"""One case as its two sides see it: the parts of it, what each says, and who has the next move. No clinical content."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from integration.store.request_list import Waits
from integration.store.requests import Request
from integration.views.levels import records_words
from integration.views.texts import t
from mappings.model.acknowledgment import Standing
from mappings.model.consent import CAUSES as CONSENT_CAUSES
from mappings.model.moves import QUESTIONS, WHOSE, Move, Mover
from mappings.model.states import FINAL, Records, Status
from mappings.model.steps import Group, of_group

LATEST = datetime.max.replace(tzinfo=UTC)
ORDER = ("late", "open", "waiting", "none", "done")
RETURNS = of_group(Group.REPORT)
HERE = Records.VERIFIED, Records.ACKNOWLEDGED
UNANSWERED = Status.REQUESTED, Status.RECEIVED


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


def is_to_do(part: Part) -> bool:
    """Whether the practice that asks has to do something about it now."""
    return part.state in ("late", "open") and part.who == Mover.COORDINATOR


def is_over(row: Request) -> bool:
    """It was answered, or ended without an answer."""
    return row.closed_at is not None or Status(row.status) in FINAL


def without_a_move(part: Part) -> Part:
    """The same part of a request that is over: what it says, and nobody's turn."""
    return part if part.state == "done" else replace(part, state="none", next="", who="", by=None)


def label(key: str) -> str:
    """What a part is called."""
    return t(f"case.part.{key}") if t.has(f"case.part.{key}") else key.replace("-", " ").capitalize()


def _moving(key: str, state: str, says: str, move: Move, by: datetime | None = None, endpoint: str = "") -> Part:
    return Part(key, state, says, t(f"move.{move}"), WHOSE[move].value, by, endpoint)


def request_part(row: Request, waits: Waits | None) -> Part:
    """Whether it was sent, taken and answered."""
    status, says = Status(row.status), t(f"case.request.{row.status}")
    if status in (Status.REJECTED, Status.FAILED):
        return _moving("request", "open", says, Move.DECLINED)
    if status in FINAL:
        return Part("request", "done", says)
    if waits is not None and waits.status == "parked" and waits.cause in QUESTIONS:
        return _moving("request", "open", says, Move.QUESTION, row.records_due_at)
    if status is Status.ON_HOLD:
        return _moving("request", "open", says, Move.TELL)
    if status is Status.DRAFT:
        return _moving("request", "waiting", says, Move.SEND, row.records_due_at)
    return _moving("request", "waiting", says, Move.ANSWER if status in UNANSWERED else Move.OPINION)


def records_part(row: Request, arrived_as: str | None, waits: Waits | None, now: datetime) -> Part:
    """The records on their way: there, late, held up, or under way."""
    says, page = records_words(row.records, arrived_as), "packets.manifest"
    if Records(row.records) in HERE:
        return Part("records", "done", says, endpoint=page)
    if is_over(row):
        return Part("records", "none", says, endpoint=page)
    is_late = row.records_due_at is not None and row.records_due_at < now
    is_held = (
        waits is not None and waits.status == "parked" and waits.kind not in RETURNS and waits.cause not in QUESTIONS
    )
    state = "late" if is_late else "open" if is_held else "waiting"
    if is_held:
        move = Move.CONSENT if waits is not None and waits.cause in CONSENT_CAUSES else Move.HELD
        return _moving("records", state, says, move, row.records_due_at, page)
    return Part("records", state, says, t("case.records.sends"), Mover.EXCHANGE, row.records_due_at, page)


def report_part(row: Request, waits: Waits | None, standing: Standing) -> Part:
    """The opinion: signed, back in the chart of who asked, and read there."""
    key, page = "opinion", "opinion.show"
    if row.closed_at is not None:
        if standing in (Standing.UNREAD, Standing.CHANGED):
            return _moving(key, "open", t("case.report.unread"), Move.READ, endpoint=page)
        return Part(key, "done", t(f"case.report.{standing}"), endpoint=page)
    if Status(row.status) is not Status.COMPLETED:
        return Part(key, "none", t("case.report.not_yet"), endpoint=page)
    if waits is not None and waits.status == "parked" and waits.kind in RETURNS:
        return _moving(key, "open", t("case.report.held"), Move.CARRY, endpoint=page)
    return _moving(key, "waiting", t("case.report.there"), Move.RETURN, endpoint=page)
