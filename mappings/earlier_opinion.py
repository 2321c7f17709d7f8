"""The report of an earlier opinion of a case as a document of the next packet: its bytes, and who wrote it.

https://hl7.org/fhir/R4/documentreference.html. Its words are the consultant's, and nothing is said about them.
"""

import base64
from dataclasses import dataclass

from mappings.codes import CONSULTATION_NOTE, concept
from mappings.received import PREFIX

RETRACTED = "the consultant retracted this opinion"
STAYS = "the patient did not say that the earlier opinions of the case go along"


@dataclass(frozen=True)
class OpinionDocument:
    """One document of the report: its hashes (hex), size in bytes and content type as the consultant's system says it."""

    sha256: str
    sha1: str
    size: int
    content_type: str


@dataclass(frozen=True)
class EarlierOpinion:
    """The newest report of request ``request_id``. ``by``: the organization that wrote it; ``authors``: names in the report.

    ``dated``: an instant; ``agreed``: who said that it goes along, and on which day (ISO 8601).
    """

    request_id: str
    number: int
    revision: int
    is_amended: bool
    by: str
    authors: tuple[str, ...]
    dated: str | None
    agreed: tuple[str, str]
    documents: tuple[OpinionDocument, ...]


def name_of(request_id: str) -> str:
    """``DocumentReference/id`` of a request's report in the packet of a later one: each revision takes the place of the last."""
    return f"DocumentReference/{PREFIX}opinion-{request_id}"


def attachment_place(request_id: str, index: int) -> str:
    """Where the bytes of its documents stand, from 0."""
    return f"{name_of(request_id)}#DocumentReference.content[{index}].attachment"


def resource(opinion: EarlierOpinion, patient: str) -> dict:
    """The report about ``patient`` (Type/id), for whoever is asked next."""
    title = f"Opinion {opinion.number} of {opinion.by}"
    title += f", revision {opinion.revision}" if opinion.revision > 1 else ""
    made = {
        "resourceType": "DocumentReference",
        "id": name_of(opinion.request_id).partition("/")[2],
        "status": "current",
        "docStatus": "amended" if opinion.is_amended else "final",
        "type": concept(CONSULTATION_NOTE),
        "subject": {"reference": patient},
        "date": opinion.dated,
        "author": [{"display": each} for each in (*opinion.authors, opinion.by)],
        "description": f"{title}; an earlier opinion of this case. {opinion.agreed[0]} said on {opinion.agreed[1]} that it goes "
        "along",
        "content": [
            {"attachment": _attachment(opinion, each, index, title)} for index, each in enumerate(opinion.documents)
        ],
    }
    return {name: value for name, value in made.items() if value not in (None, [], {})}


def _attachment(opinion: EarlierOpinion, document: OpinionDocument, index: int, title: str) -> dict:
    return {
        "contentType": document.content_type,
        "url": f"Binary/{PREFIX}opinion-{opinion.request_id}-{index + 1}",
        "size": document.size,
        "hash": base64.b64encode(bytes.fromhex(document.sha1)).decode("ascii"),
        "title": title,
    }
