"""What is made of a message that a site sent: a request, a cancellation, or a sentence; kept before it is answered."""

import hashlib
import logging
import uuid
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Connection, Engine

from integration.packets.payloads import Payloads
from integration.settings.config import Config
from integration.settings.hl7v2 import Listen
from integration.settings.one_server import is_one_server
from integration.store import findings, operations, received_messages, requests
from integration.store.operations import NotPossible
from integration.store.requests import KeyReused, UnknownRequest
from mappings.hl7v2.acknowledgment import to_acknowledgment
from mappings.hl7v2.order import Order, Site, key_of, read_order, to_request
from mappings.hl7v2.reading import DUPLICATE_KEY, INTERNAL, UNKNOWN_KEY, Message, Refused, header_of, read_message
from mappings.model.errors import MappingError
from mappings.model.findings import Finding
from mappings.model.request import Code
from mappings.service_request import is_second_opinion

log = logging.getLogger("second_opinion.hl7v2")
NOT_OURS, NOT_READ = "order-not-second-opinion", "order-message-refused"


@dataclass(frozen=True)
class Answer:
    """``code``: MSA-1; ``place``, ``error`` and ``words``: of ERR, without anything that the message said."""

    code: str
    place: str = ""
    error: str = ""
    words: str = ""


class Taking:
    """The orders of one endpoint."""

    def __init__(self, config: Config, engine: Engine, payloads: Payloads, key: str):
        self.config, self.engine, self.payloads, self.key = config, engine, payloads, key
        self.endpoint = config.endpoints[key]

    @property
    def listen(self) -> Listen:
        """As config.yaml has it."""
        engine = self.endpoint.hl7v2
        if engine is None or engine.listen is None:
            raise LookupError(f"{self.key} sends no orders over HL7 v2")
        return engine.listen

    @property
    def site(self) -> Site:
        """How its orders are written."""
        engine, listen = self.endpoint.hl7v2, self.listen
        assert engine is not None
        named = engine.assigning_authorities.items()
        authorities = {part: system for system, name in named for part in name.split("^")[:2]}
        return Site(
            listen.sending_facility, engine.processing_id, listen.order_system, authorities, listen.code_systems
        )

    def answer(self, data: bytes) -> bytes:
        """What is said to a message; what it asks is committed before. Never raises for what it holds."""
        try:
            said = self._take(read_message(data))
        except Refused as refused:
            said = _refusal(refused)
        except Exception as error:  # the sender keeps what was not accepted, and sends it again
            kind = type(error).__name__  # its words may hold what was to be stored
            log.error("a message of %s was not taken (%s)", self.key, kind, extra={"action": "hl7v2.failed"})
            said = Answer("AE", "MSH", INTERNAL, "it could not be stored just now; send it again")
        return self.acknowledge(data, said)

    def acknowledge(self, data: bytes, said: Answer) -> bytes:
        """The acknowledgment of whatever came."""
        control_id = uuid.uuid4().hex[:20]
        return to_acknowledgment(
            header_of(data), said.code, at=datetime.now(UTC), control_id=control_id,
            place=said.place, error=said.error, words=said.words,
        )  # fmt: skip

    def _take(self, message: Message) -> Answer:
        digest = hashlib.sha256(message.data).hexdigest()
        with self.engine.begin() as conn:
            try:
                order = read_order(message, self.site)
            except Refused as refused:
                return self._not_read(conn, message, refused)
            known = received_messages.begin(conn, self.key, message.control_id, digest, message.kind)
            if (
                known is not None and known.request_id is not None
            ):  # else nothing came of it, and its cause may be mended
                return Answer(known.code, known.place, known.error, known.words)
            self.payloads.put(message.data)
            said, request_id = self._decide(conn, message, order)
            told = dict(code=said.code, place=said.place, error=said.error, words=said.words)
            received_messages.end(conn, self.key, message.control_id, digest, request_id=request_id, **told)
        log.info("a message of %s: %s", self.key, said.code, extra={"action": "hl7v2.taken", "request_id": request_id})
        return said

    def _decide(self, conn: Connection, message: Message, order: Order) -> tuple[Answer, str | None]:
        request_id = requests.request_id_of(key_of(self.key, order.number))
        if order.asks == "cancel":
            return self._cancel(conn, request_id)
        codes = [Code(system=each.system, code=each.code) for each in self.endpoint.local_codes]
        if not is_second_opinion(order.resource, codes):
            words = "an order came that no code says to be a second opinion: it is kept and nothing is done with it"
            self._tell(conn, Finding(NOT_OURS, words, f"message {message.control_id}", "error"))
            return Answer("AA"), None
        return self._new(conn, message, order)

    def _new(self, conn: Connection, message: Message, order: Order) -> tuple[Answer, str | None]:
        fulfiller = self.endpoint.default_fulfiller
        if fulfiller is None or is_one_server(self.config.endpoints[fulfiller], self.endpoint):
            words = "no default_fulfiller that is another server is configured for this placer"
            return self._not_read(conn, message, Refused("MSH", INTERNAL, words)), None
        try:
            request = to_request(order, placer=self.key, fulfiller=fulfiller)
            request_id, _ = requests.take_in(conn, request, actor=f"hl7v2 {self.key}", **self.config.intake(fulfiller))
        except MappingError as error:
            return self._not_read(conn, message, Refused("MSH", INTERNAL, str(error))), None
        except KeyReused:
            words = "this order number was taken in with other content: cancel that order, and place a new one"
            return self._not_read(conn, message, Refused("ORC-2", DUPLICATE_KEY, words)), None
        return Answer("AA"), request_id

    def _cancel(self, conn: Connection, request_id: str) -> tuple[Answer, str | None]:
        try:
            requests.get(conn, request_id)
        except UnknownRequest:
            words = "no order of this number was taken in: there is nothing to cancel"
            return Answer("AE", "ORC-2", UNKNOWN_KEY, words), None
        with suppress(NotPossible):  # it has ended, or is being cancelled already
            operations.cancel(conn, request_id, actor=f"hl7v2 {self.key}", reason="the placer cancelled its order")
        return Answer("AA"), request_id

    def _not_read(self, conn: Connection, message: Message, refused: Refused) -> Answer:
        """An operator hears of an order that was not taken; not of what is no order of this site at all."""
        if not refused.is_rejected:
            words = f"an order was not taken in: {refused}"
            self._tell(conn, Finding(NOT_READ, words, f"message {message.control_id}#{refused.place}", "error"))
        return _refusal(refused)

    def _tell(self, conn: Connection, finding: Finding) -> None:
        findings.record(conn, [finding], endpoint=self.key)


def _refusal(refused: Refused) -> Answer:
    return Answer("AR" if refused.is_rejected else "AE", refused.place, refused.code, refused.words)
