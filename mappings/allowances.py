"""Reviewed exceptions from the comparison: one kind of difference, at one endpoint, until a day. Never who it is about."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mappings.compare import Difference

PATTERN = re.compile(r"(\*\*?|[A-Za-z_][A-Za-z0-9_]*)(\.(\*\*?|[A-Za-z_][A-Za-z0-9_]*))*")
MAX_DAYS = 400  # what nobody looked at again for a year is not reviewed


@dataclass(frozen=True)
class Allowance:
    """One difference that somebody looked at and lets pass.

    ``path`` names an element and all below it, without indexes: ``Observation.note``; ``*`` is any one element, ``**``
    any number of them.
    """

    path: str
    difference: str | None
    reason: str
    reviewed_by: str
    until: date

    def counts_on(self, day: date) -> bool:
        """Its last day counts."""
        return day <= self.until

    def sentence(self, day: date) -> str:
        """For whoever looks at the endpoint: what is let pass, why, by whom, and whether it still is."""
        state = "until" if self.counts_on(day) else "no longer, it ended on"
        return f"{self.path} may be {self.difference or 'different'}, {state} {self.until} ({self.reviewed_by}: {self.reason})"

    def covers(self, difference: "Difference") -> bool:
        """True when it is about this difference."""
        return (
            self.difference in (None, difference.kind)
            and _expression(self.path).fullmatch(re.sub(r"\[\d+\]", "", difference.path)) is not None
        )


def settled(
    differences: "Iterable[Difference]", allowances: Iterable[Allowance], day: date
) -> "list[tuple[Difference, Allowance | None]]":
    """Each difference with what allows it on this day; one that is allowed no longer decides.

    Who a record is about is never allowed to differ.
    """
    from mappings.compare import is_about_the_patient  # every command reads the configuration, few compare

    counting = [each for each in allowances if each.counts_on(day)]
    found = []
    for each in differences:
        by = next((one for one in counting if one.covers(each)), None) if each.severity == "fail" else None
        by = None if is_about_the_patient(each) else by
        found.append((replace(each, severity="finding") if by else each, by))
    return found


def pattern_problem(path: str) -> str | None:
    """What is wrong with a path pattern, for whoever wrote it."""
    if not PATTERN.fullmatch(path):
        return "must be a path such as Observation.note, *.text or **.display, without indexes"
    if not re.search(r"[A-Za-z]", path.partition(".")[2]):
        return "must name an element: a path of wildcards, or a whole resource, would let everything pass"
    if re.search(r"\.(subject|patient|beneficiary|for)(\.|$)", path):
        return "must not be about whose record it is: that is never allowed to differ"
    return None


@lru_cache(maxsize=1024)
def _expression(path: str) -> re.Pattern:
    parts = {"*": r"[^.]+", "**": r"[^.]+(?:\.[^.]+)*"}
    return re.compile(r"\.".join(parts.get(each, re.escape(each)) for each in path.split(".")) + r"(?:\..*)?")
