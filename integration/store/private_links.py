"""Patients' private links and what was opened by them: of a link only a hash is kept, and what is wrong tells nobody why.

Wrong answers are counted for the link's lifetime, and for who asks by `sign_in_tries`; both hold for every process and restart.
"""

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Connection, Row, and_, func, insert, null, select, text, update

from integration.store import audit, installation, requests, sign_in_tries
from integration.store.operations import NotPossible, WrongWords
from integration.store.tables import private_links, private_sessions
from mappings.device import Device as DeviceOf
from mappings.device import device_of
from mappings.model.private_link import (
    CODE_LENGTH,
    CODE_LETTERS,
    MAX_FAILURES,
    MAX_SESSIONS,
    LinkState,
    OpenedBy,
    TypedLink,
    answer_of,
    read_link,
)

IDLE, LONGEST = text("interval '20 minutes'"), text("interval '2 hours'")
KEPT = text("interval '90 days'")  # that a session was there
SHOWN = 20


@dataclass(frozen=True)
class PrivateLink:
    """A link as it stands; neither it nor what opens it can be read from the row."""

    id: int
    request_id: str
    token_sha256: str
    opened_by: str  # an OpenedBy
    answer_hmac: str
    language: str  # a Language
    expires_at: datetime
    failures: int
    opened: int
    actor: str
    created_at: datetime
    revoked_at: datetime | None
    revoked_by: str | None
    revoked_reason: str | None

    @classmethod
    def from_row(cls, row: Row) -> "PrivateLink":
        """From a row of `private_links`."""
        return cls(**{name: getattr(row, name) for name in cls.__dataclass_fields__})

    def state(self, now: datetime) -> LinkState:
        """How it stands."""
        if self.revoked_at is not None:
            return LinkState.REVOKED
        if self.failures >= MAX_FAILURES:
            return LinkState.CLOSED
        return LinkState.EXPIRED if self.expires_at <= now else LinkState.OPEN


@dataclass(frozen=True)
class Made:
    """A new link: ``token`` and ``code`` are stored nowhere and shown once; a code only where one opens it."""

    link: PrivateLink
    token: str
    code: str | None


@dataclass(frozen=True)
class Opened:
    """A patient's own session: whose page it shows, and in which language."""

    link_id: int
    request_id: str
    language: str
    session: str  # hash of its token
    until: datetime

    @property
    def actor(self) -> str:
        """Who does it, as the audit trail says."""
        return f"patient, link {self.link_id}"


@dataclass(frozen=True)
class Device:
    """One session that a link opened: ``device``, what is kept of how its browser calls itself."""

    link_id: int
    device: str
    created_at: datetime
    seen_at: datetime
    is_open: bool

    @property
    def of(self) -> DeviceOf:
        """Its class and browser; older rows have the browser's own name."""
        return device_of(self.device)


def make(conn: Connection, request_id: str, typed: TypedLink, *, actor: str) -> Made:
    """Make a link for the patient of a request. Raises UnknownRequest, WrongWords."""
    born = requests.content(requests.get(conn, request_id)).patient.birth_date
    wanted, wrong = read_link(typed, birth_date=born)
    if wanted is None:
        raise WrongWords(wrong)
    token = secrets.token_urlsafe(32)  # 256 bits
    code = "".join(secrets.choice(CODE_LETTERS) for _ in range(CODE_LENGTH))
    is_code = wanted.opened_by is OpenedBy.CODE
    values = dict(
        request_id=request_id,
        token_sha256=hash_of(token),
        opened_by=wanted.opened_by,
        answer_hmac=_hmac(conn, token, answer_of(wanted.opened_by, code if is_code else f"{born}")),
        language=wanted.language,
        expires_at=func.now() + timedelta(days=wanted.days),
        actor=actor,
    )
    row = PrivateLink.from_row(conn.execute(insert(private_links).values(values).returning(private_links)).one())
    detail = {"opened_by": row.opened_by, "expires_at": row.expires_at.isoformat(timespec="seconds")}
    audit.record(conn, actor, "private-link.made", request_id, subject=f"link {row.id}", detail=detail)
    return Made(row, token, f"{code[:4]}-{code[4:]}" if is_code else None)


def of_request(conn: Connection, request_id: str) -> list[PrivateLink]:
    """All of a request, newest first."""
    rows = conn.execute(
        select(private_links).where(private_links.c.request_id == request_id).order_by(private_links.c.id.desc())
    )
    return [PrivateLink.from_row(row) for row in rows]


def for_letter(conn: Connection, request_id: str, token: str, *, actor: str) -> PrivateLink:
    """The link of a token that is put on paper, recorded. Raises NotPossible for another request's, and for one that does not open."""
    wanted = select(private_links, (private_links.c.expires_at > func.now()).label("in_time")).where(
        private_links.c.request_id == request_id, private_links.c.token_sha256 == hash_of(token)
    )
    row = conn.execute(wanted).one_or_none()
    if row is None or not row.in_time or row.revoked_at is not None or row.failures >= MAX_FAILURES:
        raise NotPossible(f"request {request_id} has no such private link that opens: make one, and its letter with it")
    audit.record(conn, actor, "private-link.letter", request_id, subject=f"link {row.id}")
    return PrivateLink.from_row(row)


def revoke(conn: Connection, request_id: str, link_id: int, *, actor: str, reason: str) -> None:
    """Close a link and end what it opened. Raises UnknownRequest; NotPossible when there is no such link that is not revoked."""
    requests.get(conn, request_id)
    gone = (
        update(private_links)
        .where(
            private_links.c.id == link_id,
            private_links.c.request_id == request_id,
            private_links.c.revoked_at.is_(None),
        )
        .values(revoked_at=func.now(), revoked_by=actor, revoked_reason=reason)
    )
    if not conn.execute(gone).rowcount:
        raise NotPossible(f"request {request_id} has no private link {link_id} that is not revoked")
    conn.execute(
        update(private_sessions)
        .where(private_sessions.c.link_id == link_id, private_sessions.c.ended_at.is_(None))
        .values(ended_at=func.now())
    )
    audit.record(conn, actor, "private-link.revoked", request_id, subject=f"link {link_id}", reason=reason)


def follow_birth_date(conn: Connection, request_id: str, born: str, *, actor: str) -> None:
    """The patient's birth date was corrected: their links open by the new one, and no longer by the old one.

    A link that is closed, revoked or expired stays so, and what is open stays open.
    """
    wanted = select(private_links).where(
        private_links.c.request_id == request_id, private_links.c.opened_by == OpenedBy.BIRTH_DATE
    )
    for row in conn.execute(wanted.with_for_update()).all():
        answer = _hmac_of(conn, row.token_sha256, answer_of(OpenedBy.BIRTH_DATE, born))
        if answer != row.answer_hmac:
            conn.execute(update(private_links).where(private_links.c.id == row.id).values(answer_hmac=answer))
            audit.record(conn, actor, "private-link.birth-date-corrected", request_id, subject=f"link {row.id}")


def revoke_all(conn: Connection, *, actor: str, reason: str) -> int:
    """Close every link, as after a restore: one that was revoked since the backup would open again. Returns how many."""
    closed = conn.execute(
        update(private_links)
        .where(private_links.c.revoked_at.is_(None))
        .values(revoked_at=func.now(), revoked_by=actor, revoked_reason=reason)
    ).rowcount
    conn.execute(update(private_sessions).where(private_sessions.c.ended_at.is_(None)).values(ended_at=func.now()))
    return closed


def may_try(conn: Connection, address: str) -> bool:
    """Count a try of who asks; False when it comes too soon after others. Commit it before the answer is looked at."""
    return sign_in_tries.claim(conn, _limits(conn, address)) <= 0


def enter(conn: Connection, token: str, *, born: str, code: str, address: str, device: str) -> str | None:
    """The token of a new session when the answer is right; None for everything else, after the same work."""
    found = conn.execute(
        select(private_links, (private_links.c.expires_at > func.now()).label("in_time"))
        .where(private_links.c.token_sha256 == hash_of(token))
        .with_for_update()
    ).one_or_none()
    opened_by = found.opened_by if found else OpenedBy.CODE
    answer = answer_of(opened_by, born if opened_by == OpenedBy.BIRTH_DATE else code)
    is_right = hmac.compare_digest(_hmac(conn, token, answer), found.answer_hmac if found else "0" * 64)
    is_open = found is not None and found.in_time and found.revoked_at is None and found.failures < MAX_FAILURES
    counted = private_links.c.failures + (0 if is_right and is_open else 1)
    opened = private_links.c.opened + (1 if is_right and is_open else 0)
    conn.execute(
        update(private_links)
        .where(private_links.c.id == (found.id if found else 0))
        .values(failures=counted, opened=opened)
    )
    if found is None or not (is_right and is_open):
        return None
    sign_in_tries.forgive(conn, _limits(conn, address))
    return _begin(conn, found.id, found.request_id, found.language, device)


def _begin(conn: Connection, link_id: int, request_id: str, language: str, device: str) -> str:
    session = secrets.token_urlsafe(32)
    conn.execute(
        insert(private_sessions).values(
            token_sha256=hash_of(session), link_id=link_id, device=device[:160], language=language
        )
    )
    live = select(private_sessions.c.token_sha256).where(private_sessions.c.link_id == link_id, _is_live())
    surplus = live.order_by(private_sessions.c.seen_at.desc()).offset(MAX_SESSIONS)
    conn.execute(
        update(private_sessions).where(private_sessions.c.token_sha256.in_(surplus)).values(ended_at=func.now())
    )
    audit.record(conn, f"patient, link {link_id}", "private-link.opened", request_id, subject=f"link {link_id}")
    return session


def find(conn: Connection, session: str) -> Opened | None:
    """The session of a token, unless it or its link has ended; that it was used is noted."""
    row = conn.execute(
        select(
            private_sessions.c.link_id,
            private_links.c.request_id,
            private_sessions.c.language,
            private_links.c.expires_at,
        )
        .join(private_links, private_links.c.id == private_sessions.c.link_id)
        .where(
            private_sessions.c.token_sha256 == hash_of(session),
            _is_live(),
            private_links.c.revoked_at.is_(None),
            private_links.c.expires_at > func.now(),
        )
    ).one_or_none()
    if row is None:
        return None
    conn.execute(
        update(private_sessions).where(private_sessions.c.token_sha256 == hash_of(session)).values(seen_at=func.now())
    )
    return Opened(row.link_id, row.request_id, row.language, hash_of(session), row.expires_at)


def end(conn: Connection, session_sha256: str) -> None:
    """The patient leaves."""
    conn.execute(
        update(private_sessions)
        .where(private_sessions.c.token_sha256 == session_sha256)
        .values(ended_at=func.coalesce(private_sessions.c.ended_at, func.now()))
    )


def speak(conn: Connection, session_sha256: str, language: str) -> None:
    """The page goes on in another language."""
    conn.execute(
        update(private_sessions).where(private_sessions.c.token_sha256 == session_sha256).values(language=language)
    )


def devices(conn: Connection, request_id: str) -> list[Device]:
    """What the links of a request opened, newest first: at most `SHOWN`."""
    rows = conn.execute(
        select(
            private_sessions.c.link_id,
            private_sessions.c.device,
            private_sessions.c.created_at,
            private_sessions.c.seen_at,
            _is_live().label("is_open"),
        )
        .join(private_links, private_links.c.id == private_sessions.c.link_id)
        .where(private_links.c.request_id == request_id)
        .order_by(private_sessions.c.created_at.desc())
        .limit(SHOWN)
    )
    return [Device(**row._mapping) for row in rows]


def prune(conn: Connection) -> None:
    """Remove what was opened long ago; links stay."""
    conn.execute(private_sessions.delete().where(private_sessions.c.created_at < func.now() - KEPT))


def hash_of(token: str) -> str:
    """What is stored of a token."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def _is_live() -> ColumnElement[bool]:
    return and_(
        private_sessions.c.ended_at.is_(null()),
        private_sessions.c.seen_at > func.now() - IDLE,
        private_sessions.c.created_at > func.now() - LONGEST,
    )


def _limits(conn: Connection, address: str) -> dict[str, sign_in_tries.Limit]:
    return sign_in_tries.for_private_links(installation.secret(conn, "web-secret"), address)


def _hmac(conn: Connection, token: str, answer: str) -> str:
    """Bound to the link: the same birth date is another value for every one."""
    return _hmac_of(conn, hash_of(token), answer)


def _hmac_of(conn: Connection, token_sha256: str, answer: str) -> str:
    secret = bytes.fromhex(installation.secret(conn, "web-secret"))
    said = f"private-link {token_sha256} {answer}".encode("utf-8", "replace")
    return hmac.new(secret, said, "sha256").hexdigest()
