"""A record that arrived from elsewhere, as the resources that carry it: what its file and a person said, and nothing else.

https://hl7.org/fhir/R4/documentreference.html, https://hl7.org/fhir/R4/imagingstudy.html. Who uploaded it and where it came
from stand in the description: nobody is made an author who was not named as one.
"""

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from mappings.codes import SYSTEM_DICOM, concept
from mappings.model.request import Code, PatientRef

PREFIX = "received-"
ELSEWHERE = "elsewhere-"  # records of another provider's system, gathered because a person named it
DICOM_UIDS = "urn:dicom:uid"

# What a person may say who takes a received record back; told to the consultant in these words.
WITHDRAWN_BECAUSE = {
    "wrong-patient": "it is another patient's record",
    "wrong-record": "it is not the record it was taken for",
    "replaced": "a better copy of it was received",
    "asked-to": "the patient or its source asked to take it back",
}


@dataclass(frozen=True)
class Identity:
    """Whom a file says it is about, as it says it; unknown stays empty. ``born_on`` is ISO 8601, also of part of a date."""

    family: str = ""
    given: str = ""
    born_on: str = ""
    numbers: tuple[str, ...] = ()


@dataclass(frozen=True)
class Series:
    """A series of a study; ``body`` in the words of the device."""

    uid: str
    modality: str
    body: str
    instances: int


@dataclass(frozen=True)
class Study:
    """An imaging study as its files say it."""

    uid: str
    started_on: str
    description: str
    series: tuple[Series, ...]

    @property
    def modalities(self) -> list[str]:
        """Each once."""
        return sorted({each.modality for each in self.series if each.modality})


@dataclass(frozen=True)
class Said:
    """What a file says of itself. ``left_out``: files of an archive that are no images and do not travel."""

    identity: Identity | None = None
    studies: tuple[Study, ...] = ()
    code: Code | None = None
    title: str = ""
    author: str = ""
    source: str = ""
    dated: str = ""
    left_out: int = 0
    came_from: str = ""  # by which way, where the file was fetched and not handed in

    @classmethod
    def of(cls, kept: Mapping[str, Any]) -> "Said":
        """From what ``dataclasses.asdict`` made of it."""
        identity, code = kept.get("identity"), kept.get("code")
        studies = tuple(
            Study(**{**each, "series": tuple(Series(**one) for one in each["series"])}) for each in kept["studies"]
        )
        return cls(
            **{
                **kept,
                "identity": Identity(**{**identity, "numbers": tuple(identity["numbers"])}) if identity else None,
                "code": Code(**code) if code else None,
                "studies": studies,
            }
        )


@dataclass(frozen=True)
class Received:
    """An accepted record: its bytes by hash, and what a person said of it. ``received_on`` is a date, ``at`` an instant."""

    id: str
    sha256: str
    sha1: str
    size: int
    content_type: str
    said: Said
    label: str
    code: Code | None
    dated: str
    author: str
    source: str
    at: str


def name_of(record_id: str) -> str:
    """``DocumentReference/id`` of a received record in a packet."""
    return f"DocumentReference/{PREFIX}{record_id}"


def is_received(source: str) -> bool:
    """True for ``Type/id`` that no server of a placer knows: it came by hand, or from another provider."""
    return source.partition("/")[2].startswith((PREFIX, ELSEWHERE))


def resources(record: Received, patient: str) -> dict[str, dict]:
    """``{Type/id: resource}`` of one received record about ``patient`` (Type/id): its document, and the studies it holds."""
    studies = {
        f"ImagingStudy/{PREFIX}{record.id}-{number}": _study(record, study, number, patient)
        for number, study in enumerate(record.said.studies, 1)
    }
    return {name_of(record.id): _document(record, patient, list(studies))} | studies


def attachment_place(record_id: str) -> str:
    """Where the bytes of a received record stand in its document."""
    return f"{name_of(record_id)}#DocumentReference.content[0].attachment"


def _document(record: Received, patient: str, studies: list[str]) -> dict:
    title = f"{record.label or record.said.title or 'Record'} from {record.source}"
    kind: dict = concept(record.code) if record.code else {}
    if record.label:
        kind = {**kind, "text": record.label}
    context: dict = {"period": {"start": record.dated}} if record.dated else {}
    if studies:
        context["related"] = [{"reference": each} for each in studies]
    made = {
        "resourceType": "DocumentReference",
        "id": f"{PREFIX}{record.id}",
        "status": "current",
        "type": kind,
        "subject": {"reference": patient},
        "date": record.at,
        "author": [{"display": record.author}] if record.author else [],
        "description": f"{title}; received from elsewhere by the practice that asks",
        "content": [{"attachment": _attachment(record, title)}],
        "context": context,
    }
    return {name: value for name, value in made.items() if value not in ([], {})}


def _attachment(record: Received, title: str) -> dict:
    made = {
        "contentType": record.content_type,
        "url": f"Binary/{PREFIX}{record.id}",
        "size": record.size,
        "hash": base64.b64encode(bytes.fromhex(record.sha1)).decode("ascii"),
        "title": title,
    }
    return {**made, "creation": record.dated} if record.dated else made


def _study(record: Received, study: Study, number: int, patient: str) -> dict:
    made = {
        "resourceType": "ImagingStudy",
        "id": f"{PREFIX}{record.id}-{number}",
        "identifier": [{"system": DICOM_UIDS, "value": f"urn:oid:{study.uid}"}],
        "status": "available",
        "subject": {"reference": patient},
        "started": study.started_on,
        "modality": [{"system": SYSTEM_DICOM, "code": each} for each in study.modalities],
        "numberOfSeries": len(study.series),
        "numberOfInstances": sum(each.instances for each in study.series),
        "description": study.description,
        "series": [_series(each) for each in study.series],
    }
    return {name: value for name, value in made.items() if value not in ("", [], {})}


def _series(series: Series) -> dict:
    made = {
        "uid": series.uid,
        "modality": {"system": SYSTEM_DICOM, "code": series.modality},
        "numberOfInstances": series.instances,
    }
    return {**made, "bodySite": {"display": series.body}} if series.body else made


@dataclass(frozen=True)
class Comparison:
    """A file's patient beside the request's: what agrees, what differs, in words of elements and without values."""

    agrees: tuple[str, ...]
    differs: tuple[str, ...]

    @property
    def is_silent(self) -> bool:
        """The file does not say whose it is, or nothing that could be compared."""
        return not self.agrees and not self.differs


def compare(identity: Identity | None, patient: PatientRef) -> Comparison:
    """Family name, first given name and date of birth; a number only counts for it: every institution has its own."""
    if identity is None:
        return Comparison((), ())
    name = patient.name
    pairs = [
        ("the family name", identity.family, name.family if name else ""),
        ("the first given name", identity.given, name.given[0] if name and name.given else ""),
        ("the date of birth", identity.born_on, patient.birth_date.isoformat() if patient.birth_date else ""),
    ]
    known = [(what, _plain(there) == _plain(here)) for what, there, here in pairs if there and here]
    agrees = [what for what, same in known if same]
    if {_plain(each) for each in identity.numbers} & {_plain(each.value) for each in patient.identifiers}:
        agrees.append("a number")
    return Comparison(tuple(agrees), tuple(what for what, same in known if not same))


def _plain(text: str) -> str:
    return re.sub(r"[\W_]+", "", text.casefold())


def day_of_dicom(text: str) -> str:
    """``YYYYMMDD`` as ISO 8601; empty for what is no day."""
    text = text.strip()
    return _day(text[:4], text[4:6], text[6:8]) if re.fullmatch(r"\d{8}", text, re.ASCII) else ""


def day_of_hl7(text: str) -> str:
    """The date of an HL7 v3 time (``YYYY[MM[DD[hhmm...]]]``) as ISO 8601, as much as it says."""
    digits = re.match(r"\d{4,8}", text.strip(), re.ASCII)
    found = digits.group() if digits else ""
    if len(found) == 8:
        return _day(found[:4], found[4:6], found[6:8])
    if len(found) >= 6:
        return found[:4] + "-" + found[4:6] if "01" <= found[4:6] <= "12" else ""
    return found[:4]


def _day(year: str, month: str, day: str) -> str:
    try:
        return date(int(year), int(month), int(day)).isoformat()
    except ValueError:
        return ""
