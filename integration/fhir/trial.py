"""Tries an endpoint: what our flow needs is done, not believed. Without ``write`` nothing there is changed.

Each thing tried is one line; ``worked`` None says that it could not be told.
"""

import re
import secrets
import socket
import ssl
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

from integration.fhir.capabilities import Capabilities, probe
from integration.fhir.server import FhirServer
from integration.fhir.writes import identifier_condition, identifier_token
from mappings.identifiers import identifiers_in
from mappings.model.causes import cause_named
from mappings.model.errors import ExchangeError, NeedsPerson, PermanentError
from mappings.model.request import Identifier
from mappings.model.trials import Trial, by_identifier

SOON = timedelta(days=30)
CONNECT_SECONDS = 10
LOOKED_UP = ("DocumentReference", "ServiceRequest", "Task", "Practitioner", "Organization", "Encounter", "Observation")
_SCOPE = re.compile(r"system/([A-Za-z*]+)\.([a-z*]+)")


@dataclass(frozen=True)
class Tried:
    """One thing that was tried: its name, whether it worked, and what that means for transfers."""

    what: str
    worked: bool | None
    says: str


def certificate(base_url: str, tls: Any, now: datetime) -> Tried | None:
    """Whether the endpoint's certificate is believed and how long it lasts; None without TLS."""
    parts = urlsplit(base_url)
    if parts.scheme != "https":
        return None
    context = ssl.create_default_context(cafile=getattr(tls, "ca_file", None))
    if getattr(tls, "certificate_file", None):
        context.load_cert_chain(tls.certificate_file, tls.key_file)
    try:
        with (
            socket.create_connection((parts.hostname, parts.port or 443), CONNECT_SECONDS) as plain,
            context.wrap_socket(plain, server_hostname=parts.hostname) as secured,
        ):
            ends = datetime.fromtimestamp(ssl.cert_time_to_seconds(str((secured.getpeercert() or {})["notAfter"])), UTC)
            version = secured.version()
    except ssl.SSLCertVerificationError as error:
        return Tried(
            Trial.CERTIFICATE, False, f"it is not believed: {error.verify_message}. {_certificate_advice(error)}"
        )
    except (OSError, ssl.SSLError) as error:
        return Tried(Trial.CERTIFICATE, None, f"no encrypted connection could be made ({type(error).__name__})")
    left = ends - now
    warns = f"; it ends in {left.days} days: have it renewed" if left < SOON else ""
    return Tried(Trial.CERTIFICATE, True, f"{version}, valid until {ends:%Y-%m-%d}{warns}")


def _certificate_advice(error: ssl.SSLCertVerificationError) -> str:
    if error.verify_code in (18, 19, 20, 21):  # self-signed, or of an authority that nobody told us of
        return "If the hospital has an authority of its own, name it in tls.ca_file"
    if error.verify_code == 10:
        return "It has ended: ask the endpoint's contact to renew it"
    return "Check that base_url has the name that is on the certificate"


def signing_in(headers: Callable[[], Mapping[str, str]], scope: Callable[[], str]) -> Tried:
    """Whether a token is given, and what it opens where the answer tells."""
    try:
        shown = headers()
    except NeedsPerson as error:
        return Tried(Trial.SIGN_IN, False, f"{error}. {cause_named(error.cause).to_do}")
    except ExchangeError as error:
        return Tried(Trial.SIGN_IN, False, str(error))
    if not shown:
        return Tried(Trial.SIGN_IN, None, "none is configured")
    granted = ", ".join(sorted({found[1] for found in _SCOPE.finditer(scope())}))
    return Tried(Trial.SIGN_IN, True, f"a token is given; it opens {granted}" if granted else "a token is given")


def looks(server: FhirServer, can: Capabilities) -> Iterator[Tried]:
    """For each type that we look up by identifier: does the server look, or does it ignore what it was asked?"""
    for kind in LOOKED_UP:
        if can.searches and kind not in can.searches:
            yield Tried(by_identifier(kind), False, "the server does not search this type")
            continue
        yield _look(server, kind)


def _look(server: FhirServer, kind: str) -> Tried:
    """By an identifier that nobody has: whatever comes back shows that it was ignored."""
    wanted = Identifier(system="urn:uuid:second-opinion-check", value=secrets.token_hex(16))
    what = by_identifier(kind)
    try:
        answer = server.transport.request(
            "GET", kind, params={"identifier": identifier_token(wanted.system, wanted.value), "_count": "2"}
        ).json()
    except PermanentError as error:
        return Tried(
            what, False, f"refused ({error.cause}): such records are recognised by what we remember of them only"
        )
    except ExchangeError as error:
        return Tried(what, None, str(error))
    entries = answer.get("entry") if isinstance(answer, dict) else None
    found = [
        each["resource"]
        for each in (entries if isinstance(entries, list) else [])
        if isinstance(each, dict) and isinstance(each.get("resource"), dict)
        and each["resource"].get("resourceType") == kind
    ]  # fmt: skip
    if any(wanted not in identifiers_in(each) for each in found):
        return Tried(
            what, False, "the parameter is ignored: no answer to it is believed, what we wrote is recognised otherwise"
        )
    echoed = _echoes(answer, "identifier")
    return Tried(
        what,
        True if echoed else None,
        "looked for" if echoed else "answered, but the server does not say what it looked for",
    )


def _echoes(answer: Any, parameter: str) -> bool:
    links = answer.get("link") if isinstance(answer, dict) else None
    for link in links if isinstance(links, list) else []:
        if isinstance(link, dict) and link.get("relation") == "self" and isinstance(link.get("url"), str):
            return parameter in parse_qs(urlsplit(link["url"]).query)
    return False


def writes(server: FhirServer, patient: str, system: str) -> Iterator[Tried]:
    """A marked document of a test patient: created, read back, created again under its condition, updated, taken back."""
    identifier = Identifier(system=system, value=f"check/{secrets.token_hex(8)}")
    document = test_document(patient, identifier)
    try:
        made = server.create(document)
    except ExchangeError as error:
        yield Tried(Trial.CREATE, False, str(error))
        return
    if made.location is None:
        yield Tried(Trial.CREATE, None, "taken, and the answer does not say where it is")
        return
    yield Tried(Trial.CREATE, True, f"{made.location}")
    there = yield from _read_back(server, made.location, document)
    yield _conditional(server, document, identifier, made.location)
    yield from _taken_back(server, made.location, there)


def test_document(patient: str, identifier: Identifier) -> dict:
    """A document that says of itself that it is a test (https://hl7.org/fhir/R4/documentreference.html)."""
    return {
        "resourceType": "DocumentReference",
        "meta": {"tag": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActReason", "code": "HTEST"}]},
        "identifier": [identifier.model_dump()],
        "status": "current",
        "type": {"coding": [{"system": "http://loinc.org", "code": "11488-4", "display": "Consult note"}]},
        "subject": {"reference": patient},
        "content": [
            {"attachment": {"contentType": "text/plain; charset=utf-8", "data": "VEVTVCBPTkxZ", "title": "TEST ONLY"}}
        ],
    }


def _read_back(server: FhirServer, reference: str, document: dict) -> Generator[Tried, None, dict | None]:
    try:
        there = server.read_if_there(reference)
    except ExchangeError as error:
        yield Tried(Trial.READ_BACK, False, f"{error}: nothing we write here can be verified")
        return None
    same = isinstance(there, dict) and there.get("content") == document["content"]
    says = (
        "it says what was written: reports can be verified here" if same else "it came back different or as an address"
    )
    yield Tried(Trial.READ_BACK, same or (False if there is None else None), says)
    return there


def _conditional(server: FhirServer, document: dict, identifier: Identifier, reference: str) -> Tried:
    condition = identifier_condition(identifier.system, identifier.value)
    try:
        again = server.create(document, if_none_exist=condition)
    except ExchangeError as error:
        return Tried(Trial.CONDITIONAL, False, f"{error}: the target is searched before each create")
    if again.location in (None, reference) and not again.created:
        return Tried(Trial.CONDITIONAL, True, "a second one was not made")
    _quietly_remove(server, again.location)
    return Tried(Trial.CONDITIONAL, False, "a second one was made: set capabilities.conditional_create to false")


def _taken_back(server: FhirServer, reference: str, there: dict | None) -> Iterator[Tried]:
    if there is not None:
        version = (there.get("meta") or {}).get("versionId")
        try:
            server.update({**there, "status": "entered-in-error"}, if_match=version)
            yield Tried(Trial.UPDATE, True, "the test document is marked entered-in-error")
        except ExchangeError as error:
            yield Tried(Trial.UPDATE, False, f"{error}: corrections go as new documents")
    try:
        server.transport.request("DELETE", reference, write=True)
        yield Tried(Trial.DELETE, True, "the test document is gone")
    except ExchangeError:
        yield Tried(Trial.DELETE, None, f"{reference} stays there: have it removed if it disturbs")


def _quietly_remove(server: FhirServer, reference: str | None) -> None:
    if reference is not None:
        try:
            server.transport.request("DELETE", reference, write=True)
        except ExchangeError:
            return  # it is marked as a test, and its address stands in the answer of the check


def settings(can: Capabilities, tried: list[Tried]) -> dict[str, bool]:
    """The overrides that what was tried asks for, as they stand under ``capabilities``."""
    wrong = {each.what for each in tried if each.worked is False}
    wanted = {}
    if Trial.CONDITIONAL in wrong or can.conditional_create and by_identifier("DocumentReference") in wrong:
        wanted["conditional_create"] = False
    if can.task and by_identifier("Task") in wrong:
        wanted["task"] = False
    return wanted


def try_reading(server: FhirServer) -> tuple[Capabilities, list[Tried]]:
    """What the server says of itself, and the look-ups that its answers are held against."""
    can = probe(server)
    return can, [] if can.problems else list(looks(server, can))
