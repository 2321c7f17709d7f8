"""Coverage as an EHR has it: who insures, which plan, from when to when. No member numbers, and no amounts of money.

https://hl7.org/fhir/R4/coverage.html
"""

from collections.abc import Mapping
from datetime import date
from typing import Any

from mappings.addresses import Bases
from mappings.codes import as_dict, as_dicts, as_text, codings_in, to_date
from mappings.identifiers import look_up
from mappings.model.coverage import Insurance
from mappings.model.errors import MappingError

PLAN, LONGEST = "plan", 200


def to_insurance(resource: dict, included: Mapping[str, dict], base: Bases = None) -> Insurance:
    """What a Coverage says of itself; what it does not say is empty or None. ``included``: the organizations it names."""
    period = as_dict(resource.get("period"))
    return Insurance(
        reference=f"Coverage/{resource.get('id')}",
        insurer=_insurer(resource, included, base),
        plan=_plan(resource),
        status=_line(resource.get("status")),
        begins=_day(period.get("start")),
        ends=_day(period.get("end")),
        relationship=_concept(resource.get("relationship")),
    )


def payors(resource: dict) -> tuple[dict, ...]:
    """The references to who insures, in order."""
    return tuple(as_dicts(resource.get("payor")))


def _insurer(resource: dict, included: Mapping[str, dict], base: Bases) -> str:
    for reference in payors(resource):
        found = as_dict(look_up(reference, resource, included, base))
        if found.get("resourceType") in ("Patient", "RelatedPerson"):
            return "the patient or a relative pays"
        identifier = as_dict(reference.get("identifier"))
        words = _line(found.get("name")) or _line(reference.get("display")) or _line(identifier.get("value"))
        if words:
            return words
    return ""


def _plan(resource: dict) -> str:
    for each in as_dicts(resource.get("class")):
        if any(found["code"] == PLAN for found in codings_in(each.get("type"))):
            return _line(each.get("name")) or _line(each.get("value"))
    return _concept(resource.get("type"))


def _concept(value: Any) -> str:
    concept = as_dict(value)
    shown = (_line(each.get("display")) or _line(each.get("code")) for each in as_dicts(concept.get("coding")))
    return _line(concept.get("text")) or next(filter(None, shown), "")


def _line(value: Any) -> str:
    return (as_text(value) or "")[:LONGEST]


def _day(value: Any) -> date | None:
    """The day of a date or a time; a month or year alone is no day, and stays unknown."""
    try:
        return to_date(value[:10], "Coverage.period") if isinstance(value, str) else None
    except MappingError:
        return None
