"""A document in the shape that one system takes: all of it, or a sentence that says why not. Never a smaller document.

https://hl7.org/fhir/R4/documentreference.html; what each vendor takes: mappings/model/profiles.py.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from mappings.codes import as_dict, as_dicts, as_text, coding
from mappings.decoding import charset_of, media_type, words_of
from mappings.document_reference import inline_bytes, to_attachment
from mappings.model.errors import MappingError
from mappings.model.outgoing import Outgoing, visible_reference
from mappings.model.profiles import DocumentHabits
from mappings.report_text import Part, PdfText, report_text
from mappings.times import as_instant

TEXT, PDF = "text/plain", "application/pdf"
TEXT_UTF8 = "text/plain; charset=utf-8"
_SIGNED = ("final", "amended")
_UNSAID = ("", "application/octet-stream", "binary/octet-stream")
_NO_TEXT, _NO_SHAPE = "report-no-text", "report-no-shape"


@dataclass(frozen=True)
class Unfit:
    """Why a document cannot take this shape: a cause of mappings/model/causes.py, and a sentence with ids only."""

    cause: str
    message: str


ReadPdf = Callable[[bytes], PdfText | str]  # its words, or in words why they cannot be had
MakePdf = Callable[[str, str], bytes | str]  # of a text and a title; or in words why there is none


@dataclass(frozen=True)
class Document:
    """One attachment of the report: ``kind`` is its media type; of what nobody named, that of its first bytes."""

    number: int
    title: str
    content_type: str
    data: bytes

    @property
    def kind(self) -> str:
        """Media type, in small letters."""
        said = media_type(self.content_type)
        return PDF if said in _UNSAID and self.data.startswith(b"%PDF-") else said


def fit(
    item: Outgoing,
    habits: DocumentHabits,
    *,
    encounter: Mapping[str, Any] | None,
    read_pdf: ReadPdf,
    make_pdf: MakePdf | None = None,
) -> dict[str, Any] | Unfit:
    """The DocumentReference that goes. ``encounter``: the Encounter resource there, of this patient, when it is known.

    ``make_pdf``: text becomes a PDF where PDF is taken and text is not; without it such a report is Unfit.
    """
    content = _content(item, habits, read_pdf, make_pdf)
    if isinstance(content, Unfit):
        return content
    context = _context(item, habits, encounter)
    if isinstance(context, Unfit):
        return context
    made = {**item.resource, "content": content, "context": context, "docStatus": doc_status(item, habits)}
    if habits.visible_reference:
        made["description"] = _description(item)
    if habits.type is not None:
        made["type"] = {"coding": [coding(*habits.type)]}
    if habits.authors == "own":
        made["author"] = [each for each in as_dicts(made.get("author")) if each.get("reference")]
    return _without(made, habits.not_kept)


def text_of(item: Outgoing, read_pdf: ReadPdf) -> str | Unfit:
    """All documents of the report as one text, in their order; Unfit when the words of one of them cannot be had."""
    documents = documents_of(item)
    if isinstance(documents, Unfit):
        return documents
    parts = [words_of_part(each, read_pdf, item.called) for each in documents]
    unfit = next((each for each in parts if isinstance(each, Unfit)), None)
    made = [each for each in parts if isinstance(each, Part)]
    original = "the signed original" if item.called == "report" else "the original"
    return unfit or report_text(
        item.head or _head(item), made, original=original, original_from=item.author or "the consulting provider"
    )


def documents_of(item: Outgoing) -> Sequence[Document] | Unfit:
    """The attachments, all of them, with their bytes."""
    found = []
    for number, content in enumerate(as_dicts(item.resource.get("content")), 1):
        at = as_dict(content.get("attachment"))
        try:
            data = inline_bytes(at)
        except MappingError:
            data = None
        if not data:
            return Unfit(_NO_SHAPE, f"document {number} of the {item.called} has no bytes inside")
        found.append(
            Document(number, as_text(at.get("title")) or f"the {item.called}", str(at.get("contentType") or ""), data)
        )
    return found or Unfit(_NO_SHAPE, f"the {item.called} holds no document")


def _content(item: Outgoing, habits: DocumentHabits, read_pdf: ReadPdf, make_pdf: MakePdf | None) -> list[dict] | Unfit:
    documents = documents_of(item)
    if isinstance(documents, Unfit):
        return documents
    if _go_as_they_are(documents, habits):
        return [_labelled(each) for each in as_dicts(item.resource.get("content"))]
    if make_pdf is not None and _take_pdf_of_text(documents, habits):
        return _as_pdf(item, documents, make_pdf)
    if not _takes(habits, TEXT):
        return _no_shape(item, documents, habits)
    words = text_of(item, read_pdf)
    if isinstance(words, Unfit):
        return words
    return [{"attachment": to_attachment(TEXT_UTF8, words.encode(), documents[0].title)}]


def goes_apart(item: Outgoing, habits: DocumentHabits) -> bool:
    """Whether each document of a report is one of its own there: one is kept of each, and all are taken as they are."""
    documents = documents_of(item)
    if isinstance(documents, Unfit) or item.called != "report" or item.part or len(documents) < 2:
        return False
    return habits.attachments == "first" and _go_as_they_are(documents, replace(habits, attachments="all"))


def part_of(whole: Mapping[str, Any], number: int) -> dict[str, Any]:
    """The report with that document alone; counted from 1."""
    return {**whole, "content": as_dicts(whole.get("content"))[number - 1 : number]}


def _go_as_they_are(documents: Sequence[Document], habits: DocumentHabits) -> bool:
    """Not where only text is taken: there the text says first what it is, because nothing else of ours is shown."""
    only_text = set(habits.formats) == {TEXT}
    few = habits.attachments == "all" or len(documents) == 1
    return few and not only_text and all(_takes(habits, each.kind) for each in documents)


def _take_pdf_of_text(documents: Sequence[Document], habits: DocumentHabits) -> bool:
    """PDF and no text is taken, and nothing else is among them."""
    only_pdf = _takes(habits, PDF) and not _takes(habits, TEXT)
    few = habits.attachments == "all" or len(documents) == 1
    return only_pdf and few and all(each.kind in (TEXT, PDF) for each in documents)


def _as_pdf(item: Outgoing, documents: Sequence[Document], make_pdf: MakePdf) -> list[dict] | Unfit:
    """What is PDF goes as it is, each text as a PDF that says first what it is: the number of documents stays."""
    made = [_pdf_of(item, each, make_pdf) for each in documents]
    unfit = next((each for each in made if isinstance(each, Unfit)), None)
    return unfit or [{"attachment": each} for each in made if isinstance(each, dict)]


def _pdf_of(item: Outgoing, document: Document, make_pdf: MakePdf) -> dict | Unfit:
    if document.kind == PDF:
        return to_attachment(PDF, document.data, document.title)
    words = words_of(document.data, document.content_type)
    if words is None:
        return Unfit(_NO_SHAPE, f"document {document.number} is text in a character set that is not surely known")
    text = report_text(_head(item), [Part(document.title, words)], original_from=item.author or "")
    made = make_pdf(text, document.title)
    if isinstance(made, str):
        return Unfit(_NO_SHAPE, f"document {document.number} is text, and only PDF is taken: {made}")
    return to_attachment(PDF, made, document.title)


def _takes(habits: DocumentHabits, kind: str) -> bool:
    return not habits.formats or kind in habits.formats


def _no_shape(item: Outgoing, documents: Sequence[Document], habits: DocumentHabits) -> Unfit:
    strange = [each for each in documents if not _takes(habits, each.kind)]
    if strange:
        taken = ", ".join(habits.formats)
        return Unfit(_NO_SHAPE, f"document {strange[0].number} is {_shown(strange[0])}; only {taken} is taken")
    return Unfit(_NO_SHAPE, f"the {item.called} is {len(documents)} documents; only the first one would be kept")


def _labelled(content: dict) -> dict:
    """Text whose character set nobody wrote beside it, and which is UTF-8, says so: the same bytes."""
    at = as_dict(content.get("attachment"))
    kind, data = as_text(at.get("contentType")), inline_bytes(at) or b""
    if media_type(kind) != TEXT or charset_of(kind) or words_of(data, TEXT_UTF8) is None:
        return content
    return {**content, "attachment": {**at, "contentType": TEXT_UTF8}}


def words_of_part(document: Document, read_pdf: ReadPdf, called: str = "report") -> Part | Unfit:
    """One document as words; Unfit when they cannot be had."""
    if document.kind == PDF:
        read = read_pdf(document.data)
        if isinstance(read, str):
            return Unfit(_NO_TEXT, f"document {document.number} of the {called} cannot go as text: {read}")
        return Part(document.title, read.words, read.pictures)
    words = words_of(document.data, document.content_type)
    if words is not None:
        return Part(document.title, words)
    why = (
        "it is in a character set that is not surely known"
        if document.kind == TEXT
        else f"it is {_shown(document)}, neither text nor PDF"
    )
    return Unfit(_NO_TEXT, f"document {document.number} of the {called} cannot go as text: {why}")


def _shown(document: Document) -> str:
    """A media type as a sentence may hold it."""
    return document.kind if re.fullmatch(r"[a-z0-9.+-]+/[a-z0-9.+-]+", document.kind) else "of another type"


def _head(item: Outgoing) -> list[str]:
    """What stands above the report's own words: only what is known."""
    resource, earlier = item.resource, earlier_reference(item)
    lines = [
        "SECOND OPINION CONSULT REPORT",
        f"This is the second opinion for request {item.request_id}.",
        item.visible,
    ]
    lines += [f"It is {_of_how_many(item)} of the report."] if item.part else []
    lines += [f"It replaces the earlier report {earlier}."] if earlier else []
    lines += [f"Date: {resource['date']}"] if as_text(resource.get("date")) else []
    lines += [f"From: {item.author}"] if item.author else []
    return lines + ([f"Status: {resource['docStatus']}"] if as_text(resource.get("docStatus")) else [])


def _of_how_many(item: Outgoing) -> str:
    number, of = item.part or (1, 1)
    return f"document {number} of {of}"


def earlier_reference(item: Outgoing) -> str | None:
    """What the copy that this one replaces is searched by."""
    found = re.search(r"-report-([\d.]+)$", item.replaces.value) if item.replaces else None
    return visible_reference(item.request_id, found[1]) if found else None


def _description(item: Outgoing) -> str:
    said = as_text(item.resource.get("description"))
    if said and item.visible in said:
        return said
    author = f" by {item.author}" if item.author else ""
    if item.part:
        return f"Second opinion consult report{author}, {_of_how_many(item)}, {item.visible}"
    return f"{said or f'Second opinion consult report{author}'}, {item.visible}"


def doc_status(item: Outgoing, habits: DocumentHabits) -> str | None:
    """What a report is written as there; None when it says nothing of it."""
    said = as_text(item.resource.get("docStatus"))
    return habits.doc_status if habits.doc_status and said in _SIGNED else said


def _context(item: Outgoing, habits: DocumentHabits, encounter: Mapping[str, Any] | None) -> dict | Unfit:
    made = dict(as_dict(item.resource.get("context")))
    if habits.encounter == "required" and encounter is None:
        return Unfit("encounter-unclear", "a document has to name an encounter of the patient, and none is known")
    if habits.encounter != "never" and encounter is not None:
        made["encounter"] = [{"reference": f"Encounter/{encounter['id']}"}]
    if habits.period:
        period = _period(item, encounter)
        if period is None:
            return Unfit(
                "report-no-time", f"a document has to say when the service ended, and the {item.called} does not"
            )
        made["period"] = period
    return made


def _period(item: Outgoing, encounter: Mapping[str, Any] | None) -> dict | None:
    """With the time of day, which is demanded: the report's own, else of the visit, else when the report was written."""
    own = as_dict(as_dict(item.resource.get("context")).get("period"))
    visit = as_dict((encounter or {}).get("period"))
    for each in (own, visit):
        if as_instant(each.get("end")):
            return {name: each[name] for name in ("start", "end") if as_instant(each.get(name))}
    written = as_instant(item.resource.get("date"))
    return {"end": written} if written else None


def _without(resource: Mapping[str, Any], not_kept: Sequence[str]) -> dict[str, Any]:
    """Without empty elements, and without those (``element`` or ``element.element``) that the system does not keep."""
    inside: dict[str, list[str]] = {}
    for path in not_kept:
        name, _, rest = path.partition(".")
        inside.setdefault(name, []).append(rest)
    left = {name: value for name, value in resource.items() if "" not in inside.get(name, ())}
    for name, rests in inside.items():
        if isinstance(left.get(name), dict):
            left[name] = _without(left[name], rests)
        elif isinstance(left.get(name), list):
            left[name] = [_without(each, rests) if isinstance(each, dict) else each for each in left[name]]
    return {name: value for name, value in left.items() if value not in (None, [], {}, "")}
