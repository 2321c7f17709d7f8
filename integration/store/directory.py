"""Writes the directory of doctors: what a file or server says is staged and then merged whole or not at all; and who is entered by hand.

The rules of a merge, the same in whatever order files come (tests/integration/store/test_directory.py):
1. The newer file counts for each entry, never the one that was loaded last. 2. Who is deactivated, or gone from a list that holds all
there is, is marked and never deleted. 3. What a person corrected stays; what the source says stands beside it (directory_corrections.py).
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from datetime import date
from typing import Any

from psycopg import sql
from sqlalchemy import Connection, Engine, func, insert, select, text, update

from integration.postgres.driver import driver
from integration.store import audit, directory_corrections
from integration.store.directory_corrections import LONGEST, PERSON, name_key, placed
from integration.store.operations import NotPossible
from integration.store.storable import storable
from integration.store.tables import directory_entries, directory_loads, specialty_codes
from integration.store.zip_points import MILITARY
from mappings.directory.entry import Entry
from mappings.directory.services import Service

LOCK = 7_215_004  # of one load at a time
BLOCK = 20_000  # rows of one COPY: no transaction stays open for long
FEWEST, FEW = 0.8, 10  # a whole list that lacks more than this of those we have was cut, until a person says otherwise
LONGEST_STATED = 2_000  # letters of what a service states; mappings/directory/services.py cuts before, and says so
LISTED = 20  # doubles named one by one
FIELDS = tuple(each.name for each in fields(Entry) if each.name not in ("active", "ended_on"))
_ARRAYS = frozenset({"languages", "spoken", "specialties", "specialty_texts", "licensed_in"})
_TYPES = {
    **dict.fromkeys(_ARRAYS, "text[]"),
    **dict.fromkeys(("lat", "lon"), "double precision"),
    **dict.fromkeys(("second_opinions", "accepting", "active"), "boolean"),
    **dict.fromkeys(("updated_on", "ended_on"), "date"),
    "line_no": "bigint",
    "services": "jsonb",
}
_STAGED = ("line_no", *FIELDS, "active", "ended_on", "name_key")
ADDRESSES = ("fhir_address", "direct_address")  # of a file of their own, at NPPES
_MIDDLES = f"""(SELECT left(zip, 3) AS digits, avg(lat) AS lat, avg(lon) AS lon FROM zip_points
                WHERE kind <> '{MILITARY}' GROUP BY 1)"""


@dataclass(frozen=True)
class Load:
    """What one file, or one reading of a server, is: ``file_on`` the day whose knowledge it holds; ``is_whole``: all there is."""

    source: str
    kind: str
    name: str
    file_on: date
    is_whole: bool
    actor: str
    writes: tuple[str, ...] = FIELDS


@dataclass(frozen=True)
class Merged:
    """What a load changed."""

    load_id: int
    rows: int
    added: int
    changed: int
    ended: int
    left_out: int
    notes: tuple[str, ...]


class LoadUnderWay(NotPossible):
    """Another file or server is being read into the directory."""


class FewerThanKnown(NotPossible):
    """A list of all there is lacks so many of those known that it was probably cut."""


class Staged:
    """Rows that wait for their merge, in a table that only this connection sees and that ends with it."""

    def __init__(self, conn: Connection):
        self._conn, self.rows = conn, 0

    def take(self, entries: Iterable[tuple[int, Entry]]) -> None:
        """Stage entries with the number of their line, or of their place in an answer."""
        block: list[tuple[int, Entry]] = []
        for each in entries:
            block.append(each)
            if len(block) == BLOCK:
                self._copy(block)
                block = []
        self._copy(block)

    def _copy(self, block: Sequence[tuple[int, Entry]]) -> None:
        if not block:
            return
        names = sql.SQL(", ").join(map(sql.Identifier, _STAGED))
        with self._conn.begin(), driver(self._conn).cursor() as cursor:
            with cursor.copy(sql.SQL("COPY directory_staging ({}) FROM STDIN").format(names)) as copy:
                for line, entry in block:
                    copy.write_row(_row(line, entry))
        self.rows += len(block)

    def merge(self, load: Load, *, left_out: int = 0, notes: Sequence[str] = (), fewer: bool = False) -> Merged:
        """All of it in one transaction. ``fewer``: a whole list may hold far fewer than we have. Raises NotPossible."""
        with self._conn.begin():
            _no_hurry(self._conn)
            self._conn.execute(text("ANALYZE directory_staging"))
            if load.is_whole and not fewer:
                _enough(self._conn, load)
            doubles = _doubles(self._conn)
            load_id = _begin(self._conn, load, self.rows, left_out, [*notes, *doubles])
            added, changed = _merge(self._conn, load, load_id)
            ended = _end(self._conn, load, load_id)
            directory_corrections.keep(self._conn, load_id)
            counts = {"added": added, "changed": changed, "ended": ended}
            self._conn.execute(update(directory_loads).where(directory_loads.c.id == load_id).values(counts))
            audit.record(
                self._conn, load.actor, "directory.loaded", subject=f"{load.source} {load.name}", detail=counts
            )
        return Merged(load_id, self.rows, added, changed, ended, left_out, (*notes, *doubles))

    def merge_addresses(self, load: Load, *, left_out: int = 0, notes: Sequence[str] = ()) -> Merged:
        """Only where somebody is reached, for entries that are there."""
        with self._conn.begin():
            _no_hurry(self._conn)
            load_id = _begin(self._conn, load, self.rows, left_out, notes)
            changed = _merge_addresses(self._conn, load)
            self._conn.execute(update(directory_loads).where(directory_loads.c.id == load_id).values(changed=changed))
            directory_corrections.keep(self._conn, None)
            audit.record(self._conn, load.actor, "directory.loaded", subject=f"{load.source} {load.name}")
        return Merged(load_id, self.rows, 0, changed, 0, left_out, tuple(notes))


@contextmanager
def staging(engine: Engine) -> Iterator[Staged]:
    """Rows are staged and merged by one process at a time. Raises NotPossible while another one loads."""
    with engine.connect() as conn:
        with conn.begin():
            if not conn.execute(select(func.pg_try_advisory_lock(LOCK))).scalar_one():
                raise LoadUnderWay(
                    "another file or server is being read into the directory now: try again when it is done"
                )
            columns = ", ".join(f"{name} {_TYPES.get(name, 'text')}" for name in _STAGED)
            conn.execute(text(f"CREATE TEMP TABLE directory_staging ({columns})"))
        try:
            yield Staged(conn)
        finally:
            if not conn.invalidated and not conn.closed:
                conn.rollback()
                with conn.begin():
                    conn.execute(text("DROP TABLE IF EXISTS directory_staging"))
                    conn.execute(select(func.pg_advisory_unlock(LOCK)))


def settle(engine: Engine) -> None:
    """After a load: the planner learns what is there, and indexes take up what was added."""
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
        conn.execute(text("VACUUM (ANALYZE) directory_entries"))


def _no_hurry(conn: Connection) -> None:
    conn.execute(text("SET LOCAL statement_timeout = 0"))
    conn.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))


def _row(line: int, entry: Entry) -> list[Any]:
    values = [_storable(getattr(entry, name)) for name in (*FIELDS, "active", "ended_on")]
    return [line, *values, name_key(entry.family, entry.given)]


def _storable(value: Any) -> Any:
    if isinstance(value, tuple) and value and isinstance(value[0], Service):
        return json.dumps([_stated(each) for each in value])
    if isinstance(value, str):
        return storable(value, LONGEST)
    return [storable(str(each), LONGEST) for each in value] if isinstance(value, list | tuple) else value


def _stated(service: Service) -> dict[str, Any]:
    """As jsonb takes it: neither a NUL nor half a surrogate pair, also not written as an escape."""
    clean = {
        name: [storable(each, LONGEST_STATED) for each in value] if isinstance(value, list) else value
        for name, value in service.to_json().items()
    }
    return {name: storable(value, LONGEST_STATED) if isinstance(value, str) else value for name, value in clean.items()}


def _enough(conn: Connection, load: Load) -> None:
    """Raises NotPossible when a list of all there is lacks so many that it was probably cut."""
    known, gone = conn.execute(
        text(
            "SELECT count(*), count(*) FILTER (WHERE NOT EXISTS "
            "(SELECT FROM directory_staging s WHERE s.source_id = e.source_id)) FROM directory_entries e "
            "WHERE e.source = :source AND e.state_now = 'active' AND e.file_on <= :file_on"
        ),
        {"source": load.source, "file_on": load.file_on},
    ).one()
    if gone > max(FEW, known * (1 - FEWEST)):
        raise FewerThanKnown(
            f"{load.name} lacks {gone:,} of the {known:,} people that {load.source} had: it was probably cut. Nothing was "
            "changed. Fetch it again, or say --fewer when it is right"
        )


def _doubles(conn: Connection) -> list[str]:
    found = conn.execute(
        text(
            "SELECT source_id, array_agg(line_no ORDER BY line_no) AS lines FROM directory_staging "
            "GROUP BY source_id HAVING count(*) > 1 ORDER BY min(line_no) LIMIT :n"
        ),
        {"n": LISTED + 1},
    ).all()
    conn.execute(
        text(
            "DELETE FROM directory_staging s USING directory_staging later "
            "WHERE s.source_id = later.source_id AND s.line_no < later.line_no"
        )
    )
    notes = [f"lines {', '.join(map(str, row.lines))} are of one, {row.source_id}: the last counts" for row in found]
    return [*notes[:LISTED], "and more such lines"] if len(notes) > LISTED else notes


def _begin(conn: Connection, load: Load, rows: int, left_out: int, notes: Sequence[str]) -> int:
    made = insert(directory_loads).values(
        source=load.source,
        kind=load.kind,
        name=storable(load.name, 200),
        file_on=load.file_on,
        is_whole=load.is_whole,
        rows=rows,
        added=0,
        changed=0,
        ended=0,
        left_out=left_out,
        notes=[storable(note, LONGEST) for note in notes],
        actor=load.actor,
    )
    return conn.execute(made.returning(directory_loads.c.id)).scalar_one()


def _merge(conn: Connection, load: Load, load_id: int) -> tuple[int, int]:
    """(added, changed). An entry that a newer file knows stays as it is."""
    names = [name for name in load.writes if name not in ("lat", "lon")]
    columns = ", ".join((*names, "name_key", "lat", "lon", "position"))
    again = ", ".join(
        f"{name} = excluded.{name}" for name in (*names[1:], "name_key", "lat", "lon", "position", "load_id", "file_on")
    )
    merged = conn.execute(
        text(
            f"""
            WITH done AS (
              INSERT INTO directory_entries AS e (source, load_id, file_on, state_now, {columns})
              SELECT :source, :load_id, :file_on, 'active', {", ".join(f"s.{name}" for name in names)}, s.name_key,
                     coalesce(s.lat, z.lat, m.lat), coalesce(s.lon, z.lon, m.lon),
                     CASE WHEN s.lat IS NOT NULL THEN 'source' WHEN z.lat IS NOT NULL THEN 'zip'
                          WHEN m.lat IS NOT NULL THEN 'zip3' END
              FROM directory_staging s
              LEFT JOIN zip_points z ON z.zip = s.zip AND z.kind <> '{MILITARY}'
              LEFT JOIN {_MIDDLES} m ON m.digits = left(s.zip, 3)
                AND NOT EXISTS (SELECT FROM zip_points f WHERE f.zip = s.zip AND f.kind = '{MILITARY}')
              WHERE s.active
              ON CONFLICT (source, source_id) DO UPDATE
              SET {again}, state_now = 'active', ended_on = NULL
              WHERE e.file_on <= excluded.file_on
              RETURNING (xmax = 0) AS is_new
            )
            SELECT count(*) FILTER (WHERE is_new) AS added, count(*) FILTER (WHERE NOT is_new) AS changed FROM done
            """
        ),
        {"source": load.source, "load_id": load_id, "file_on": load.file_on},
    ).one()
    return merged.added, merged.changed


def _end(conn: Connection, load: Load, load_id: int) -> int:
    """How many are marked now: those said to be deactivated, and those that a whole list no longer holds."""
    of = {"source": load.source, "load_id": load_id, "file_on": load.file_on}
    deactivated = """
        UPDATE directory_entries e
        SET state_now = 'deactivated', ended_on = coalesce(s.ended_on, :file_on), load_id = :load_id, file_on = :file_on
        FROM directory_staging s
        WHERE NOT s.active AND e.source = :source AND e.source_id = s.source_id AND e.state_now <> 'deactivated'
          AND e.file_on <= :file_on"""
    gone = """
        UPDATE directory_entries e SET state_now = 'gone', ended_on = :file_on, load_id = :load_id, file_on = :file_on
        WHERE e.source = :source AND e.state_now = 'active' AND e.file_on <= :file_on
          AND NOT EXISTS (SELECT FROM directory_staging s WHERE s.source_id = e.source_id)"""
    ended = conn.execute(text(deactivated), of).rowcount
    return ended + (conn.execute(text(gone), of).rowcount if load.is_whole else 0)


def _merge_addresses(conn: Connection, load: Load) -> int:
    of = {"source": load.source}
    set_ = """
        UPDATE directory_entries e SET fhir_address = s.fhir_address, direct_address = s.direct_address
        FROM (SELECT source_id, (array_agg(fhir_address ORDER BY line_no) FILTER (WHERE fhir_address IS NOT NULL))[1] AS fhir_address,
                     (array_agg(direct_address ORDER BY line_no) FILTER (WHERE direct_address IS NOT NULL))[1] AS direct_address
              FROM directory_staging GROUP BY source_id) s
        WHERE e.source = :source AND e.source_id = s.source_id
          AND (e.fhir_address, e.direct_address) IS DISTINCT FROM (s.fhir_address, s.direct_address)"""
    cleared = """
        UPDATE directory_entries e SET fhir_address = NULL, direct_address = NULL
        WHERE e.source = :source AND (e.fhir_address IS NOT NULL OR e.direct_address IS NOT NULL)
          AND NOT EXISTS (SELECT FROM directory_staging s WHERE s.source_id = e.source_id)"""
    changed = conn.execute(text(set_), of).rowcount
    return changed + (conn.execute(text(cleared), of).rowcount if load.is_whole else 0)


def keep_specialty_codes(conn: Connection, load: Load, codes: Iterable[tuple[str, str, str]]) -> Merged:
    """NUCC's list, whole: (code, words, grouping) each. One that is no longer in it is taken out."""
    rows = {code: {"code": code, "words": words, "grouping": grouping} for code, words, grouping in codes}
    load_id = _begin(conn, load, len(rows), 0, ())
    conn.execute(specialty_codes.delete())
    conn.execute(insert(specialty_codes), [{**row, "load_id": load_id} for row in rows.values()])
    conn.execute(update(directory_loads).where(directory_loads.c.id == load_id).values(added=len(rows)))
    audit.record(conn, load.actor, "directory.loaded", subject=f"{load.source} {load.name}")
    return Merged(load_id, len(rows), len(rows), 0, 0, 0, ())


def add(conn: Connection, source_id: str, values: Mapping[str, Any], *, file_on: date, actor: str, reason: str) -> int:
    """An entry that a person makes; its id. Raises NotPossible when there is one under this id already."""
    known = select(directory_entries.c.id).where(
        directory_entries.c.source == PERSON, directory_entries.c.source_id == source_id
    )
    found = conn.execute(known).scalar_one_or_none()
    if found is not None:
        raise NotPossible(f"somebody entered this one already: it is entry {found}; correct that one")
    made = dict(source=PERSON, source_id=source_id, file_on=file_on, state_now="active", entered_by=actor, load_id=None)
    said: dict[str, Any] = {name: values.get(name) for name in FIELDS if name != "source_id"}
    said["given"] = said["given"] or ""
    row = {**said, **made, **placed(conn, said), "name_key": name_key(said["family"], said["given"])}
    entry_id = conn.execute(insert(directory_entries).values(row).returning(directory_entries.c.id)).scalar_one()
    audit.record(conn, actor, "directory.entered", subject=str(entry_id), reason=reason)
    return entry_id
