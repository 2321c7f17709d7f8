"""A payer's own system asked by a person whether this second opinion is covered; for pages, API, commands and the step."""

from collections.abc import Iterable
from datetime import date

from sqlalchemy import Connection, Engine

from integration import coverage
from integration.settings.config import Config
from integration.store import appointments, audit, eligibility_asks, insurances, requests, steps
from integration.store.eligibility_asks import EligibilityAsk
from integration.store.operations import NotPossible
from integration.visit_day import known_day
from mappings.eligibility import Answered
from mappings.model.coverage import CoverageAnswer
from mappings.model.eligibility import SERVICES, AskWord
from mappings.times import in_utc


def payers(config: Config) -> dict[str, str]:
    """Those whose system can be asked: key and name."""
    return {key: each.name for key, each in config.endpoints.items() if each.role == "payer"}


def ask(
    engine: Engine,
    config: Config,
    request_id: str,
    payer: str,
    insurance: str,
    service: str,
    *,
    actor: str,
    reason: str,
) -> int:
    """Ask ``payer`` about an insurance of the patient (``Coverage/id`` at the placer); the step sends it. Its number.

    Raises NotPossible for what cannot be asked.
    """
    if payer not in payers(config):
        raise NotPossible("choose which insurer's system is asked: no such one is in config.yaml")
    if service not in SERVICES:
        raise NotPossible(f"choose what is asked: {', '.join(f'{code} ({words})' for code, words in SERVICES.items())}")
    with engine.begin() as conn:
        row = requests.get(conn, request_id)
        content = requests.content(row)
        known = {each.reference for each in insurances.of_request(conn, request_id)} | set(content.coverage)
        if insurance not in known:
            raise NotPossible("choose which insurance of the patient is asked about: have it read from the EHR first")
        day = known_day(content, appointments.current(conn, request_id))
        return eligibility_asks.ask(conn, request_id, payer, insurance, service, day, actor=actor, reason=reason)


def keep_answer(
    conn: Connection, config: Config, each: EligibilityAsk, said: Answered, reference: str, *, actor: str, now: str
) -> CoverageAnswer:
    """The response becomes an answer as one by phone is, once. Raises RevisionRefused where the request has ended."""
    steps.lock_with_request(conn, each.request_id)
    content = requests.content(requests.get(conn, each.request_id))
    answer = CoverageAnswer.model_validate(
        {
            "id": f"answer-{len(content.coverage_answers) + 1}",
            "source": "payer",
            "answer": said.answer,
            "asked": f"{SERVICES[each.service]} (service type {each.service})",
            "given_at": said.given or now,
            "insurer": config.endpoints[each.endpoint].name,
            "reference": reference,
            "service_on": each.service_on,
            "coverage": each.coverage,
            "authorization": said.authorization,
            "authorization_number": said.authorization_number,
            "network": said.network,
            "expires_on": _holds_until(said, now),
            "note": said.note or None,
            "recorded_by": actor,
            "recorded_at": now,
        }
    )
    coverage.add(conn, config, each.request_id, answer, actor=actor, reason="the insurer's system answered")
    eligibility_asks.tell(conn, each.id, AskWord.ANSWERED, reference=reference, answer_id=answer.id)
    audit.record(conn, actor, "coverage.payer-answered", each.request_id, subject=f"{each.endpoint} {reference}")
    return answer


def _holds_until(said: Answered, now: str) -> date | None:
    """The end of the benefit period; one before the answer is none that an answer holds until."""
    given = in_utc(said.given or now)
    return said.ends if said.ends and given and said.ends >= given.date() else None


def waiting(asks: Iterable[EligibilityAsk]) -> list[EligibilityAsk]:
    """Those that no answer is there for, newest first."""
    return [each for each in reversed(list(asks)) if each.status != AskWord.ANSWERED]
