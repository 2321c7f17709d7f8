"""How coverage stands, for pages, API, commands and the case; sentences of the case hold nothing clinical and no numbers."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

from integration.coverage import Coverage
from integration.views.case import Part
from mappings.model.coverage import CoverageAnswer, Insurance, OrderCoverage, Told


@dataclass(frozen=True)
class Shown:
    """One answer as it is shown: ``standing`` is counts, stale or why it does not count; ``facts``: field and words."""

    id: str
    source: str
    answer: str
    standing: str
    counts: bool
    stale: tuple[str, ...]
    facts: tuple[tuple[str, str], ...]
    answered: CoverageAnswer | None
    of_order: OrderCoverage | None


_OF_ANSWER = (
    "asked",
    "given_at",
    "insurer",
    "person",
    "department",
    "phone",
    "called_by",
    "reference",
    "service_on",
    "coverage",
    "authorization",
    "authorization_number",
    "valid_from",
    "valid_to",
    "units",
    "network",
    "required",
    "expires_on",
    "note",
)
_OF_ORDER = (
    "coverage",
    "covered",
    "authorization",
    "authorization_number",
    "documentation",
    "information",
    "reasons",
    "billing_codes",
    "stated_on",
    "assertion_id",
    "expires_on",
    "contacts",
    "questionnaires",
)


def shown(found: Coverage) -> tuple[Shown, ...]:
    """Every answer, those that count first, then the newest entries first."""
    stale = {each.told.id: each.stale for each in found.standing.current}
    told: dict[str, Told] = {each.told.id: each.told for each in found.standing.current}
    everything = [*_of_people(found, stale), *_of_the_order(found, stale)]
    return tuple(
        sorted(everything, key=lambda each: (not each.counts, list(told).index(each.id) if each.counts else 0))
    )


def _of_people(found: Coverage, stale: dict[str, tuple[str, ...]]) -> Iterator[Shown]:
    for each in reversed(found.answers):
        facts = tuple(_facts(each, _OF_ANSWER))
        yield _shown(found, each.id, each.source, each.answer, stale, facts, answered=each)


def _of_the_order(found: Coverage, stale: dict[str, tuple[str, ...]]) -> Iterator[Shown]:
    for number, each in enumerate(found.of_order, start=1):
        facts = tuple(_facts(each, _OF_ORDER))
        known = each.covered if each.covered in ("covered", "not-covered", "conditional") else "unclear"
        yield _shown(found, f"order-{number}", "order", known, stale, facts, of_order=each)


def _shown(
    found: Coverage,
    answer_id: str,
    source: str,
    answer: str,
    stale: dict[str, tuple[str, ...]],
    facts: tuple[tuple[str, str], ...],
    *,
    answered: CoverageAnswer | None = None,
    of_order: OrderCoverage | None = None,
) -> Shown:
    counts = answer_id in stale
    why = stale.get(answer_id, ())
    standing = ("stale" if why else "counts") if counts else found.standing.older.get(answer_id, "")
    return Shown(answer_id, source, answer, standing, counts, why, facts, answered, of_order)


def _facts(of: CoverageAnswer | OrderCoverage, names: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    for name in names:
        value = getattr(of, name)
        if value in (None, (), "unknown"):
            continue
        if isinstance(value, tuple):
            value = ", ".join(value)
        yield name, f"{value:%Y-%m-%d %H:%M %Z}" if name == "given_at" else str(value)


def ends_before(each: Insurance, visit: date | None) -> bool:
    """True when the insurance is known to have ended by the day of the visit."""
    return each.ends is not None and visit is not None and each.ends < visit


def view(found: Coverage) -> dict:
    """As JSON."""
    newest = found.standing.newest
    return {
        "request_id": found.request_id,
        "version": found.version,
        "visit": found.visit and found.visit.isoformat(),
        "answer": newest.told.answer if newest else None,
        "stale": list(newest.stale) if newest else [],
        "required": found.standing.required,
        "next": found.standing.next,
        "answers": [
            {
                "id": each.id,
                "source": each.source,
                "answer": each.answer,
                "counts": each.counts,
                "why_not": None if each.counts else each.standing,
                "stale": list(each.stale),
                "said": (each.answered or each.of_order).model_dump(mode="json", exclude_defaults=True),  # type: ignore[union-attr]
            }
            for each in shown(found)
        ],
        "insurances": [
            {
                "reference": each.reference,
                "insurer": each.insurer or None,
                "plan": each.plan or None,
                "status": each.status or None,
                "begins": each.begins and each.begins.isoformat(),
                "ends": each.ends and each.ends.isoformat(),
                "relationship": each.relationship or None,
                "read_at": each.read_at and each.read_at.isoformat(),
                "ends_before_the_visit": ends_before(each, found.visit),
            }
            for each in found.insurances
        ],
        "coverages": list(found.references),
        "unknown_codes": list(found.unknown_codes),
        "asked": [
            {
                "id": each.id,
                "endpoint": each.endpoint,
                "coverage": each.coverage,
                "service": each.service,
                "service_on": each.service_on and each.service_on.isoformat(),
                "status": each.status,
                "detail": each.detail or None,
                "reference": each.reference,
                "answer_id": each.answer_id,
                "actor": each.actor,
                "created_at": each.created_at.isoformat(),
            }
            for each in found.asks
        ],
    }


_SAYS = {
    "covered": "The insurer said that it is covered",
    "not-covered": "The insurer said that it is not covered",
    "conditional": "The insurer said that it is covered under conditions",
    "unclear": "What the insurer said is unclear",
}


def part(found: Coverage) -> Part:
    """One row of the case."""
    newest, where = found.standing.newest, "coverage.show"
    if newest is None:
        return Part(
            "coverage", "none", "Nobody has asked the insurer", found.standing.next or "", "coordinator", endpoint=where
        )
    says = _SAYS[newest.told.answer] + (", and that has to be asked again" if newest.stale else "")
    move = found.standing.next
    return Part(
        "coverage",
        "open" if move else "done",
        says,
        _move(move, bool(newest.stale)),
        "coordinator" if move else "",
        endpoint=where,
    )


def _move(move: str | None, is_stale: bool) -> str:
    return "Ask the insurer again" if is_stale else move or ""
