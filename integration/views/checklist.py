"""How the packet of a request stands against its checklist, for pages, API and commands."""

from collections import Counter
from dataclasses import dataclass
from datetime import date

from integration.store.requests import Request
from integration.views.case import Part, is_over
from integration.views.texts import t
from mappings.model.checklist import Catalog, Checklist, Item, State
from mappings.model.consent import RecordKind


@dataclass(frozen=True)
class Completeness:
    """Every item of the checklist on the day of the visit. ``why`` it is this list; ``visit_is``: where the day comes from.

    ``left_out``: kinds of record that were not looked at, because the patient leaves them out.
    """

    request_id: str
    checklist: Checklist
    why: str
    catalog: Catalog
    visit: date
    visit_is: str
    packets: int
    items: tuple[Item, ...]
    left_out: tuple[RecordKind, ...] = ()

    @property
    def counts(self) -> dict[State, int]:
        """How many items are in each state, in the order in which somebody has to do something."""
        found = Counter(item.state for item in self.items)
        return {state: found[state] for state in ORDER if found[state]}

    @property
    def open_items(self) -> tuple[Item, ...]:
        """Where somebody still has something to do, the most pressing first."""
        return tuple(sorted((item for item in self.items if item.is_open), key=lambda item: ORDER.index(item.state)))


ORDER = (
    State.MISSING,
    State.STALE,
    State.PARTIAL,
    State.UNKNOWN,
    State.REQUESTED,
    State.PROMISED,
    State.WAIVED,
    State.FOUND,
    State.NOT_APPLICABLE,
)


def part(found: Completeness, row: Request) -> Part:
    """Its part of the case: how many items somebody still has to see to."""
    key, page, open_items = "checklist", "checklist.show", found.open_items
    if is_over(row):
        return Part(key, "none", t("case.checklist.over"), endpoint=page)
    if not found.packets:
        return Part(key, "waiting", t("checklist.no_packet"), t("case.checklist.gather"), "exchange", endpoint=page)
    if not open_items:
        return Part(key, "done", t("case.checklist.there"), endpoint=page)
    says = t("case.checklist.open", n=len(open_items), all=len(found.items))
    return Part(key, "open", says, t("case.checklist.see"), "coordinator", row.records_due_at, page)


def view(found: Completeness) -> dict:
    """As JSON: ids, states, reasons and days, and no value of a record but its days."""
    return {
        "request_id": found.request_id,
        "checklist": found.checklist.key,
        "title": found.checklist.title,
        "why": found.why,
        "version": found.catalog.version,
        "sha256": found.catalog.sha256,
        "visit": found.visit.isoformat(),
        "visit_is": found.visit_is,
        "packets": found.packets,
        "left_out": [each.value for each in found.left_out],
        "counts": {state.value: number for state, number in found.counts.items()},
        "items": [_item(item) for item in found.items],
    }


def _item(item: Item) -> dict:
    return {
        "item": item.rule.kind,
        "label": item.kind.label,
        "need": item.rule.need,
        "state": item.state.value,
        "reasons": list(item.reasons),
        "question": {"key": item.question.key, "text": item.question.text} if item.question else None,
        "note": item.rule.note or None,
        "sources": list(item.rule.sources),
        "evidence": [
            {"source": each.source, "why": each.why, "day": each.day and each.day.isoformat()} for each in item.evidence
        ],
    }
