"""The encounter that a document names where one is demanded: the one a person said, the order's own, one by rule, or a person.

Always read and held against the patient: a note filed at somebody else's visit is in somebody else's chart.
https://hl7.org/fhir/R4/documentreference-definitions.html#DocumentReference.context.encounter
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from integration.roads.road import Way
from mappings.addresses import local_reference
from mappings.codes import as_dict, as_dicts
from mappings.model.errors import NeedsPerson, PermanentError
from mappings.model.outgoing import Outgoing
from mappings.times import as_date_time

UNCLEAR, OTHER_PATIENT = "encounter-unclear", "encounter-other-patient"
_NEVER_HAPPENED = ("planned", "cancelled", "entered-in-error")
_NOT_SHOWN = (401, 403, 404, 405, 410)
_LOCKED = "break-the-glass"
_NEVER = datetime.min.replace(tzinfo=UTC)


def encounter_for(way: Way, at: str, item: Outgoing) -> dict[str, Any] | None:
    """The Encounter resource at that endpoint; None where none is demanded and none is known. Raises NeedsPerson."""
    return Encounters(way, at, item).choose()


class Encounters:
    """The choice for one document."""

    def __init__(self, way: Way, at: str, item: Outgoing):
        self.at, self.item = at, item
        self.server, self.bases = way.attempt.server(at), way.attempt.bases(at)
        self.habits = way.attempt.endpoint(at).habits

    def choose(self) -> dict[str, Any] | None:
        """In the order of certainty."""
        if self.habits.encounter == "never":
            return None
        order = self._order()
        named = self.item.encounter or self._local(as_dict(order.get("encounter")).get("reference"))
        if named is not None:
            return self._checked(named)
        if self.habits.encounter == "if-known":
            return None
        return self._by_rule(order)

    def _order(self) -> Mapping[str, Any]:
        """The request in this EHR that the report answers; empty when it is not there, or not shown."""
        for each in as_dicts(as_dict(self.item.resource.get("context")).get("related")):
            reference = self._local(each.get("reference"))
            if reference is not None and reference.startswith("ServiceRequest/"):
                return self._read(reference) or {}
        return {}

    def _checked(self, reference: str) -> dict[str, Any] | None:
        found = self._read(reference)
        if found is None:
            if self.habits.encounter == "if-known":
                return None
            raise self._unclear(f"{reference} cannot be read there")
        if self._patient_of(found) != self.item.patient:
            raise NeedsPerson(
                OTHER_PATIENT,
                f"{reference} at {self.at} is not about the patient of {self.item.request_id}; nothing was sent. "
                f"{self._command()}",
            )
        return found

    def _by_rule(self, order: Mapping[str, Any]) -> dict[str, Any]:
        if self.habits.encounter_choice == "ask":
            raise self._unclear("the order names none")
        whose = self._requester(order) if self.habits.encounter_choice == "requester" else None
        if self.habits.encounter_choice == "requester" and whose is None:
            raise self._unclear("the order names none, and no practitioner who asks")
        found = [each for each in self._of_patient() if whose is None or whose in set(self._people(each))]
        if not found or len(found) > 1 and _began(found[0]) == _began(found[1]):
            raise self._unclear(f"{len(found)} encounters could be meant", [str(each["id"]) for each in found])
        return found[0]

    def _of_patient(self) -> list[dict[str, Any]]:
        """Those that have begun, the newest first."""
        try:
            found = self.server.search_all("Encounter", {"patient": self.item.patient})
        except PermanentError as error:
            if error.status_code not in _NOT_SHOWN or error.cause == _LOCKED:
                raise
            raise self._unclear("its encounters cannot be searched") from None
        begun = [
            each
            for each in found
            if each.get("resourceType") == "Encounter"
            and self._patient_of(each) == self.item.patient
            and each.get("status") not in _NEVER_HAPPENED
            and _began(each) is not None
        ]
        return sorted(begun, key=lambda each: _began(each) or _NEVER, reverse=True)

    def _requester(self, order: Mapping[str, Any]) -> str | None:
        """``Practitioner/id``, also where a role asks."""
        reference = self._local(as_dict(order.get("requester")).get("reference"))
        if reference is None or reference.startswith("Practitioner/"):
            return reference
        role = self._read(reference) if reference.startswith("PractitionerRole/") else None
        return self._local(as_dict((role or {}).get("practitioner")).get("reference"))

    def _people(self, encounter: Mapping[str, Any]) -> Iterator[str | None]:
        for each in as_dicts(encounter.get("participant")):
            yield self._local(as_dict(each.get("individual")).get("reference"))

    def _read(self, reference: str) -> dict[str, Any] | None:
        try:
            return self.server.read(*reference.split("/"))
        except PermanentError as error:
            if error.status_code not in _NOT_SHOWN or error.cause == _LOCKED:
                raise
            return None

    def _patient_of(self, encounter: Mapping[str, Any]) -> str | None:
        return self._local(as_dict(encounter.get("subject")).get("reference"))

    def _local(self, reference: object) -> str | None:
        return local_reference(reference, self.bases)

    def _unclear(self, why: str, ids: list[str] | None = None) -> NeedsPerson:
        shown = f": {', '.join(f'Encounter/{each}' for each in (ids or [])[:5])}" if ids else ""
        return NeedsPerson(
            UNCLEAR,
            f"{self.at} demands an encounter for the {self.item.called} of {self.item.request_id}; {why}{shown}. {self._command()}",
        )

    def _command(self) -> str:
        return f"To name it: second-opinion requests encounter {self.item.request_id} Encounter/ID"


def _began(encounter: Mapping[str, Any]) -> datetime | None:
    """A day without a time begins at midnight UTC; a month or a year says too little."""
    said = as_date_time(as_dict(encounter.get("period")).get("start"))
    if said is None or len(said) < len("2026-05-01"):
        return None
    found = datetime.fromisoformat(said)
    return found if found.tzinfo else found.replace(tzinfo=UTC)
