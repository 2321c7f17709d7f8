"""A consult report as a document message: MDM^T02, T10 where it replaces an earlier one, T11 where that is taken back.

https://www.hl7.eu/HL7v2x/v251/std251/ch09.html (9.6 messages, 9.7.1 TXA). The receiver tells one message from another by MSH-10
and one document from another by TXA-12: both are made from our identifier, so that a message that goes twice says the same.
"""

import base64
import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

import hl7

from mappings.codes import as_dict, as_dicts, as_text
from mappings.fitting import PDF, Document, ReadPdf, Unfit, documents_of, text_of, words_of_part
from mappings.hl7v2.patient import authority, numbers_of_patient, pid, pv1
from mappings.hl7v2.reading import named_set
from mappings.hl7v2.times import stamp, to_time
from mappings.hl7v2.writing import CHARACTER_SETS, NotInCharacterSet, Value, encoded, segment
from mappings.model.outgoing import Outgoing
from mappings.model.request import Identifier
from mappings.report_text import wrapped

CONTROL_ID_LENGTH = 20  # MSH-10 up to version 2.5.1
# What a report says of itself, as TXA-17 (table 0271) and OBX-11 (table 0085) say it. https://hl7.org/fhir/uv/v2mappings/2024Sep/
COMPLETION = {"final": "AU", "amended": "AU", "preliminary": "IP"}
RESULT_STATUS = {"final": "F", "amended": "C", "preliminary": "P"}
Kind = Literal["original", "replacement", "retraction"]


@dataclass(frozen=True)
class Habits:
    """How one receiver takes a document message; the keys of ``hl7v2`` in config.yaml.

    Applications and facilities, and the values of ``authorities`` (by system), are ``NAMESPACE`` or ``NAMESPACE^ID^TYPE``.
    ``acknowledgments``: MSH-15 and MSH-16, empty in original mode. ``events``: by what the message does.
    """

    sending_application: str
    sending_facility: str
    receiving_application: str
    receiving_facility: str
    version: str = "2.5.1"
    processing_id: str = "P"
    character_set: str = "UNICODE UTF-8"
    acknowledgments: tuple[str, str] = ("", "")
    events: Mapping[str, str] = field(
        default_factory=lambda: {"original": "T02", "replacement": "T10", "retraction": "T11"}
    )
    document: Literal["pdf", "text"] = "pdf"
    document_type: str = "CN"
    observation: tuple[str, str, str] = ("11488-4", "Consult note", "LN")
    pdf_type: tuple[str, str] = ("AP", "PDF")
    patient_systems: tuple[str, ...] = ()
    authorities: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Made:
    """A message. ``kind``: ``MDM^T02``; ``notes``: in words what the report says and the message does not."""

    kind: str
    control_id: str
    number: str
    data: bytes
    attachment_sha256: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def control_id_of(identifier: Identifier) -> str:
    """MSH-10: always the same for one revision of one report."""
    digest = hashlib.sha256(f"{identifier.system}|{identifier.value}".encode()).digest()
    return base64.b32encode(digest).decode()[:CONTROL_ID_LENGTH]


def number_of(identifier: Identifier) -> str:
    """TXA-12 without its namespace; it is also what a person searches for."""
    return identifier.value.rpartition("/")[2].replace("-report-", "-")


def to_message(
    item: Outgoing, habits: Habits, *, encounter: Mapping[str, Any] | None, at: datetime, read_pdf: ReadPdf
) -> Made | Unfit:
    """``item.patient_resource``: the patient as they stand there. Unfit: why this receiver cannot have the report so."""
    kind = kind_of(item)
    numbers = numbers_of_patient(item.patient_resource, habits.patient_systems)
    status = as_text(item.resource.get("docStatus")) or ""
    if not numbers:
        return Unfit("no-patient-number", "the patient has no number there that tells them from others (PID-3)")
    if status not in COMPLETION:
        return Unfit("report-no-status", "a document has to say whether it is final (TXA-17), and the report does not")
    contents: Contents | Unfit = Contents() if kind == "retraction" else _contents(item, habits, read_pdf)
    if isinstance(contents, Unfit):
        return contents
    visit, notes = pv1(encounter, habits.authorities)
    segments = [
        _msh(item, habits, kind, at),
        segment("EVN", habits.events[kind], stamp(at)),
        pid(item.patient_resource, numbers, habits.authorities),
        visit,
        _txa(item, habits, kind, contents.presentation),
        *_observations(item, habits, contents),
    ]
    try:
        data = encoded(segments, habits.character_set)
    except NotInCharacterSet as error:
        return Unfit(
            "character-set", f"{error}, and it is what is configured for the receiver; nothing is sent with a ? in it"
        )
    said = (*notes, *_left_out(item, kind, numbers))
    number = number_of(item.replaces if kind == "retraction" and item.replaces else item.identifier)
    return Made(f"MDM^{habits.events[kind]}", control_id_of(item.identifier), number, data, contents.hashes, said)


def kind_of(item: Outgoing) -> Kind:
    """It replaces a copy only where that is known to have gone by this road."""
    if item.retracts:
        return "retraction"
    return "replacement" if item.replaces is not None and item.replaces_reference is not None else "original"


@dataclass(frozen=True)
class Sent:
    """What a message of ours says of itself. ``kind``: ``MDM^T02``; ``number``: TXA-12; ``doc_status``: as the report said it."""

    kind: str
    number: str
    doc_status: str | None


def read_document(data: bytes) -> Sent:
    """From its own bytes. Raises hl7.ParseException for what is no message."""
    message = hl7.parse(data.decode(_codec_of(data)))
    msh, txa = message.segment("MSH"), message.segment("TXA")
    completion = txa.extract_field(1, 17)
    status = next((each for each, code in COMPLETION.items() if code == completion), None)
    kind = f"{msh.extract_field(1, 9)}^{msh.extract_field(1, 9, 1, 2)}"
    return Sent(kind, str(txa.extract_field(1, 12)), status)


@dataclass(frozen=True)
class Contents:
    """``parts``: for each document its OBX-2 and the values of OBX-5, one segment each."""

    parts: tuple[tuple[str, tuple[Value, ...]], ...] = ()
    presentation: str = ""
    hashes: tuple[str, ...] = ()


def _contents(item: Outgoing, habits: Habits, read_pdf: ReadPdf) -> Contents | Unfit:
    documents = documents_of(item)
    if isinstance(documents, Unfit):
        return documents
    hashes = tuple(hashlib.sha256(each.data).hexdigest() for each in documents)
    if habits.document == "text":
        words = text_of(item, read_pdf)
        return words if isinstance(words, Unfit) else Contents((_lines(words.rstrip("\n")),), "TX", hashes)
    parts = [_part(each, habits, read_pdf) for each in documents]
    unfit = next((each for each in parts if isinstance(each, Unfit)), None)
    made = tuple(each for each in parts if not isinstance(each, Unfit))
    return unfit or Contents(made, "AP" if any(kind == "ED" for kind, _ in made) else "TX", hashes)


def _part(document: Document, habits: Habits, read_pdf: ReadPdf) -> tuple[str, tuple[Value, ...]] | Unfit:
    if document.kind == PDF:
        return "ED", (("", *habits.pdf_type, "Base64", base64.b64encode(document.data).decode("ascii")),)
    part = words_of_part(document, read_pdf)
    return part if isinstance(part, Unfit) else _lines("\n".join(wrapped(part.words)))


def _lines(words: str) -> tuple[str, tuple[Value, ...]]:
    return "TX", tuple(words.split("\n"))


def _msh(item: Outgoing, habits: Habits, kind: Kind, at: datetime) -> hl7.Segment:
    event, structure = habits.events[kind], "MDM_T01" if kind == "retraction" else "MDM_T02"
    parties = (
        habits.sending_application,
        habits.sending_facility,
        habits.receiving_application,
        habits.receiving_facility,
    )
    return segment(
        "MSH",
        *(_party(each) for each in parties),
        stamp(at),
        "",
        ("MDM", event) if habits.version < "2.4" else ("MDM", event, structure),
        control_id_of(item.identifier),
        habits.processing_id,
        habits.version,
        "",
        "",
        *habits.acknowledgments,
        "",
        habits.character_set,
    )


def _party(name: str) -> Value:
    return tuple(name.split("^"))


def _txa(item: Outgoing, habits: Habits, kind: Kind, presentation: str) -> hl7.Segment:
    resource, status = item.resource, str(item.resource.get("docStatus"))
    numbered = item.replaces if kind == "retraction" and item.replaces else item.identifier
    author = ("", item.author) if item.author else ""
    period = as_dict(as_dict(resource.get("context")).get("period"))
    return segment(
        "TXA",
        "1",
        habits.document_type,
        presentation,
        to_time(period.get("end")),
        author,
        to_time(resource.get("date")),
        "",
        "",
        author,
        "",
        "",
        _named(numbered, habits),
        _named(item.replaces, habits) if kind == "replacement" and item.replaces else "",
        [_order(each, habits) for each in _orders(item)] or "",
        "",
        "" if kind == "retraction" else item.visible,
        COMPLETION[status],
        "",
        "CA" if kind == "retraction" else "",
    )


def _named(identifier: Identifier, habits: Habits) -> Value:
    return number_of(identifier), *habits.sending_application.split("^")


def _orders(item: Outgoing) -> Iterator[Mapping[str, Any]]:
    """Numbers of the request that are not ours: its placer's."""
    for each in as_dicts(as_dict(item.resource.get("context")).get("related")):
        number = as_dict(each.get("identifier"))
        if as_text(number.get("value")) and number.get("system") != item.identifier.system:
            yield number


def _order(number: Mapping[str, Any], habits: Habits) -> Value:
    named = authority(as_text(number.get("system")), habits.authorities)
    return str(number["value"]), *((named,) if isinstance(named, str) else named)


def _observations(item: Outgoing, habits: Habits, contents: Contents) -> Iterator[hl7.Segment]:
    status = RESULT_STATUS[str(item.resource.get("docStatus"))]
    titles = [as_text(as_dict(each.get("attachment")).get("title")) for each in as_dicts(item.resource.get("content"))]
    set_id = 0
    for number, (kind, values) in enumerate(contents.parts, 1):
        title = (titles[number - 1 : number] or [None])[0] or habits.observation[1]
        what = (*habits.observation, number_of(item.identifier), f"{title}, {item.visible}", "L")
        for value in values:
            set_id += 1
            yield segment("OBX", str(set_id), kind, what, str(number), value, "", "", "", "", "", status)


def _left_out(item: Outgoing, kind: Kind, numbers: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """What the report or its patient say and no field of the message holds."""
    if not all(as_text(each.get("system")) for each in numbers):
        yield "a number of the patient says no system: PID-3 names no assigning authority for it"
    if kind == "original" and item.replaces is not None:
        yield "it replaces a copy that went by another road: TXA-13 cannot name it, so it goes as a new document"
    if item.author:
        yield "the author is known by name only: TXA-5 and TXA-9 hold no id"
    if as_dict(as_dict(item.resource.get("context")).get("period")).get("start"):
        yield "the beginning of the service has no field: TXA-4 holds its end"


def _codec_of(data: bytes) -> str:
    return CHARACTER_SETS.get(named_set(data.partition(b"\r")[0]), "utf-8")
