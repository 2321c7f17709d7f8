"""A report written in parts, as FHIR carries it, and read back from what came: its parts lie in one extension of ours.

https://hl7.org/fhir/R4/documentreference.html, https://hl7.org/fhir/R4/composition.html. R4 has no element that says whether a
second opinion agrees with the first. The same extension stands on the DocumentReference and on the Composition, so either is enough.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape

from mappings import codes
from mappings.codes import as_dict, as_dicts, as_text, coding, concept
from mappings.model.request import Identifier
from mappings.model.written_report import Agreement, Answer, Point, Test, WrittenReport
from mappings.report_text import wrapped
from mappings.times import as_instant

TITLE = "Second opinion"
QUESTION = "The question: "  # before what was asked, at the head of the text
UNKNOWN_AGREEMENT = "report.unknown-agreement"
TEXT, PDF = "text/plain; charset=utf-8", "application/pdf"

# As a clinician reads it; the code is what counts.
AGREEMENT_WORDS = {
    Agreement.AGREES: "agrees",
    Agreement.PARTLY: "partly agrees",
    Agreement.DIFFERS: "differs",
    Agreement.CANNOT_TELL: "cannot tell",
}
_AS_A_SENTENCE = {
    Agreement.AGREES: "agrees with the first opinion",
    Agreement.PARTLY: "partly agrees with the first opinion",
    Agreement.DIFFERS: "differs from the first opinion",
}


@dataclass(frozen=True)
class WrittenParts:
    """What a document says in parts. ``report`` None: it says nothing so. ``problems`` are cause words."""

    report: WrittenReport | None
    problems: tuple[str, ...] = ()


@dataclass(frozen=True)
class About:
    """What the report is about, as the practice's server calls it; ``composition``: the same report there in that form."""

    identifier: Identifier
    patient: str
    service_request: str
    author_display: str | None
    composition: str | None = None


# --- written -----------------------------------------------------------------------------------------------------


def to_extension(report: WrittenReport) -> dict:
    """The parts as one extension; what was not said is not there."""
    parts = [
        *_agreement("diagnosis", report.diagnosis),
        *_agreement("plan", report.plan),
        *_words("summary", report.summary),
        *(_part("point", _point(each)) for each in report.points),
        *(_test(each) for each in report.tests),
        *(
            _part("answer", [*_words("question", each.question), *_words("words", each.words)])
            for each in report.answers
        ),
        *_words("signed-by", report.signed_by),
    ]
    if report.signed_at is not None:
        parts.append({"url": "signed-at", "valueInstant": to_instant(report.signed_at)})
    return {"url": codes.EXTENSION_WRITTEN_REPORT, "extension": parts}


def to_report_document(
    report: WrittenReport, about: About, attachments: Sequence[dict], *, replaces: str | None = None
) -> dict:
    """The signed report as the practice's DocumentReference; ``attachments``: its documents, the one to be read first is first.

    ``replaces``: the report that it corrects there.
    """
    signed = to_instant(report.signed_at) if report.signed_at else None
    made = {
        "resourceType": "DocumentReference",
        "extension": [to_extension(report)],
        "identifier": [about.identifier.model_dump()],
        "status": "current",
        "docStatus": "amended" if replaces else "final",
        "type": concept(codes.CONSULTATION_NOTE),
        "category": [concept(codes.CLINICAL_NOTE)],
        "subject": {"reference": about.patient},
        "date": signed,
        "author": _authors(report, about),
        "authenticator": {"display": report.signed_by},
        "relatesTo": [{"code": "replaces", "target": {"reference": replaces}}] if replaces else [],
        "content": [{"attachment": {"title": TITLE, **each}} for each in attachments],
        "context": {"related": [{"reference": each} for each in (about.service_request, about.composition) if each]},
    }
    return {name: value for name, value in made.items() if value not in (None, [], {})}


def to_composition(report: WrittenReport, about: About, *, replaces: str | None = None) -> dict:
    """The signed report as a Composition: a section for each part, its words for people and the extension for programs."""
    made = {
        "resourceType": "Composition",
        "extension": [to_extension(report)],
        "identifier": about.identifier.model_dump(),
        "status": "amended" if replaces else "final",
        "type": concept(codes.CONSULTATION_NOTE),
        "subject": {"reference": about.patient},
        "date": to_instant(report.signed_at) if report.signed_at else None,
        "author": _authors(report, about),
        "title": TITLE,
        "attester": _attesters(report),
        "relatesTo": [{"code": "replaces", "targetReference": {"reference": replaces}}] if replaces else [],
        "section": [_section(title, lines) for title, lines in sections(report)],
    }
    return {name: value for name, value in made.items() if value not in (None, [], {})}


def retracted(document: dict, reason: str) -> dict:
    """The same document as one that should never have been; ``reason`` in the words of who took it back."""
    made = {**document, "status": "entered-in-error", "description": f"Retracted: {reason}"}
    if document.get("resourceType") == "DocumentReference":
        return {**made, "docStatus": "entered-in-error"}
    made.pop("description")
    return made


def to_instant(at: datetime) -> str:
    """An instant in UTC. https://hl7.org/fhir/R4/datatypes.html#instant"""
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


# --- for people --------------------------------------------------------------------------------------------------


def sections(report: WrittenReport) -> Iterator[tuple[str, list[str]]]:
    """Heading and paragraphs of each part that says something, in the order in which a doctor reads them."""
    agreement = [
        f"{label}: {_AS_A_SENTENCE.get(said, AGREEMENT_WORDS[said])}"
        for label, said in (("Diagnosis", report.diagnosis), ("Plan", report.plan))
        if said is not None
    ]
    found = (
        ("Agreement with the first opinion", agreement),
        ("Opinion", [report.summary] if report.summary else []),
        ("Point by point", [line for number, each in enumerate(report.points, 1) for line in _lines(number, each)]),
        ("Recommended tests", [_test_line(each) for each in report.tests]),
        (
            "Answers to the patient's questions",
            [line for each in report.answers for line in (f"Question: {each.question}", f"Answer: {each.words}")],
        ),
        ("Signed", [_signed(report)] if report.signed_by else []),
    )
    return ((title, lines) for title, lines in found if lines)


def to_text(report: WrittenReport, head: Iterable[str] = ()) -> str:
    """The report as plain text of at most 80 columns; ``head``: lines that say what and whom it is about."""
    lines = [line for each in head for line in wrapped(each)]
    for title, paragraphs in sections(report):
        lines += ["", title, "-" * len(title)]
        for each in paragraphs:
            lines += [*wrapped(each), ""]
        lines.pop()
    return "\n".join(lines) + "\n"


def unwrapped(text: str, paragraphs: Iterable[str]) -> str:
    """The text with each of these paragraphs as it was written, where it stands there broken into lines by us; no other line changes."""
    for each in paragraphs:
        lines = wrapped(each)
        if "\n".join(lines) != each:
            text = text.replace("\n".join(lines), each, 1)
    return text


def _lines(number: int, point: Point) -> Iterator[str]:
    yield f"{number}. The first opinion said: {point.said}"
    said = AGREEMENT_WORDS[point.agreement] if point.agreement is not None else "not said"
    yield f"This opinion: {said}." + (f" {point.words}" if point.words else "")


def _test_line(test: Test) -> str:
    return f"- {test.words}" + (f" ({test.code.display or ''} {test.code.code})" if test.code else "")


def _signed(report: WrittenReport) -> str:
    return f"Signed by {report.signed_by}" + (f", {report.signed_at:%Y-%m-%d %H:%M %Z}" if report.signed_at else "")


def _section(title: str, paragraphs: Iterable[str]) -> dict:
    inside = "".join(f"<p>{'<br/>'.join(escape(line) for line in each.split(chr(10)))}</p>" for each in paragraphs)
    return {
        "title": title,
        "text": {"status": "generated", "div": f'<div xmlns="http://www.w3.org/1999/xhtml">{inside}</div>'},
    }


# --- read --------------------------------------------------------------------------------------------------------


def read_written_report(resource: dict) -> WrittenParts:
    """The parts that a returned DocumentReference or Composition carries; never raises, whatever another system put there."""
    found = next(
        (
            each
            for each in as_dicts(as_dict(resource).get("extension"))
            if each.get("url") == codes.EXTENSION_WRITTEN_REPORT
        ),
        None,
    )
    if found is None:
        return WrittenParts(None)
    parts = as_dicts(found.get("extension"))
    points = [as_dicts(each.get("extension")) for each in parts if each.get("url") == "point"]
    answers = [as_dicts(each.get("extension")) for each in parts if each.get("url") == "answer"]
    signed_at = as_instant(_value(parts, "signed-at", "valueInstant"))
    report = WrittenReport(
        diagnosis=_read_agreement(parts, "diagnosis"),
        plan=_read_agreement(parts, "plan"),
        summary=_text(parts, "summary"),
        points=tuple(
            Point(_text(each, "said"), _read_agreement(each, "agreement"), _text(each, "words")) for each in points
        ),
        tests=tuple(_read_test(each) for each in parts if each.get("url") == "test"),
        answers=tuple(Answer(_text(each, "question"), _text(each, "words")) for each in answers),
        signed_by=_text(parts, "signed-by"),
        signed_at=datetime.fromisoformat(signed_at) if signed_at else None,
    )
    unknown = _is_unknown(parts, "diagnosis") or _is_unknown(parts, "plan")
    unknown = unknown or any(_is_unknown(each, "agreement") for each in points)
    return WrittenParts(report, (UNKNOWN_AGREEMENT,) if unknown else ())


def _read_agreement(parts: list[dict], url: str) -> Agreement | None:
    said = _value(parts, url, "valueCodeableConcept")
    return next((each for each in Agreement if codes.has_code(said, codes.agreement_code(each))), None)


def _is_unknown(parts: list[dict], url: str) -> bool:
    return any(each.get("url") == url for each in parts) and _read_agreement(parts, url) is None


def _read_test(part: dict) -> Test:
    said = part.get("valueCodeableConcept")
    code = codes.first_code(said)
    words = as_text(as_dict(said).get("text"))
    return Test(words or ((code.display or code.code) if code else ""), code)


def _text(parts: list[dict], url: str) -> str:
    return as_text(_value(parts, url, "valueString")) or ""


def _value(parts: list[dict], url: str, element: str) -> object:
    return next((each.get(element) for each in parts if each.get("url") == url), None)


# --- parts of the extension --------------------------------------------------------------------------------------


def _agreement(url: str, said: Agreement | None) -> list[dict]:
    if said is None:
        return []
    code = codes.agreement_code(said)
    return [{"url": url, "valueCodeableConcept": concept(coding(code.system, code.code, AGREEMENT_WORDS[said]))}]


def _words(url: str, said: str) -> list[dict]:
    return [{"url": url, "valueString": said}] if said else []


def _part(url: str, parts: list[dict]) -> dict:
    return {"url": url, "extension": parts}


def _point(point: Point) -> list[dict]:
    return [*_words("said", point.said), *_agreement("agreement", point.agreement), *_words("words", point.words)]


def _test(test: Test) -> dict:
    made = concept(test.code, text=test.words) if test.code else concept(text=test.words)
    return {"url": "test", "valueCodeableConcept": made}


def _attesters(report: WrittenReport) -> list[dict]:
    """Who signed it; nobody where it does not say so."""
    if not report.signed_by:
        return []
    at = {"time": to_instant(report.signed_at)} if report.signed_at else {}
    return [{"mode": "professional", **at, "party": {"display": report.signed_by}}]


def _authors(report: WrittenReport, about: About) -> list[dict]:
    return [{"display": each} for each in (report.signed_by, about.author_display) if each]
