"""What differs: from the packet before, by the manifests; and what is dated after the first opinion."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date

from mappings.model.packet import Manifest
from mappings.reading.model import Change, Changes, Fact, Since

LISTED = 60
_OF_STORAGE = frozenset({"meta", "text", "id", "resourceType"})


def since_before(
    manifests: Sequence[Manifest], name_of: Callable[[str], str], versions: Callable[[str], Iterable[dict]]
) -> Changes:
    """What the newest packet (the last of ``manifests``) brought, changed and took back.

    ``versions``: of a record, as the packet before had it and as the newest has it.
    """
    if len(manifests) < 2:
        return Changes("", {}, ())
    newest, earlier = manifests[-1], _hashes(manifests[:-1])
    found = [Change(item.source, name_of(item.source), "withdrawn", why=item.why or "") for item in newest.withdrawn]
    for item in newest.resources:
        if item.source not in earlier:
            found.append(Change(item.source, name_of(item.source), "new"))
        elif earlier[item.source] != item.sha256:
            found.append(Change(item.source, name_of(item.source), "corrected"))
    counts = dict(Counter(each.what for each in found))
    listed = tuple(_with_elements(each, versions) for each in sorted(found, key=_order)[:LISTED])
    return Changes(manifests[-2].gathered_at, counts, listed)


def since_first_opinion(facts: Iterable[Fact], kinds: Mapping[str, str], given_on: date | None) -> Since | None:
    """What is dated after the day the first opinion was given, the newest first; None when that day is not stated."""
    if given_on is None:
        return None
    day, later, unclear = given_on.isoformat(), [], 0
    for each in facts:
        shared = min(len(each.dated), 10)
        if each.dated and each.dated[:shared] > day[:shared]:
            later.append(each)
        unclear += bool(each.dated) and shared < 10 and each.dated[:shared] == day[:shared]
    counts = dict(Counter(kinds[each.source] for each in later))
    return Since(day, counts, tuple(sorted(later, key=lambda each: each.dated, reverse=True)[:LISTED]), unclear)


def _hashes(manifests: Iterable[Manifest]) -> dict[str, str]:
    """Of every record that the reader had, the bytes it last had; what was taken back is not there."""
    found: dict[str, str] = {}
    for manifest in manifests:
        for item in manifest.withdrawn:
            found.pop(item.source, None)
        found |= {item.source: item.sha256 for item in manifest.resources}
    return found


def _order(change: Change) -> tuple[int, str]:
    return ("withdrawn", "corrected", "new").index(change.what), change.source


def _with_elements(change: Change, versions: Callable[[str], Iterable[dict]]) -> Change:
    if change.what != "corrected":
        return change
    before, after = versions(change.source)
    names = [key for key in {**before, **after} if key not in _OF_STORAGE and before.get(key) != after.get(key)]
    return Change(change.source, change.name, change.what, tuple(names))
