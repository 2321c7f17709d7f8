"""What stands in a system of a document that was sent: found among the patient's documents, and compared content by content.

For systems where no search finds our identifier. https://hl7.org/fhir/R4/documentreference.html#search
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from integration.fhir.paging import Search
from integration.fhir.server import FhirServer
from mappings.addresses import Bases, local_reference
from mappings.codes import as_dict, as_dicts, as_text
from mappings.document_reference import inline_bytes
from mappings.model.errors import MappingError, PermanentError, TemporaryError
from mappings.same_document import Shown, Verdict, may_be, verdict
from mappings.times import as_instant

KIND = "DocumentReference"
CLINICAL_NOTE = "http://hl7.org/fhir/us/core/CodeSystem/us-core-documentreference-category|clinical-note"
_NOT_SEARCHED = (400, 404, 405, 422, 501)
_CLOCKS = timedelta(days=1)  # a day either way: time zones, clocks, and servers that compare days
MOST_READ = 200  # of more documents since the send, a person finds ours sooner


@dataclass(frozen=True)
class Looked:
    """``same``: documents there that are the one sent, ``Type/id``: resource. ``doubts``: why nobody can be sure of absence."""

    same: Mapping[str, Mapping[str, Any]]
    doubts: tuple[str, ...] = ()
    in_words: bool = False


class PatientDocuments:
    """The documents of one patient in one system."""

    def __init__(self, server: FhirServer, bases: Bases, max_bytes: int):
        self.server, self.bases, self.max_bytes = server, bases, max_bytes

    def look(
        self, sent: Mapping[str, Any], visible: str, since: datetime, patient: str, *, without: str | None = None
    ) -> Looked:
        """Those of the patient from ``since`` on that say the same; ``without``: the copy of an earlier revision.

        Raises PermanentError when searching is not allowed, TemporaryError, PartialError.
        """
        documents, doubts = self._since(self._earliest(sent, since), patient)
        same: dict[str, Mapping[str, Any]] = {}
        in_words, unclear = False, []
        candidates = [each for name, each in documents.items() if name != without and not is_older(each, since)]
        if len(candidates) > MOST_READ:
            return Looked({}, (f"{len(candidates)} documents of the patient came since then",))
        for each in candidates:
            found = self.compare(sent, each, visible)
            if found in (Verdict.SAME, Verdict.SAME_WORDS) and not _names_another(each, visible):
                same[f"{KIND}/{each['id']}"] = each
                in_words = in_words or found is Verdict.SAME_WORDS
            elif found is Verdict.UNCLEAR:
                unclear.append(f"{KIND}/{each['id']}")
        if unclear:
            doubts = (*doubts, f"{', '.join(unclear[:5])} may be it and cannot be compared")
        return Looked(same, doubts, in_words)

    def compare(self, sent: Mapping[str, Any], there: Mapping[str, Any], visible: str) -> Verdict:
        """Content by content; only what can be one of ours is fetched."""
        ours = [_shown(each) for each in _attachments(sent)]
        theirs = [self._fetched(each) for each in _attachments(there) if may_be(ours, as_text(each.get("contentType")))]
        return verdict(ours, theirs, visible)

    def _earliest(self, sent: Mapping[str, Any], since: datetime) -> datetime | None:
        """The first day on which a server may date it: of the send, of the report or of the visit; None: nobody can say."""
        said = as_instant(sent.get("date"))
        if said is None:  # then it may stand there without one, and no search by date would show it
            return None
        days = [since, datetime.fromisoformat(said)]
        for named in as_dicts(as_dict(sent.get("context")).get("encounter")):
            visit = self._visit(str(named.get("reference")))
            if visit is None:
                return None
            days.append(visit)
        return min(each.astimezone(UTC) for each in days) - _CLOCKS

    def _visit(self, reference: str) -> datetime | None:
        try:
            read = self.server.read(*reference.split("/"))
        except PermanentError:
            return None
        said = as_instant(as_dict(read.get("period")).get("start"))
        return datetime.fromisoformat(said) if said else None

    def _since(self, day: datetime | None, patient: str) -> tuple[dict[str, dict[str, Any]], tuple[str, ...]]:
        """All pages, each document once, the newest version of it. A search that is refused is asked with less, or more."""
        since = {"date": f"ge{day:%Y-%m-%d}"} if day else {}
        ways: tuple[dict[str, str], ...] = (
            since,
            {"category": CLINICAL_NOTE, **since},
            {"category": CLINICAL_NOTE},
            {},
        )
        refused: PermanentError | None = None
        for more in ways:
            try:
                return self._all({"patient": patient, **more}, patient)
            except PermanentError as error:
                if error.status_code not in _NOT_SEARCHED:
                    raise
                refused = error
        assert refused is not None
        raise refused

    def _all(self, params: Mapping[str, str], patient: str) -> tuple[dict[str, dict[str, Any]], tuple[str, ...]]:
        try:
            return self._read_all(params, patient)
        except TemporaryError as error:
            if error.cause != "page-expired":
                raise
        return self._read_all(
            params, patient
        )  # the server forgot the search between two pages: once more from the first

    def _read_all(self, params: Mapping[str, str], patient: str) -> tuple[dict[str, dict[str, Any]], tuple[str, ...]]:
        search = self.server.search(KIND, params)
        found: dict[str, dict[str, Any]] = {}
        for entry in search:
            if entry.resource.get("resourceType") == KIND and self._is_of(entry.resource, patient):
                found[entry.reference] = entry.resource
        return found, () if echoes(search, patient) else ("the search does not say what it looked for",)

    def _is_of(self, document: Mapping[str, Any], patient: str) -> bool:
        return local_reference(as_dict(document.get("subject")).get("reference"), self.bases) == patient

    def _fetched(self, attachment: Mapping[str, Any]) -> Shown:
        kind = as_text(attachment.get("contentType"))
        try:
            data = inline_bytes(attachment)
            if data is None and (url := as_text(attachment.get("url"))):
                read = self.server.binary(url, content_type=kind, max_bytes=self.max_bytes)
                return Shown(kind or read.content_type, read.data)
        except (MappingError, PermanentError):
            data = None
        return Shown(kind, data)


def is_older(there: Mapping[str, Any], since: datetime) -> bool:
    """By the server's own word of when it was changed last, a day either way; where that is not told, it may be ours."""
    said = as_instant(as_dict(there.get("meta")).get("lastUpdated"))
    return said is not None and datetime.fromisoformat(said) < since - _CLOCKS


def echoes(search: Search, patient: str) -> bool:
    """Whether a search says in its own link that it looked for this patient: one that was answered without would prove nothing."""
    wanted = patient.rpartition("/")[2]
    said = (pair for link in search.links for pair in parse_qsl(urlsplit(link).query))
    return any(
        name.partition(":")[0] in ("patient", "subject") and value.rpartition("/")[2] == wanted for name, value in said
    )


def _names_another(document: Mapping[str, Any], visible: str) -> bool:
    """The same bytes under the reference of another revision: that one's copy."""
    named = re.findall(r"SOE ref [A-Za-z0-9._-]+", as_text(document.get("description")) or "")
    return bool(named) and visible not in named


def _attachments(document: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    return (as_dict(each.get("attachment")) for each in as_dicts(document.get("content")))


def _shown(attachment: Mapping[str, Any]) -> Shown:
    return Shown(as_text(attachment.get("contentType")), inline_bytes(attachment))
