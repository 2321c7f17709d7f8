"""The patient's questions in their order: each change is a version of the request, and travels as a correction where it was sent."""

from sqlalchemy import Engine

from integration.settings.config import Config
from integration.store import audit, requests, revisions
from integration.store.operations import NotPossible
from integration.store.requests import Request
from integration.store.revisions import Plan
from integration.views.texts import t

MOST, LONGEST = 50, 20_000  # questions, and characters of one


def look_at(engine: Engine, request_id: str, *, actor: str, reason: str | None = None) -> tuple[Request, list[str]]:
    """The request and its questions; the look is recorded first. Raises UnknownRequest."""
    with engine.begin() as conn:
        row = requests.get(conn, request_id)
        audit.record(conn, actor, "questions.looked-at", request_id, reason=reason)
    return row, list(requests.content(row).patient_questions)


def keep(
    engine: Engine, config: Config, request_id: str, questions: list[str], version: int, *, actor: str, reason: str
) -> Plan:
    """Store them in this order. ``version``: of the request that was looked at. Raises NotPossible, RevisionRefused, RevisionStale."""
    kept = [plain for each in questions if (plain := _plain(each))]
    if len(kept) > MOST:
        raise NotPossible(t("questions.too_many", most=MOST))
    for number, each in enumerate(kept, 1):
        if len(each) > LONGEST:
            raise NotPossible(t("questions.too_long", n=number, length=len(each), most=LONGEST))
    with engine.begin() as conn:
        content = requests.content(requests.get(conn, request_id))
        return revisions.revise(
            conn,
            request_id,
            content.model_copy(update={"patient_questions": tuple(kept)}),
            actor=actor,
            reason=reason,
            expected_version=version,
            lead_days=config.records.lead_days,
        )


def moved(questions: list[str], press: str, at: int) -> list[str]:
    """With one of them (counted from 0) up or down, gone, or an empty one more."""
    if press == "add":
        return [*questions, ""]
    if not 0 <= at < len(questions):
        return questions
    if press == "remove":
        return questions[:at] + questions[at + 1 :]
    to = at - 1 if press == "up" else at + 1
    if 0 <= to < len(questions):
        questions[at], questions[to] = questions[to], questions[at]
    return questions


def _plain(text: str) -> str:
    """Without what no database keeps."""
    return text.replace("\x00", "").replace("\r\n", "\n").encode("utf-8", "replace").decode().strip()
