"""Whether a request should be asked, and of this program: how it stands, and what people say of it; for pages, API and commands."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date

from sqlalchemy import Connection, Engine

from integration.settings.config import Config
from integration.store import appointments, audit, listed_programs, requests, revisions, suitability_words
from integration.store.operations import NotPossible
from integration.visit_day import judged_day
from mappings.model.request import SecondOpinionRequest
from mappings.model.suitability import EMERGENCY, GO_ON, GoodReason, Suitability
from mappings.suitability import code_of, good_reasons, judge, known_of


@dataclass(frozen=True)
class Standing:
    """How a request stands on ``day``; ``version`` is that of the request it was read from."""

    request_id: str
    version: int
    fulfiller: str
    day: date
    day_is: str
    reasons: frozenset[GoodReason]
    judged: Suitability


def standing(
    engine: Engine, config: Config, request_id: str, today: date, *, actor: str, reason: str | None = None
) -> Standing:
    """How a request stands; the look of ``actor`` is recorded first. Raises UnknownRequest."""
    with engine.begin() as conn:
        audit.record(conn, actor, "suitability.looked-at", requests.get(conn, request_id).id, reason=reason)
        return known(conn, config, request_id, today)


def answer(
    engine: Engine, config: Config, request_id: str, key: str, value: str, today: date, *, actor: str, reason: str
) -> Standing:
    """A person's yes or no to a question, to ``emergency``, or to going on all the same (``go-on``, with a reason).

    What is refused then waits before anything is gathered; what waited goes on when nothing refuses it any more. Raises
    NotPossible for what is not asked.
    """
    with engine.begin() as conn:
        before = known(conn, config, request_id, today)
        _must_be_asked(before, key, value, reason, suitability_words.spoken(conn, request_id))
        suitability_words.say(conn, request_id, key, value, actor=actor, reason=reason)
        after = known(conn, config, request_id, today)
        suitability_words.follow(conn, request_id, after.judged, actor=actor, reason=reason)
    return after


def give_reasons(
    engine: Engine,
    config: Config,
    request_id: str,
    reasons: Collection[GoodReason],
    *,
    expected_version: int | None,
    actor: str,
    reason: str,
) -> int:
    """Which of the four good reasons hold: the request's next version. Raises RevisionStale, RevisionRefused."""
    with engine.begin() as conn:
        content = requests.content(requests.get(conn, request_id))
        plan = revisions.revise(
            conn,
            request_id,
            with_reasons(content, reasons),
            actor=actor,
            reason=reason,
            expected_version=expected_version,
            lead_days=config.records.lead_days,
        )
    return plan.version


def with_reasons(content: SecondOpinionRequest, reasons: Collection[GoodReason]) -> SecondOpinionRequest:
    """A request with these of the four good reasons; what other reasons it names stay."""
    others = tuple(each for each in content.reasons if not good_reasons((each,)))
    return content.model_copy(update={"reasons": (*(code_of(each) for each in GoodReason if each in reasons), *others)})


def known(conn: Connection, config: Config, request_id: str, today: date) -> Standing:
    """How a request stands, for who has recorded the look. Raises UnknownRequest."""
    row = requests.get(conn, request_id)
    content, booked = requests.content(row), appointments.current(conn, request_id)
    day, day_is = judged_day(content, booked, today)
    told = known_of(content, suitability_words.spoken(conn, request_id))
    program = config.intake(row.fulfiller)["program"]
    listed = listed_programs.of_request(conn, row.directory_entry, content)
    judged = judge(program, told, day, listed)
    return Standing(request_id, row.version, row.fulfiller, day, day_is, told.reasons, judged)


def _must_be_asked(before: Standing, key: str, value: str, reason: str, spoken: Collection[str]) -> None:
    if key == GO_ON and value == "yes":
        if before.judged.is_emergency:
            raise NotPossible(before.judged.message)
        if not before.judged.refusals:
            raise NotPossible("nothing speaks against this request: there is nothing to go on against")
        if not reason.strip():
            raise NotPossible("say why you go on all the same; your name and your words are kept")
        return
    if key not in {EMERGENCY, *spoken, *(each.key for each in before.judged.questions)}:
        raise NotPossible("nobody asks that of this request")
