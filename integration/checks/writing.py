"""A marked document of a test patient: created, read back, created again under its condition, updated, taken away again."""

import base64
import secrets
from collections.abc import Generator, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from integration.checks.tried import Tried, Trying
from integration.fhir.server import Written
from integration.fhir.writes import identifier_condition
from integration.roads.patient_documents import PatientDocuments
from mappings.addresses import local_reference
from mappings.codes import as_dict
from mappings.model.errors import ExchangeError, UnknownOutcome
from mappings.model.outgoing import visible_reference
from mappings.model.request import Identifier
from mappings.model.trials import Trial
from mappings.same_document import Verdict

SMALL = 1024  # bytes
_LESS = (1 << 20, 1 << 18)  # tried where the configured size is refused
_MARK = "TEST ONLY. A check of the connection by the Second Opinion Exchange, not part of any record.\n"
_PADDING = "TEST ONLY\n"
_TEST_DATA = {"system": "http://terminology.hl7.org/CodeSystem/v3-ActReason", "code": "HTEST"}
_CONSULT_NOTE = ("http://loinc.org", "11488-4")
_GONE, _IN_ERROR, _AS_WRITTEN = "gone", "marked entered-in-error", "as it was written"


@dataclass(frozen=True)
class Marked:
    """A test document: what is sent, our identifier of it, and the words by which a person finds it there."""

    resource: dict[str, Any]
    identifier: Identifier
    visible: str


def writes(trying: Trying, encounter: str | None = None) -> Iterator[Tried]:
    """``encounter``: ``Encounter/id`` of the test patient, where a document has to name one. Writes only by the gate's server."""
    problem = _encounter_problem(trying, encounter)
    if problem is not None:
        yield problem
        return
    document = marked(trying, encounter, SMALL, datetime.now(UTC))
    made = yield from _created(trying, document)
    if made is None:
        return
    there = yield from _read_back(trying, made, document)
    if trying.endpoint.overrides.get("conditional_create") is not False:
        yield _conditional(trying, document, made)
    end = yield from _taken_back(trying, made, there, document)
    yield from _sizes(trying, encounter, end)


def marked(trying: Trying, encounter: str | None, size: int, now: datetime) -> Marked:
    """A document of ``size`` bytes that says of itself that it is a test, in the shape that this system takes."""
    name, habits = f"check-{secrets.token_hex(8)}", trying.endpoint.habits
    visible, identifier = visible_reference(name, 1), _identifier(trying, name)
    system, code = habits.type or _CONSULT_NOTE
    period = {"period": {"end": now.isoformat(timespec="seconds")}} if habits.period else {}
    visit = {"encounter": [{"reference": encounter}]} if encounter else {}
    data = base64.b64encode(_text(visible, size)).decode()
    whole = {
        "resourceType": "DocumentReference",
        "meta": {"tag": [_TEST_DATA]},
        "identifier": [identifier.model_dump()],
        "status": "current",
        "docStatus": habits.doc_status or "final",
        "type": {"coding": [{"system": system, "code": code}]},
        "subject": {"reference": trying.patient},
        "description": f"TEST ONLY ({visible})",
        "content": [
            {"attachment": {"contentType": "text/plain; charset=utf-8", "data": data, "title": f"TEST ONLY {visible}"}}
        ],
        **({"context": {**visit, **period}} if visit or period else {}),
    }
    kept = {key: value for key, value in whole.items() if key not in habits.not_kept}
    return Marked(kept, identifier, visible)


def _identifier(trying: Trying, name: str) -> Identifier:
    return Identifier(system=trying.endpoint.identifier_system, value=f"check/{name}")


def _text(visible: str, size: int) -> bytes:
    said = f"{_MARK}{visible}\n".encode()
    return (said + _PADDING.encode() * (size // len(_PADDING) + 1))[: max(size, len(said))]


def _encounter_problem(trying: Trying, encounter: str | None) -> Tried | None:
    """A document that is filed at somebody else's visit is in somebody else's chart."""
    if encounter is None:
        if trying.endpoint.habits.encounter != "required":
            return None
        says = "not tried: a document has to name an encounter there; give one of the test patient with --encounter"
        return Tried(Trial.CREATE, None, says)
    try:
        subject = as_dict(trying.server.read(*encounter.split("/")).get("subject")).get("reference")
    except ExchangeError as error:
        return Tried(Trial.CREATE, None, f"not tried: {encounter} cannot be read there ({error})")
    if local_reference(subject, trying.endpoint.bases) == trying.patient:
        return None
    return Tried(Trial.CREATE, None, f"not tried: {encounter} is not of {trying.patient}; nothing was written")


def _created(trying: Trying, document: Marked) -> Generator[Tried, None, str | None]:
    """``Type/id`` there; None where that is not known."""
    made = _create(trying, document)
    if isinstance(made, Tried):
        vendor = made.worked is False and trying.endpoint.profile == "generic"
        hint = ". If this is a vendor's EHR, write its `profile` first: a document then has the shape it takes"
        yield replace(made, says=made.says + hint) if vendor else made
        return None
    yield Tried(Trial.CREATE, True, f"{made.location}")
    return made.location


def _create(trying: Trying, document: Marked, condition: str | None = None) -> Written | Tried:
    """What the server made of it, always with its address; else why there is none, and what may stand there."""
    perhaps = (f"a document with the words {document.visible}",)
    try:
        made = trying.server.create(document.resource, if_none_exist=condition, called=(document.identifier.value,))
    except UnknownOutcome as error:
        return Tried(Trial.CREATE, None, f"{error}. It may stand there: search for {document.visible}", left=perhaps)
    except ExchangeError as error:
        return Tried(Trial.CREATE, False, str(error))
    if made.location is None and condition is None:
        says = f"taken, and the answer does not say where it is: search for {document.visible}"
        return Tried(Trial.CREATE, None, says, left=perhaps)
    return made


def _read_back(trying: Trying, reference: str, document: Marked) -> Generator[Tried, None, dict[str, Any] | None]:
    try:
        there = trying.server.read_if_there(reference)
    except ExchangeError as error:
        yield Tried(Trial.READ_BACK, False, f"{error}: nothing we write here can be verified")
        return None
    if there is None:
        yield Tried(Trial.READ_BACK, False, f"{reference} is not there right after it was taken")
        return None
    found = _compared(trying, document, there)
    says = {
        Verdict.SAME: "it says what was written, to the byte: reports can be verified here",
        Verdict.SAME_WORDS: "it says the same words in another notation: reports can be verified here",
    }.get(found, "it came back different, or cannot be read")
    yield Tried(Trial.READ_BACK, True if found in (Verdict.SAME, Verdict.SAME_WORDS) else None, says)
    return there


def _compared(trying: Trying, document: Marked, there: dict[str, Any]) -> Verdict:
    standing = PatientDocuments(trying.server, trying.endpoint.bases, trying.endpoint.limits.max_answer_bytes)
    try:
        return standing.compare(document.resource, there, document.visible)
    except ExchangeError:
        return Verdict.UNCLEAR


def _conditional(trying: Trying, document: Marked, reference: str) -> Tried:
    condition = identifier_condition(document.identifier.system, document.identifier.value)
    again = _create(trying, document, condition)
    if isinstance(again, Tried):
        return replace(again, what=Trial.CONDITIONAL, says=f"{again.says}: the target is searched before each create")
    if again.location in (None, reference) and not again.created:
        return Tried(Trial.CONDITIONAL, True, "a second one was not made")
    left = _removed(trying, again.location, document) if again.location else (f"a second {document.visible}",)
    learned = {"capabilities.conditional_create": False}
    return Tried(Trial.CONDITIONAL, False, f"a second one was made{_stays(left)}", learned, left)


def _taken_back(
    trying: Trying, reference: str, there: dict[str, Any] | None, document: Marked
) -> Generator[Tried, None, str]:
    """Marked as an error, then deleted; what has become of it."""
    end = _AS_WRITTEN
    if there is not None:
        try:
            version = as_dict(there.get("meta")).get("versionId")
            trying.server.update({**there, "status": "entered-in-error"}, if_match=version)
            if as_dict(trying.server.read_if_there(reference)).get("status") == "entered-in-error":
                end = _IN_ERROR
                yield Tried(Trial.UPDATE, True, "the test document is marked entered-in-error")
            else:
                yield Tried(Trial.UPDATE, False, "the server said yes, and what stands there did not change")
        except ExchangeError as error:
            yield Tried(Trial.UPDATE, False, f"{error}: corrections go as new documents")
    left = _removed(trying, reference, document)
    if not left:
        yield Tried(Trial.DELETE, True, "the test document is gone")
        return _GONE
    says = f"{reference} stays at {trying.endpoint.base_url}, {end}, of {trying.patient}; a person there finds it by "
    yield Tried(Trial.DELETE, False, f"{says}{document.visible!r}. Have it removed if it disturbs", left=left)
    return end


def _removed(trying: Trying, reference: str, document: Marked) -> tuple[str, ...]:
    """What stays there: looked at, because a server may say that it deletes and keep it."""
    try:
        trying.server.delete(reference)
        if trying.server.read_if_there(reference) is None:
            return ()
    except ExchangeError:
        pass
    return (f"{reference} ({document.visible})",)


def _sizes(trying: Trying, encounter: str | None, end: str) -> Iterator[Tried]:
    """The configured size, and where that is refused smaller ones; each is taken away again."""
    wanted = trying.endpoint.limits.max_inline_bytes
    if end != _GONE:
        yield Tried(
            Trial.SIZE, None, f"not tried with {wanted} bytes: what is written there cannot be taken away again"
        )
        return
    refused = ""
    for size in (wanted, *(each for each in _LESS if each < wanted)):
        if trying.is_over:
            yield Tried(Trial.SIZE, None, f"{refused}the time of the check is over")
            return
        document = marked(trying, encounter, size, datetime.now(UTC))
        made = _create(trying, document)
        if not isinstance(made, Tried):
            yield _taken(trying, document, str(made.location), size, refused)
            return
        if made.worked is None:
            yield replace(made, what=Trial.SIZE, says=f"{refused}{size} bytes: {made.says}")
            return
        refused += f"{size} bytes are refused ({made.says}); "
    yield Tried(Trial.SIZE, False, f"{refused}{SMALL} bytes were taken", {"limits.max_inline_bytes": SMALL})


def _taken(trying: Trying, document: Marked, reference: str, size: int, refused: str) -> Tried:
    learned = {"limits.max_inline_bytes": size} if refused else {}
    try:
        there = trying.server.read_if_there(reference)
        same = there is not None and _compared(trying, document, there) in (Verdict.SAME, Verdict.SAME_WORDS)
    except ExchangeError:
        same = False
    left = _removed(trying, reference, document)
    words = "taken and read back" if same else "taken, and it did not come back as it was"
    return Tried(Trial.SIZE, same and not refused, f"{refused}{size} bytes are {words}{_stays(left)}", learned, left)


def _stays(left: tuple[str, ...]) -> str:
    return f", and could not be taken away: {', '.join(left)} stays there" if left else ""
