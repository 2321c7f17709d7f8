"""What a server may lawfully do with what it is given: the short list. Everything else that differs decides.

docs/explanation/verification.md shows these rows (a test compares). https://hl7.org/fhir/R4/http.html#create,
https://hl7.org/fhir/R4/resource.html#Meta, https://hl7.org/fhir/R4/datatypes.html#decimal
"""

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, get_args

Change = Literal[
    "changed",
    "lost",
    "added",
    "precision",
    "notation",
    "whitespace",
    "markup",
    "reordered",
    "renamed",
    "unresolved",
    "moved",
    "label",
]


@dataclass(frozen=True)
class Lawful:
    """One thing a server may do: a kind of difference at elements (a regular expression over paths without indexes).

    ``recorded``: it is kept as a finding; else it is nothing to speak of.
    """

    kinds: tuple[Change, ...]
    what: str
    reason: str
    at: str = r".*"
    but_not: str = r"(?!)"
    recorded: bool = True


# In a list of these the order is part of what is said.
ORDERED = (
    r".*\.(section|dosageInstruction|dosage|note|item|answer|payload|content|presentedForm|given|prefix|suffix|line)"
)

LAWFUL = (
    Lawful(
        ("changed", "lost", "added"),
        "the resource's own id, `meta.versionId`, `meta.lastUpdated`, `meta.source`",
        "A server gives them; R4 says that it ignores ours.",
        at=r"\w+(\.contained)?\.(id|meta\.(versionId|lastUpdated|source|extension))",
        recorded=False,
    ),
    Lawful(
        ("added",),
        "a profile or tag of its own in `meta`",
        "Both speak of how a resource is kept, not of the patient. `SUBSETTED` is no such tag: part of it is missing.",
        at=r"\w+(\.contained)?\.meta\.(profile|tag)",
        recorded=False,
    ),
    Lawful(
        ("lost", "changed"),
        "a profile or tag of ours in `meta` left out",
        "R4 lets a server change both; which profile a record claims says nothing about the patient.",
        at=r"\w+(\.contained)?\.meta\.(profile|tag)(\..*)?",
    ),
    Lawful(
        ("added",),
        "a security label more",
        "A server may protect what it holds more strictly. One that is lost decides: others would see what they must not.",
        at=r"\w+(\.contained)?\.meta\.security",
    ),
    Lawful(
        ("added",),
        "an identifier of its own beside ours",
        "A system numbers what it keeps.",
        at=r".*\.identifier",
        recorded=False,
    ),
    Lawful(
        ("added",),
        "a `display` where we sent none",
        "It is the word of the code or the name of the reference that stands beside it, both of which are compared.",
        at=r".*\.display",
        recorded=False,
    ),
    Lawful(
        ("added",),
        "a coding more, ours intact, in category, service type, specialty, setting, language, or the type of an identifier, document or encounter",
        "These sort a record. In any other place (`code`, a value, a substance, a body site, a status) another code can "
        "say something else, so it decides.",
        at=r".*\.(category|serviceCategory|serviceType|specialty|practiceSetting|facilityType|maritalStatus|language|"
        r"identifier\.type)\.coding|(DocumentReference|Encounter|Composition)\.type\.coding",
    ),
    Lawful(
        ("added",),
        "a narrative made by the server (status `generated`) where we sent none",
        "By definition it only repeats the elements, which are compared.",
        at=r"\w+(\.contained)?\.text\.generated",
    ),
    Lawful(
        ("added",),
        "the target of a reference that we named by identifier",
        "Resolving it is what a logical reference is for. Not that of the patient: who it is about has to be what we wrote.",
        at=r".*\.(reference|Reference\.type|Reference\.identifier)",
        but_not=r".*\.(subject|patient|beneficiary|for)\.reference",
    ),
    Lawful(
        ("changed", "lost", "added"),
        "`id` of an element inside a resource",
        "It only serves to point at a place within the resource.",
        at=r".*\.id",
    ),
    Lawful(
        ("renamed",),
        "contained resources called something else, everywhere in the resource",
        "Their ids mean nothing outside it; every `#id` has to lead to the same contained resource.",
    ),
    Lawful(
        ("whitespace",),
        "whitespace between words",
        "All words are there, in their order and each by itself.",
    ),
    Lawful(
        ("markup",),
        "other XHTML around the same words of a narrative",
        "Servers normalize markup and take out what could run in a browser; every word has to stay.",
    ),
    Lawful(
        ("notation",),
        "another way to write the same: a number of equal value and precision (`1E-7`), the same moment in another zone, "
        "a content type in other letters, a character composed otherwise",
        "Nothing that is said differs.",
    ),
    Lawful(
        ("reordered",),
        "another order in a list where the order says nothing",
        "Codings, identifiers, components and the like are named by what is in them.",
        but_not=ORDERED,
    ),
    Lawful(
        ("moved",),
        "inline bytes kept under a url",
        "They are then fetched from there, and have to have the hash of what was sent.",
    ),
    Lawful(
        ("label",),
        "`size` and `hash` of an attachment whose bytes are the same",
        "Both only describe the bytes, which are compared themselves.",
    ),
)
_INDEX = re.compile(r"\[\d+\]")


@lru_cache(maxsize=16384)
def _ruling(kind: Change, plain: str) -> Lawful | None:
    return next((rule for rule in _RULES.get(kind, ()) if _matches(rule, plain)), None)


def ruling(kind: Change, path: str) -> Lawful | None:
    """The row that allows this difference; None: it decides."""
    return _ruling(kind, _INDEX.sub("", path))


def _matches(rule: Lawful, path: str) -> bool:
    return re.fullmatch(rule.at, path) is not None and re.fullmatch(rule.but_not, path) is None


_RULES: dict[Change, tuple[Lawful, ...]] = {
    kind: tuple(rule for rule in LAWFUL if kind in rule.kinds) for kind in get_args(Change)
}
