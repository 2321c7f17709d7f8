"""A referral or an order of a site as a ServiceRequest and what it points to: then it is read as those of FHIR servers are.

REF^I12 (https://www.hl7.eu/HL7v2x/v251/std251/ch11.html), ORM^O01 and OMG^O19 (.../ch04.html). A field that is not understood is named
by its place; nothing is filled in.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import hl7

from mappings.codes import SYSTEM_IDENTIFIER_TYPE, SYSTEM_LOINC, SYSTEM_NPI, SYSTEM_SNOMED
from mappings.hl7v2.reading import (
    NOT_A_VALUE,
    NOT_IN_TABLE,
    REQUIRED,
    UNSUPPORTED_EVENT,
    UNSUPPORTED_MESSAGE,
    UNSUPPORTED_MODE,
    Message,
    Refused,
    repetitions,
    text,
)
from mappings.hl7v2.times import from_time
from mappings.model.request import Identifier, SecondOpinionRequest
from mappings.service_request import from_service_request

KINDS = ("REF^I12", "ORM^O01", "OMG^O19", "REF^I14")
_TERMINOLOGY = "http://terminology.hl7.org/CodeSystem/v2-"
# HL7 table 0396, those that orders use; a site's own are configured.
SYSTEMS = {
    "SCT": SYSTEM_SNOMED,
    "SNM": SYSTEM_SNOMED,
    "LN": SYSTEM_LOINC,
    "I10": "http://hl7.org/fhir/sid/icd-10",
    "I10C": "http://hl7.org/fhir/sid/icd-10-cm",
    "ICD10CM": "http://hl7.org/fhir/sid/icd-10-cm",
    "I9C": "http://hl7.org/fhir/sid/icd-9-cm",
    "C4": "http://www.ama-assn.org/go/cpt",
}
_PRIORITY = {"S": "stat", "A": "asap", "R": "routine", "": None, "STAT": "stat", "ASAP": "asap", "ROUTINE": "routine"}
_SEX = {"M": "male", "F": "female", "O": "other", "U": "unknown", "A": "other", "N": "other"}
Asks = Literal["new", "cancel"]


@dataclass(frozen=True)
class Site:
    """How a site writes its orders. ``authorities``: systems by what the site calls them in CX-4, EI and XCN-9, namespace or id;
    ``code_systems``: systems by its own names of them. ``own_system``: of an order number without an authority."""

    sending_facility: str
    processing_id: str
    own_system: str
    authorities: Mapping[str, str] = field(default_factory=dict)
    code_systems: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Order:
    """``number``: {system, value} of its placer. ``resource`` and ``included``: as `from_service_request` reads them."""

    asks: Asks
    number: dict[str, str]
    resource: dict[str, Any]
    included: dict[str, dict[str, Any]]


def read_order(message: Message, site: Site) -> Order:
    """What a message asks. Raises Refused."""
    _must_be_for_us(message, site)
    reading = _Reading(message, site)
    number = reading.number()
    asks = reading.asks()
    if asks == "cancel":
        return Order(asks, number, {}, {})
    return Order(asks, number, reading.resource(number), reading.included)


def key_of(placer: str, number: Mapping[str, str]) -> str:
    """The same order is the same request."""
    return f"{placer}:order/{number['system']}|{number['value']}"


def to_request(order: Order, *, placer: str, fulfiller: str) -> SecondOpinionRequest:
    """The order as a request; what it leaves open a person is asked for. Raises MappingError."""
    read = from_service_request(order.resource, placer=placer, fulfiller=fulfiller, included=order.included)
    named = {"key": key_of(placer, order.number), "service_request": None, "placer_order": Identifier(**order.number)}
    return SecondOpinionRequest.model_validate(read.model_copy(update=named).model_dump())


def _must_be_for_us(message: Message, site: Site) -> None:
    if message.at("MSH", 4) != site.sending_facility.partition("^")[0]:
        raise Refused("MSH-4", NOT_IN_TABLE, "its sending facility is not the one that is configured", is_rejected=True)
    if message.at("MSH", 11) != site.processing_id:
        words = f"only messages of processing id {site.processing_id} are taken here"
        raise Refused("MSH-11", UNSUPPORTED_MODE, words, is_rejected=True)
    if message.kind not in KINDS:
        known = any(each.startswith(f"{message.at('MSH', 9)}^") for each in KINDS)
        words = f"only {', '.join(KINDS)} are taken here"
        raise Refused("MSH-9", UNSUPPORTED_EVENT if known else UNSUPPORTED_MESSAGE, words, is_rejected=True)
    for name in ("ORC", "OBR", "RF1", "PID"):
        if len(list(message.segments(name))) > 1:
            raise Refused(name, NOT_A_VALUE, f"it has more than one {name}: send each order as a message of its own")


class _Reading:
    """The parts of one order."""

    def __init__(self, message: Message, site: Site):
        self.message, self.site = message, site
        self.included: dict[str, dict[str, Any]] = {}

    def asks(self) -> Asks:
        """By ORC-1, or the event where a referral has none."""
        control = self.message.at("ORC", 1)
        if control in ("CA", "DC") or self.message.kind == "REF^I14":
            return "cancel"
        if control == "NW" or not control and self.message.kind == "REF^I12":
            return "new"
        words = "only new orders (NW) and cancellations (CA, DC) are taken: cancel it, and place a new one"
        raise Refused("ORC-1", NOT_IN_TABLE if control else REQUIRED, words)

    def number(self) -> dict[str, str]:
        """The placer's own number: the same one is the same order."""
        for name, place in (("ORC", 2), ("OBR", 2), ("RF1", 6)):
            for each in self.message.segments(name):
                if value := text(each, place):
                    return {"system": self._system(each, place, 2) or self.site.own_system, "value": value}
        missing = "RF1-6" if self.message.kind.startswith("REF") else "ORC-2"
        raise Refused(missing, REQUIRED, "the order has no number of its placer")

    def resource(self, number: dict[str, str]) -> dict[str, Any]:
        """The order as a ServiceRequest."""
        made = {
            "resourceType": "ServiceRequest",
            "id": "order",
            "identifier": [number],
            "status": "active",
            "intent": "order",
            "code": next(self._concepts("OBR", 4), None),
            "category": list(self._concepts("RF1", 3)),
            "orderDetail": list(self._concepts("RF1", 4, "0282")),
            "reasonCode": [*self._concepts("RF1", 10, "0336"), *self._concepts("OBR", 31)],
            "priority": self._priority(),
            "subject": self._keep("Patient/order", self._patient()),
            "authoredOn": self._first_time((("ORC", 9, 1), ("RF1", 7, 1))),
            "occurrencePeriod": self._period(),
            "requester": self._requester(),
            "performer": list(self._people("PRD", "RT")),
            "reasonReference": self._diagnoses(),
            "note": [{"text": words} for words in [self._notes()] if words],
        }
        return {name: value for name, value in made.items() if value not in (None, [], {})}

    def _keep(self, reference: str, resource: dict[str, Any]) -> dict[str, str]:
        self.included[reference] = resource
        return {"reference": reference}

    def _patient(self) -> dict[str, Any]:
        one = next(self.message.segments("PID"), None)
        if one is None:
            raise Refused("PID", REQUIRED, "the order names no patient")
        numbers = list(self._patient_numbers(one))
        if not numbers:
            raise Refused("PID-3", REQUIRED, "no number of the patient has an assigning authority that is configured")
        sex = text(one, 8)
        if sex and sex not in _SEX:
            raise Refused("PID-8", NOT_IN_TABLE, "the sex is none of table 0001")
        made = {
            "resourceType": "Patient",
            "identifier": numbers,
            "name": [each for at in range(1, repetitions(one, 5) + 1) if (each := _person_name(one, 5, 1, at))],
            "birthDate": self._date(one, 7, "PID-7"),
            "gender": _SEX.get(sex),
        }
        return {name: value for name, value in made.items() if value not in (None, [])}

    def _patient_numbers(self, one: hl7.Segment) -> Iterator[dict[str, Any]]:
        for at in range(1, repetitions(one, 3) + 1):
            value, kind = text(one, 3, 1, repetition=at), text(one, 3, 5, repetition=at)
            system = self._authority(one, 3, 4, at)
            if value and system:
                typed = {"type": {"coding": [{"system": SYSTEM_IDENTIFIER_TYPE, "code": kind}]}} if kind else {}
                yield {"system": system, "value": value, **typed}

    def _requester(self) -> dict[str, str] | None:
        """Of a referral its referring provider; of an order who ordered it."""
        found = next(self._people("PRD", "RP"), None)
        if found is not None:
            return found
        for name, place in (("ORC", 12), ("OBR", 16)):
            for each in self.message.segments(name):
                if person := self._clinician(each, place):
                    return self._keep("Practitioner/requester", person)
        return None

    def _people(self, name: str, role: str) -> Iterator[dict[str, str]]:
        """PRD: a role, a name and numbers."""
        for index, one in enumerate(self.message.segments(name)):
            roles = {text(one, 1, repetition=at) for at in range(1, repetitions(one, 1) + 1)}
            person = {"name": [each] if (each := _person_name(one, 2, 1, 1)) else []}
            value, kind = text(one, 7), text(one, 7, 2)
            system = SYSTEM_NPI if kind == "NPI" else self.site.authorities.get(kind)
            if value and system:
                person["identifier"] = [{"system": system, "value": value}]
            if role in roles and (person["name"] or person.get("identifier")):
                reference = f"Practitioner/{role.lower()}-{index}"
                yield self._keep(reference, {"resourceType": "Practitioner", "id": reference.split("/")[1], **person})

    def _clinician(self, one: hl7.Segment, place: int) -> dict[str, Any] | None:
        """XCN: id, name, authority and type of the id."""
        name, value = _person_name(one, place, 2, 1), text(one, place)
        is_npi = text(one, place, 13) == "NPI" or text(one, place, 9) == "NPI"
        system = SYSTEM_NPI if is_npi else self._authority(one, place, 9, 1)
        numbers = [{"system": system, "value": value}] if value and system else []
        if not name and not numbers:
            return None
        return {"resourceType": "Practitioner", "identifier": numbers, "name": [name] if name else []}

    def _diagnoses(self) -> list[dict[str, str]]:
        """The diagnosis that there is, with its clinician and day."""
        found = []
        for index, one in enumerate(self.message.segments("DG1")):
            concept = self._concept(one, 3, 1)
            words = text(one, 4) or concept.get("text")
            if not words and not concept.get("coding"):
                continue
            made: dict[str, Any] = {
                "resourceType": "Condition",
                "code": {**concept, **({"text": words} if words else {})},
            }
            if doctor := self._clinician(one, 16):
                made["asserter"] = self._keep(f"Practitioner/dg1-{index}", doctor)
            if recorded := self._time(one, 5, "DG1-5"):
                made["recordedDate"] = recorded
            found.append(self._keep(f"Condition/dg1-{index}", made))
        return found

    def _notes(self) -> str:
        """All comments as they stand, in their order."""
        lines = [
            text(one, 3, repetition=at)
            for one in self.message.segments("NTE")
            for at in range(1, repetitions(one, 3) + 1)
        ]
        return "\n".join(each.replace("\r", "\n") for each in lines).strip()

    def _priority(self) -> str | None:
        for name, place, component in (("TQ1", 9, 1), ("ORC", 7, 6), ("OBR", 27, 6), ("OBR", 5, 1), ("RF1", 2, 1)):
            said = self.message.at(name, place, component).upper()
            if said not in _PRIORITY:
                words = "the priority is none of S, A and R"
                raise Refused(f"{name}-{place}", NOT_IN_TABLE, words)
            if _PRIORITY[said] == "stat":
                words = "stat is refused: the Exchange is not for emergencies. Call the consultant"
                raise Refused(f"{name}-{place}", NOT_IN_TABLE, words)
            if said:
                return _PRIORITY[said]
        return None

    def _period(self) -> dict[str, str] | None:
        end = self._first_time((("TQ1", 8, 1), ("ORC", 7, 5), ("OBR", 27, 5)))
        return {"end": end} if end else None

    def _first_time(self, places: tuple[tuple[str, int, int], ...]) -> str | None:
        for name, place, component in places:
            for one in self.message.segments(name):
                if found := self._time(one, place, f"{name}-{place}", component):
                    return found
        return None

    def _time(self, one: hl7.Segment, place: int, called: str, component: int = 1) -> str | None:
        said = text(one, place, component)
        found = from_time(said)
        if said and found is None:
            raise Refused(called, NOT_A_VALUE, "it is no time")
        return found

    def _date(self, one: hl7.Segment, place: int, called: str) -> str | None:
        found = self._time(one, place, called)
        return found.partition("T")[0] if found else None

    def _concepts(self, name: str, place: int, table: str = "") -> Iterator[dict[str, Any]]:
        for one in self.message.segments(name):
            for at in range(1, repetitions(one, place) + 1):
                if found := self._concept(one, place, at, table):
                    yield found

    def _concept(self, one: hl7.Segment, place: int, at: int, table: str = "") -> dict[str, Any]:
        """CE or CWE: two codes at most, and words where they are more than the name of a code. ``table``: HL7's own, where no system is named."""
        coded = []
        for first in (1, 4):
            code, words, name = (text(one, place, first + more, repetition=at) for more in range(3))
            system = self._code_system(name) or (f"{_TERMINOLOGY}{table}" if table and not name else None)
            if code and system:
                coded.append({"system": system, "code": code, **({"display": words} if words else {})})
        said = (text(one, place, part, repetition=at) for part in ((9,) if coded else (9, 2, 5)))
        words = next(filter(None, said), "")
        return {name: value for name, value in (("coding", coded), ("text", words)) if value}

    def _code_system(self, name: str) -> str | None:
        if name in self.site.code_systems:
            return self.site.code_systems[name]
        table = re.fullmatch(r"HL7(\d{4})", name)
        return f"{_TERMINOLOGY}{table[1]}" if table else SYSTEMS.get(name)

    def _system(self, one: hl7.Segment, place: int, first: int) -> str | None:
        """EI: namespace, id and its type, as components."""
        return self._named(text(one, place, first), text(one, place, first + 1), text(one, place, first + 2))

    def _authority(self, one: hl7.Segment, place: int, component: int, at: int) -> str | None:
        """HD inside a component."""
        parts = [text(one, place, component, repetition=at, subcomponent=number) for number in (1, 2, 3)]
        return self._named(*parts)

    def _named(self, namespace: str, universal_id: str, kind: str) -> str | None:
        known = self.site.authorities.get(namespace) or self.site.authorities.get(universal_id)
        if known or not universal_id:
            return known
        if kind == "ISO" and re.fullmatch(r"[0-2](\.\d+)+", universal_id):
            return f"urn:oid:{universal_id}"
        return universal_id if kind == "URI" and re.fullmatch(r"[A-Za-z][A-Za-z0-9+.-]*:\S+", universal_id) else None


def _person_name(one: hl7.Segment, place: int, first: int, at: int) -> dict[str, Any] | None:
    """XPN, or XCN from its second component on."""
    family, given, further = (text(one, place, first + more, repetition=at) for more in range(3))
    if not family and not given:
        return None
    suffix = text(one, place, first + 3, repetition=at)
    givens = [*([given] if given else []), *further.split()]
    made = {"family": family, "given": givens, "suffix": [suffix] if suffix else []}
    kind = text(one, place, first + 6, repetition=at)
    use = {"L": "official", "M": "maiden", "N": "nickname"}.get(kind)
    return {name: value for name, value in {**made, "use": use}.items() if value}
