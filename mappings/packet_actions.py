"""What to do with each record of a packet at the target: decided from plain values; jobs/target carries it out."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from mappings.model.findings import Finding
from mappings.model.link import Link


class Do(StrEnum):
    """What is done about one record."""

    CREATE = "create"  # it is not known to be there
    UPDATE = "update"  # we wrote it, and the source says something else now, or we do not know what we wrote
    KEEP = "keep"  # it stands there as it should
    ORIGINAL = "original"  # it came from there: it is called what it is called there
    LEAVE = "leave"  # a person has to decide
    WAIVE = "waive"  # a person decided that the packet goes without it


@dataclass(frozen=True, slots=True)
class Item:
    """One record of a packet, as far as deciding needs it."""

    source: str  # Type/id at the source
    content: str  # hash of the record and its attachments as they are at the source
    record: str  # hash of the record alone
    updated_at: datetime | None  # meta.lastUpdated there
    gathered_at: datetime | None  # when we read it
    original: str | None = None  # Type/id at the target, where this is a copy of a record of the target's own
    trouble: Finding | None = None  # why it cannot be written as it is
    version: str | None = None  # meta.versionId at the source
    whole: str | None = None  # ``content``, had the patient's consent cut no reference out of it


@dataclass(frozen=True, slots=True)
class Action:
    """What to do with ``source``; ``target`` is what it is called there, as far as that is known."""

    do: Do
    source: str
    target: str | None = None
    finding: Finding | None = None


def decide(items: Iterable[Item], links: Mapping[str, Link], *, waived: Collection[str] = ()) -> list[Action]:
    """One action for each item, in order.

    What a person waived is not written. What the target gave out itself is never written back to it. What we wrote is
    brought up to date unless it is newer there already; what we only matched is a person's to change.
    """
    return [_action(item, links.get(item.source), item.source in waived) for item in items]


def _action(item: Item, link: Link | None, is_waived: bool) -> Action:
    target = link.reference if link else None
    if is_waived:
        return Action(Do.WAIVE, item.source, target)
    if item.original is not None and (link is None or link.origin != "person"):
        return Action(Do.ORIGINAL, item.source, item.original)
    if item.trouble is not None:
        return Action(Do.LEAVE, item.source, target, item.trouble)
    if link is None:
        return Action(Do.CREATE, item.source)
    if link.source_sha256 in (item.content, item.whole or item.content) or _is_as_older_versions_noted(item, link):
        return Action(Do.KEEP, item.source, target)
    if link.source_sha256 is not None and is_older(item, link):
        return Action(Do.KEEP, item.source, target, _older(item.source))
    if link.origin == "created":
        return Action(Do.UPDATE, item.source, target)
    changed = link.source_sha256 is not None  # else it was only just matched
    return Action(Do.KEEP, item.source, target, _by_hand(item.source, link.reference) if changed else None)


def is_older(item: Item, link: Link) -> bool:
    """True when the target holds what the source said later than this: a delivery may be retried after a newer one.

    By the source's own time of the change; where it gives none, or the same, by when we read it.
    """
    if item.updated_at and link.source_updated_at and item.updated_at != link.source_updated_at:
        return item.updated_at < link.source_updated_at
    if item.gathered_at is None or link.gathered_at is None:
        return False
    return item.gathered_at < link.gathered_at


def _is_as_older_versions_noted(item: Item, link: Link) -> bool:
    """Older versions kept the hash of the source where that of the written bytes belongs."""
    return link.source_sha256 is None and link.written_in is None and link.sha256 == item.record


def _older(source: str) -> Finding:
    message = "a newer version of it is at the target already; this older one was not written over it"
    return Finding("newer-at-target", message, source, "info")


def _by_hand(source: str, target: str) -> Finding:
    message = f"changed at the source; {target} at the target is not ours to change"
    return Finding("correction-by-hand", message, source, "error")
