"""Writes resources: one writer at a time in a practice, all of one request's changes in one commit.

https://hl7.org/fhir/R4/http.html#versioning
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import uuid4

from sqlalchemy import (
    Connection,
    Engine,
    Table,
    Text,
    and_,
    bindparam,
    column,
    delete,
    func,
    select,
    text,
    update,
    values,
)
from sqlalchemy.dialects import postgresql

from integration import fhir_json
from integration.hosted.instants import to_instant
from integration.hosted.outcomes import Refusal, not_found
from integration.hosted.parameters import Row, index_rows
from integration.hosted.rights import Rights
from integration.hosted.tables import hosted_clock, hosted_index, hosted_payloads, hosted_resources, hosted_versions
from integration.postgres.driver import driver

# Our sessions end when they idle 2 s inside a transaction: rows go to the database as they are made.
FLUSH_AFTER = 200
# One resource may hold 60 MB, and its row is made inside the transaction. Only the practice's own row is held.
_PATIENCE = text("SET LOCAL idle_in_transaction_session_timeout = '30s'")


@dataclass(frozen=True)
class Stored:
    """One version of a resource, as it is kept."""

    type: str
    id: str
    version: int
    updated_at: datetime
    content: bytes

    @property
    def etag(self) -> str:
        """https://hl7.org/fhir/R4/http.html#concurrency"""
        return f'W/"{self.version}"'

    @property
    def history_path(self) -> str:
        """The address of this version below the practice's base."""
        return f"{self.type}/{self.id}/_history/{self.version}"


@dataclass(frozen=True)
class Payload:
    """Bytes in the payload store that a Binary stands for."""

    sha256: str
    size: int


def new_id() -> str:
    """A logical id nobody has."""
    return str(uuid4())


def read(connection: Connection, practice: str, type_: str, id_: str, version: int | None = None) -> Stored:
    """One version of a resource, the newest unless told; 404 when there is none."""
    resource, stored = hosted_resources.c, hosted_versions.c
    wanted = [stored.practice == practice, stored.type == type_, stored.id == id_]
    if version is None:
        wanted += [
            resource.practice == practice,
            resource.type == type_,
            resource.id == id_,
            stored.version == resource.version,
        ]
    else:
        wanted.append(stored.version == version)
    row = connection.execute(select(stored.version, stored.updated_at, stored.content).where(*wanted)).first()
    if row is None:
        raise not_found(type_, id_)
    return Stored(type_, id_, *row)


def payload_of(connection: Connection, practice: str, stored: Stored) -> Payload | None:
    """What a Binary stands for whose bytes no resource can hold."""
    if stored.type != "Binary":
        return None
    kept = hosted_payloads.c
    row = connection.execute(
        select(kept.sha256, kept.size).where(
            kept.practice == practice, kept.id == stored.id, kept.version == stored.version
        )
    ).first()
    return None if row is None else Payload(*row)


def read_many(
    connection: Connection, practice: str, wanted: Sequence[tuple[str, str]]
) -> dict[tuple[str, str], Stored]:
    """The newest version of each (type, id) that exists."""
    found: dict[tuple[str, str], Stored] = {}
    resource, stored = hosted_resources.c, hosted_versions.c
    for start in range(0, len(wanted), FLUSH_AFTER):
        asked = values(column("type", Text), column("id", Text), name="asked").data(wanted[start : start + FLUSH_AFTER])
        statement = (
            select(stored.type, stored.id, stored.version, stored.updated_at, stored.content)
            .select_from(asked)
            .join(
                hosted_resources,
                and_(resource.practice == practice, resource.type == asked.c.type, resource.id == asked.c.id),
            )
            .join(
                hosted_versions,
                and_(
                    stored.practice == practice,
                    stored.type == resource.type,
                    stored.id == resource.id,
                    stored.version == resource.version,
                ),
            )
        )
        found |= {(row.type, row.id): Stored(*row) for row in connection.execute(statement)}
    return found


def rows_of(connection: Connection, practice: str, stored: Stored) -> set[Row]:
    """What the newest version of a resource is found by."""
    index = hosted_index.c
    return {
        (row.param, row.system, row.value)
        for row in connection.execute(
            select(index.param, index.system, index.value).where(
                index.practice == practice, index.type == stored.type, index.id == stored.id
            )
        )
    }


@contextmanager
def writing(engine: Engine, practice: str, base: str, rights: Rights) -> Iterator["Writer"]:
    """One commit into ``practice``, or none when the block raises, as for what ``rights`` refuse. Other writers wait."""
    with engine.begin() as connection:
        connection.execute(_PATIENCE)
        writer = Writer(connection, practice, base, _tick(connection, practice), rights)
        yield writer
        writer.flush()


def _tick(connection: Connection, practice: str) -> datetime:
    """The time of this commit, at least a millisecond after the practice's last one; locks the practice's row."""
    now = func.date_trunc("milliseconds", func.clock_timestamp())
    next_one = func.greatest(now, hosted_clock.c.updated_at + func.make_interval(0, 0, 0, 0, 0, 0, 0.001))
    statement = postgresql.insert(hosted_clock).values(practice=practice, updated_at=now)
    statement = statement.on_conflict_do_update(index_elements=["practice"], set_={"updated_at": next_one})
    return connection.execute(statement.returning(hosted_clock.c.updated_at)).scalar_one()


class Writer:
    """Collects the rows of one commit; nothing gets past the rights of who writes."""

    def __init__(self, connection: Connection, practice: str, base: str, now: datetime, rights: Rights):
        self.connection = connection
        self.now = now
        self._practice = practice
        self._base = base
        self._rights = rights
        self._created: list[tuple] = []
        self._changed: list[dict] = []
        self._forgotten: list[dict] = []
        self._versions: list[tuple] = []
        self._index: list[tuple] = []

    def create(self, resource: dict[str, Any], id_: str) -> Stored:
        """Version 1 of ``resource``."""
        stored = self._store(resource, id_, 1, "c")
        self._created.append(self._row(stored))
        return stored

    def create_large(self, content_type: str, payload: Payload) -> Stored:
        """A Binary whose bytes stay in the payload store."""
        stored = self.create({"resourceType": "Binary", "contentType": content_type}, new_id())
        named = dict(practice=self._practice, id=stored.id, version=stored.version)
        self.connection.execute(hosted_payloads.insert().values(**named, sha256=payload.sha256, size=payload.size))
        return stored

    def update(self, resource: dict[str, Any], id_: str, if_match: int | None) -> Stored:
        """The next version; 412 unless the newest is ``if_match``, 404 when there is none."""
        type_ = resource["resourceType"]
        before = self._newest(type_, id_)
        if not self._rights.covers("u", before, lambda: rows_of(self.connection, self._practice, before)):
            raise _unknown(type_, id_)
        newest = before.version
        if if_match is not None and if_match != newest:
            raise Refusal(
                412,
                "conflict",
                f"{type_}/{id_} is at version {newest}, not {if_match}: read it again, "
                "decide, and send the update with the new version.",
            )
        stored = self._store(resource, id_, newest + 1, "u")
        self._forgotten.append({"changed_practice": self._practice, "changed_type": type_, "changed_id": id_})
        self._changed.append({**self._forgotten[-1], "version": stored.version, "updated_at": stored.updated_at})
        return stored

    def flush(self) -> None:
        """Send the collected rows; the commit follows when the block of ``writing`` ends."""
        if self._changed:
            self.connection.execute(_CHANGE, self._changed)
            self.connection.execute(_FORGET, self._forgotten)
        _copy(self.connection, hosted_resources, self._created)
        _copy(self.connection, hosted_versions, self._versions)
        _copy(self.connection, hosted_index, self._index)
        for rows in (self._created, self._changed, self._forgotten, self._versions, self._index):
            rows.clear()

    def _newest(self, type_: str, id_: str) -> Stored:
        """Without its content."""
        resource = hosted_resources.c
        row = self.connection.execute(
            select(resource.version, resource.updated_at).where(
                resource.practice == self._practice, resource.type == type_, resource.id == id_
            )
        ).first()
        if row is None:
            raise _unknown(type_, id_)
        return Stored(type_, id_, row.version, row.updated_at, b"")

    def _store(self, resource: dict[str, Any], id_: str, version: int, letter: str) -> Stored:
        if len(self._versions) >= FLUSH_AFTER:
            self.flush()
        resource = _stamped(resource, id_, version, self.now)
        type_ = resource["resourceType"]
        stored = Stored(type_, id_, version, self.now, fhir_json.dumps(resource))
        rows = index_rows(resource, self._base)
        self._rights.check_sent(letter, stored, lambda: rows)
        self._versions.append((*self._row(stored), stored.content))
        self._index += [(self._practice, type_, id_, *row, self.now) for row in rows]
        return stored

    def _row(self, stored: Stored) -> tuple:
        return self._practice, stored.type, stored.id, stored.version, stored.updated_at


def _unknown(type_: str, id_: str) -> Refusal:
    return Refusal(
        404, "not-found", f"{type_}/{id_} is not known here. Ids are given by this server: create it with POST."
    )


def _copy(connection: Connection, table: Table, rows: list[tuple]) -> None:
    """COPY takes a third of the time of INSERT; ``rows`` have the order of the table's columns."""
    if rows:
        columns = ", ".join(table.columns.keys())
        cursor = driver(connection).cursor()
        with cursor, cursor.copy(f"COPY {table.name} ({columns}) FROM STDIN") as copy:
            for row in rows:
                copy.write_row(row)


def _stamped(resource: dict[str, Any], id_: str, version: int, now: datetime) -> dict[str, Any]:
    meta = {**resource.get("meta", {}), "versionId": str(version), "lastUpdated": to_instant(now)}
    head = {"resourceType": resource["resourceType"], "id": id_, "meta": meta}
    return head | {name: value for name, value in resource.items() if name not in head}


def _changed_resource(table: Table) -> tuple:
    return tuple(table.c[name] == bindparam(f"changed_{name}") for name in ("practice", "type", "id"))


_CHANGE = update(hosted_resources).where(*_changed_resource(hosted_resources))
_FORGET = delete(hosted_index).where(*_changed_resource(hosted_index))
