"""What one consultant wants otherwise than the checklists say: pictures beside a report, or not; and how long what is open takes."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace

from mappings.model.checklist import Catalog, Checklist, Images, Item, Kind, Need, Rule, State

# Nobody has to wait for these any more, or at all.
_SETTLED = frozenset({State.FOUND, State.WAIVED, State.NOT_APPLICABLE})


def as_wanted(checklist: Checklist, catalog: Catalog, images: Images | None) -> Checklist:
    """The checklist for a consultant who wants pictures or not; None: as it is. Without pictures no disc is asked for."""
    if images is None:
        return checklist
    rules = tuple(_as_wanted(rule, catalog.kinds[rule.kind], images) for rule in checklist.rules)
    return replace(checklist, rules=rules)


def _as_wanted(rule: Rule, kind: Kind, images: Images) -> Rule:
    if kind.is_disc and images is Images.REPORT_ONLY:
        return replace(rule, need=Need.IF_ASKED)
    return replace(rule, images=images) if kind.images else rule


def with_asked(checklist: Checklist, catalog: Catalog, kinds: Collection[str]) -> Checklist:
    """The checklist for a consultant who asked for these kinds of records by name: each is needed, also where no rule has it."""
    asked = [key for key in kinds if key in catalog.kinds]
    rules = [replace(rule, need=Need.REQUIRED) if rule.kind in asked else rule for rule in checklist.rules]
    known = {rule.kind for rule in rules}
    more = [Rule(key, Need.REQUIRED, note="The consultant asked for it.") for key in sorted(asked) if key not in known]
    return replace(checklist, rules=(*rules, *more))


@dataclass(frozen=True)
class Open:
    """An item that somebody still has to get: its kind, how it stands, and business days from asking until it is there."""

    kind: str
    label: str
    state: State
    lead_days: int


def still_open(items: Iterable[Item]) -> tuple[Open, ...]:
    """The items of a judged checklist that are needed and not there, the slowest first.

    One that nobody knows yet whether it applies counts: its question may be answered with yes.
    """
    wanted = (item for item in items if item.state not in _SETTLED and item.rule.need != Need.IF_AVAILABLE)
    found = [Open(item.kind.key, item.kind.label, item.state, item.kind.lead_days) for item in wanted]
    return tuple(sorted(found, key=lambda each: (-each.lead_days, each.kind)))


def lead_days(items: Iterable[Item]) -> int:
    """Business days that the slowest open item takes; 0 when all is there."""
    return max((each.lead_days for each in still_open(items)), default=0)
