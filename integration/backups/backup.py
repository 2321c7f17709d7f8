"""Backup: the whole database as of one moment and every payload it names, in one file that can be checked.

The tables are read by COPY in one snapshot, so that a backup of any PostgreSQL can be restored into any other. Payloads
are content-addressed and written before the rows that name them: those copied after the snapshot are all it needs.
"""

import hashlib
import io
import json
import os
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from psycopg import sql
from sqlalchemy import Connection, Engine, func, select, text

from integration.hosted.tables import hosted_payloads
from integration.packets.payloads import PayloadMissing, Payloads
from integration.postgres.database import revision_of
from integration.postgres.driver import driver
from integration.store.tables import (
    delivery_items,
    health_link_files,
    links,
    packets,
    received_records,
    record_sources,
    reports,
)
from mappings.model.errors import ExchangeError

Progress = Callable[[int, int], None]  # done, of how many
FORMAT = 1
MANIFEST = "manifest.json"
NAMES_PAYLOADS = (
    packets.c.manifest_sha256,
    func.coalesce(delivery_items.c.sent_in, delivery_items.c.sent_sha256),
    links.c.written_in,
    reports.c.resource_sha256,
    reports.c.bytes_sha256,
    received_records.c.sha256,
    record_sources.c.manifest_sha256,
    health_link_files.c.sha256,
    hosted_payloads.c.sha256,
)


class BackupFailed(ExchangeError):
    """A backup cannot be written or read."""


@dataclass(frozen=True)
class Written:
    """What a backup holds. ``damaged``: payloads that are missing or changed in the store, and so not in it."""

    path: Path
    rows: int
    payloads: int
    bytes: int
    damaged: tuple[str, ...]


def back_up(engine: Engine, payloads: Payloads, path: Path, *, progress: Progress = lambda done, all_: None) -> Written:
    """Write a backup to ``path``: whole or not at all, readable by its owner only.

    1. all tables in one snapshot, 2. all payloads, each checked against its hash, 3. the manifest over them, 4. rename.
    Work goes on meanwhile. Raises BackupFailed when the file cannot be written.
    """
    with _whole_file(path) as (file, tar):
        with _snapshot(engine) as conn:
            made_at = datetime.now(UTC).isoformat(timespec="seconds")
            tables = [
                _add_table(conn, tar, path.parent, name) for name in tables_in_order(conn) if name not in LEFT_OUT
            ]
            manifest: dict = {
                "format": FORMAT,
                "made_at": made_at,
                "revision": revision_of(conn),
                "tables": tables,
            }
            named = _named_payloads(conn)
        stored = sorted(payloads.all())
        kept = [
            digest
            for number, digest in enumerate(stored)
            if _add_payload(tar, payloads, digest, progress, number, len(stored))
        ]
        manifest["payloads"] = {"count": len(kept), "sha256": hash_of_names(kept)}
        _add(tar, MANIFEST, json.dumps(manifest, indent=1).encode())
    damaged = tuple(sorted((set(stored) | named) - set(kept)))
    return Written(path, sum(each["rows"] for each in tables), len(kept), path.stat().st_size, damaged)


# They open other servers, or us, for minutes: a restored worker asks for new ones, and so does a client.
LEFT_OUT = frozenset({"held_tokens", "client_tokens"})


def tables_in_order(conn: Connection) -> list[str]:
    """Our tables, each after those it refers to. Engine jobs are wake-ups and stay out: rows are the truth."""
    names = set(conn.execute(_TABLES).scalars())
    needs: dict[str, set[str]] = {name: set() for name in names}
    for child, parent in conn.execute(_REFERENCES):
        if child in names and parent in names and child != parent:
            needs[child].add(parent)
    ordered: list[str] = []
    while needs:
        ready = sorted(name for name, parents in needs.items() if parents <= set(ordered))
        if not ready:
            raise BackupFailed(f"tables refer to each other in a circle: {', '.join(sorted(needs))}")
        ordered += ready
        needs = {name: parents for name, parents in needs.items() if name not in ready}
    return ordered


def columns_of(conn: Connection, table: str) -> list[str]:
    """The columns that hold data of their own."""
    return list(conn.execute(_COLUMNS, {"table": table}).scalars())


def copy_statement(table: str, columns: list[str], direction: str) -> sql.Composed:
    """``COPY table (columns) TO STDOUT`` or ``FROM STDIN``."""
    return sql.SQL("COPY {} ({}) {}").format(
        sql.Identifier(table), sql.SQL(", ").join(map(sql.Identifier, columns)), sql.SQL(direction)
    )


def hash_of_names(digests: list[str]) -> str:
    """One hash over the names of all payloads, so that a missing one shows; each name is its payload's hash."""
    return hashlib.sha256("\n".join(digests).encode()).hexdigest()


@contextmanager
def _whole_file(path: Path) -> Iterator[tuple]:
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # made 0600
    except OSError as error:
        raise BackupFailed(f"{path} cannot be written ({error.strerror}): choose another place") from error
    try:
        with os.fdopen(handle, "wb") as file:
            with tarfile.open(fileobj=file, mode="w") as tar:
                yield file, tar
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, path)
    except OSError as error:
        raise BackupFailed(f"{path} cannot be written ({error.strerror or error}): nothing was kept of it") from error
    finally:
        Path(name).unlink(missing_ok=True)


@contextmanager
def _snapshot(engine: Engine) -> Iterator[Connection]:
    with (
        engine.connect().execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True) as conn,
        conn.begin(),
    ):
        conn.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))
        if revision_of(conn) is None:
            raise BackupFailed("the database has no tables yet: there is nothing to back up")
        yield conn


def _add_table(conn: Connection, tar: tarfile.TarFile, folder: Path, table: str) -> dict:
    columns, hashed = columns_of(conn, table), hashlib.sha256()
    with tempfile.TemporaryFile(dir=folder) as spool:  # a tar member's size stands before its bytes
        cursor = driver(conn).cursor()
        with cursor.copy(copy_statement(table, columns, "TO STDOUT")) as copy:
            for block in copy:
                hashed.update(block)
                spool.write(block)
        size = spool.tell()
        spool.seek(0)
        tar.addfile(_member(f"database/{table}", size), spool)
    return {"name": table, "columns": columns, "rows": cursor.rowcount, "sha256": hashed.hexdigest()}


def _named_payloads(conn: Connection) -> set[str]:
    return {
        digest
        for column in NAMES_PAYLOADS
        for digest in conn.execute(select(column).where(column.is_not(None)).distinct()).scalars()
    }


def _add_payload(
    tar: tarfile.TarFile, payloads: Payloads, digest: str, progress: Progress, number: int, total: int
) -> bool:
    """False when the payload is gone or changed: the backup goes on, and tells."""
    try:
        _add(tar, f"payloads/{digest}", payloads.get(digest))
    except PayloadMissing:
        return False
    finally:
        progress(number + 1, total)
    return True


def _add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    tar.addfile(_member(name, len(data)), io.BytesIO(data))


def _member(name: str, size: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.size, member.mode = size, 0o600
    return member


_TABLES = text("""
    SELECT c.relname FROM pg_class c WHERE c.relkind = 'r' AND c.relnamespace = current_schema()::regnamespace
      AND c.relname <> 'alembic_version' AND c.relname NOT LIKE 'procrastinate\\_%'""")
_REFERENCES = text("""
    SELECT a.relname, b.relname FROM pg_constraint k JOIN pg_class a ON a.oid = k.conrelid JOIN pg_class b ON b.oid = k.confrelid
    WHERE k.contype = 'f'""")
_COLUMNS = text("""
    SELECT attname FROM pg_attribute WHERE attrelid = CAST(CAST(:table AS text) AS regclass) AND attnum > 0 AND NOT attisdropped
      AND attgenerated = '' ORDER BY attnum""")
