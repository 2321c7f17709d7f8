"""A link by which a patient carries the packet: made, shown once, listed with who opened it, revoked."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection

from integration.health_links import sealing
from integration.health_links.contents import Contents, contents_of, newest_version
from integration.store import audit, consents, health_links, leaving, requests
from integration.store.health_links import Access, HealthLink, NewFile, SealedFile
from integration.store.operations import NotPossible, WrongWords
from integration.visit_reading import House
from mappings.health_link import FHIR_JSON, Payload, flags, write_link
from mappings.model.causes import cause_named
from mappings.model.consent import RecordKind
from mappings.model.leaving import Going, Reason, why_not
from mappings.model.typed import read_number

LABEL = "Records for a second opinion"  # no clinical word: it stands in the link, for whoever sees it
CONSENT_CHANGED = "consent-changed"  # a cause of mappings/model/causes.py
GATE = "health-link"  # stands for an endpoint in the audit trail


@dataclass(frozen=True)
class Wanted:
    """What somebody typed. ``is_theirs``: the patient, or who speaks for them, asked for it."""

    days: str = "30"
    is_long_term: bool = False
    is_direct: bool = False
    is_theirs: bool = False


@dataclass(frozen=True)
class Made:
    """A new link with what is shown once and kept nowhere: all of it (``link``) and its passcode."""

    row: HealthLink
    link: str
    passcode: str | None

    def __repr__(self) -> str:
        return f"Made({self.row.id})"  # no log may hold a link


@dataclass(frozen=True)
class Links:
    """The links of a request and what is known of them. ``newest_packet``: 0 before there is a packet.

    ``too_much``: links that hold kinds of record that the patient leaves out meanwhile; ``left_out``: these kinds, for a new link.
    """

    request_id: str
    links: list[HealthLink]
    files: dict[str, list[SealedFile]]
    accesses: dict[str, list[Access]]
    newest_packet: int
    now: datetime
    too_much: frozenset[str] = frozenset()
    left_out: tuple[RecordKind, ...] = ()


def listed(house: House, request_id: str, *, actor: str, reason: str | None = None) -> Links:
    """The links of a request; the look is recorded, because it names who read the records. Raises UnknownRequest."""
    with house.engine.begin() as conn:
        requests.get(conn, request_id)
        audit.record(conn, actor, "health-link.looked-at", request_id, reason=reason)
        found, now = health_links.of_request(conn, request_id), health_links.database_time(conn)
        files = {each.id: health_links.files_of(conn, each.id) for each in found}
        opened: dict[str, list[Access]] = {}
        for each in health_links.accesses_of(conn, request_id):
            opened.setdefault(each.link_id, []).append(each)
        too_much = frozenset(each.id for each in found if holds_too_much(conn, each))
        said = consents.newest(conn, request_id)
    left_out = said.consent.left_home if said else ()
    return Links(request_id, found, files, opened, newest_version(house.engine, request_id), now, too_much, left_out)


def make(house: House, request_id: str, wanted: Wanted, base_url: str, *, actor: str) -> Made:
    """Encrypt what the request's packets hold under a new key, and keep it until it is fetched.

    ``base_url``: where others reach us. Raises WrongWords for what was typed; NotPossible without a packet, or where the gate
    lets nothing out; LinkProblem where our address is too long for a link.
    """
    days = _days(wanted, house.config.health_links.longest_days)
    flag = flags(is_long_term=wanted.is_long_term, has_passcode=not wanted.is_direct, is_direct=wanted.is_direct)
    key, token, now = sealing.new_key(), sealing.new_key(), datetime.now(UTC)
    expires = int((now + timedelta(days=days)).timestamp())
    payload = Payload(url=f"{base_url}/shl/{token}", key=key, exp=expires, flag=flag, label=LABEL)
    link = write_link(payload, house.config.health_links.viewer or "")
    must_pass(house, request_id, actor=actor, items=(), size=0, only_asks=True)
    made = contents_of(house.engine, house.payloads, house.config, request_id, now)
    made = made.alone() if wanted.is_direct else made
    passcode = None if wanted.is_direct else health_links.new_passcode()
    sealed = sealed_files(house, made, key)
    wrapped = sealing.wrap(key, house.config.keys_folder) if wanted.is_long_term else None
    with house.engine.begin() as conn:
        row = health_links.add(
            conn,
            request_id,
            token,
            flag,
            sealed,
            passcode=passcode,
            wrapped_key=wrapped,
            packet_version=made.packet_version,
            left_out=made.left_out,
            consent_id=made.consent_id,
            days=days,
            actor=actor,
        )
    return Made(row, link, passcode)


def sealed_files(house: House, made: Contents, key: str) -> list[NewFile]:
    """The files encrypted, in the payload store."""
    found = []
    for each in made.files:
        sealed = sealing.seal(each.data, key, FHIR_JSON).encode("ascii")
        found.append(NewFile(each.title, house.payloads.put(sealed), len(sealed)))
    return found


def must_pass(
    house: House,
    request_id: str,
    *,
    actor: str,
    items: tuple[str, ...],
    size: int,
    only_asks: bool = False,
    link: HealthLink | None = None,
) -> None:
    """The gate: what leaves by a link is asked for, and written down, like everything else. Raises NotPossible.

    ``only_asks``: nothing leaves yet, so only a refusal is written down; ``link``: whose files leave, which hold no more kinds
    of record than the patient lets go now.
    """
    going = Going("HealthLink", items, size)
    with house.engine.begin() as conn:
        why = why_not(Reason.CARRIED, going, leaving.stand(conn, request_id, GATE, asks_consent=False))
        if not why and link is not None and holds_too_much(conn, link):
            why = CONSENT_CHANGED
        if why or not only_asks:
            action = leaving.KEPT if why else leaving.LEAVES
            leaving.record(conn, request_id, GATE, Reason.CARRIED, going, action, actor=actor, about={}, why=why)
    if why:
        raise NotPossible(f"nothing of this request may leave now: {cause_named(why).happened}")


def holds_too_much(conn: Connection, link: HealthLink) -> bool:
    """Its records were chosen by a consent that lets kinds go that stay home by the newest one."""
    newest = consents.newest(conn, link.request_id)
    if newest is None or newest.id == link.consent_id:
        return False
    chosen = consents.one(conn, link.consent_id).consent if link.consent_id else None
    return bool(set(newest.consent.left_home) - set(chosen.left_home if chosen else ()))


def revoke(house: House, request_id: str, link_id: str, *, actor: str, reason: str) -> None:
    """It opens nothing any more. Raises NotPossible."""
    with house.engine.begin() as conn:
        health_links.revoke(conn, request_id, link_id, actor=actor, reason=reason)


def _days(wanted: Wanted, longest: int) -> int:
    wrong = {}
    days, problem = read_number(wanted.days, most=longest)
    if problem or not days:
        wrong["days"] = problem or "is how many days the link opens, 1 or more"
    if not wanted.is_theirs:
        wrong["is_theirs"] = "say that the patient, or who speaks for them, asked for it: a link is for nobody else"
    if wrong:
        raise WrongWords(wrong)
    return days or 0
