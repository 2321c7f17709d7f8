"""The last examinations of each kind with their impression: words of the report, cut out by a rule and marked as a quotation.

An impression is what a report calls so: its ``conclusion`` (https://hl7.org/fhir/R4/diagnosticreport.html), a result with LOINC
19005-8 "Radiology Imaging study [Impression]" (US Core 9.0.0, Observation-xray-chest-impression), or the part of its text under
such a heading. Nothing is shortened in the middle.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping

from mappings.codes import SYSTEM_LOINC, as_dict, as_dicts, as_text, codings_in
from mappings.reading.charted import document, originals
from mappings.reading.elements import MOST_WORDS, dated, key_of, named, said, value, wrong
from mappings.reading.model import Examination, Examinations, Fact, Quotation, Value
from mappings.references import find_attachments
from mappings.rendition.names import source_of
from mappings.rendition.narrative import plain_text
from mappings.rendition.rows import words_inside
from mappings.rendition.words import Words

LAST = 2
IMPRESSION = "19005-8"
# Report documents that are of an examination. US Core 9.0.0, "writing clinical notes".
DOCUMENT_TYPES = frozenset({"18748-4", "11526-1"})
LABORATORY = frozenset({"LAB", "laboratory"})  # v2-0074, observation-category
_LABELS = {"date": ("effective[x]", "date"), "status": ("status",), "category": ("category",), "by": ("performer",)}
_HEADING = re.compile(
    r"^[ \t]*(impressions?|conclusions?|opinion|final diagnosis|diagnosis)[ \t]*(?::|$)[ \t]*", re.I | re.M
)
_NEXT = re.compile(r"^[ \t]*(?:[A-Z][A-Z /()&-]{3,60}:|[A-Z][A-Z /()&-]{3,60}$)", re.M)

WordsOf = Callable[[str], str | None]  # of a document by the place that a manifest names it with


def is_examination(resource: dict) -> bool:
    """A report that is not a laboratory's, or a document of the types above."""
    kind = resource.get("resourceType")
    if kind == "DocumentReference":
        return any(each["code"] in DOCUMENT_TYPES for each in codings_in(resource.get("type")))
    codes = {
        as_text(each.get("code"))
        for concept in as_dicts(resource.get("category"))
        for each in as_dicts(concept.get("coding"))
    }
    return kind == "DiagnosticReport" and not codes & LABORATORY


def examinations(
    reports: Iterable[dict], by_source: Mapping[str, dict], words: Words, words_of: WordsOf
) -> Iterator[Examinations]:
    """The last two of each kind, the kind with the newest first. ``words_of``: a stored document's words, where it has any."""
    kinds: dict[str, list[dict]] = {}
    for each in reports:
        kinds.setdefault(key_of(each.get("code") or each.get("type")) or source_of(each), []).append(each)
    ordered = [sorted(kind, key=_when, reverse=True) for kind in kinds.values()]
    for kind in sorted(ordered, key=lambda kind: _when(kind[0]), reverse=True):
        last = tuple(examination(one, by_source, words, words_of) for one in kind[:LAST])
        yield Examinations(last[0].fact.name.words, last, len(kind) - len(last))


def examination(report: dict, by_source: Mapping[str, dict], words: Words, words_of: WordsOf) -> Examination:
    """One report with what it calls its impression."""
    found = tuple(_impressions(report, by_source, words, words_of))
    return Examination(_fact(report, words), found, "" if found else _why(report))


def impression_of(text: str) -> str:
    """The part of a text under its last heading of an impression, up to the next heading; "" where there is none."""
    headings = list(_HEADING.finditer(text))
    for heading in reversed(headings):
        rest = text[heading.end() :]
        after = _NEXT.search(rest)
        part = rest[: after.start()] if after else rest
        if part.strip():
            return part.strip()
    return ""


def _impressions(report: dict, by_source: Mapping[str, dict], words: Words, words_of: WordsOf) -> Iterator[Quotation]:
    source = source_of(report)
    for at in ("conclusion", *(f"conclusionCode[{n}]" for n, _ in enumerate(as_dicts(report.get("conclusionCode"))))):
        if (found := value(report, at, words)) is not None:
            yield Quotation(source, found, "conclusion")
    for reference in as_dicts(report.get("result")):
        result = as_dict(by_source.get(str(reference.get("reference"))))
        if _is_impression(result) and (found := value(result, "valueString", words)) is not None:
            yield Quotation(source_of(result), found, "result")
    for at, text in _texts(report, words_of):
        if part := impression_of(text):
            yield Quotation(source, Value(part[:MOST_WORDS], at, len(part) > MOST_WORDS), "heading")


def _is_impression(result: dict) -> bool:
    coded = codings_in(result.get("code"))
    return any((each["system"], each["code"]) == (SYSTEM_LOINC, IMPRESSION) for each in coded)


def _texts(report: dict, words_of: WordsOf) -> Iterator[tuple[str, str]]:
    for at in find_attachments(report):
        text = words_inside(at.attachment) or words_of(f"{source_of(report)}#{at.path}")
        if text:
            yield at.path.partition(".")[2], text
    narrative = as_dict(report.get("text"))
    if narrative.get("div") and narrative.get("status") != "generated":
        yield "text", plain_text(str(narrative["div"]))


def _why(report: dict) -> str:
    if not find_attachments(report):
        return "nothing"
    return "documents"


def _fact(report: dict, words: Words) -> Fact:
    if report.get("resourceType") == "DocumentReference":
        return document(report, words)
    called = named(report, words, "code", "category")
    when = dated(report, "effective[x]", "date", "issued")[0]
    more = (*said(report, words, _LABELS), *originals(report, words))
    return Fact(source_of(report), called, more, when, wrong(report))


def _when(report: dict) -> str:
    return dated(report, "effective[x]", "context.period", "date", "issued")[0]
