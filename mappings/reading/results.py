"""The course of results: one test in one unit, each number with its flag and range as stated. Units are never mixed.

A comparator (``<5``) is no number, and a year is no day: such results stand beside the course, in their own words.
https://hl7.org/fhir/R4/observation.html, https://hl7.org/fhir/R4/datatypes.html#Quantity
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from mappings.codes import as_dict, as_dicts, as_text
from mappings.reading.elements import dated, first, key_of
from mappings.reading.model import Point, Trend, Unplotted, Value
from mappings.rendition.names import source_of
from mappings.rendition.words import Words, number_words

NORMAL = "N"  # https://terminology.hl7.org/CodeSystem-v3-ObservationInterpretation.html
NEWEST = 40  # results of one course on the page


@dataclass(frozen=True, slots=True)
class Measured:
    """A result or a component of one: which test in which unit, and as a point or as what is none."""

    test: str
    name: str
    unit: str
    unit_words: str
    as_point: Point | None
    as_words: Unplotted | None

    @property
    def source(self) -> str:
        """``Type/id``."""
        return (self.as_point or self.as_words or Point("", "", "", "")).source

    @property
    def dated(self) -> str:
        """As stated."""
        return (self.as_point or self.as_words or Point("", "", "", "")).dated


def is_flagged(observation: dict) -> bool:
    """It has a flag other than N (normal), or a number of it is outside the range that it states itself."""
    parts = [observation, *as_dicts(observation.get("component"))]
    return any(flags_of(part) - {NORMAL} or is_outside(part) for part in parts)


def flags_of(part: dict) -> set[str]:
    """The flags as codes, else in their words."""
    found = set()
    for concept in as_dicts(part.get("interpretation")):
        codes = {text for coding in as_dicts(concept.get("coding")) if (text := as_text(coding.get("code")))}
        found |= codes or ({text} if (text := as_text(concept.get("text"))) else set())
    return found


def is_outside(part: dict) -> bool:
    """Its number is outside the only range it states, in the same unit, both without comparators."""
    quantity = as_dict(part.get("valueQuantity"))
    number, (low, high) = _number(quantity), _range(part, quantity)
    if number is None or quantity.get("comparator"):
        return False
    return low is not None and number < low or high is not None and number > high


def measured(observation: dict, words: Words) -> Iterator[Measured]:
    """The result itself, or each of its components."""
    when, _, _ = dated(observation, "effective[x]")
    status = as_text(observation.get("status")) or ""
    name = _name(observation, words)
    if any(key.startswith("value") for key in observation):
        yield _measured(observation, observation, "", name, key_of(observation.get("code")), when, status, words)
    for number, part in enumerate(as_dicts(observation.get("component"))):
        if any(key.startswith("value") for key in part):
            test = f"{key_of(observation.get('code'))} {key_of(part.get('code'))}"
            at = f"component[{number}]."
            yield _measured(observation, part, at, f"{name}: {_name(part, words)}", test, when, status, words)


def trends(found: Iterable[Measured]) -> list[Trend]:
    """The courses of at least two numbers, those with a flag or a number outside its range first, then the longest."""
    by_key: dict[tuple[str, str], list[Measured]] = {}
    for each in found:
        if each.test:
            by_key.setdefault((each.test, each.unit), []).append(each)
    courses = [_trend(each) for each in by_key.values() if sum(one.as_point is not None for one in each) > 1]
    return sorted(courses, key=_order)


def _order(trend: Trend) -> tuple:
    attention = any(point.outside or set(point.flags.split(", ")) - {NORMAL, ""} for point in trend.points)
    return not attention, -len(trend.points), trend.name.casefold(), trend.unit


def _trend(found: list[Measured]) -> Trend:
    ordered = sorted(found, key=lambda each: (each.dated, each.source))
    kept = ordered[-NEWEST:]
    points = tuple(each.as_point for each in kept if each.as_point is not None)
    unplotted = tuple(each.as_words for each in kept if each.as_words is not None)
    return Trend(kept[-1].name, kept[-1].unit_words, points, unplotted, len(ordered) - len(kept))


def _measured(
    observation: dict, part: dict, at: str, name: str, test: str, when: str, status: str, words: Words
) -> Measured:
    source, quantity = source_of(observation), as_dict(part.get("valueQuantity"))
    unit = "|".join(str(quantity.get(key) or "") for key in ("system", "code")) if quantity.get("code") else ""
    unit_words = as_text(quantity.get("unit")) or as_text(quantity.get("code")) or ""
    flags = ", ".join(sorted(flags_of(part)))
    number, why = _number(quantity), _why_no_point(quantity, when)
    if number is None or why:
        shown = first(part, words, "value[x]") or Value("", "")
        beside = Unplotted(source, Value(shown.words, at + shown.at, shown.cut), when, why or "no-number", flags)
        return Measured(test, name, unit or unit_words, unit_words, None, beside)
    low, high = _range(part, quantity)
    point = Point(
        source,
        f"{at}valueQuantity",
        number_words(number),
        when,
        flags,
        "" if low is None else number_words(low),
        "" if high is None else number_words(high),
        "\n".join(filter(None, map(words.bare, as_dicts(part.get("referenceRange"))))),
        status,
        is_outside(part),
    )
    return Measured(test, name, unit or unit_words, unit_words, point, None)


def _why_no_point(quantity: dict, when: str) -> str:
    if quantity.get("comparator"):
        return "comparator"
    if not when:
        return "undated"
    return "date" if len(when) < 10 else ""


def _name(part: dict, words: Words) -> str:
    found = first(part, words, "code")
    return found.words if found else source_of(part) if "resourceType" in part else "?"


def _number(quantity: dict) -> Decimal | int | None:
    found: Any = quantity.get("value")
    return found if isinstance(found, Decimal | int) and not isinstance(found, bool) else None


def _range(part: dict, quantity: dict) -> tuple[Decimal | int | None, Decimal | int | None]:
    """Its only range, where both ends are in the unit of the value; else none."""
    ranges = as_dicts(part.get("referenceRange"))
    if len(ranges) != 1:
        return None, None
    ends = [as_dict(ranges[0].get(end)) for end in ("low", "high")]
    low, high = (
        _number(each) if each and _same_unit(each, quantity) and not each.get("comparator") else None for each in ends
    )
    return low, high


def _same_unit(one: dict, other: dict) -> bool:
    if one.get("code") and other.get("code"):
        return (one.get("system"), one.get("code")) == (other.get("system"), other.get("code"))
    return (one.get("unit") or one.get("code")) == (other.get("unit") or other.get("code"))
