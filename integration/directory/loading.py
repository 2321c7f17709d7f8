"""Loads a file into the directory: all of it, or nothing. What is wrong with single rows is said with their lines."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from sqlalchemy import Engine

from integration.directory import zip_codes
from integration.directory.tables_in_files import (
    ADDRESSES,
    CODES,
    DEACTIVATED,
    DEACTIVATION_DAY,
    PEOPLE,
    Progress,
    TableFile,
    said,
    tables,
    wrong,
)
from integration.store import directory
from integration.store.directory import Load, Merged
from mappings.directory.entry import Entry
from mappings.directory.nppes import Reader, RowProblem, day
from mappings.model.errors import FileError, Mistake
from mappings.practitioner import npi_is_valid

NPPES = "nppes"
SHARE, SOME = 0.01, 10  # more rows than this that cannot be read: it is not the file it seems to be
LISTED = 20
_PEOPLE_WRITES = tuple(
    name
    for name in directory.FIELDS
    if name in ("source_id", "npi", "family", "given", "credentials", "gender", "specialties", "line", "city", "state")
    or name in ("postal_code", "zip", "country", "phone", "licensed_in", "updated_on")
)


@dataclass(frozen=True)
class Wanted:
    """How a file is to be read. ``day``, ``whole``: where its name does not say it; ``fewer``: it may hold far fewer than we have."""

    kind: str | None = None
    day: date | None = None
    whole: bool = False
    fewer: bool = False


@dataclass
class _LeftOut:
    """Rows that were left out, and why."""

    name: str
    rows: int = 0
    mistakes: list[Mistake] = field(default_factory=list)

    def note(self, line: int, message: str) -> None:
        self.rows += 1
        if len(self.mistakes) < LISTED:
            self.mistakes.append(Mistake(self.name, line, "", message))

    def check(self, taken: int) -> None:
        """Raises FileError when too many were wrong for the others to be believed."""
        if self.rows > max(SOME, SHARE * (self.rows + taken)):
            last = Mistake(
                self.name, None, "", f"{self.rows:,} rows cannot be read, so that none is: nothing was changed"
            )
            raise FileError([*self.mistakes, last])

    @property
    def notes(self) -> list[str]:
        """Lines first; what is more is counted."""
        more = self.rows - len(self.mistakes)
        return [f"line {each.line} {each.message}: left out" for each in self.mistakes] + (
            [f"{more:,} more rows were left out"] if more else []
        )


def load(engine: Engine, path: Path, wanted: Wanted, *, actor: str, progress: Progress) -> list[Merged]:
    """Read a file of NPPES or NUCC; what each table in it changed. Raises FileError and NotPossible; then nothing of that table is in."""
    zip_codes.ensure(engine)
    done: list[Merged] = []
    with tables(path, wanted.kind, progress) as found:
        for table in found:
            done.append(_load(engine, table, wanted, actor))
    directory.settle(engine)
    return done


def _load(engine: Engine, table: TableFile, wanted: Wanted, actor: str) -> Merged:
    load = Load(
        source=CODES if table.kind == CODES else NPPES,
        kind=table.kind,
        name=table.name,
        file_on=_day_of(table, wanted),
        is_whole=table.is_whole or wanted.whole,
        actor=actor,
        writes=_PEOPLE_WRITES,
    )
    if table.kind == CODES:
        return _codes(engine, table, load)
    left_out = _LeftOut(table.name)
    with directory.staging(engine) as staged:
        staged.take(_READ[table.kind](table, left_out))
        left_out.check(staged.rows)
        notes = left_out.notes
        if table.kind == ADDRESSES:
            return staged.merge_addresses(load, left_out=left_out.rows, notes=notes)
        return staged.merge(load, left_out=left_out.rows, notes=notes, fewer=wanted.fewer)


def _day_of(table: TableFile, wanted: Wanted) -> date:
    found = wanted.day or table.day
    if found is None and table.kind == CODES:
        return date.today()
    if found is None:
        raise wrong(table.name, "does not say in its name of which day it is: give it with --date 2026-11-08")
    return found


def _codes(engine: Engine, table: TableFile, load: Load) -> Merged:
    def read() -> Iterator[tuple[str, str, str]]:
        for line, row in table.rows:
            code = said(row, table.columns, "Code")
            words = said(row, table.columns, "Display Name")
            parts = (said(row, table.columns, name) for name in ("Classification", "Specialization"))
            words = words or ", ".join(filter(None, parts))
            if not code or len(code) != 10 or not words:
                raise wrong(table.name, "has no code of ten characters with a name", line)
            yield code, words, said(row, table.columns, "Grouping") or ""

    rows = list(read())
    with engine.begin() as conn:
        return directory.keep_specialty_codes(conn, load, rows)


def _people(table: TableFile, left_out: _LeftOut) -> Iterator[tuple[int, Entry]]:
    reader = Reader(table.columns)
    for line, row in table.rows:
        try:
            entry = reader.entry(row)
        except RowProblem as problem:
            left_out.note(line, str(problem))
            continue
        if entry is not None:
            yield line, entry


def _deactivated(table: TableFile, left_out: _LeftOut) -> Iterator[tuple[int, Entry]]:
    for line, row in table.rows:
        npi = said(row, table.columns, "NPI") or ""
        try:
            if not npi_is_valid(npi):
                raise RowProblem("has an NPI that is not ten digits with the right check digit")
            ended = day(said(row, table.columns, *DEACTIVATION_DAY), DEACTIVATION_DAY[0])
        except RowProblem as problem:
            left_out.note(line, str(problem))
            continue
        yield line, Entry(npi, npi, active=False, ended_on=ended)


def _addresses(table: TableFile, left_out: _LeftOut) -> Iterator[tuple[int, Entry]]:
    """FHIR and Direct addresses; of several FHIR ones R4 first."""
    for line, row in table.rows:
        npi, address = said(row, table.columns, "NPI") or "", said(row, table.columns, "Endpoint")
        if not npi_is_valid(npi):
            left_out.note(line, "has an NPI that is not ten digits with the right check digit")
            continue
        what = said(row, table.columns, "Endpoint Type")
        if what == "FHIR" and address and address.lower().startswith(("https://", "http://")):
            yield (line if "r4" in address.lower() else line + (1 << 40)), Entry(npi, npi, fhir_address=address)
        elif what == "DIRECT" and address and "@" in address:
            yield line, Entry(npi, npi, direct_address=address)


_READ = {PEOPLE: _people, DEACTIVATED: _deactivated, ADDRESSES: _addresses}
