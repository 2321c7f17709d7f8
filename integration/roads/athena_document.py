"""The road by athenahealth's own interface: each attachment is a clinical document of the patient's chart, a PDF.

Every send is another document there (it knows no condition): the ledger decides, and a look-up counts only where a document
carries our reference in its internal note, and the very bytes. Nobody can take a document back by this interface.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from integration import fhir_json
from integration.packets.pdf_words import words_of_pdf
from integration.packets.text_pdf import pdf_of_text
from integration.roads.athena_interface import Filed, Interface, number_of
from integration.roads.road import (
    NOT_ALLOWED,
    NOT_OFFERED,
    NOT_TAKEN,
    Absent,
    CannotTell,
    EndpointRoad,
    Impossible,
    NotAllowed,
    Prepared,
    ReadBack,
    Repeat,
    Taken,
    There,
)
from integration.settings.roads import Athena
from mappings.codes import as_text
from mappings.document_reference import attachments, inline_bytes
from mappings.fitting import Unfit, earlier_reference, fit
from mappings.model.errors import NeedsPerson, PermanentError
from mappings.model.outgoing import Outgoing
from mappings.model.roads import Level, RoadName
from mappings.same_document import Verdict

PREFIX = "clinicaldocument/"
MOST_READ = 50  # of more documents since the send, a person finds ours sooner
_CLOCKS = timedelta(days=1)  # dates there are days, in the practice's own time zone
_REFERENCE = re.compile(r"(?P<replaces>replaces )?SOE ref (?P<value>[A-Za-z0-9._-]+)(?: \((?P<number>\d+) of \d+\))?")


@dataclass(frozen=True)
class Part:
    """One attachment: a document of its own there. ``of``: how many there are."""

    number: int
    of: int
    data: bytes


class AthenaDocument(EndpointRoad):
    """Clinical documents in a chart of one practice."""

    name: str = RoadName.VENDOR_REST
    sends = True

    @property
    def settings(self) -> Athena | None:
        """As config.yaml has them."""
        return self.way.attempt.endpoint(self.at).athena

    def can(self) -> Impossible | None:
        """When the practice and its department are configured."""
        if self.settings is not None:
            return None
        return Impossible("road-not-configured", f"endpoints.{self.at}.athena names no practice and department")

    def prepare(self, item: Outgoing) -> Prepared | Impossible:
        """As PDF; of a patient of this practice."""
        if item.retracts:
            return Impossible(
                "road-not-offered",
                f"nobody can take a document back at {self.at} by its interface: have it deleted there",
            )
        if self._number(item) is None:
            return Impossible("road-not-offered", f"{item.patient} at {self.at} is no patient of athena.practice_id")
        habits = self.way.attempt.endpoint(self.at).habits
        made = fit(item, habits, encounter=None, read_pdf=words_of_pdf, make_pdf=pdf_of_text)
        if isinstance(made, Unfit):
            return Impossible(made.cause, made.message)
        return self.restore(item, fhir_json.dumps(made), None)

    def restore(self, item: Outgoing, body: bytes, control_id: str | None) -> Prepared:
        """The bytes are a DocumentReference; its attachments go, one by one."""
        resource = self.resource_of(body)
        hashes = tuple(hashlib.sha256(each.data).hexdigest() for each in _parts(resource))
        return Prepared(item, body, hashes, resource)

    def resource_of(self, body: bytes) -> Mapping[str, Any]:
        """The bytes are a DocumentReference."""
        return fhir_json.loads(body)

    def send(self, prepared: Prepared) -> Taken | There | Impossible:
        """Each attachment once. Of several, what an earlier send left there is not sent again (it was looked for over the lag)."""
        parts = _parts(prepared.resource)
        there = self._left_there(prepared, parts) if len(parts) > 1 else {}
        for part in parts:
            if part.number in there:
                continue
            number = self._file(prepared, part)
            if isinstance(number, Impossible):
                if there:
                    raise self._half(prepared, there, number)
                return number
            there[part.number] = number
        return Taken(_reference(there), Level.ACCEPTED, receipt={"status": "200"})

    def look_up(self, prepared: Prepared, since: datetime) -> There | Absent | CannotTell | Repeat:
        """In the list of the department. Part of it is Absent: then `send` sends the rest."""
        parts = _parts(prepared.resource)
        there = self._standing(prepared, parts, since)
        if isinstance(there, CannotTell):
            return there
        return There(_reference(there)) if len(there) == len(parts) else Absent()

    def renew(self, prepared: Prepared, there: There) -> Taken | None:
        """A document there is never changed."""
        return None

    def read_back(self, prepared: Prepared, reference: str | None) -> ReadBack | NotAllowed | None:
        """Each document by its number: it carries our reference, and the very bytes."""
        parts, numbers = _parts(prepared.resource), (reference or "").removeprefix(PREFIX).split(",")
        if len(numbers) != len(parts):
            return NotAllowed(f"{self.at} did not say what each document is called there")
        interface, seen = self._interface(prepared.item), []
        for part, number in zip(parts, numbers, strict=True):
            try:
                filed = interface.read(number)
            except PermanentError as error:
                if error.status_code == 404:
                    return None
                if error.status_code not in NOT_ALLOWED:
                    raise
                return NotAllowed(f"{self.at} does not let us read {PREFIX}{number} (HTTP {error.status_code})")
            seen.append(self._compared(prepared, part, filed, interface))
        if Verdict.OTHER in seen:
            return ReadBack(same=False)
        return (
            ReadBack(same=True) if set(seen) == {Verdict.SAME} else NotAllowed(f"{self.at} shows pictures, not the PDF")
        )

    def _compared(self, prepared: Prepared, part: Part, filed: Filed, interface: Interface) -> Verdict:
        name = f"{PREFIX}{filed.number}"
        if not self._is_of_patient(prepared, filed):
            self.way.attempt.finding("verify-changed", f"{name} stands in another patient's chart", name, "error")
            return Verdict.OTHER
        if not _carries(filed.note, prepared.item.visible, part):
            self.way.attempt.finding("verify-changed", f"{name} does not carry our reference", name, "error")
            return Verdict.OTHER
        data = interface.original(filed)
        if data is not None:
            if data == part.data:
                return Verdict.SAME
            self.way.attempt.finding("verify-bytes", f"the PDF of {name} is not the one that was sent", name, "error")
            return Verdict.OTHER
        return Verdict.UNCLEAR

    def _file(self, prepared: Prepared, part: Part) -> str | Impossible:
        """Its number there. Raises as the transport does."""
        form = self._form(prepared, part)
        try:
            number = self._interface(prepared.item).file(part.data, form, prepared.item.identifier.value)
        except PermanentError as error:
            if error.status_code in NOT_OFFERED:
                why = f"{self.at} has no such practice or patient for documents (HTTP {error.status_code})"
                return Impossible("road-not-offered", f"{why}: see athena.practice_id")
            if error.status_code == 413:
                return Impossible(
                    "report-too-large", f"{self.at} does not take the document: it is too large there (HTTP 413)"
                )
            if error.status_code in NOT_TAKEN:
                return Impossible("report-no-shape", f"{self.at} does not take the document in this shape: {error}")
            if error.status_code == 400:
                raise self._form_refused(error) from None
            raise
        return number or Impossible("report-no-shape", f"{self.at} answers that it did not take the document")

    def _form_refused(self, error: PermanentError) -> PermanentError:
        return PermanentError(
            f"{error}: it refuses the form or the PDF; see department_id, document_subclass and provider_id of "
            f"endpoints.{self.at}.athena",
            endpoint=self.at,
            status_code=400,
        )

    def _form(self, prepared: Prepared, part: Part) -> dict[str, str]:
        """https://docs.athenahealth.com/api/api-ref/document-type-clinical-document: dates are mm/dd/yyyy."""
        settings = self._settings()
        said = (as_text((prepared.resource or {}).get("date")) or "")[:10].split("-")
        day = {"observationdate": f"{said[1]}/{said[2]}/{said[0]}"} if len(said) == 3 else {}
        provider = {"providerid": settings.provider_id} if settings.provider_id else {}
        return {
            "departmentid": settings.department_id,
            "documentsubclass": settings.document_subclass,
            "internalnote": _note(prepared.item, part),
            **day,
            **provider,
        }

    def _settings(self) -> Athena:
        settings = self.settings
        if settings is None:
            raise PermanentError(
                f"endpoints.{self.at}.athena names no practice and department anymore",
                endpoint=self.at,
                cause="no-road",
            )
        return settings

    def _number(self, item: Outgoing) -> str | None:
        return number_of(item.patient, self._settings().practice_id)

    def _interface(self, item: Outgoing) -> Interface:
        number = self._number(item)
        if number is None:
            raise PermanentError(
                f"{item.patient} at {self.at} is no patient of athena.practice_id", endpoint=self.at, cause="no-road"
            )
        return Interface(self.way.attempt.server(self.at), self._settings(), number)

    def _is_of_patient(self, prepared: Prepared, filed: Filed) -> bool:
        return filed.patient in (None, self._number(prepared.item))

    def _left_there(self, prepared: Prepared, parts: Sequence[Part]) -> dict[int, str]:
        """Before some are sent: those that an earlier send left. Where we may not read, a person has said that none is there."""
        try:
            there = self._standing(prepared, parts, self.way.attempt.now)
        except PermanentError as error:
            if error.status_code not in NOT_ALLOWED:
                raise
            return {}
        if isinstance(there, CannotTell):
            raise NeedsPerson("sent-perhaps", f"{there.message}. Search the chart there for: {there.search_for}")
        return there

    def _standing(self, prepared: Prepared, parts: Sequence[Part], since: datetime) -> dict[int, str] | CannotTell:
        """The numbers of those parts that stand there. Raises NeedsPerson where one stands there twice."""
        interface = self._interface(prepared.item)
        listed = interface.documents()
        candidates = [each for each in listed.documents if self._may_be(prepared, each, since)]
        doubts = [] if listed.is_whole else [f"the list of documents at {self.at} is not whole"]
        if len(candidates) > MOST_READ:
            doubts.append(f"{len(candidates)} documents of the patient came since then")
        found: dict[int, str] = {}
        for each in candidates[:MOST_READ]:
            filed = interface.read(each.number)
            part = _part_that_is(filed, interface.original(filed), parts, prepared.item.visible)
            if isinstance(part, str):
                doubts.append(part)
            elif part is not None and part.number in found:
                raise self._twice(found[part.number], each.number)
            elif part is not None:
                found[part.number] = each.number
        doubtful = doubts and len(found) < len(parts)
        return CannotTell("; ".join(doubts), prepared.item.visible) if doubtful else found

    def _twice(self, *numbers: str) -> NeedsPerson:
        names = ", ".join(f"{PREFIX}{each}" for each in numbers)
        return NeedsPerson("duplicate-at-target", f"{len(numbers)} documents at {self.at} are one of ours: {names}")

    def _may_be(self, prepared: Prepared, filed: Filed, since: datetime) -> bool:
        """Names us, or names nobody and is not older than the send."""
        if not self._is_of_patient(prepared, filed):
            return False
        if _references(filed.note):
            return _names(filed.note, prepared.item.visible)
        created = _day(filed.created)
        return created is None or created >= (since - _CLOCKS).date()

    def _half(self, prepared: Prepared, there: Mapping[int, str], refused: Impossible) -> NeedsPerson:
        names = ", ".join(f"{PREFIX}{each}" for each in there.values())
        return NeedsPerson(
            "sent-perhaps",
            f"part of {prepared.item.identifier.value} stands at {self.at} ({names}), and the rest is refused: "
            f"{refused.message}. Search the chart there for: {prepared.item.visible}",
        )


def _parts(resource: Mapping[str, Any] | None) -> list[Part]:
    found = [data for each in attachments(dict(resource or {})) if (data := inline_bytes(each.attachment))]
    return [Part(number, len(found), data) for number, data in enumerate(found, 1)]


def _note(item: Outgoing, part: Part) -> str:
    """What the people there see beside the document, and search for."""
    author = f" by {item.author}" if item.author else ""
    earlier = earlier_reference(item)
    replaces = f"; replaces {earlier}" if earlier else ""
    return f"Second opinion consult report{author}, {item.visible}{_label(part)}{replaces}"


def _label(part: Part) -> str:
    return f" ({part.number} of {part.of})" if part.of > 1 else ""


def _references(note: str) -> list[tuple[str, str]]:
    """Our references that a note says of its own document, with the number of the part: not those that it replaces."""
    found = (each for each in _REFERENCE.finditer(note) if not each["replaces"])
    return [(f"SOE ref {each['value'].rstrip('.')}", each["number"] or "") for each in found]


def _part_that_is(filed: Filed, data: bytes | None, parts: Sequence[Part], visible: str) -> Part | str | None:
    """Which part a document there is; None: none; a str: why that is in doubt. ``data`` None: its bytes are not shown."""
    part = next((each for each in parts if _carries(filed.note, visible, each)), None)
    if part is not None and data in (None, part.data):
        return part
    names_nobody = not _references(filed.note)
    if _names(filed.note, visible) or names_nobody and any(data == each.data for each in parts):
        return f"{PREFIX}{filed.number} may be it"
    return None


def _names(note: str, visible: str) -> bool:
    return any(value == visible for value, _ in _references(note))


def _carries(note: str, visible: str, part: Part) -> bool:
    return (visible, str(part.number) if part.of > 1 else "") in _references(note)


def _reference(there: Mapping[int, str]) -> str:
    return PREFIX + ",".join(number for _, number in sorted(there.items()))


def _day(said: str | None) -> date | None:
    try:
        return datetime.strptime(said or "", "%m/%d/%Y").date()
    except ValueError:
        return None
