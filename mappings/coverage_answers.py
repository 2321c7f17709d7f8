"""Which answer of an insurer counts for a visit, and whether it can still be relied on.

Eligibility is checked by the month: an answer for March says nothing about April.
"""

from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, time

from mappings.model.coverage import AnswerWord, CoverageAnswer, OrderCoverage, Stand, Standing, Told, YesNo

_COVERED: dict[str, AnswerWord] = {"covered": "covered", "not-covered": "not-covered", "conditional": "conditional"}
_AUTHORIZATION: dict[str, YesNo] = {"auth-needed": "yes", "performpa": "yes", "satisfied": "yes", "no-auth": "no"}
NOBODY_ASKED = "Ask the insurer, and write down what they say"


def told(answers: Iterable[CoverageAnswer], of_order: Iterable[OrderCoverage]) -> tuple[Told, ...]:
    """All answers alike, in the order in which they are kept: those of people, then those of the order."""
    of_people = [_of_answer(number, each) for number, each in enumerate(answers, start=1)]
    return (*of_people, *(_of_order(number, each) for number, each in enumerate(of_order, start=1)))


def stands(answers: Iterable[Told], visit: date | None, today: date) -> Standing:
    """How coverage stands for ``visit``; None when no day is known: then for today.

    A corrected entry never counts. A later answer counts instead of an earlier one about the same insurance, and where one of
    the two does not say which insurance, instead of that too.
    """
    answers = list(answers)
    corrected = {each.corrects for each in answers if each.corrects}
    newest_first = sorted((each for each in answers if each.id not in corrected), key=_age, reverse=True)
    current: list[Stand] = []
    older = {each.id: "corrected by a later entry" for each in answers if each.id in corrected}
    for each in newest_first:
        if any(_is_about(later.told, each) for later in current):
            older[each.id] = "a later answer counts"
        else:
            current.append(Stand(each, tuple(_stale(each, visit, today))))
    return Standing(tuple(current), older, _next(current))


def _is_about(later: Told, earlier: Told) -> bool:
    return later.coverage is None or earlier.coverage is None or later.coverage == earlier.coverage


def _age(each: Told) -> tuple[datetime, str, int, str]:
    """A day alone is its beginning: what was said on the phone that day counts instead of what the order had."""
    if each.given is None:
        return datetime.min.replace(tzinfo=UTC), each.source, each.number, each.id
    at = each.given if isinstance(each.given, datetime) else datetime.combine(each.given, time(0), UTC)
    return at.astimezone(UTC), each.source, each.number, each.id


def _stale(each: Told, visit: date | None, today: date) -> Iterator[str]:
    day = visit or today
    asked = each.service_on or each.given_on
    if asked is None:
        yield "nobody knows when it was given"
    elif (asked.year, asked.month) != (day.year, day.month):
        of = "the visit is" if visit else "today is"
        yield f"it was asked for {asked:%B %Y}, and {of} in {day:%B %Y}"
    if each.expires_on and day > each.expires_on:
        yield f"it holds until {each.expires_on}"
    if each.valid_to and day > each.valid_to:
        yield f"the authorization ends on {each.valid_to}"
    if each.valid_from and day < each.valid_from:
        yield f"the authorization begins on {each.valid_from}"


def _next(current: list[Stand]) -> str | None:
    """The one thing that a person does now. A refusal stops nothing: the patient is asked."""
    if not current:
        return NOBODY_ASKED
    stand = current[0]
    if stand.stale:
        return f"Ask the insurer again: {'; '.join(stand.stale)}"
    each = stand.told
    if each.answer == "not-covered":
        return "Tell the patient that the insurer does not cover it, and ask whether to go on"
    if each.answer in ("conditional", "unclear"):
        return f"Ask the insurer what it depends on{': ' + ', '.join(each.wants) if each.wants else ''}"
    if each.authorization == "yes" and not each.authorization_number:
        return "Get the insurer's authorization, and write its number down"
    return f"Give the insurer what it wants: {', '.join(each.wants)}" if each.wants else None


def _of_answer(number: int, each: CoverageAnswer) -> Told:
    return Told(
        each.id,
        each.source,
        each.answer,
        each.given_at,
        each.authorization,
        each.authorization_number,
        each.coverage,
        each.service_on,
        each.valid_from,
        each.valid_to,
        each.expires_on,
        each.required,
        corrects=each.corrects,
        number=number,
    )


def _of_order(number: int, each: OrderCoverage) -> Told:
    wants = (*each.documentation, *each.information, *each.questionnaires)
    return Told(
        f"order-{number}",
        "order",
        _COVERED.get(each.covered or "", "unclear"),
        each.stated_on,
        _AUTHORIZATION.get(each.authorization or "", "unknown"),
        each.authorization_number,
        each.coverage,
        expires_on=each.expires_on,
        wants=wants,
        number=number,
    )
