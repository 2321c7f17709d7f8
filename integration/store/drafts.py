"""Drafts of requests: saved at every step, of one practice, changed by several people one after the other.

A draft holds clinical content: whoever shows one records the look. Its key is made with it, so sent twice it is one request.
"""

import json
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, Row, delete, func, select, update

from integration.store import audit
from integration.store.tables import drafts
from mappings.model.draft import Content, Pick
from mappings.model.errors import ExchangeError

LISTED = 200
PRUNED_AT_ONCE = 1000
TOLD_DAYS = 7  # before an untouched draft is removed, the list says so


@dataclass(frozen=True)
class Draft:
    """One draft; ``placer``: the endpoint that asks. ``body``: its content as JSON bytes. ``request_id``: what it became."""

    id: str
    key: str
    placer: str
    created_by: str
    body: bytes
    version: int
    step: str
    created_at: datetime
    updated_at: datetime
    updated_by: str
    request_id: str | None

    @classmethod
    def from_row(cls, row: Row) -> "Draft":
        """From a row of `drafts`."""
        return cls(**{name: getattr(row, name) for name in cls.__dataclass_fields__})

    @property
    def content(self) -> Content:
        """What it holds."""
        return Content.from_json(json.loads(self.body))

    @property
    def chart(self) -> str | None:
        """``Patient/id`` at the practice's endpoint; None while nobody was picked there."""
        pick = self.content.picked.get("patient")
        return pick.source.partition(" ")[0] if pick and pick.source.startswith("Patient/") else None


class UnknownDraft(ExchangeError):
    """There is no such draft; it may have been discarded, or removed after its time."""


class DraftStale(ExchangeError):
    """Somebody saved this draft since it was read. ``now``: as it is."""

    def __init__(self, now: Draft):
        self.now = now
        super().__init__(f"draft {now.id} was saved by {now.updated_by} meanwhile")


class DraftSent(ExchangeError):
    """This draft became a request and is not changed any more."""

    def __init__(self, draft: Draft):
        self.draft = draft
        super().__init__(f"draft {draft.id} was sent; it is request {draft.request_id}")


def begin(conn: Connection, placer: str, *, actor: str) -> Draft:
    """A new one, empty."""
    made = drafts.insert().values(
        id=f"d{secrets.token_hex(8)}",
        key=f"draft-{secrets.token_hex(10)}",
        placer=placer,
        created_by=actor,
        updated_by=actor,
        body=_bytes(Content()),
        step="patient",
    )
    draft = Draft.from_row(conn.execute(made.returning(drafts)).one())
    audit.record(conn, actor, "draft.begun", subject=f"{draft.id} {placer}")
    return draft


def begin_after(
    conn: Connection, placer: str, request_id: str, typed: Mapping[str, str], picked: Mapping[str, Pick], *, actor: str
) -> tuple[Draft, bool]:
    """A draft of a further request in the case of ``request_id``, filled in; the one that there is already, and False.

    ``picked["follows"]`` names the request.
    """
    known = (each for each in of_placers(conn, [placer]) if follows(each.content) == request_id)
    if found := next(known, None):
        return found, False
    draft = begin(conn, placer, actor=actor)
    audit.record(conn, actor, "draft.filled-in", request_id, subject=draft.id)
    kept = save(conn, draft.id, expected_version=draft.version, typed=typed, picked=picked, step="first", actor=actor)
    return kept, True


def follows(content: Content) -> str | None:
    """The earlier request whose case a draft belongs to."""
    pick = content.picked.get("follows")
    return str(pick.value) if pick else None


def chosen_entry(content: Content) -> int | None:
    """The entry of the directory that a draft's consultant was chosen from."""
    pick = content.picked.get("consultant")
    return pick.entry if pick else None


def get(conn: Connection, draft_id: str, *, held: bool = False) -> Draft:
    """One draft. Raises UnknownDraft. ``held``: nobody changes it until the transaction ends."""
    wanted = select(drafts).where(drafts.c.id == draft_id)
    row = conn.execute(wanted.with_for_update() if held else wanted).one_or_none()
    if row is None:
        raise UnknownDraft(f"there is no draft {draft_id}; it may have been discarded, or removed after its time")
    return Draft.from_row(row)


def of_placers(conn: Connection, placers: list[str]) -> list[Draft]:
    """Those that are not sent, the one touched last first; at most ``LISTED``."""
    wanted = select(drafts).where(drafts.c.placer.in_(placers), drafts.c.request_id.is_(None))
    return [Draft.from_row(row) for row in conn.execute(wanted.order_by(drafts.c.updated_at.desc()).limit(LISTED))]


def save(
    conn: Connection,
    draft_id: str,
    *,
    expected_version: int,
    typed: Mapping[str, str],
    picked: Mapping[str, Pick | None],
    step: str,
    actor: str,
) -> Draft:
    """The next version; the same one where nothing changed. Raises DraftStale, DraftSent, UnknownDraft."""
    draft = get(conn, draft_id, held=True)
    if draft.request_id is not None:
        raise DraftSent(draft)
    if draft.version != expected_version:
        raise DraftStale(draft)
    version = draft.version + 1
    content = draft.content.changed(typed, picked, version=version, actor=actor)
    names = sorted(content.changed_after(draft.version))
    if not names and step == draft.step:
        return draft
    values = dict(body=_bytes(content), version=version, step=step, updated_by=actor, updated_at=func.now())
    made = update(drafts).where(drafts.c.id == draft_id).values(**values).returning(drafts)
    if names:
        audit.record(conn, actor, "draft.saved", subject=draft_id, detail={"version": version, "changed": names})
    return Draft.from_row(conn.execute(made).one())


def set_consultant(
    conn: Connection,
    draft_id: str,
    consultant: Mapping,
    words: str,
    source: str,
    *,
    entry: int | None = None,
    actor: str,
) -> Draft:
    """Put a consultant from outside of the form (the directory) into a draft, whatever its version is; audited.

    ``consultant``: a `mappings.model.request.PractitionerRef` as JSON (``model_dump(mode="json", exclude_none=True)``):
    ``identifiers`` (NPI first), ``name``, and where known ``specialty`` and ``organization``. ``words``: the person and
    place as the coordinator saw them ("Rivera, Ana, Lakeview Cancer Center"). ``source``: where it is from, such as
    ``PractitionerRole/12 in the directory``; ``entry``: its id there, by which the request is held against what it states. Whoever has the step open is told when they save. Raises UnknownDraft, DraftSent.
    """
    draft = get(conn, draft_id, held=True)
    pick = Pick(dict(consultant), words, source, entry)
    return save(
        conn,
        draft_id,
        expected_version=draft.version,
        typed={},
        picked={"consultant": pick},
        step=draft.step,
        actor=actor,
    )


def send(conn: Connection, draft_id: str, *, expected_version: int, take_in: Callable[[], str], actor: str) -> str:
    """The request that a draft becomes, once: ``take_in`` takes it in within this transaction and returns its id.

    Raises DraftStale, DraftSent (it was sent before), and what ``take_in`` raises.
    """
    draft = get(conn, draft_id, held=True)
    if draft.request_id is not None:
        raise DraftSent(draft)
    if draft.version != expected_version:
        raise DraftStale(draft)
    request_id = take_in()
    conn.execute(update(drafts).where(drafts.c.id == draft_id).values(request_id=request_id, updated_at=func.now()))
    audit.record(conn, actor, "draft.sent", request_id, subject=draft_id)
    return request_id


def discard(conn: Connection, draft_id: str, *, actor: str, reason: str) -> None:
    """Remove one that nobody will send. Raises UnknownDraft, DraftSent."""
    draft = get(conn, draft_id, held=True)
    if draft.request_id is not None:
        raise DraftSent(draft)
    conn.execute(delete(drafts).where(drafts.c.id == draft_id))
    audit.record(conn, actor, "draft.discarded", subject=f"{draft_id} {draft.placer}", reason=reason)


def prune(conn: Connection, days: int) -> int:
    """Remove those untouched for so many days, sent or not; each is audited. Returns how many."""
    old = drafts.c.updated_at < func.now() - timedelta(days=days)
    first = select(drafts.c.id).where(old).order_by(drafts.c.updated_at).limit(PRUNED_AT_ONCE)
    gone = conn.execute(delete(drafts).where(drafts.c.id.in_(first)).returning(drafts.c.id, drafts.c.request_id)).all()
    about = [
        dict(actor="exchange", action="draft.pruned", subject=row.id, detail={"after_days": days})
        for row in gone
        if row.request_id is None
    ]
    if about:
        audit.record_all(conn, about)
    return len(gone)


def _bytes(content: Content) -> bytes:
    return json.dumps(content.to_json(), ensure_ascii=False).encode()
