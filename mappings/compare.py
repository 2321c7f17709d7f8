"""Says whether what was read back is what was sent. Everything that differs decides, except what `lawful` lists.

Pure and without values in its messages. The words of a record are compared as words, numbers to the last digit,
references by what they lead to, bytes as bytes. Bytes that a server moved to a url are for the caller to fetch:
``Difference.moved_to`` says from where.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from mappings.addresses import Bases
from mappings.lawful import Change, ruling
from mappings.references import ATTACHMENT, PLAIN, REFERENCE, RESOURCE, Kind, kind_of, target_of
from mappings.rendition.narrative import plain_text
from mappings.same_value import is_empty, is_identical, letters, primitive_difference
from mappings.structure import shown_name

Severity = Literal["fail", "finding"]


@dataclass(frozen=True)
class Difference:
    """One place where what was read is not what was sent; the message holds no values."""

    path: str
    kind: Change
    severity: Severity
    message: str
    moved_to: str | None = None  # where the server keeps bytes that were sent inline


def compare(sent: dict, read: dict, *, links: Mapping[str, str], target_base: Bases = None) -> list[Difference]:
    """The differences between a resource as sent and as read back, worst first.

    A sent reference may be the id at the target, or anything ``links`` knows (``Type/id`` of the source, urn:uuid: see
    `bundle.with_urns`). ``target_base`` makes absolute URLs of the target equal relative ones; without it an absolute
    URL of any server does.
    """
    if sent.get("resourceType") != read.get("resourceType"):
        return [Difference("resourceType", "changed", "fail", "another type of resource came back")]
    comparison = _Comparison(links, target_base)
    names, path = _contained_names(sent, read), str(sent.get("resourceType"))
    if names:
        comparison.note(f"{path}.contained", "renamed")
    comparison.resource(_renamed(sent, names) if names else sent, read, path)
    return sorted(comparison.differences, key=lambda difference: difference.severity != "fail")


def is_about_the_patient(difference: Difference) -> bool:
    """True for what says who a record is about: no waiver lets that go."""
    return _IDENTITY.fullmatch(_plain(difference.path)) is not None


_IDENTITY = re.compile(r"resourceType|\w+(\.contained)?\.(subject|patient|beneficiary|for)(\.reference)?")
_MESSAGES: dict[str, str] = {
    "changed": "it came back different",
    "lost": "it did not come back",
    "added": "the server added it",
    "precision": "the same number with other digits",
    "notation": "the same, written in another way",
    "whitespace": "only the whitespace differs",
    "markup": "the same words with other markup",
    "reordered": "it came back in another place of the list",
    "renamed": "the contained resource has another id",
    "unresolved": "the server did not resolve the urn",
    "moved": "the bytes were moved to a url",
    "label": "the bytes are the same and are described otherwise",
}
_NAMED = {
    "coding": ("system", "code"),
    "identifier": ("system", "value"),
    "security": ("system", "code"),
    "tag": ("system", "code"),
}
_LABELS = ("size", "hash")
_MAX_TRIALS = 4096  # items sent x items read that are tried at other places


class _Comparison:
    """Walks two resources side by side along the type tables and notes what differs."""

    def __init__(self, links: Mapping[str, str], target_base: Bases):
        self.links = links
        self.target_base = target_base
        self.differences: list[Difference] = []

    def note(self, path: str, kind: Change, *, moved_to: str | None = None) -> None:
        """Keep one difference, unless it is nothing to speak of."""
        rule = ruling(kind, path)
        if rule is None or rule.recorded:
            path = path.removesuffix(".generated").replace(".Reference.", ".")
            severity: Severity = "finding" if rule else "fail"
            self.differences.append(Difference(path, kind, severity, _MESSAGES[kind], moved_to))

    def resource(self, sent: dict, read: dict, path: str) -> None:
        """One resource: itself, or contained. What a resource calls itself is not one of its elements."""
        if ".contained" in path and sent.get("id") != read.get("id"):
            self.note(path, "changed")
        self.elements(sent, read, kind_of(sent), path, frozenset({"id"}))

    def elements(self, sent: dict, read: dict, kind: Kind, path: str, skip: frozenset[str] = frozenset()) -> None:
        """All elements of one node."""
        for key, value in sent.items():
            other = read.get(key)
            if key in skip or (value == other if value.__class__ is str else is_identical(value, other)):
                continue
            if is_empty(value) or _is_narrative(key, value) and not _words(value["div"]):
                continue
            if key == "meta" and is_empty(other) and isinstance(value, dict):
                self.elements(value, {}, PLAIN, f"{path}.meta")
            elif is_empty(other):
                self.note(f"{path}.{shown_name(key)}", "lost")
            else:
                self.value(value, other, kind.get(key, PLAIN), f"{path}.{shown_name(key)}", key)
        if len(read) > len(sent) or read.keys() - sent.keys():
            self.added(sent, read, path, skip)

    def added(self, sent: dict, read: dict, path: str, skip: frozenset[str]) -> None:
        """What the server put where nothing was."""
        for key, value in read.items():
            if key in skip or is_empty(value) or not is_empty(sent.get(key)):
                continue
            if key == "meta":
                self.elements({}, value if isinstance(value, dict) else {"meta": value}, PLAIN, f"{path}.meta")
            elif key == "tag" and _is_subset(value):
                self.note(f"{path}.tag.subsetted", "added")
            else:
                generated = _is_narrative(key, value) and value.get("status") == "generated"
                self.note(f"{path}.{shown_name(key)}{'.generated' if generated else ''}", "added")

    def value(self, sent: object, read: object, kind: Kind, path: str, key: str) -> None:
        """One element, whatever its shape."""
        if sent.__class__ is list or read.__class__ is list:
            self.lists(_as_list(sent), _as_list(read), kind, path, key)
        elif sent.__class__ is not dict or read.__class__ is not dict:
            self.primitive(sent, read, path, key)
        elif _is_narrative(key, sent):
            self.narrative(sent, read, path)
        elif kind is REFERENCE:
            self.reference(sent, read, kind, path)
        elif kind is ATTACHMENT:
            self.attachment(sent, read, kind, path)
        elif kind is RESOURCE:
            self.resource(sent, read, path)
        else:
            self.elements(sent, read, kind, path)

    def primitive(self, sent: object, read: object, path: str, key: str) -> None:
        """A string, number or boolean."""
        difference = primitive_difference(sent, read, key)
        if difference:
            self.note(path, difference)

    def narrative(self, sent: dict, read: dict, path: str) -> None:
        """Every word of it, whatever the markup."""
        ours, theirs = (str(each.get("div") or "") for each in (sent, read))
        if _words(ours) != _words(theirs):
            self.note(path, "changed" if _words(theirs) else "lost")
        elif _squeezed(ours) != _squeezed(theirs):
            self.note(path, "markup")
        self.elements(sent, read, PLAIN, path, frozenset({"div"}))

    def reference(self, sent: dict, read: dict, kind: Kind, path: str) -> None:
        """To the same resource? Who points elsewhere is wrong wherever it stands."""
        ours, theirs = sent.get("reference"), read.get("reference")
        is_text = isinstance(ours, str) and isinstance(theirs, str)
        if ours and theirs:
            difference = self.pointer_difference(ours, theirs) if is_text else None if ours == theirs else "changed"
            if difference:
                self.note(f"{path}.reference", difference)
        elif ours:
            self.note(f"{path}.reference", "lost")
        elif theirs:
            self.note(f"{path}.reference", "added")
        self.elements(sent, read, kind, path, frozenset({"reference", "type", "identifier"}))
        self.said_of_target(sent, read, kind, path)

    def said_of_target(self, sent: dict, read: dict, kind: Kind, path: str) -> None:
        """Type and identifier repeat what a reference leads to: a server may say so where we did not."""
        for key in ("type", "identifier"):
            ours, theirs = sent.get(key), read.get(key)
            if not is_empty(ours):
                self.elements({key: ours}, {} if theirs is None else {key: theirs}, kind, path)
            elif not is_empty(theirs) and not (key == "type" and str(read.get("reference")).startswith(f"{theirs}/")):
                self.note(f"{path}.Reference.{key}", "added")

    def attachment(self, sent: dict, read: dict, kind: Kind, path: str) -> None:
        """Bytes inside: the same bytes, or a url to fetch them from. A url: the same one."""
        skip, inside = {"url", "data"}, sent.get("data")
        if inside and not sent.get("url") and isinstance(read.get("url"), str):
            self.note(f"{path}.data", "moved", moved_to=read["url"])
        elif sent.get("url") and read.get("url"):
            difference = self.pointer_difference(str(sent["url"]), str(read["url"]))
            if difference:
                self.note(f"{path}.url", difference)
        elif sent.get("url"):
            self.note(f"{path}.url", "lost")
        elif read.get("url"):
            self.note(f"{path}.url", "added")
        if inside and read.get("data"):
            skip.discard("data")
        elif inside and not read.get("url"):
            self.note(f"{path}.data", "lost")
        elif not inside and read.get("data"):
            self.note(f"{path}.data", "added")
        if inside:
            skip |= self.labels(sent, read, path)
        self.elements(sent, read, kind, path, frozenset(skip))

    def labels(self, sent: dict, read: dict, path: str) -> set[str]:
        """Size and hash of bytes that are compared themselves."""
        for key in _LABELS:
            if not is_empty(sent.get(key)) and sent.get(key) != read.get(key):
                self.note(f"{path}.{key}", "label")
        return set(_LABELS)

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

    def lists(self, sent: list, read: list, kind: Kind, path: str, key: str) -> None:
        """Items by what names them (codings, identifiers), else by place, else wherever they are now."""
        if not key.startswith("_"):  # there an empty item keeps the place of the one it stands beside
            sent, read = ([item for item in items if not is_empty(item)] for items in (sent, read))
        if key in _NAMED and all(item.__class__ is dict for item in [*sent, *read]) and _are_named(sent, key):
            self.by_name(sent, read, kind, path, key)
        else:
            self.by_place(sent, read, kind, path, key)

    def by_name(self, sent: list, read: list, kind: Kind, path: str, key: str) -> None:
        """Each item sent has to be there, as often as it was sent; those beside them were added."""
        there: dict[tuple, list[dict]] = {}
        for item in read:
            there.setdefault(_name(item, key), []).append(item)
        for index, item in enumerate(sent):
            others = there.get(_name(item, key))
            if others:
                self.value(item, others.pop(0), kind, f"{path}[{index}]", key)
            else:
                self.note(f"{path}[{index}]", "lost")
        beside = [item for items in there.values() for item in items]
        if key == "tag" and _is_subset(beside):
            self.note(f"{path}.subsetted", "added")
        elif beside:
            self.note(path, "added")

    def by_place(self, sent: list, read: list, kind: Kind, path: str, key: str) -> None:
        """1. the same at the same place 2. the same at another place 3. what is left, in order."""

        def trial(index: int, place: int) -> list[Difference]:
            return self.trial(sent[index], read[place], kind, f"{path}[{index}]", key)

        at_place = [trial(index, index) for index in range(min(len(sent), len(read)))]
        left = [index for index in range(len(sent)) if index >= len(at_place) or _fail(at_place[index])]
        free = [place for place in range(len(read)) if place >= len(at_place) or _fail(at_place[place])]
        for each in at_place:
            self.differences += [] if _fail(each) else each
        if not left and not free:
            return

        def is_same(index: int, place: int) -> bool:
            return self.is_same(sent[index], read[place], kind, f"{path}[{index}]", key)

        found = _found_elsewhere(sent, read, left, free, is_same)
        left = [index for index in left if index not in found]
        free = [place for place in free if place not in found.values()]
        places = [found.get(index, index) for index in range(len(sent)) if index not in left]
        if places != sorted(places):
            self.note(path, "reordered")
        for index, place in found.items():
            self.differences += trial(index, place)
        for index, place in zip(left, free, strict=False):
            self.differences += at_place[index] if index == place else trial(index, place)
        for index in left[len(free) :]:
            self.note(f"{path}[{index}]", "lost")
        if len(free) > len(left):
            self.note(path, "added")

    def trial(self, sent: object, read: object, kind: Kind, path: str, key: str) -> list[Difference]:
        """The differences of two list items, without noting them."""
        if is_identical(sent, read):
            return []
        trial = _Comparison(self.links, self.target_base)
        trial.value(sent, read, kind, path, key)
        return trial.differences

    def is_same(self, sent: object, read: object, kind: Kind, path: str, key: str) -> bool:
        """Does nothing decide? Ends at the first difference that does, because many pairs are tried."""
        try:
            _Probe(self.links, self.target_base).value(sent, read, kind, path, key)
        except _Different:
            return False
        return True


class _Different(Exception):
    """Two list items are not the same."""


class _Probe(_Comparison):
    """Stops at the first difference that decides."""

    def note(self, path: str, kind: Change, *, moved_to: str | None = None) -> None:
        if ruling(kind, path) is None:
            raise _Different

    def trial(self, sent: object, read: object, kind: Kind, path: str, key: str) -> list[Difference]:
        if not is_identical(sent, read):
            self.value(sent, read, kind, path, key)
        return []


def _fail(differences: list[Difference]) -> bool:
    return any(each.severity == "fail" for each in differences)


def _found_elsewhere(
    sent: list, read: list, left: list[int], free: list[int], is_same: Callable[[int, int], bool]
) -> dict[int, int]:
    """Place in sent -> another place in read where the same item is now: letter by letter, else by comparing."""
    exactly: dict[str, list[int]] = {}
    for place in free:
        exactly.setdefault(letters(read[place]), []).append(place)
    found = {index: exactly[letters(sent[index])].pop(0) for index in left if exactly.get(letters(sent[index]))}
    left = [index for index in left if index not in found]
    taken = set(found.values())
    if len(left) * (len(free) - len(taken)) > _MAX_TRIALS:
        return found
    for index in left:
        same = next((place for place in free if place not in taken and is_same(index, place)), None)
        if same is not None:
            found[index] = same
            taken.add(same)
    return found


def _contained_names(sent: dict, read: dict) -> dict[str, str]:
    """Id of each contained resource as sent -> as read, where a server called them something else; else empty."""
    ours, theirs = (
        [each for each in _as_list(resource.get("contained") or []) if each.__class__ is dict]
        for resource in (sent, read)
    )
    if [each.get("resourceType") for each in ours] != [each.get("resourceType") for each in theirs]:
        return {}
    names = {str(one.get("id")): str(other.get("id")) for one, other in zip(ours, theirs, strict=True)}
    is_consistent = len(set(names.values())) == len(ours) == len(names)
    return names if is_consistent and set(names) != set(names.values()) else {}


def _renamed(resource: dict, names: Mapping[str, str]) -> dict:
    """The resource as it would be with these ids of its contained resources."""
    pointers = {f"#{old}": f"#{new}" for old, new in names.items()}

    def node(value: object, key: str) -> object:
        if value.__class__ is dict:
            return {name: node(each, name) for name, each in value.items()}
        if value.__class__ is list:
            return [node(each, key) for each in value]
        return pointers.get(value, value) if key == "reference" and value.__class__ is str else value

    made = {name: node(value, name) for name, value in resource.items()}
    made["contained"] = [
        {**each, "id": names[str(each["id"])]} if each.__class__ is dict and "id" in each else each
        for each in _as_list(made["contained"])
    ]
    return made


def _are_named(items: list, key: str) -> bool:
    """True when each item has a name of its own: a coding without a code is known by its words only."""
    return all(item.get(_NAMED[key][1]) for item in items)


def _name(item: dict, key: str) -> tuple:
    return tuple(str(item.get(name)) for name in _NAMED[key])


def _is_subset(value: object) -> bool:
    return any(item.__class__ is dict and item.get("code") == "SUBSETTED" for item in _as_list(value))


def _as_list(value: object) -> list:
    return value if isinstance(value, list) else [value]


def _is_narrative(key: str, value: object) -> bool:
    return key == "text" and value.__class__ is dict and "div" in value


def _words(div: str) -> list[str]:
    """The words of a narrative in their order; where a cell ends is no word."""
    return [word for word in plain_text(str(div or "")).split() if word != "|"]


def _squeezed(div: str) -> str:
    """The div without the whitespace that does not show."""
    return re.sub(r"\s*(<[^>]*>)\s*", r"\1", " ".join(div.split()))


def _plain(path: str) -> str:
    return re.sub(r"\[\d+\]", "", path)
