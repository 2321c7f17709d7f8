"""A SMART Health Link that a patient brought: fetched with care, opened, and each file taken in as a record from elsewhere.

The key reaches no log, no address of ours and no row; kept is from which server a file came.
"""

import re
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime

from integration import fhir_json, received
from integration.arriving.refused import Refused
from integration.fhir.shared_links import Bounds, Reply, ServerAway, exchange
from integration.health_links.sealing import SealBroken, open_sealed
from integration.store import audit, received_records, requests
from integration.store.operations import NotPossible
from integration.store.received_records import ReceivedRecord
from integration.visit_reading import House
from mappings.health_link import (
    API_ACCESS,
    CARD,
    FHIR_JSON,
    LONGEST_PASSCODE,
    File,
    LinkProblem,
    Payload,
    host_of,
    is_jwe,
    read_link,
    read_manifest,
)
from mappings.model.errors import MappingError
from mappings.received_fhir import documents_in

MANIFEST_BYTES = 64_000_000
INSIDE = 4_000_000  # characters of a file that may stand inside the manifest
AT_ONCE = 2  # links that one process opens at a time: each may hold a thread for a while
MOST_LEVELS = 200
_ROOM = threading.BoundedSemaphore(AT_ONCE)
_ENDINGS = {
    "application/pdf": ".pdf",
    "image/jpeg": ".jpg",
    "image/png": ".png",
    "image/tiff": ".tif",
    "application/dicom": ".dcm",
}


class NotOpened(LinkProblem):
    """The link's server gave nothing: the sentence says what to do."""


@dataclass
class Opened:
    """What came of a link: new records, those that were there already, and a sentence for each file that was not taken."""

    taken: list[ReceivedRecord] = field(default_factory=list)
    known: list[ReceivedRecord] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)


def open_link(house: House, request_id: str, pasted: str, passcode: str, *, actor: str) -> Opened:
    """Take in what a link holds. What is wrong with one file stops no other.

    Raises LinkProblem (NotOpened) with what to do; NotPossible when nothing is sent for the request any more, or too many links
    are being opened just now.
    """
    payload = read_link(pasted)
    _may_be_asked(payload, passcode)
    with house.engine.begin() as conn:
        placer = requests.get(conn, request_id).placer
        received_records.must_be_open(conn, request_id)
        audit.record(conn, actor, "received.link-opened", request_id, subject=host_of(payload))
    if not _ROOM.acquire(blocking=False):
        raise NotPossible("other links are being opened just now: try again in a moment")
    try:
        return _Opening(house, request_id, payload, passcode, _recipient(house, placer), actor).run()
    finally:
        _ROOM.release()


def _may_be_asked(payload: Payload, passcode: str) -> None:
    if payload.exp is not None and payload.exp <= datetime.now(UTC).timestamp():
        raise NotOpened(f"The link was good until {_day(payload.exp)}. Ask the patient for a new one.")
    if payload.needs_passcode and not passcode:
        raise NotOpened("The link asks for a passcode: type the one that the patient has.")


def _day(epoch: float) -> str:
    try:
        return f"{datetime.fromtimestamp(epoch, UTC):%Y-%m-%d %H:%M} UTC"
    except (ValueError, OverflowError, OSError):
        return "a day that has passed"


def _recipient(house: House, placer: str) -> str:
    endpoint = house.config.endpoints.get(placer)
    name = endpoint.name if endpoint is not None else ""
    return f"{name} ({house.config.exchange.name})" if name else house.config.exchange.name


@dataclass(frozen=True)
class _Opening:
    house: House
    request_id: str
    payload: Payload = field(repr=False)
    passcode: str = field(repr=False)
    recipient: str
    actor: str

    def run(self) -> Opened:
        made = Opened()
        files = [File(FHIR_JSON, embedded=self._direct())] if self.payload.is_direct else self._manifest()
        room = self.house.config.health_links.max_bytes
        for number, each in enumerate(files, 1):
            try:
                data, kind = self._unsealed(each, room)
                room -= len(data)
                self._take(data, kind, number, made)
            except (LinkProblem, ServerAway, SealBroken, Refused, NotPossible, MappingError) as error:
                made.wrong.append(f"File {number} of {len(files)}: {error}")
        return made

    @property
    def _bounds(self) -> Bounds:
        links = self.house.config.health_links
        return Bounds(links.networks, links.ca_file, links.allow_http)

    def _manifest(self) -> list[File]:
        ask = {"recipient": self.recipient, "embeddedLengthMax": INSIDE}
        ask |= {"passcode": self.passcode[:LONGEST_PASSCODE]} if self.passcode else {}
        reply = self._exchange("POST", self.payload.url, MANIFEST_BYTES, body=fhir_json.dumps(ask))
        if reply.status != 200:
            raise NotOpened(_why_not(reply))
        try:
            said = fhir_json.loads(reply.body, max_depth=MOST_LEVELS)
        except (ValueError, RecursionError):
            said = None
        return read_manifest(said)

    def _direct(self) -> str:
        limit = 2 * self.house.config.health_links.max_bytes
        reply = self._exchange("GET", self.payload.url, limit, params={"recipient": self.recipient})
        if reply.status != 200:
            raise NotOpened(_why_not(reply))
        return reply.body.decode("ascii", "replace").strip()

    def _exchange(self, method: str, url: str, max_bytes: int, **how: object) -> Reply:
        try:
            return exchange(method, url, self._bounds, max_bytes=max_bytes, **how)  # type: ignore[arg-type]
        except ServerAway as error:
            raise NotOpened(f"The server of the link ({host_of(self.payload)}) gave nothing: {error}.") from None

    def _unsealed(self, file: File, room: int) -> tuple[bytes, str]:
        """(the file, its type). What stands in the manifest and in the file's own header has to agree."""
        sealed = file.embedded
        if sealed is None:
            reply = exchange(
                "GET", file.location or "", self._bounds, max_bytes=2 * max(room, 1), accept="application/jose"
            )
            if reply.status != 200:
                raise ServerAway(f"its server answers {reply.status} instead of the file. Open the link once more")
            sealed = reply.body.decode("ascii", "replace").strip()
        if not is_jwe(sealed):
            raise SealBroken(
                "it is no encrypted file, or was cut on its way. Open the link once more, or ask for another one"
            )
        data, kind = open_sealed(sealed, self.payload.key, max(room, 1))
        if kind and kind != file.content_type:
            raise LinkProblem(
                f"the link lists it as {file.content_type[:60]}, and it says that it is {kind[:60]}: ask who made it"
            )
        return data, file.content_type

    def _take(self, data: bytes, kind: str, number: int, made: Opened) -> None:
        if kind == CARD:
            raise LinkProblem("it is a SMART Health Card, which is not read here: ask for the record as a file")
        if kind == API_ACCESS:
            raise LinkProblem("it opens a server instead of holding a record; nothing is asked there")
        if kind != FHIR_JSON:
            raise LinkProblem(f"it is of a kind that links do not hold ({kind[:60]})")
        resource = _resource(data)
        inside = documents_in(resource) or [(data, FHIR_JSON)]
        for at, (each, media) in enumerate(inside, 1):
            ending = ".json" if media == FHIR_JSON else _ENDINGS.get(media.partition(";")[0].strip().lower(), ".txt")
            name = f"from-link-{number}{f'-{at}' if len(inside) > 1 else ''}{ending}"
            record, is_new = received.receive(
                self.house.engine,
                self.house.payloads,
                self.house.config,
                self.request_id,
                [each],
                name=name,
                claimed=media,
                actor=self.actor,
                came_from=f"SMART Health Link of {host_of(self.payload)}, brought by the patient",
            )
            (made.taken if is_new else made.known).append(record)


def _resource(data: bytes) -> dict:
    try:
        found = fhir_json.loads(data, max_depth=MOST_LEVELS)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict) or not isinstance(found.get("resourceType"), str):
        raise LinkProblem(
            "it is no FHIR resource, although the link says so: it was cut before it was encrypted, or is another file"
        )
    return found


def _why_not(reply: Reply) -> str:
    """What an answer without files means, and what to do."""
    if reply.status == 401:
        left = _remaining(reply.body)
        more = f" {left} more can be tried, then the link is off." if left is not None else ""
        return f"The passcode is wrong.{more} Ask the patient before you try again."
    if reply.status == 404:
        return "The link opens nothing any more: it has expired, was revoked, or too many wrong passcodes were tried. Ask for a new one."
    if reply.status == 429:
        wait = reply.headers.get("Retry-After", "")
        when = f"in {wait} seconds" if re.fullmatch(r"\d{1,6}", wait, re.ASCII) else "later"
        return f"The link was opened too often: try again {when}."
    return (
        f"The server of the link answers {reply.status} instead of the records. Try again later, or ask for a new link."
    )


def _remaining(body: bytes) -> int | None:
    try:
        said = fhir_json.loads(body[:10_000])
    except (ValueError, RecursionError):
        return None
    left = said.get("remainingAttempts") if isinstance(said, dict) else None
    return left if isinstance(left, int) and not isinstance(left, bool) and 0 <= left < 10**6 else None
