"""Is it covered? What is known of a request's coverage, and an insurer's answer written down; for pages, API and commands.

An answer is a part of the request's next version: it is kept beside what was said before, and reaches the consultant as any
correction does.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import Connection, Engine

from integration.settings.config import Config
from integration.store import appointments, audit, eligibility_asks, insurances, requests, revisions, steps
from integration.store.eligibility_asks import EligibilityAsk
from integration.visit_day import known_day
from mappings.coverage_answers import stands, told
from mappings.coverage_information import unknown_codes
from mappings.coverage_typed import AnswerNotRight, read_typed
from mappings.model.coverage import CoverageAnswer, Insurance, OrderCoverage, Standing


@dataclass(frozen=True)
class Coverage:
    """What is known of a request's coverage at ``version``; ``visit`` is None while no day is known."""

    request_id: str
    version: int
    visit: date | None
    answers: tuple[CoverageAnswer, ...]
    of_order: tuple[OrderCoverage, ...]
    references: tuple[str, ...]
    insurances: tuple[Insurance, ...]
    standing: Standing
    asks: tuple[EligibilityAsk, ...] = ()

    @property
    def unknown_codes(self) -> tuple[str, ...]:
        """Elements of what the order says whose code is not known here."""
        return tuple(dict.fromkeys(name for each in self.of_order for name in unknown_codes(each)))


def coverage(engine: Engine, request_id: str, today: date, *, actor: str, reason: str | None = None) -> Coverage:
    """What is known; the look of ``actor`` is recorded first. Raises UnknownRequest."""
    with engine.begin() as conn:
        found = known(conn, request_id, today)
        audit.record(conn, actor, "coverage.looked-at", request_id, reason=reason)
    return found


def known(conn: Connection, request_id: str, today: date) -> Coverage:
    """What is known, for who has recorded the look. Raises UnknownRequest."""
    row = requests.get(conn, request_id)
    content, booked = requests.content(row), appointments.current(conn, request_id)
    visit = known_day(content, booked)
    everything = told(content.coverage_answers, content.order_coverage)
    return Coverage(
        request_id,
        row.version,
        visit,
        content.coverage_answers,
        content.order_coverage,
        content.coverage,
        insurances.of_request(conn, request_id),
        stands(everything, visit, today),
        eligibility_asks.of_request(conn, request_id),
    )


def record(
    engine: Engine,
    config: Config,
    request_id: str,
    typed: Mapping[str, str],
    now: datetime,
    *,
    expected_version: int | None,
    actor: str,
) -> CoverageAnswer:
    """Write down what an insurer said. The same answer typed twice is one answer.

    ``expected_version``: of the request that who typed it had before them; None takes whatever is there. Raises AnswerNotRight,
    RevisionStale (somebody else wrote something meanwhile) and RevisionRefused (the request has ended).
    """
    with engine.begin() as conn:
        steps.lock_with_request(conn, request_id)  # two people at once: each adds to what the other wrote
        content = requests.content(requests.get(conn, request_id))
        answer_id = f"answer-{len(content.coverage_answers) + 1}"
        answer = read_typed(typed, answer_id=answer_id, by=actor, now=now)
        if (known_one := _same(answer, content.coverage_answers)) is not None:
            return known_one
        _must_be_there(answer, content.coverage_answers)
        why = answer.correction or "an insurer's answer was written down"
        add(conn, config, request_id, answer, actor=actor, reason=why, expected_version=expected_version)
        audit.record(
            conn,
            actor,
            "coverage.corrected" if answer.corrects else "coverage.recorded",
            request_id,
            subject=answer.id,
            reason=answer.correction,
        )
    return answer


def add(
    conn: Connection,
    config: Config,
    request_id: str,
    answer: CoverageAnswer,
    *,
    actor: str,
    reason: str,
    expected_version: int | None = None,
) -> None:
    """One more answer in the request's next version; the caller holds the request. Raises RevisionStale, RevisionRefused."""
    content = requests.content(requests.get(conn, request_id))
    revisions.revise(
        conn,
        request_id,
        content.model_copy(update={"coverage_answers": (*content.coverage_answers, answer)}),
        actor=actor,
        reason=reason,
        expected_version=expected_version,
        lead_days=config.records.lead_days,
        of_coverage=True,
    )


def _must_be_there(answer: CoverageAnswer, answers: tuple[CoverageAnswer, ...]) -> None:
    if answer.corrects is None:
        return
    if answer.corrects not in {each.id for each in answers}:
        raise AnswerNotRight({"corrects": "There is no entry of that name: choose one of those below."})
    if any(each.corrects == answer.corrects for each in answers):
        raise AnswerNotRight({"corrects": "That entry was corrected already: correct the newer one."})


def _same(answer: CoverageAnswer, answers: tuple[CoverageAnswer, ...]) -> CoverageAnswer | None:
    """The entry that says exactly this and was not corrected since: a form that was sent twice."""
    ours, corrected = {"id", "recorded_by", "recorded_at"}, {each.corrects for each in answers}
    said = answer.model_dump(exclude=ours)
    found = (each for each in answers if each.id not in corrected and each.model_dump(exclude=ours) == said)
    return next(found, None)
