"""The road over HL7 v2: one document message (MDM) to the interface engine, and what it acknowledges.

Nothing can be looked up there. A message whose answer never came goes again only where the engine is known to drop repeats, with
the same bytes; else, and afterwards, a person looks. https://www.hl7.eu/HL7v2x/v251/std251/ch02.html (2.9)
"""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any

from integration.fhir.exchanges import Exchange as Told
from integration.packets.pdf_words import words_of_pdf
from integration.roads.encounters import encounter_for
from integration.roads.mllp import Exchange, sent
from integration.roads.road import CannotTell, EndpointRoad, Impossible, NotAllowed, Prepared, Repeat, Taken, There
from integration.settings.hl7v2 import Hl7v2 as Settings
from mappings.fitting import Unfit, doc_status
from mappings.hl7v2.acknowledgment import Acknowledgment, Answer, read_acknowledgment
from mappings.hl7v2.document import Habits, kind_of, read_document, to_message
from mappings.model.errors import ExchangeError, PermanentError, UnknownOutcome
from mappings.model.leaving import Going
from mappings.model.outgoing import Outgoing
from mappings.model.roads import Level, RoadName


class Hl7v2(EndpointRoad):
    """An MDM message to the engine of the endpoint."""

    name: str = RoadName.HL7V2
    sends = True

    @property
    def settings(self) -> Settings:
        """Of its engine; only where `can` said so."""
        found = self.way.endpoint.hl7v2
        if found is None:
            raise LookupError(f"{self.at} has no section hl7v2")
        return found

    @property
    def habits(self) -> Habits:
        """How its engine takes a message."""
        return self.settings.habits(self.way.endpoint.patient_identifier_systems)

    def can(self) -> Impossible | None:
        """Where it is configured."""
        if self.way.endpoint.hl7v2 is None:
            return Impossible("road-not-configured", f"config.yaml has no section hl7v2 for {self.at}")
        return None

    def prepare(self, item: Outgoing) -> Prepared | Impossible:
        """For the patient and the visit as they are there, over FHIR; what had no place is said."""
        if kind_of(item) not in self.habits.events:
            return Impossible("road-not-offered", f"{self.at} knows no message that takes a document back")
        patient = self.way.attempt.server(self.at).read_if_there(item.patient)
        if patient is None:
            return Impossible("no-patient-number", f"{item.patient} cannot be read at {self.at}")
        status = doc_status(item, self.way.endpoint.habits)
        whole = replace(item, patient_resource=patient, resource={**item.resource, "docStatus": status})
        encounter = encounter_for(self.way, self.at, item)
        made = to_message(whole, self.habits, encounter=encounter, at=self.way.attempt.now, read_pdf=words_of_pdf)
        if isinstance(made, Unfit):
            return Impossible(made.cause, made.message)
        for note in made.notes:
            self.way.attempt.finding("hl7v2-left-out", f"no field holds it: {note}", item.identifier.value, "info")
        return Prepared(item, made.data, made.attachment_sha256, control_id=made.control_id)

    def restore(self, item: Outgoing, body: bytes, control_id: str | None) -> Prepared:
        """The bytes are the message."""
        return Prepared(item, body, control_id=control_id)

    def resource_of(self, body: bytes) -> Mapping[str, Any]:
        """What a message says of its report; it holds no FHIR."""
        status = read_document(body).doc_status
        return {"docStatus": status} if status else {}

    def send(self, prepared: Prepared) -> Taken | There | Impossible:
        """Once, and wait for what its application says."""
        message = read_document(prepared.body)
        going = Going(message.kind, (prepared.item.identifier.value,), len(prepared.body))
        self.way.attempt.turn(self.at)
        with (
            self._told(message.kind, prepared) as exchanged,
            sent(
                self.at,
                self.settings,
                prepared.body,
                timeout_seconds=self.way.endpoint.limits.timeout_seconds,
                before_write=partial(self.way.attempt.before_write, self.at, going),
            ) as exchange,
        ):
            exchanged.append(exchange)
            said = self._acknowledged(exchange, prepared)
        level = Level.ACCEPTED if said.answer is Answer.ACCEPTED else Level.UNVERIFIABLE
        return Taken(message.number, level, receipt={"acknowledgment": said.code, "control_id": said.control_id})

    def look_up(self, prepared: Prepared, since: datetime) -> CannotTell | Repeat:
        """No message asks for a document by its number; the same one may go again where repeats are dropped."""
        words, settings = f"no message asks {self.at} whether it has it", self.way.endpoint.hl7v2
        if settings is None or not settings.drops_duplicates or not settings.resends:
            return CannotTell(words, prepared.item.visible)
        return Repeat(words, prepared.item.visible, most_sends=1 + settings.resends)

    def renew(self, prepared: Prepared, there: There) -> Taken | None:
        """It stands as it was sent; what is newer goes as a replacement."""
        return None

    def read_back(self, prepared: Prepared, reference: str | None) -> NotAllowed:
        """Nothing is read back over HL7 v2."""
        return NotAllowed(f"nothing is read back from the interface engine of {self.at}")

    @contextmanager
    def _told(self, kind: str, prepared: Prepared) -> Iterator[list[Exchange]]:
        """What the exchange was, once it is over: the message's number, sizes and time, nothing that it says."""
        attempt, at, cause, met = self.way.attempt, time.monotonic(), "stopped", list[Exchange]()
        began = attempt.now
        try:
            yield met
            cause = ""
        except ExchangeError as error:
            cause = error.cause
            raise
        finally:
            took = round((time.monotonic() - at) * 1000)
            size, came = len(prepared.body), sum(each.received for each in met)
            shown = f"MLLP message {prepared.control_id}"
            attempt.exchanges(Told(self.at, kind, shown, None, began, took, size, came, cause))

    def _acknowledged(self, exchange: Exchange, prepared: Prepared) -> Acknowledgment:
        """What counts: the application's word, or of an engine that only keeps messages, that. Raises what else came."""
        while True:
            said = read_acknowledgment(exchange.answer())
            if said is None:
                raise self._unknown("hl7v2-answer-unreadable", "with something that is no acknowledgment")
            if said.control_id != prepared.control_id:
                raise self._unknown("hl7v2-answer-other", "with the acknowledgment of another message")
            if said.answer is Answer.REFUSED:
                words = f"{self.at} refused message {prepared.control_id}: {said.words}"
                raise PermanentError(words, endpoint=self.at, cause="hl7v2-refused")
            if said.answer is Answer.ACCEPTED or self.settings.keeps_only:
                return said

    def _unknown(self, cause: str, words: str) -> UnknownOutcome:
        return UnknownOutcome(f"{self.at} answered a message {words}", endpoint=self.at, cause=cause)
