"""A request that is still being written: what people typed, what they picked and from where, and who changed what last."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any


@dataclass(frozen=True)
class Pick:
    """One thing a person chose of what a server showed. ``value``: that part of the request, as JSON; ``words``: what was seen.

    ``source``: where it is from, such as ``Condition/12 at hillside``; ``entry``: that of the directory which it was chosen from.
    """

    value: Any
    words: str
    source: str
    entry: int | None = None

    def to_json(self) -> list:
        """As it is stored; drafts that were saved before entries were kept have three parts."""
        return [self.value, self.words, self.source, *([] if self.entry is None else [self.entry])]


@dataclass(frozen=True)
class Change:
    """When a part of a draft was last changed: the version it made, and by whom."""

    version: int
    actor: str


# Picked from a patient's chart, or for it: of no use, and a danger, for another patient.
OF_A_PATIENT = frozenset({"diagnosis", "doctor", "coverage", "order", "consent"})


@dataclass(frozen=True)
class Content:
    """All of a draft. ``typed``: text by field, as a request file calls it; ``picked``: by part (`PARTS`); a pick counts first."""

    typed: Mapping[str, str] = field(default_factory=dict)
    picked: Mapping[str, Pick] = field(default_factory=dict)
    changes: Mapping[str, Change] = field(default_factory=dict)

    def changed(
        self, typed: Mapping[str, str], picked: Mapping[str, Pick | None], *, version: int, actor: str
    ) -> "Content":
        """With these values; a pick that is None is taken back. What is not named stays, what is equal is no change.

        When another patient is picked, or none any more, what was picked with the one before goes too (`OF_A_PATIENT`).
        """
        new = {name for name, value in typed.items() if self.typed.get(name, "") != value}
        picked = {**dict.fromkeys(self._of_another_patient(picked)), **picked}
        new |= {name for name, pick in picked.items() if self.picked.get(name) != pick}
        kept = {name: pick for name, pick in {**self.picked, **picked}.items() if pick is not None}
        made = {name: value for name, value in {**self.typed, **typed}.items() if value}
        return replace(
            self, typed=made, picked=kept, changes={**self.changes, **dict.fromkeys(new, Change(version, actor))}
        )

    def _of_another_patient(self, picked: Mapping[str, Pick | None]) -> frozenset[str]:
        """What was picked with a patient whom ``picked`` replaces or takes back."""
        before = self.picked.get("patient")
        after = picked.get("patient", before)
        if before is None or (after is not None and after.source == before.source):
            return frozenset()
        return OF_A_PATIENT & self.picked.keys()

    def changed_after(self, version: int) -> dict[str, Change]:
        """What others changed since somebody read ``version``."""
        return {name: change for name, change in self.changes.items() if change.version > version}

    def to_json(self) -> dict:
        """As it is stored."""
        return {
            "typed": dict(self.typed),
            "picked": {name: pick.to_json() for name, pick in self.picked.items()},
            "changes": {name: [change.version, change.actor] for name, change in self.changes.items()},
        }

    @classmethod
    def from_json(cls, made: Mapping) -> "Content":
        """As it was stored."""
        return cls(
            dict(made["typed"]),
            {name: Pick(*pick) for name, pick in made["picked"].items()},
            {name: Change(*change) for name, change in made["changes"].items()},
        )


# Parts of a request that are picked whole, and where each stands in it.
PARTS: dict[str, tuple[str, ...]] = {
    "patient": ("patient",),
    "diagnosis": ("first_opinion", "diagnosis"),
    "doctor": ("first_opinion", "doctor"),
    "requester": ("requester",),
    "consultant": ("consultant",),
    "coverage": ("coverage",),
    "order": ("service_request",),
    "consent": ("consent",),
    "reasons": ("reasons",),
    "follows": ("follows",),
    "number": ("opinion_number",),
}


def with_picks(made: dict, picked: Mapping[str, Pick]) -> dict:
    """The request ``made`` of what was typed, with each picked part in the place of it. ``made`` is not changed."""
    whole = {**made}
    for part, pick in picked.items():
        *parents, last = PARTS[part]
        at = whole
        for name in parents:
            at[name] = {**at.get(name, {})}
            at = at[name]
        at[last] = pick.value
    return whole


def part_at(path: str) -> str | None:
    """The part that a place in a request belongs to; None when it is none that can be picked."""
    names = tuple(name.partition("[")[0] for name in path.split("."))
    return next((part for part, place in PARTS.items() if names[: len(place)] == place), None)
