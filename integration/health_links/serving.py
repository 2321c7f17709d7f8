"""What whoever has a link is given: the manifest of its files, and each file, once it passed the gate.

https://hl7.org/fhir/uv/smart-health-cards-and-links/STU1/links-specification.html#smart-health-link-manifest-request
A link that is unknown, expired, revoked or used up is one and the same: nothing is there.
"""

import logging
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Connection

from integration.health_links import sealing
from integration.health_links.contents import contents_of, newest_version
from integration.health_links.making import must_pass, sealed_files
from integration.keys import KeyProblem
from integration.store import consents, health_links
from integration.store.health_links import HealthLink, SealedFile
from integration.store.operations import NotPossible
from integration.visit_reading import House
from mappings.health_link import FHIR_JSON, Ask, File, stands_inside, to_manifest
from mappings.model.errors import ExchangeError

INSIDE_UNASKED = 256 * 1024  # characters of a file inside the manifest when the reader says no other number
INSIDE_TOGETHER = 8 * 1024 * 1024
log = logging.getLogger(__name__)


class NotThere(ExchangeError):
    """There is no such link, or it opens nothing any more: which of the two is not said."""


class WrongPasscode(ExchangeError):
    """``remaining``: how many wrong ones the link still bears in its life."""

    def __init__(self, remaining: int):
        self.remaining = remaining
        super().__init__("the passcode is missing or wrong")


class TooOften(ExchangeError):
    """``seconds``: after which it may be asked again."""

    def __init__(self, seconds: int):
        self.seconds = seconds
        super().__init__(f"the link was asked for too often: ask again in {seconds} seconds")


@dataclass(frozen=True)
class Fetched:
    """A file to be given out: its hash in the payload store, and how many characters it has."""

    sha256: str
    size: int


def manifest(house: House, token: str, ask: Ask, base_url: str) -> dict:
    """The manifest for who asks. Raises NotThere, WrongPasscode, TooOften; what is raised is written down first."""
    link = _opened(house, token, ask)
    link = _with_the_newest_packet(house, link)
    with house.engine.connect() as conn:
        files = health_links.files_of(conn, link.id)
    _pass(house, link, files, ask.recipient)
    with house.engine.begin() as conn:
        listed = _listed(house, link, files, ask, base_url, conn)
        health_links.note(conn, link, ask.recipient, "manifest", len(files))
    return to_manifest(listed)


def direct(house: House, token: str, recipient: str) -> Fetched:
    """The one file of a link without a manifest. Raises NotThere, TooOften."""
    with house.engine.begin() as conn:
        link = health_links.good(conn, token)
        wait = health_links.seconds_to_wait(conn, link) if link is not None else 0
    if link is None or not link.is_direct:
        raise NotThere
    if wait:
        raise TooOften(wait)
    link = _with_the_newest_packet(house, link)
    with house.engine.connect() as conn:
        [file] = health_links.files_of(conn, link.id)
    return _given(house, link, file, recipient, "direct")


def file(house: House, token: str) -> Fetched:
    """A file by its location, which works once. Raises NotThere."""
    with house.engine.begin() as conn:
        found = health_links.take_location(conn, token)
    if found is None:
        raise NotThere
    return _given(house, *found, "file")


def _opened(house: House, token: str, ask: Ask) -> HealthLink:
    with house.engine.begin() as conn:  # what is counted is committed, whatever is raised afterwards
        link = health_links.good(conn, token)
        if link is None or link.is_direct:
            raise NotThere
        wait = health_links.seconds_to_wait(conn, link)
        right = not wait and (
            not link.needs_passcode
            or ask.passcode is not None
            and health_links.is_right_passcode(conn, link, ask.passcode, ask.recipient)
        )
    if wait:
        raise TooOften(wait)
    if not right:
        raise WrongPasscode(link.attempts_left - (ask.passcode is not None))
    return link


def _given(house: House, link: HealthLink, file: SealedFile, recipient: str, what: str) -> Fetched:
    _pass(house, link, [file], recipient)
    with house.engine.begin() as conn:
        health_links.note(conn, link, recipient, what, 1)
    return Fetched(file.sha256, file.size)


def _pass(house: House, link: HealthLink, files: list[SealedFile], recipient: str) -> None:
    items = tuple(f"{link.id}-{each.number}" for each in files)
    try:
        must_pass(
            house,
            link.request_id,
            actor=health_links.actor_of(link),
            items=items,
            size=sum(each.size for each in files),
            link=link,
        )
    except NotPossible:
        with house.engine.begin() as conn:
            health_links.note(conn, link, recipient, "kept")
        raise NotThere from None


def _listed(
    house: House, link: HealthLink, files: list[SealedFile], ask: Ask, base_url: str, conn: Connection
) -> list[File]:
    made, room = [], INSIDE_TOGETHER
    status = "can-change" if link.is_long_term else "finalized"
    for each in files:
        said = dict(last_updated=each.made_at.astimezone(UTC).isoformat(timespec="seconds"), status=status)
        if each.size <= room and stands_inside(each.size, ask, INSIDE_UNASKED):
            room -= each.size
            made.append(File(FHIR_JSON, embedded=house.payloads.get(each.sha256).decode("ascii"), **said))
        else:
            location = health_links.new_location(conn, link, each, ask.recipient)
            made.append(File(FHIR_JSON, location=f"{base_url}/shl/file/{location}", **said))
    return made


def _with_the_newest_packet(house: House, link: HealthLink) -> HealthLink:
    """A long-term link gets what came since, under the same key; where that cannot be done, what it has stays good.

    So it does when the patient said something else of the kinds of record that may leave.
    """
    if link.wrapped_key is None or not _is_behind(house, link):
        return link
    try:
        key = sealing.unwrap(link.wrapped_key, house.config.keys_folder)
    except KeyProblem:
        log.error("a long-term link stays at an older packet: its key cannot be opened", extra={"link_id": link.id})
        return link
    made = contents_of(house.engine, house.payloads, house.config, link.request_id, datetime.now(UTC))
    made = made.alone() if link.is_direct else made
    sealed = sealed_files(house, made, key)
    with house.engine.begin() as conn:
        health_links.replace_files(
            conn,
            link,
            sealed,
            packet_version=made.packet_version,
            left_out=made.left_out,
            consent_id=made.consent_id,
        )
        return health_links.one(conn, link.id)


def _is_behind(house: House, link: HealthLink) -> bool:
    if newest_version(house.engine, link.request_id) > link.packet_version:
        return True
    with house.engine.connect() as conn:
        said = consents.newest(conn, link.request_id)
    return said is not None and said.id != link.consent_id
