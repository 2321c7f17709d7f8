"""Links by which a patient carries the packet: made, asked for, ended; each access is a row.

Neither a link nor its address stands here: the token by its hash alone, the key not at all, or, of a long-term link, wrapped by a
key that is a file. All times are the database's, so that a link ends for every process at the same moment.
"""

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Connection, Row, and_, delete, extract, func, insert, or_, select, update

from integration.store import audit
from integration.store.operations import NotPossible
from integration.store.tables import health_link_accesses as accesses
from integration.store.tables import health_link_files as files
from integration.store.tables import health_link_locations as locations
from integration.store.tables import health_links as links
from mappings.health_link import DIRECT, LONG_TERM, PASSCODE

ATTEMPTS = 10  # wrong passcodes in the life of a link
PASSCODE_DIGITS = 8
ASKED_IN_A_MINUTE = 10
LOCATION_MINUTES = 30  # the specification allows 60
_COST = dict(n=2**14, r=8, p=1, dklen=32)  # 16 MiB and about 40 ms: a passcode is short, its count is what protects it


@dataclass(frozen=True)
class HealthLink:
    """A row. ``attempts_left``: wrong passcodes that it still bears; ``packet_version``: the newest packet in its files.

    ``consent_id``: the statement by which the records in its files were chosen; None where there was none.
    """

    id: str
    request_id: str
    token_sha256: str
    flag: str
    passcode: str | None
    attempts_left: int
    wrapped_key: bytes | None
    packet_version: int
    left_out: int
    consent_id: int | None
    made_by: str
    created_at: datetime
    expires_at: datetime
    ended_at: datetime | None
    ended_by: str | None
    ended_because: str | None

    @classmethod
    def from_row(cls, row: Row) -> "HealthLink":
        """From a row of `health_links`."""
        return cls(**{name: getattr(row, name) for name in cls.__dataclass_fields__})

    @property
    def needs_passcode(self) -> bool:
        """It opens with a passcode only."""
        return PASSCODE in self.flag

    @property
    def is_direct(self) -> bool:
        """Its address gives its one file."""
        return DIRECT in self.flag

    @property
    def is_long_term(self) -> bool:
        """A later packet comes into it."""
        return LONG_TERM in self.flag

    def state(self, now: datetime) -> str:
        """``good``, or why it opens nothing any more: ``revoked``, ``expired``, ``used-up``."""
        if self.ended_at is not None:
            return "revoked"
        if self.expires_at <= now:
            return "expired"
        return "good" if self.attempts_left > 0 else "used-up"


@dataclass(frozen=True)
class SealedFile:
    """A file of a link as it is kept: encrypted, by its hash in the payload store; ``size`` in characters."""

    link_id: str
    number: int
    title: str
    sha256: str
    size: int
    made_at: datetime

    @classmethod
    def from_row(cls, row: Row) -> "SealedFile":
        """From a row of `health_link_files`."""
        return cls(**{name: getattr(row, name) for name in cls.__dataclass_fields__})


@dataclass(frozen=True)
class Access:
    """Somebody opened a link, or tried to. ``what``: manifest, file, wrong-passcode, kept; ``files``: how many they were given."""

    id: int
    link_id: str
    request_id: str
    at: datetime
    recipient: str
    what: str
    files: int

    @classmethod
    def from_row(cls, row: Row) -> "Access":
        """From a row of `health_link_accesses`."""
        return cls(**{name: getattr(row, name) for name in cls.__dataclass_fields__})


@dataclass(frozen=True)
class NewFile:
    """A file to keep."""

    title: str
    sha256: str
    size: int


def new_passcode() -> str:
    """Digits, which a person can read out."""
    return "".join(secrets.choice("0123456789") for _ in range(PASSCODE_DIGITS))


def hash_of(token: str) -> str:
    """What is kept of the token in a link's address: it has 256 bits, so a plain hash says nothing of it."""
    return hashlib.sha256(token.encode()).hexdigest()


def _hash_passcode(passcode: str, salt: bytes) -> str:
    found = hashlib.scrypt(passcode.encode(), salt=salt, maxmem=64 << 20, **_COST)
    return f"{salt.hex()}${found.hex()}"


def _is_right(link: HealthLink, passcode: str) -> bool:
    kept = link.passcode or ""
    salt = bytes.fromhex(kept.partition("$")[0])
    return hmac.compare_digest(_hash_passcode(passcode, salt), kept)


def add(
    conn: Connection,
    request_id: str,
    token: str,
    flag: str,
    new: list[NewFile],
    *,
    passcode: str | None,
    wrapped_key: bytes | None,
    packet_version: int,
    left_out: int,
    consent_id: int | None,
    days: int,
    actor: str,
) -> HealthLink:
    """A new link, audited."""
    values = dict(
        id=secrets.token_hex(8),
        request_id=request_id,
        token_sha256=hash_of(token),
        flag=flag,
        passcode=_hash_passcode(passcode, secrets.token_bytes(16)) if passcode else None,
        attempts_left=ATTEMPTS,
        wrapped_key=wrapped_key,
        packet_version=packet_version,
        left_out=left_out,
        consent_id=consent_id,
        made_by=actor,
        expires_at=func.statement_timestamp() + timedelta(days=days),
    )
    made = HealthLink.from_row(conn.execute(insert(links).values(values).returning(links)).one())
    _keep_files(conn, made.id, new)
    detail = {"flag": flag, "files": len(new), "left_out": left_out, "packet": packet_version, "days": days}
    audit.record(conn, actor, "health-link.made", request_id, subject=made.id, detail=detail)
    return made


def _keep_files(conn: Connection, link_id: str, new: list[NewFile]) -> None:
    rows = [dict(vars(each), link_id=link_id, number=number) for number, each in enumerate(new, 1)]
    conn.execute(insert(files), rows)


def replace_files(
    conn: Connection,
    link: HealthLink,
    new: list[NewFile],
    *,
    packet_version: int,
    left_out: int,
    consent_id: int | None,
) -> None:
    """A later packet, or what a later consent lets go, in a long-term link; nothing where another process was first."""
    said = func.coalesce(links.c.consent_id, 0)
    is_older = or_(links.c.packet_version < packet_version, said < (consent_id or 0))
    is_no_newer = and_(links.c.packet_version <= packet_version, said <= (consent_id or 0))
    found = conn.execute(
        update(links)
        .where(links.c.id == link.id, is_older, is_no_newer)
        .values(packet_version=packet_version, left_out=left_out, consent_id=consent_id)
    )
    if found.rowcount:
        conn.execute(delete(locations).where(locations.c.link_id == link.id))
        conn.execute(delete(files).where(files.c.link_id == link.id))
        _keep_files(conn, link.id, new)


def one(conn: Connection, link_id: str) -> HealthLink:
    """The link of this id, which is there."""
    return HealthLink.from_row(conn.execute(select(links).where(links.c.id == link_id)).one())


def good(conn: Connection, token: str) -> HealthLink | None:
    """The link that a token opens, locked until the transaction ends; None for one that is unknown or opens nothing any more."""
    wanted = select(links).where(links.c.token_sha256 == hash_of(token), _opens()).with_for_update()
    row = conn.execute(wanted).one_or_none()
    return None if row is None else HealthLink.from_row(row)


def _opens() -> ColumnElement[bool]:
    return and_(links.c.ended_at.is_(None), links.c.attempts_left > 0, links.c.expires_at > func.statement_timestamp())


def is_right_passcode(conn: Connection, link: HealthLink, passcode: str, recipient: str) -> bool:
    """Counted where it is not, for the life of the link; ``link`` is locked, so no two are tried at once."""
    if _is_right(link, passcode):
        return True
    left = link.attempts_left - 1
    conn.execute(update(links).where(links.c.id == link.id).values(attempts_left=left))
    note(conn, link, recipient, "wrong-passcode")
    audit.record(
        conn, actor_of(link), "health-link.wrong-passcode", link.request_id, subject=link.id, detail={"left": left}
    )
    return False


def actor_of(link: HealthLink) -> str:
    """Who does it, as the audit trail says: whoever has that link."""
    return f"link {link.id}"


def note(conn: Connection, link: HealthLink, recipient: str, what: str, given: int = 0) -> None:
    """An access, in the recipient's own words; the audit trail has ids alone."""
    conn.execute(
        insert(accesses).values(
            link_id=link.id, request_id=link.request_id, recipient=recipient, what=what, files=given
        )
    )


def seconds_to_wait(conn: Connection, link: HealthLink) -> int:
    """0, or how long whoever asks too often has to wait."""
    since = func.statement_timestamp() - timedelta(minutes=1)
    asked = and_(accesses.c.link_id == link.id, accesses.c.at > since, accesses.c.what != "file")
    number, oldest = conn.execute(
        select(func.count(), extract("epoch", func.min(accesses.c.at) - since)).where(asked)
    ).one()
    return max(1, int(oldest) + 1) if number >= ASKED_IN_A_MINUTE else 0


def files_of(conn: Connection, link_id: str) -> list[SealedFile]:
    """In their order."""
    found = conn.execute(select(files).where(files.c.link_id == link_id).order_by(files.c.number))
    return [SealedFile.from_row(row) for row in found]


def new_location(conn: Connection, link: HealthLink, file: SealedFile, recipient: str) -> str:
    """A token by which a file can be fetched once, within LOCATION_MINUTES."""
    token = secrets.token_urlsafe(32)
    conn.execute(delete(locations).where(locations.c.expires_at < func.statement_timestamp() - timedelta(hours=1)))
    conn.execute(
        insert(locations).values(
            token_sha256=hash_of(token),
            link_id=link.id,
            number=file.number,
            recipient=recipient,
            expires_at=func.statement_timestamp() + timedelta(minutes=LOCATION_MINUTES),
        )
    )
    return token


def take_location(conn: Connection, token: str) -> tuple[HealthLink, SealedFile, str] | None:
    """(link, file, recipient) of a location that was not used yet, which it is from now on; None for any other."""
    now = func.statement_timestamp()
    used = conn.execute(
        update(locations)
        .where(locations.c.token_sha256 == hash_of(token), locations.c.used_at.is_(None), locations.c.expires_at > now)
        .values(used_at=now)
        .returning(locations)
    ).one_or_none()
    if used is None:
        return None
    link = conn.execute(select(links).where(links.c.id == used.link_id, _opens())).one_or_none()
    file = conn.execute(
        select(files).where(files.c.link_id == used.link_id, files.c.number == used.number)
    ).one_or_none()
    if link is None or file is None:
        return None
    return HealthLink.from_row(link), SealedFile.from_row(file), used.recipient


def of_request(conn: Connection, request_id: str) -> list[HealthLink]:
    """Its links, newest first."""
    found = conn.execute(select(links).where(links.c.request_id == request_id).order_by(links.c.created_at.desc()))
    return [HealthLink.from_row(row) for row in found]


def accesses_of(conn: Connection, request_id: str) -> list[Access]:
    """Who opened the links of a request, or tried to; newest first."""
    found = conn.execute(select(accesses).where(accesses.c.request_id == request_id).order_by(accesses.c.id.desc()))
    return [Access.from_row(row) for row in found]


def revoke(conn: Connection, request_id: str, link_id: str, *, actor: str, reason: str) -> None:
    """It opens nothing any more, from the next request on, whoever asks. Raises NotPossible."""
    if not reason.strip():
        raise NotPossible("say in your own words why; it is kept in the audit trail")
    made = conn.execute(
        update(links)
        .where(links.c.id == link_id, links.c.request_id == request_id, links.c.ended_at.is_(None))
        .values(ended_at=func.statement_timestamp(), ended_by=actor, ended_because=reason, wrapped_key=None)
    )
    if made.rowcount == 0:
        raise NotPossible(f"request {request_id} has no link {link_id[:40]} that could be revoked")
    audit.record(conn, actor, "health-link.revoked", request_id, subject=link_id, reason=reason)


def revoke_all(conn: Connection, *, actor: str, reason: str) -> int:
    """Every link opens nothing any more, as after a restore: one that was revoked since the backup would. Returns how many."""
    return conn.execute(
        update(links)
        .where(links.c.ended_at.is_(None))
        .values(ended_at=func.statement_timestamp(), ended_by=actor, ended_because=reason, wrapped_key=None)
    ).rowcount


def database_time(conn: Connection) -> datetime:
    """Now, by the clock that links end by."""
    now: datetime = conn.execute(select(func.statement_timestamp())).scalar_one()
    return now
