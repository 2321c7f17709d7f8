"""The key facts of a packet for pages, API and commands, and a record with one element marked."""

from collections.abc import Iterable, Iterator
from dataclasses import asdict
from typing import Any

import simplejson

from integration.reading import Reading
from integration.views.texts import t
from mappings.reading.elements import element
from mappings.reading.model import Fact

LARGEST_TEXT = 4000  # characters of one text of a record; base64 longer than this is told by its size
LARGEST_SHOWN = 200_000
_MARK = "\ue000marked\ue000"  # private use: no record that stands in valid JSON of others means anything by it


def view(found: Reading) -> dict:
    """As JSON: the question, then every fact with its source and element, and what is not among them."""
    content, first = found.content, found.content.first_opinion
    return {
        "request_id": found.request_id,
        "packets": found.packets,
        "question": content.question,
        "patient_questions": list(content.patient_questions),
        "first_opinion": first.diagnosis.text if first else None,
        "first_opinion_given_on": first.given_on if first else None,
        "left_out": [each.value for each in found.left_out],
        "facts": asdict(found.facts) if found.facts else None,
    }


def in_words(found: Reading) -> Iterator[str]:
    """As lines of text, each with the record it came from."""
    yield f"{t('opinion.question')}: {found.content.question or t('opinion.unknown')}"
    if found.facts is None:
        yield t("packet.none")
        return
    facts = found.facts
    parts = ("diagnoses", "stages", "markers", "allergies", "studies", "flagged", "documents", "wrong")
    for part in parts:
        yield from _lines(t(f"reading.part.{part}"), getattr(facts, part))
    for medication in facts.medications:
        yield from _lines(f"{t('reading.part.medications')}: {medication.name}", medication.records)
    for kind in facts.examinations:
        for each in kind.last:
            yield from _lines(t("reading.part.examinations"), [each.fact])
            yield from (f'    "{one.value.words}" {one.source}' for one in each.impressions)
    for trend in facts.trends:
        values = ", ".join(f"{each.number} {each.flags} ({each.dated[:10]})" for each in trend.points)
        yield f"{trend.name} [{trend.unit}]: {values}"
    if facts.troubled:
        yield t("reading.troubled", n=facts.troubled)
    for trouble in facts.troubles:
        yield f"    {trouble.source}: {', '.join(t(f'reading.asked.{one}') for one in trouble.asked)}"
    for count in facts.counts:
        yield f"{t(f'reading.kind.{count.kind}')}: {count.shown} of {count.all} shown, {count.listed} listed (--json lists them)"


def _lines(title: str, facts: Iterable[Fact]) -> Iterator[str]:
    for each in facts:
        said = ", ".join(f"{t(f'reading.said.{one.label}')} {one.value.words}" for one in each.said)
        wrong = f" [{t(f'reading.wrong.{each.wrong}')}]" if each.wrong else ""
        yield f"{title}: {each.name.words}{wrong} ({said}) {each.source}"


def in_context(resource: dict, at: str) -> tuple[str, str, str]:
    """A record as people read JSON, in three parts: before the element, the element, after it. Each digit as it came."""
    wanted = element(resource, at)
    text = _pretty(_marked(resource, at))
    before, mark, after = text.partition(f'"{_MARK}"') if at else ("", "", "")
    if not mark:
        return "", _pretty(_shortened(resource)), ""
    begin = before[before.rfind("\n") + 1 :]
    indent = " " * (len(begin) - len(begin.lstrip()))
    return before, _pretty(_shortened(wanted)).replace("\n", "\n" + indent), after


def _pretty(value: Any) -> str:
    return simplejson.dumps(value, use_decimal=True, indent=2, ensure_ascii=False)


def _marked(resource: Any, at: str) -> Any:
    """A copy with a mark in the place of the element."""
    copy = _shortened(resource)
    node, steps = copy, list(_steps(at))
    for step in steps[:-1]:
        node = node[step]
    if steps:
        node[steps[-1]] = _MARK
    return copy


def _steps(at: str) -> Iterator[str | int]:
    for part in at.split(".") if at else ():
        name, *numbers = part.replace("]", "").split("[")
        yield name
        yield from map(int, numbers)


def _shortened(value: Any) -> Any:
    """Long bytes by their size; every other text whole."""
    if isinstance(value, dict):
        return {key: _bytes(each) if key == "data" else _shortened(each) for key, each in value.items()}
    return [_shortened(each) for each in value] if isinstance(value, list) else value


def _bytes(value: Any) -> Any:
    is_long = isinstance(value, str) and len(value) > LARGEST_TEXT
    return f"{len(value) * 3 // 4} bytes, not shown here" if is_long else _shortened(value)
