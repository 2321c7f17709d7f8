"""athenahealth's own interface for clinical documents, as one practice has it: file, list, read. Plain JSON, not FHIR.

https://docs.athenahealth.com/api/api-ref/document-type-clinical-document; what is not said there is not believed: an answer
may come with 200 and say that it failed, a list may leave out, repeat, or show another patient's.
"""

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from integration.fhir.server import FhirServer
from integration.fhir.vendor import VendorInterface
from integration.settings.roads import Athena
from mappings.codes import as_dict, as_dicts, as_text
from mappings.model.errors import PermanentError, UnknownOutcome

NAME = "clinicaldocument"
PDF = "application/pdf"
PAGE = 50
MOST_LISTED = 2000
_PATIENT = re.compile(r"Patient/a-(?P<practice>[0-9]+)\.E-(?P<number>[0-9]+)")


def number_of(patient: str, practice: str) -> str | None:
    """The patient's number in a practice, of its FHIR id ``Patient/a-<practice>.E-<number>``; None where it is of another."""
    found = _PATIENT.fullmatch(patient)
    return found["number"] if found is not None and found["practice"] == practice else None


@dataclass(frozen=True)
class Filed:
    """One document as the interface shows it. ``note``: its internal note; ``original``: the address of its bytes."""

    number: str
    note: str
    patient: str | None
    created: str | None
    original: str | None

    @classmethod
    def of(cls, shown: Mapping[str, Any]) -> "Filed | None":
        """None for what has no number."""
        number = _number(shown.get("clinicaldocumentid"))
        if number is None:
            return None
        return cls(
            number,
            as_text(shown.get("internalnote")) or "",
            _number(shown.get("patientid")),
            as_text(shown.get("createddate")),
            as_text(as_dict(shown.get("originaldocument")).get("href")),
        )


@dataclass(frozen=True)
class Listed:
    """A patient's documents; ``is_whole``: False where there may be more than were shown."""

    documents: tuple[Filed, ...]
    is_whole: bool


class Interface:
    """The documents of one patient of one practice. Raises as the transport does."""

    def __init__(self, server: FhirServer, settings: Athena, patient: str):
        self.wire = VendorInterface(server, f"/v1/{settings.practice_id}")
        self.settings, self.name = settings, server.name
        self.place = f"patients/{patient}/documents/{NAME}"

    def file(self, data: bytes, form: Mapping[str, str], called: str) -> str | None:
        """Send one document, once; its number. None: it says that it did not take it. ``called``: our identifier."""
        fields = {**form, "attachmentcontents": base64.b64encode(data).decode("ascii")}
        answer = self.wire.post_form(self.place, fields, kind=NAME, called=called)
        said = _first(answer)
        number = _number(said.get("clinicaldocumentid"))
        if number is not None and not _says_no(said):
            return number
        if number is None and _says_no(said):
            return None
        raise UnknownOutcome(
            f"{self.name} took a document and does not say what it is called",
            endpoint=self.name,
            cause="not-found-after-write",
        )

    def documents(self) -> Listed:
        """All that the list of the department shows."""
        found: dict[str, Filed] = {}
        seen, total = 0, None
        while seen < MOST_LISTED:
            page = self._page(seen)
            shown = [each for each in map(Filed.of, as_dicts(page.get("clinicaldocuments"))) if each is not None]
            total = _count(page.get("totalcount"))
            if not shown:
                break
            if all(each.number in found for each in shown):  # the place to go on from is ignored
                return Listed(tuple(found.values()), is_whole=False)
            found.update((each.number, each) for each in shown)
            seen += len(shown)
            if total is not None and seen >= total:
                break
        return Listed(tuple(found.values()), is_whole=seen < MOST_LISTED and (total is None or len(found) >= total))

    def read(self, number: str) -> Filed:
        """One document. Raises PermanentError where something else comes."""
        shown = Filed.of(_first(self.wire.get(f"{self.place}/{number}")))
        if shown is None or shown.number != number:
            raise PermanentError(
                f"{self.name} answers with another document than was asked for",
                endpoint=self.name,
                cause="wrong-resource",
            )
        return shown

    def original(self, filed: Filed) -> bytes | None:
        """Its bytes as they were filed; None where they are not shown, or something else is."""
        if filed.original is None:
            return None
        try:
            data, kind = self.wire.get_bytes(filed.original, f"{PDF}, application/octet-stream")
        except PermanentError:
            return None
        return data if kind in (PDF, "application/octet-stream", "") else None

    def _page(self, offset: int) -> dict[str, Any]:
        asked = {"departmentid": self.settings.department_id, "limit": str(PAGE), "offset": str(offset)}
        return as_dict(self.wire.get(self.place, asked))


def _first(said: Any) -> dict[str, Any]:
    """Some of its answers are lists of one."""
    return as_dict(said[0]) if isinstance(said, list) and len(said) == 1 else as_dict(said)


def _number(value: Any) -> str | None:
    said = str(value) if isinstance(value, int | str) and not isinstance(value, bool) else ""
    return said if re.fullmatch(r"[0-9]{1,18}", said) else None


def _count(value: Any) -> int | None:
    said = _number(value)
    return int(said) if said is not None else None


def _says_no(said: Mapping[str, Any]) -> bool:
    return str(said.get("success", "true")).lower() == "false" or bool(said.get("errormessage"))
