"""A placer's order beside what the Exchange knows: is it ours, and what does a change of it change in its request.

https://hl7.org/fhir/R4/servicerequest.html
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from graphlib import TopologicalSorter

from mappings.addresses import Bases
from mappings.codes import as_dict, as_dicts, as_text
from mappings.identifiers import identifiers_in, local_reference, to_identifier
from mappings.model.request import Identifier, SecondOpinionRequest
from mappings.revision import FIXED

_NAMES_A_RESOURCE = re.compile(r"[A-Z][A-Za-z]+/\S+")
WITHDRAWN = ("revoked", "entered-in-error")


class Mark(StrEnum):
    """Why an order is none of a placer's own."""

    OURS = "ours"  # the Exchange wrote it
    DERIVED = "derived"  # made at the fulfiller from one that the Exchange wrote


def mark_of(
    order: dict, *, systems: Collection[str], own_system: str, bases: Collection[str] = (), own_bases: Bases = None
) -> Mark | None:
    """What an order itself says of being ours; None when it carries no sign of it.

    ``systems`` are all identifier systems the Exchange ever used, its own and those of its endpoints: a record carries
    {system of its source; Type/id}. ``own_system`` and ``own_bases`` belong to the server the order was read from,
    ``bases`` to the others.
    """
    itself = (own_system, f"ServiceRequest/{order.get('id')}")
    if any(_names_ours(each, systems) and (each.system, each.value) != itself for each in identifiers_in(order)):
        return Mark.OURS
    meta = as_dict(order.get("meta"))
    source = as_text(meta.get("source")) or ""
    if _is_order_at(source, tuple(bases)) and not _is_order_at(source, own_bases):
        return Mark.OURS
    if any(each.get("system") in systems for each in as_dicts(meta.get("tag"))):
        return Mark.OURS
    return Mark.DERIVED if _is_derived(order, systems) else None


def carries_our_identifier(resource: dict, systems: Collection[str]) -> bool:
    """True for a resource of any type that the Exchange wrote: it names one of its sources, or one of its own."""
    return any(_names_ours(each, systems) for each in identifiers_in(resource))


def earlier_orders(order: dict, bases: Bases) -> tuple[str, ...]:
    """``ServiceRequest/id`` at the same server of what the order is based on or replaces."""
    named = (
        local_reference(each.get("reference"), bases)
        for element in ("basedOn", "replaces")
        for each in as_dicts(order.get(element))
    )
    return tuple(each for each in named if each and each.startswith("ServiceRequest/"))


def in_line(based_on: Mapping[str, Collection[str]]) -> list[str]:
    """The orders of ``based_on`` (each with what it is based on), the earlier ones first; without those of a loop.

    Chains come before those that stand alone: what shares a requisition with one of a chain belongs to its case.
    """
    loop = in_a_loop(based_on)
    straight = {each: {*before} for each, before in based_on.items() if each not in loop}
    before_each = {each: before & straight.keys() for each, before in straight.items()}
    chained = {each for each, before in before_each.items() if before} | set().union(*before_each.values())
    return sorted(TopologicalSorter(before_each).static_order(), key=lambda each: each not in chained)


def in_a_loop(based_on: Mapping[str, Collection[str]]) -> set[str]:
    """Those that are based on themselves, directly or through others: no request of such a chain is the first."""
    return {each for each in based_on if each in _all_before(each, based_on)}


def _all_before(reference: str, based_on: Mapping[str, Collection[str]]) -> set[str]:
    found: set[str] = set()
    ahead = list(based_on.get(reference, ()))
    while ahead:
        each = ahead.pop()
        if each not in found:
            found.add(each)
            ahead += based_on.get(each, ())
    return found


@dataclass(frozen=True)
class Followed:
    """What a change of the order makes of its request. ``conflicts``: fields that a person corrected otherwise meanwhile."""

    request: SecondOpinionRequest
    conflicts: tuple[str, ...] = ()


def follow(before: SecondOpinionRequest, after: SecondOpinionRequest, now: SecondOpinionRequest) -> Followed:
    """The request as it is ``now``, with what the order changed between ``before`` and ``after``.

    What a person corrected in the Exchange stays; where both changed one field to different values, the person's stays
    and the field is named. The patient is never changed here: another subject is another request.
    """
    changed, conflicts = {}, []
    for name in SecondOpinionRequest.model_fields:
        old, new, here = getattr(before, name), getattr(after, name), getattr(now, name)
        if name in (*FIXED, "patient") or old == new or here == new:
            continue
        if here == old:
            changed[name] = new
        else:
            conflicts.append(name)
    return Followed(now.model_copy(update=changed), tuple(conflicts))


def has_other_subject(
    before: str | None, after: str | None, old: SecondOpinionRequest, new: SecondOpinionRequest
) -> bool:
    """True when the order is about another patient now: another chart, unless it is surely the same person's (a merge)."""
    if before is not None and before == after:
        return False  # the same chart: what its patient is called is the EHR's matter
    one, other = old.patient, new.patient
    return not ({*one.identifiers} & {*other.identifiers}) or (one.birth_date, one.name) != (
        other.birth_date,
        other.name,
    )


def changed_elements(before: dict, after: dict) -> tuple[str, ...]:
    """The elements of an order that differ, by name; what a server keeps itself is not looked at."""
    names = {*before, *after} - {"meta", "id", "resourceType", "text"}
    return tuple(sorted(name for name in names if before.get(name) != after.get(name)))


def _names_ours(identifier: Identifier, systems: Collection[str]) -> bool:
    return identifier.system in systems and _NAMES_A_RESOURCE.fullmatch(identifier.value) is not None


def _is_order_at(url: str, bases: Bases) -> bool:
    """True for the address of a ServiceRequest below one of these addresses; a relative one is at no server in particular."""
    return "://" in url and (local_reference(url, bases) or "").startswith("ServiceRequest/")


def _is_derived(order: dict, systems: Collection[str]) -> bool:
    requisition = to_identifier(order.get("requisition"))
    if requisition is not None and requisition.system in systems and requisition.value.startswith("case/"):
        return True
    named = (
        to_identifier(each.get("identifier"))
        for element in ("basedOn", "replaces")
        for each in as_dicts(order.get(element))
    )
    return any(each is not None and _names_ours(each, systems) for each in named)
