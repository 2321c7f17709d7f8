"""The road over FHIR: one DocumentReference with its bytes inline, in the shape that the system takes (mappings/fitting.py).

Created under a condition where the server knows conditions (https://hl7.org/fhir/R4/http.html#ccreate). A look-up counts
only if the resource that came back carries our identifier, or the very bytes or words that were sent (patient_documents.py).
"""

import hashlib
from collections.abc import Mapping, Set
from dataclasses import replace
from datetime import datetime
from typing import Any, cast

from integration import fhir_json
from integration.fhir.failures import numbers_in
from integration.fhir.server import FhirServer, Written, identifier_condition
from integration.packets.pdf_words import words_of_pdf
from integration.roads.encounters import encounter_for
from integration.roads.patient_documents import PatientDocuments
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
from mappings.codes import as_dicts
from mappings.compare import compare
from mappings.document_reference import attachments, inline_bytes
from mappings.fitting import Unfit, fit, goes_apart, part_of
from mappings.identifiers import identifiers_in
from mappings.model.errors import NeedsPerson, PermanentError, TemporaryError, UnknownOutcome
from mappings.model.outgoing import Outgoing
from mappings.model.profiles import DocumentHabits
from mappings.model.request import Identifier
from mappings.model.roads import Level, RoadName
from mappings.same_document import Verdict

KIND = "DocumentReference"
IN_ERROR = "entered-in-error"
_THERE_ALREADY = frozenset(("59141", "59189"))  # Epic: "an attempt was made to create a duplicate record"


class FhirDocument(EndpointRoad):
    """A DocumentReference at the endpoint itself."""

    name: str = RoadName.FHIR_DOCUMENT
    sends = True

    @property
    def server(self) -> FhirServer:
        """Of where it will stand."""
        return self.way.attempt.server(self.at)

    @property
    def finds(self) -> bool:
        """False where a search by identifier says nothing."""
        return self.way.attempt.endpoint(self.at).habits.finds_by_identifier is not False

    @property
    def habits(self) -> DocumentHabits:
        """What the system demands of a document."""
        return self.way.attempt.endpoint(self.at).habits

    @property
    def standing(self) -> PatientDocuments:
        """The documents that stand there."""
        limit = self.way.attempt.config.records.max_attachment_bytes
        return PatientDocuments(self.server, self.way.attempt.bases(self.at), limit)

    def can(self) -> Impossible | None:
        """Always: whether the server takes it is found out by sending."""
        return None

    def prepare(self, item: Outgoing) -> Prepared | Impossible:
        """In the shape that is taken there, at an encounter of the patient; of a retraction the copy that is there, marked."""
        if not item.retracts:
            if goes_apart(item, self.habits):
                return self._first_of(item)
            encounter = encounter_for(self.way, self.at, item)
            made = fit(item, self.habits, encounter=encounter, read_pdf=words_of_pdf)
            return Impossible(made.cause, made.message) if isinstance(made, Unfit) else prepared_of(item, made)
        if item.replaces_reference is None:
            return Impossible("retraction-unknown", f"it is not known what the copy at {self.at} is called there")
        return prepared_of(item, self._marked(item.replaces_reference, item.resource))

    def _first_of(self, item: Outgoing) -> Prepared | Impossible:
        """The first document; who sends the others cuts them from the whole."""
        of = len(as_dicts(item.resource.get("content")))
        made = self.prepare(replace(item, resource=part_of(item.resource, 1), part=(1, of)))
        return made if isinstance(made, Impossible) else replace(made, whole=fhir_json.dumps(dict(item.resource)))

    def restore(self, item: Outgoing, body: bytes, control_id: str | None) -> Prepared:
        """The bytes are the resource."""
        return prepared_of(item, fhir_json.loads(body))

    def resource_of(self, body: bytes) -> Mapping[str, Any]:
        """The bytes are the resource."""
        return fhir_json.loads(body)

    def send(self, prepared: Prepared) -> Taken | There | Impossible:
        """Create it unless it is there; where the server knows no conditions it is looked for first."""
        if prepared.item.retracts:
            return self._retract(prepared)
        if not self._knows_conditions() and self.finds:
            looked = self._by_identifier(prepared)
            if isinstance(looked, There):
                return looked
        try:
            written = self._create(prepared)
        except PermanentError as error:
            return self._refused(prepared, error)
        if written.location is None:
            return self._found_after_write(prepared)
        if not written.created:
            self._must_be_ours(written.location, prepared)
            return There(written.location, written.version)
        return Taken(written.location, Level.UNVERIFIABLE, written.version, _receipt(written))

    def look_up(self, prepared: Prepared, since: datetime) -> There | Absent | CannotTell | Repeat:
        """By our identifier; a retraction by what the copy says of itself."""
        item = prepared.item
        if item.retracts:
            there = self.server.read_if_there(str(item.replaces_reference))
            done = there is not None and IN_ERROR in (there.get("status"), there.get("docStatus"))
            return There(str(item.replaces_reference), version_in(there)) if done else Absent()
        if not self.finds:
            return self._by_content(prepared, since)
        found = self._by_identifier(prepared)
        if isinstance(found, There) or isinstance(found, Absent) and self._knows_conditions():
            return found
        looked = self._by_content(prepared, since)  # it may not keep the identifier that it was given
        return found if isinstance(found, Absent) and isinstance(looked, CannotTell) else looked

    def renew(self, prepared: Prepared, there: There) -> Taken | None:
        """After a restore of the database the same identifier may name an older text: it is brought up to date."""
        if prepared.item.retracts or prepared.resource is None or not self.finds:
            return None  # where only its words find it, it says them
        try:
            found = self.server.read(*there.reference.split("/"))
        except PermanentError as error:
            if error.status_code not in NOT_ALLOWED:
                raise
            return None
        resource = dict(prepared.resource)
        if not any(each.severity == "fail" and each.kind != "added" for each in compare(resource, found, links={})):
            return Taken(there.reference, Level.UNVERIFIABLE, version_in(found))
        written = self.server.update({**resource, "id": found["id"]}, if_match=version_in(found))
        self.way.attempt.finding(
            "document-renewed",
            f"{there.reference} was there under our identifier with other content; it was updated",
            prepared.item.identifier.value,
            "info",
        )
        return Taken(there.reference, Level.UNVERIFIABLE, written.version, _receipt(written))

    def read_back(self, prepared: Prepared, reference: str | None) -> ReadBack | NotAllowed | None:
        """Read by its id and compared; and found by its identifier, because the practice has to find it."""
        if reference is None:
            return NotAllowed(f"{self.at} did not say what the document is called there")
        try:
            read = self.server.read_if_there(reference)
        except PermanentError as error:
            if error.status_code not in NOT_ALLOWED:
                raise
            return NotAllowed(f"{self.at} does not let us read {reference} (HTTP {error.status_code})")
        if read is None:
            return None
        own = self._own_identifier(prepared)
        if self._differs(prepared, read, own.value):
            return ReadBack(same=False)
        if self.finds and isinstance(self._search(own, prepared), Absent):
            raise TemporaryError(
                f"{own.value} is not yet found by its identifier at {self.at}", endpoint=self.at, cause="not-searchable"
            )
        return ReadBack(same=True, version=version_in(read))

    def _knows_conditions(self) -> bool:
        """Whether a create under a condition makes no second copy there."""
        return self.way.attempt.capabilities(self.at).conditional_create

    def _differs(self, prepared: Prepared, read: dict[str, Any], name: str) -> bool:
        """All that was sent; where a system shows a text in another way, its words, and all the rest."""
        sent = dict(prepared.resource or {})
        if self.finds:  # it keeps what it is given
            return self.way.differs(self.at, sent, read, name)
        found = self.standing.compare(sent, read, prepared.item.visible)
        if found is Verdict.SAME_WORDS:
            words = "the same words in their order, with other line ends, letters or markup"
            self.way.attempt.finding("verify-notation", words, f"{name}#{KIND}.content")
        elif found is not Verdict.SAME:
            words = "what stands there is not what was sent, or cannot be read"
            self.way.attempt.finding("verify-bytes", words, f"{name}#{KIND}.content", "error")
        if "author" in read and "author" not in sent and self.habits.authors == "own":
            self.way.attempt.finding("filed-under-own", f"{self.at} filed it under an author of its own", name, "info")
        if (
            "date" in read and "date" not in sent
        ):  # the report says no date of its own: then it is the day of the filing
            self.way.attempt.finding(
                "dated-there", f"{self.at} dated it, because the report says no date", name, "info"
            )
        own = {"content", *(each for each in ("author", "date", *self.habits.not_kept) if each not in sent)}
        differs = self.way.differs(self.at, _without(sent, {"content"}), _without(read, own), name)
        return differs or found not in (Verdict.SAME, Verdict.SAME_WORDS)

    def _refused(self, prepared: Prepared, error: PermanentError) -> There | Impossible:
        """What a refusal of the create means: there already, or not by this road; else it is raised."""
        if error.status_code == 412:  # more than one there meets the condition
            return self._found_after_write(prepared)
        if _THERE_ALREADY & set(numbers_in(error.outcome)):
            return self._found_after_write(prepared)
        if error.status_code in NOT_OFFERED:
            return Impossible("road-not-offered", f"{self.at} takes no {_kind(prepared)} (HTTP {error.status_code})")
        if (
            error.status_code == 413 and prepared.item.called == "report"
        ):  # of a record a person says what becomes of it
            return Impossible(
                "report-too-large", f"{self.at} does not take the document: it is too large there (HTTP 413)"
            )
        if error.status_code in NOT_TAKEN or names_the_type(error.outcome):
            return Impossible("report-no-shape", f"{self.at} does not take the document in this shape: {error}")
        raise error

    def _by_content(self, prepared: Prepared, since: datetime) -> There | Absent | CannotTell:
        """Among the patient's documents since the send, by bytes or words. Absent only when all could be seen and compared."""
        item = prepared.item
        try:
            looked = self.standing.look(
                dict(prepared.resource or {}), item.visible, since, item.patient, without=item.replaces_reference
            )
        except PermanentError as error:
            if error.status_code is None:
                raise
            return CannotTell(f"{self.at} does not let us look ({error})", item.visible)
        if len(looked.same) > 1:
            raise twice(self.at, [dict(each) for each in looked.same.values()])
        for reference, there in looked.same.items():
            return There(reference, version_in(there))
        if (prepared.resource or {}).get("docStatus") == "preliminary":
            looked = replace(looked, doubts=(*looked.doubts, "a draft may not be shown before it is signed"))
        return CannotTell("; ".join(looked.doubts), item.visible) if looked.doubts else Absent()

    def _marked(self, reference: str, as_sent: Mapping[str, Any]) -> dict[str, Any]:
        """The copy as it is there, marked; where it cannot be read, as it was sent."""
        try:
            there = self.server.read(*reference.split("/"))
        except PermanentError as error:
            if error.status_code not in NOT_ALLOWED:
                raise
            there = {**as_sent, "id": reference.split("/")[1]}
        return {**there, "status": IN_ERROR, "docStatus": IN_ERROR}

    def _retract(self, prepared: Prepared) -> Taken:
        """Never deleted: marked as an error."""
        resource, reference = dict(prepared.resource or {}), str(prepared.item.replaces_reference)
        written = self.server.update(resource, if_match=version_in(resource))
        return Taken(reference, Level.UNVERIFIABLE, written.version, _receipt(written))

    def _create(self, prepared: Prepared) -> Written:
        identifier = prepared.item.identifier
        refused = not self.finds or self.way.attempt.endpoint(self.at).overrides.get("conditional_create") is False
        condition = None if refused else identifier_condition(identifier.system, identifier.value)
        called = (identifier.value,)
        return self.server.create(
            dict(prepared.resource or {}), if_none_exist=condition, authored=self._is_authored(prepared), called=called
        )

    def _is_authored(self, prepared: Prepared) -> bool:
        """Whether we made it ourselves: then its structure is checked before it is sent."""
        return True

    def _found_after_write(self, prepared: Prepared) -> There:
        """The server answered without saying where. Looking that goes wrong now says nothing of the write: it may be there."""
        try:
            looked = self.look_up(prepared, self.way.attempt.now)
        except (PermanentError, TemporaryError) as error:
            raise UnknownOutcome(
                f"{self.at} did not say where it keeps what was sent, and looking for it failed ({error})",
                endpoint=self.at,
                cause="not-found-after-write",
            ) from None
        if isinstance(looked, There):
            return looked
        raise UnknownOutcome(
            f"{self.at} accepted a {_kind(prepared)} and does not show it by its identifier",
            endpoint=self.at,
            cause="not-found-after-write",
        )

    def _must_be_ours(self, reference: str, prepared: Prepared) -> None:
        """A server that ignores the condition's parameter answers with whatever it has: nothing was written then."""
        there = self.server.read_if_there(reference)
        if there is not None and prepared.item.identifier not in identifiers_in(there):
            raise NeedsPerson(
                "condition-ignored",
                f"{self.at} took the condition of a create as met by {reference}, which does not carry our identifier",
            )

    def _by_identifier(self, prepared: Prepared) -> There | Absent | CannotTell:
        return self._search(prepared.item.identifier, prepared)

    def _search(self, identifier: Identifier, prepared: Prepared) -> There | Absent | CannotTell:
        found, is_ignored = self.way.find(self.at, _kind(prepared), identifier)
        if len(found) > 1:
            raise twice(self.at, found)
        if found:
            return There(f"{_kind(prepared)}/{found[0]['id']}", version_in(found[0]))
        if is_ignored:
            words = f"{self.at} answers a search by identifier with resources that do not carry it"
            return CannotTell(words, prepared.item.visible)
        return Absent()

    def _own_identifier(self, prepared: Prepared) -> Identifier:
        """Ours that the resource carries: a copy that was taken back keeps that of its own revision."""
        system = prepared.item.identifier.system
        carried = identifiers_in(dict(prepared.resource or {}))
        return next((each for each in carried if each.system == system), prepared.item.identifier)


def _without(resource: Mapping[str, Any], names: Set[str]) -> dict[str, Any]:
    return {key: value for key, value in resource.items() if key not in names}


def names_the_type(outcome: Mapping[str, Any] | None) -> bool:
    """Whether a refusal names the content type of the attachment as what is wrong."""
    issues = as_dicts((outcome or {}).get("issue"))
    places = [str(place) for each in issues for name in ("expression", "location") for place in each.get(name) or ()]
    return any(place.rstrip("]0123456789[").endswith("contentType") for place in places)


def prepared_of(item: Outgoing, resource: Mapping[str, Any]) -> Prepared:
    """These are the bytes."""
    whole = dict(resource)
    found = (inline_bytes(each.attachment) for each in attachments(whole))
    hashes = tuple(hashlib.sha256(each).hexdigest() for each in found if each)
    return Prepared(item, fhir_json.dumps(whole), hashes, whole)


def _kind(prepared: Prepared) -> str:
    return str((prepared.resource or {}).get("resourceType", KIND))


def _receipt(written: Written) -> dict[str, str]:
    return {"status": str(written.status), **({"version": written.version} if written.version else {})}


def version_in(resource: Mapping[str, Any] | None) -> str | None:
    """The version a server gives a resource."""
    return cast("str | None", ((resource or {}).get("meta") or {}).get("versionId"))


def twice(at: str, found: list[dict[str, Any]]) -> NeedsPerson:
    """What a person is told of several that are one."""
    kind = found[0]["resourceType"]
    names = ", ".join(sorted(f"{kind}/{each['id']}" for each in found)[:5])
    return NeedsPerson("duplicate-at-target", f"{len(found)} {kind} resources at {at} hold one identifier: {names}")
