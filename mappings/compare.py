"""Says whether what was read back is what was sent.

A changed value, unit, code, status, date or subject fails; any other loss is a finding. Not looked at: meta, logical
ids, whitespace in narrative, empty elements, and what the server may add (codings, identifiers, narrative).
Pure and without values in its messages. Spec of what a server may change:
https://hl7.org/fhir/R4/http.html#create, https://hl7.org/fhir/R4/datatypes.html#decimal
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from typing import Literal

from mappings.references import ATTACHMENT, PLAIN, REFERENCE, RESOURCE, Kind, kind_of, target_of

Change = Literal["changed", "lost", "added", "precision", "notation", "whitespace", "reordered", "unresolved", "moved"]
Severity = Literal["fail", "finding"]


@dataclass(frozen=True)
class Difference:
    """One place where what was read is not what was sent; the message holds no values."""

    path: str
    kind: Change
    severity: Severity
    message: str


def compare(sent: dict, read: dict, *, links: Mapping[str, str], target_base: str | None = None) -> list[Difference]:
    """The differences between a resource as sent and as read back, worst first.

    A sent reference may be the id at the target, or anything ``links`` knows (``Type/id`` of the source, urn:uuid: see
    `bundle.with_urns`). ``target_base`` makes absolute URLs of the target equal relative ones; without it an absolute
    URL of any server does.
    """
    if sent.get("resourceType") != read.get("resourceType"):
        return [Difference("resourceType", "changed", "fail", "another type of resource came back")]
    comparison = _Comparison(links, target_base)
    comparison.elements(sent, read, kind_of(sent), sent["resourceType"], critical=False, skip=_NOT_COMPARED)
    return sorted(comparison.differences, key=lambda difference: difference.severity != "fail")


_NOT_COMPARED = frozenset({"id", "meta", "resourceType"})
_MESSAGES: dict[str, str] = {
    "changed": "it came back different",
    "lost": "it did not come back",
    "added": "the server added it",
    "precision": "the same number with other digits",
    "notation": "the same moment written in another way",
    "whitespace": "only the whitespace differs",
    "reordered": "it came back in another place of the list",
    "unresolved": "the server did not resolve the urn",
    "moved": "the bytes were moved to a url; compare their hash",
}

# Elements whose change fails, beside what _decides() knows by shape: numbers, booleans, dates, whatever has codings.
_CRITICAL = frozenset(
    {
        "subject",
        "patient",
        "beneficiary",
        "for",
        "family",
        "given",
        "gender",
        "status",
        "code",
        "system",
        "unit",
        "comparator",
        "intent",
        "priority",
        "criticality",
        "mode",
        "component",
        "dosage",
        "dosageInstruction",
        "ingredient",
        "low",
        "high",
        "numerator",
        "denominator",
        "content",
        "presentedForm",
        "payload",
        "item",
        "answer",
        "data",
        "category",
        "bodySite",
        "severity",
        "interpretation",
        "manifestation",
        "substance",
        "conclusion",
        "issued",
        "recorded",
        "authoredOn",
        "period",
        "start",
        "end",
        "modifierExtension",
        "doNotPerform",
    }
)
_CRITICAL_STARTS = ("value", "effective", "onset", "abatement", "occurrence", "performed", "deceased", "medication")
_CRITICAL_ENDS = ("Status", "Date", "DateTime", "Period", "Quantity", "Range", "Ratio", "Code", "Concept")
# Labels: they explain what stands beside them and never decide.
_SOFT = frozenset({"display", "version", "userSelected", "title", "size", "hash", "language", "id", "type"})
# Added by a server these change the meaning; any other addition is only reported.
_CRITICAL_WHEN_ADDED = re.compile(
    r"value([A-Z].*)?|deceased.*|.*[sS]tatus|comparator|doNotPerform|modifierExtension|subject|patient|dosage.*|"
    r"component"
)
_ADDED_FREELY = frozenset({"coding", "identifier", "id", "meta", "display"})
_NAMED = {"coding": ("system", "code"), "identifier": ("system", "value")}
_POINTERS = frozenset({"reference", "url"})
_NUMBERS = (int, Decimal, float)
_DATE = re.compile(r"\d{4}-\d\d(-\d\d(T.*)?)?")
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT.*(Z|[+-]\d\d:\d\d)")
_MAX_TRIALS = 4096  # items sent x items read that are tried at other places


class _Comparison:
    """Walks two resources side by side along the type tables and notes what differs."""

    def __init__(self, links: Mapping[str, str], target_base: str | None):
        self.links = links
        self.target_base = target_base
        self.differences: list[Difference] = []

    def note(self, path: str, kind: Change, fails: bool) -> None:
        """Keep one difference."""
        self.differences.append(Difference(path, kind, "fail" if fails else "finding", _MESSAGES[kind]))

    def elements(
        self, sent: dict, read: dict, kind: Kind, path: str, critical: bool, skip: frozenset[str] = frozenset()
    ) -> None:
        """All elements of one node; ``critical``: it stands inside an element that decides."""
        for key, value in sent.items():
            other = read.get(key)
            if key in skip or (value == other if value.__class__ is str else _is_identical(value, other)):
                continue
            if _is_empty(value):
                continue
            decides = _decides(key, value, critical) and not (key == "text" and sent.get("coding"))
            if _is_empty(other):
                self.note(f"{path}.{key}", "lost", decides)
            else:
                self.value(value, other, kind.get(key, PLAIN), f"{path}.{key}", key, decides)
        if len(read) > len(sent) or read.keys() - sent.keys():
            self.added(sent, read, path, skip)

    def added(self, sent: dict, read: dict, path: str, skip: frozenset[str]) -> None:
        """What the server put where nothing was."""
        for key, value in read.items():
            if key in skip or key in _ADDED_FREELY or _is_empty(value) or not _is_empty(sent.get(key)):
                continue
            if not _is_narrative(key, value):
                self.note(f"{path}.{key}", "added", bool(_CRITICAL_WHEN_ADDED.fullmatch(key)))

    def value(self, sent: object, read: object, kind: Kind, path: str, key: str, critical: bool) -> None:
        """One element, whatever its shape."""
        if sent.__class__ is list or read.__class__ is list:
            self.lists(_as_list(sent), _as_list(read), kind, path, key, critical)
        elif sent.__class__ is not dict or read.__class__ is not dict:
            self.primitive(sent, read, path, key, critical)
        elif _is_narrative(key, sent):
            if _narrative(sent) != _narrative(read):
                self.note(path, "changed", False)
        elif kind is REFERENCE:
            self.reference(sent, read, kind, path, critical)
        elif kind is ATTACHMENT:
            self.attachment(sent, read, kind, path, critical)
        elif kind is RESOURCE:
            self.elements(sent, read, kind_of(sent), path, critical, frozenset({"meta"}))
        else:
            self.elements(sent, read, kind, path, critical)

    def primitive(self, sent: object, read: object, path: str, key: str, critical: bool) -> None:
        """A string, number or boolean."""
        difference = _primitive_difference(sent, read, key)
        if difference == "changed":
            self.note(path, difference, critical)
        elif difference:
            self.note(path, difference, False)

    def reference(self, sent: dict, read: dict, kind: Kind, path: str, critical: bool) -> None:
        """To the same resource? Who points elsewhere is wrong wherever it stands."""
        ours, theirs = sent.get("reference"), read.get("reference")
        if ours and theirs:
            difference = self.pointer_difference(ours, theirs)
            if difference:
                self.note(f"{path}.reference", difference, True)
            critical = False  # the rest repeats what the pointer says
        elif ours:
            self.note(f"{path}.reference", "lost", critical)
        elif theirs:
            self.note(f"{path}.reference", "added", False)
        self.elements(sent, read, kind, path, critical, frozenset({"reference"}))

    def attachment(self, sent: dict, read: dict, kind: Kind, path: str, critical: bool) -> None:
        """A server may keep inline bytes elsewhere and give their url (they are compared by hash then)."""
        skip = {"url"}
        if sent.get("data") and not read.get("data") and read.get("url"):
            self.note(f"{path}.data", "moved", False)
            skip.add("data")
        elif sent.get("url") and read.get("url"):
            difference = self.pointer_difference(sent["url"], read["url"])
            if difference:
                self.note(f"{path}.url", difference, True)
        elif sent.get("url"):
            self.note(f"{path}.url", "lost", True)
        self.elements(sent, read, kind, path, critical, frozenset(skip))

    def pointer_difference(self, sent: str, read: str) -> Change | None:
        """None when both name the same resource at the target."""
        if sent.startswith("urn:") and read == sent and sent in self.links:
            return "unresolved"
        here = self.at_target(read)
        if here in (sent, self.at_target(sent), self.links.get(sent), self.links.get(target_of(sent) or "")):
            return None
        return "changed"

    def at_target(self, reference: str) -> str:
        """``Type/id`` of a reference of the target, relative or absolute; any other as it is."""
        base = self.target_base
        if base is None and reference.startswith(("http://", "https://")):
            parts = reference.split("/_history/")[0].rsplit("/", 2)
            base = parts[0] if len(parts) == 3 else None
        return target_of(reference, base) or reference

    def lists(self, sent: list, read: list, kind: Kind, path: str, key: str, critical: bool) -> None:
        """Items by what names them (codings, identifiers), else by place, else wherever they are now."""
        sent, read = [item for item in sent if not _is_empty(item)], [item for item in read if not _is_empty(item)]
        if key in _NAMED and all(item.__class__ is dict for item in [*sent, *read]):
            self.by_name(sent, read, kind, path, key, critical)
        else:
            self.by_place(sent, read, kind, path, key, critical)

    def by_name(self, sent: list, read: list, kind: Kind, path: str, key: str, critical: bool) -> None:
        """Each item sent has to be there; the server may add others."""
        names = _NAMED[key]
        there = {tuple(item.get(name) for name in names): item for item in reversed(read)}
        for index, item in enumerate(sent):
            other = there.get(tuple(item.get(name) for name in names))
            if other is None:
                self.note(f"{path}[{index}]", "lost", _decides(key, item, critical))
            else:
                self.value(item, other, kind, f"{path}[{index}]", key, critical)

    def by_place(self, sent: list, read: list, kind: Kind, path: str, key: str, critical: bool) -> None:
        """1. the same at the same place 2. the same at another place 3. what is left, in order."""

        def trial(index: int, place: int) -> list[Difference]:
            return self.trial(sent[index], read[place], kind, f"{path}[{index}]", key, critical)

        at_place = [trial(index, index) for index in range(min(len(sent), len(read)))]
        left = [index for index in range(len(sent)) if index >= len(at_place) or at_place[index]]
        free = [place for place in range(len(read)) if place >= len(at_place) or at_place[place]]
        if not left and not free:
            return

        def is_same(index: int, place: int) -> bool:
            return self.is_same(sent[index], read[place], kind, key)

        found = _found_elsewhere(left, free, is_same) if len(left) * len(free) <= _MAX_TRIALS else {}
        left = [index for index in left if index not in found]
        free = [place for place in free if place not in found.values()]
        places = [found.get(index, index) for index in range(len(sent)) if index not in left]
        if places != sorted(places):
            self.note(path, "reordered", False)
        for index, place in zip(left, free, strict=False):
            self.differences += at_place[index] if index == place else trial(index, place)
        for index in left[len(free) :]:
            self.note(f"{path}[{index}]", "lost", _decides(key, sent[index], critical))
        if len(free) > len(left):
            self.note(path, "added", bool(_CRITICAL_WHEN_ADDED.fullmatch(key)))

    def trial(self, sent: object, read: object, kind: Kind, path: str, key: str, critical: bool) -> list[Difference]:
        """The differences of two list items, without noting them."""
        if _is_identical(sent, read):
            return []
        trial = _Comparison(self.links, self.target_base)
        trial.value(sent, read, kind, path, key, _decides(key, sent, critical))
        return trial.differences

    def is_same(self, sent: object, read: object, kind: Kind, key: str) -> bool:
        """Is there nothing to note? Ends at the first difference, because many pairs are tried."""
        try:
            _Probe(self.links, self.target_base).value(sent, read, kind, "", key, critical=False)
        except _Different:
            return False
        return True


class _Different(Exception):
    """Two list items are not the same."""


class _Probe(_Comparison):
    """Stops at the first difference."""

    def note(self, path: str, kind: Change, fails: bool) -> None:
        raise _Different

    def trial(self, sent: object, read: object, kind: Kind, path: str, key: str, critical: bool) -> list[Difference]:
        if not _is_identical(sent, read):
            self.value(sent, read, kind, path, key, critical)
        return []


def _found_elsewhere(left: list[int], free: list[int], is_same: Callable[[int, int], bool]) -> dict[int, int]:
    """Place in sent -> another place in read where the same item is now."""
    found: dict[int, int] = {}
    for index in left:
        place = next((place for place in free if place not in found.values() and is_same(index, place)), None)
        if place is not None:
            found[index] = place
    return found


def _decides(key: str, value: object, critical: bool) -> bool:
    """Does a change of this element fail the comparison? By its name, by its shape, or by what it stands in."""
    if value.__class__ is list:
        return any(_decides(key, item, critical) for item in value)
    if value.__class__ is dict:
        return critical or "coding" in value or _is_critical_name(key)
    if key in _SOFT:
        return False
    return critical or _is_critical_name(key) or value.__class__ is not str or bool(_DATE.fullmatch(value))


@lru_cache(maxsize=4096)
def _is_critical_name(key: str) -> bool:
    return key in _CRITICAL or key.startswith(_CRITICAL_STARTS) or key.endswith(_CRITICAL_ENDS)


def _primitive_difference(sent: object, read: object, key: str) -> Change | None:
    if isinstance(sent, bool) or isinstance(read, bool):
        return None if sent is read else "changed"
    if isinstance(sent, _NUMBERS) and isinstance(read, _NUMBERS):
        if Decimal(str(sent)) != Decimal(str(read)):
            return "changed"
        return None if str(sent) == str(read) else "precision"
    if not isinstance(sent, str) or not isinstance(read, str):
        return "changed"
    return None if sent == read else _text_difference(sent, read, key)


def _text_difference(sent: str, read: str, key: str) -> Change | None:
    if "".join(sent.split()) == "".join(read.split()):
        return None if key == "data" else "whitespace"  # base64 may be wrapped
    if _MOMENT.fullmatch(sent) and _MOMENT.fullmatch(read) and _moment(sent) == _moment(read) is not None:
        return "notation"
    return "changed"


def _moment(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None


def _is_identical(sent: object, read: object) -> bool:
    """Equal to the last digit; == alone takes 1.10 for 1.1 and True for 1. The short way for nearly everything."""
    if sent.__class__ is not read.__class__:
        return False
    if sent.__class__ is dict:
        if len(sent) != len(read):
            return False
        for key, value in sent.items():
            other = read.get(key)
            if value != other if value.__class__ is str else not _is_identical(value, other):
                return False
            if key in _POINTERS and value[:4] == "urn:":  # came back as sent, but should not have
                return False
        return True
    if sent.__class__ is list:
        return len(sent) == len(read) and all(map(_is_identical, sent, read))
    return sent == read and (sent.__class__ is not Decimal or str(sent) == str(read))


def _is_empty(value: object) -> bool:
    if value.__class__ is dict:
        return all(_is_empty(item) for item in value.values())
    if value.__class__ is list:
        return all(_is_empty(item) for item in value)
    return value is None or value == ""


def _as_list(value: object) -> list:
    return value if isinstance(value, list) else [value]


def _is_narrative(key: str, value: object) -> bool:
    return key == "text" and value.__class__ is dict and "div" in value


def _narrative(text: dict) -> str:
    """The div without the whitespace that does not show."""
    return re.sub(r"\s*(<[^>]*>)\s*", r"\1", " ".join(str(text.get("div", "")).split()))
