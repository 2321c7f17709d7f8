"""Restore: a backup becomes the database again, and from then on everything is looked for before it is sent.

What happened after the backup is known to the others and not to us: see ``look_before_sending``.
"""

import hashlib
import json
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path

from psycopg import sql
from sqlalchemy import Connection, text

from integration.backups.backup import (
    FORMAT,
    MANIFEST,
    BackupFailed,
    Progress,
    columns_of,
    copy_statement,
    hash_of_names,
    tables_in_order,
)
from integration.packets.payloads import Payloads
from integration.postgres.database import MIGRATION_LOCK, Database, alembic_config, known_revisions, revision_of
from integration.postgres.driver import driver
from integration.store import audit, audit_seals, health_links, private_links
from mappings.model.errors import ExchangeError

NOT_CONTENT = frozenset({"endpoints"})  # what every command writes: a database with only that is empty
LEASE_GAP = 1000  # no worker of before the restore can hold a lease this new


class RestoreRefused(ExchangeError):
    """A restore would destroy something, or the file is not a whole backup."""


@dataclass(frozen=True)
class Restored:
    """What came back."""

    made_at: str
    rows: int
    payloads: int
    open_steps: int


def restore(
    database: Database,
    payloads: Payloads,
    path: Path,
    *,
    replace: bool = False,
    actor: str,
    progress: Progress = lambda done, all_: None,
) -> Restored:
    """Restore the backup in ``path``. Raises RestoreRefused before anything is changed.

    1. every hash is checked, 2. the database is empty (or ``replace``) and nobody works on it, 3. payloads: they are
    content-addressed, so more of them harm nothing, 4. in one transaction all rows, the marks, the audit row.
    """
    with _opened(path) as tar:
        manifest = _checked(tar)
        _check_target(database, manifest, replace)
        count = _restore_payloads(tar, manifest, payloads, progress)
        with database.engine.begin() as conn:
            conn.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))
            conn.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": MIGRATION_LOCK})
            _upgrade(conn, manifest["revision"])
            _empty(conn)
            rows = sum(_restore_table(conn, tar, table) for table in manifest["tables"])
            _upgrade(conn, "head")
            steps = look_before_sending(conn, actor=actor, detail={"made_at": manifest["made_at"], "rows": rows})
    return Restored(manifest["made_at"], rows, count, steps)


def mark_restored(database: Database, *, actor: str) -> int:
    """For a database restored by other means (a snapshot, point-in-time recovery): mark it the same way."""
    database.check_current()
    with database.engine.begin() as conn:
        _check_idle(conn)
        return look_before_sending(conn, actor=actor, detail={"by": "other means"})


def look_before_sending(conn: Connection, *, actor: str, detail: dict | None = None) -> int:
    """Mark a database that is older than what was sent from it. Returns the number of open steps.

    A step looks before it sends when its lease is not its first (Context.looks_first), so every open step gets a newer
    lease, and so does, by the column's default, every step that will ever be created here: what was sent after the
    backup may belong to requests that the backup does not know, and that will be submitted again. The same gap keeps
    a worker of before the restore from holding the lease of a step that has its number now.
    """
    newest = conn.execute(text("SELECT coalesce(max(lease_no), 0) FROM steps")).scalar_one()
    conn.execute(text(f"ALTER TABLE steps ALTER COLUMN lease_no SET DEFAULT {int(newest) + LEASE_GAP}"))
    marked = conn.execute(_MARK, {"gap": LEASE_GAP}).rowcount
    conn.execute(_FREE_REQUESTS)
    conn.execute(_FORGET_JOBS)
    conn.execute(text("DELETE FROM sessions"))  # who has signed out since must not be in again
    because = "the database was restored from a backup: whether it was revoked since is not known"
    ended = {
        "private_links": private_links.revoke_all(conn, actor=actor, reason=because),
        "health_links": health_links.revoke_all(conn, actor=actor, reason=because),
    }
    audit_seals.begin_anew(conn)
    audit.record(conn, actor, "database.restored", detail={**(detail or {}), "links_ended": ended})
    return marked


@contextmanager
def _opened(path: Path) -> Iterator[tarfile.TarFile]:
    try:
        with tarfile.open(path) as tar:
            yield tar
    except (OSError, tarfile.TarError) as error:
        raise BackupFailed(
            f"{path} cannot be read as a backup ({getattr(error, 'strerror', None) or 'it is something else, or damaged'})"
        ) from error


def _checked(tar: tarfile.TarFile) -> dict:
    """The manifest, when every byte is what it says. It is the last member: a file cut short has none."""
    found = {member.name: member for member in tar.getmembers()}
    if MANIFEST not in found:
        raise RestoreRefused(
            "the file is not a whole backup: it has no manifest. It was cut short, or is something else"
        )
    manifest = json.load(_file(tar, MANIFEST))
    if manifest.get("format") != FORMAT:
        raise RestoreRefused(
            f"the backup has format {manifest.get('format')}, this version reads {FORMAT}: "
            "restore it with the version that wrote it"
        )
    for table in manifest["tables"]:
        _check(tar, found, f"database/{table['name']}", table["sha256"])
    digests = _payload_names(tar)
    if len(digests) != manifest["payloads"]["count"] or hash_of_names(digests) != manifest["payloads"]["sha256"]:
        raise RestoreRefused("the backup does not hold the payloads its manifest names; nothing was restored")
    for digest in digests:
        _check(tar, found, f"payloads/{digest}", digest)
    return manifest


def _file(tar: tarfile.TarFile, name: str) -> BufferedReader:
    file = tar.extractfile(name)
    if not isinstance(file, BufferedReader):  # None for a folder
        raise RestoreRefused(f"{name} in the backup is no file; nothing was restored. Take another backup file")
    return file


def _check(tar: tarfile.TarFile, found: dict, name: str, sha256: str) -> None:
    if name not in found or hashlib.file_digest(_file(tar, name), "sha256").hexdigest() != sha256:
        raise RestoreRefused(
            f"{name} in the backup is not what was written; nothing was restored. Take another backup file"
        )


def _payload_names(tar: tarfile.TarFile) -> list[str]:
    return [name.removeprefix("payloads/") for name in tar.getnames() if name.startswith("payloads/")]


def _check_target(database: Database, manifest: dict, replace: bool) -> None:
    with database.engine.begin() as conn:
        _check_idle(conn)
        found = revision_of(conn)
        if not {found or manifest["revision"], manifest["revision"]} <= known_revisions():
            raise RestoreRefused(
                "the backup or the database here was made by a newer version of the Exchange: restore with that version"
            )
        if found is None:
            return
        full = [table for table in tables_in_order(conn) if table not in NOT_CONTENT and _has_rows(conn, table)]
        if full and not replace:
            raise RestoreRefused(
                f"the database is not empty ({', '.join(full[:5])}): restore into an empty one, "
                "or say --replace to throw away all that is in it"
            )
        if found != manifest["revision"]:
            raise RestoreRefused(
                f"the tables here have revision {found} and those of the backup {manifest['revision']}: restore "
                "into a new, empty database (another data_dir, or another database.url)"
            )


def _check_idle(conn: Connection) -> None:
    others = conn.execute(_OTHERS).scalars().all()
    if others:
        raise RestoreRefused(f"{', '.join(others)} still works on this database: stop it first")


def _has_rows(conn: Connection, table: str) -> bool:
    found = driver(conn).execute(sql.SQL("SELECT EXISTS (SELECT 1 FROM {})").format(sql.Identifier(table)))
    return found.fetchone() == (True,)


def _restore_payloads(tar: tarfile.TarFile, manifest: dict, payloads: Payloads, progress: Progress) -> int:
    digests = _payload_names(tar)
    for number, digest in enumerate(digests, 1):
        payloads.put(_file(tar, f"payloads/{digest}").read(), anew=True)
        progress(number, len(digests))
    return len(digests)


def _upgrade(conn: Connection, revision: str) -> None:
    """The tables as the backup knew them, and, once they are filled, as this version wants them."""
    from alembic.command import upgrade

    config = alembic_config()
    config.attributes["connection"] = conn
    upgrade(config, revision)


def _empty(conn: Connection) -> None:
    names = [*tables_in_order(conn), "procrastinate_jobs"]
    with audit_seals.open_for_restore(conn):
        driver(conn).execute(
            sql.SQL("TRUNCATE {} RESTART IDENTITY CASCADE").format(sql.SQL(", ").join(map(sql.Identifier, names)))
        )


def _restore_table(conn: Connection, tar: tarfile.TarFile, table: dict) -> int:
    cursor, name = driver(conn).cursor(), table["name"]
    gone = set(table["columns"]) - set(columns_of(conn, name))
    if gone:
        raise RestoreRefused(f"{name} has no column {', '.join(sorted(gone))} here; nothing was restored")
    with (
        cursor.copy(copy_statement(name, table["columns"], "FROM STDIN")) as copy,
        _file(tar, f"database/{name}") as member,
    ):
        while block := member.read(1 << 18):
            copy.write(block)
    for column in conn.execute(_IDENTITIES, {"table": name}).scalars().all():
        cursor.execute(
            sql.SQL("SELECT setval(pg_get_serial_sequence(%s, %s), coalesce(max({}), 0) + 1, false) FROM {}").format(
                sql.Identifier(column), sql.Identifier(name)
            ),
            [name, column],
        )
    return table["rows"]


_IDENTITIES = text("""
    SELECT attname FROM pg_attribute WHERE attrelid = CAST(CAST(:table AS text) AS regclass) AND attnum > 0 AND NOT attisdropped
      AND pg_get_serial_sequence(CAST(:table AS text), attname) IS NOT NULL""")
_OTHERS = text("""
    SELECT DISTINCT application_name FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()
      AND (application_name LIKE 'second-opinion web%' OR application_name LIKE 'second-opinion worker%') ORDER BY 1""")
# What was under a lease at the moment of the backup is due: that worker is not coming back.
_MARK = text("""
    UPDATE steps SET lease_no = lease_no + :gap, lease_until = NULL, started = false,
        status = CASE WHEN status = 'leased' THEN 'due' ELSE status END
    WHERE status IN ('waiting', 'due', 'leased', 'parked')""")
_FREE_REQUESTS = text("UPDATE requests SET live_step = NULL WHERE live_step IS NOT NULL")
_FORGET_JOBS = text("DELETE FROM procrastinate_jobs WHERE task_name = 'run_step'")
