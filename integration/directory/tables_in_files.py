"""Tables in files as they come: zipped or not, of 10 GB, in two encodings at once, and sometimes cut. Read as a stream."""

import codecs
import csv
import io
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import IO

from mappings.directory import nppes
from mappings.directory.nppes import Columns
from mappings.model.errors import FileError, Mistake

Progress = Callable[[int, int], None]
PEOPLE, ADDRESSES, DEACTIVATED, CODES = "nppes", "nppes-endpoints", "nppes-deactivated", "nucc"
DEACTIVATION_DAY = ("NPPES Deactivation Date", "NPI Deactivation Date")
_TOLD_BY = {  # columns that a file of each kind has
    PEOPLE: nppes.NEEDED,
    ADDRESSES: ("NPI", "Endpoint Type", "Endpoint"),
    CODES: ("Code", "Grouping", "Classification", "Specialization"),
}
_LOOKS_LIKE = {PEOPLE: nppes.ENTITY, ADDRESSES: "Endpoint Type", CODES: "Classification"}
_IN_ZIP = ("npidata_pfile", "endpoint_pfile")  # those of the monthly and weekly files that are read, in this order
_SPAN = re.compile(r"([0-9]{8})-([0-9]{8})")
_DAY = re.compile(r"(?<![0-9])(20[0-9]{6})(?![0-9])")
_WHOLE_BEGINS = date(2007, 12, 31)  # what begins before then holds every NPI there ever was
_WIDEST_LIST = 5  # columns of the list of deactivated NPIs: it has two
_EVERY = 1 << 22  # bytes between two words of progress
_LONGEST_FIELD = 1 << 20


@dataclass(frozen=True)
class TableFile:
    """A table of a file. ``day``: the day whose knowledge it holds, where its name says it; ``is_whole``: it holds all there is."""

    name: str
    kind: str
    columns: Columns
    rows: Iterator[tuple[int, list[str]]]
    day: date | None
    is_whole: bool


@contextmanager
def tables(path: Path, kind: str | None, progress: Progress) -> Iterator[Iterator[TableFile]]:
    """The tables of a CSV file, or of the ones that are read of a ZIP; each is to be read before the next. Raises FileError."""
    csv.field_size_limit(_LONGEST_FIELD)
    if not zipfile.is_zipfile(path):
        with path.open("rb") as stream:
            yield iter([_table(stream, path.name, path.stat().st_size, kind, progress)])
        return
    with zipfile.ZipFile(path) as packed:
        yield _of_zip(packed, path.name, kind, progress)


def wrong(name: str, message: str, line: int | None = None) -> FileError:
    """A file that cannot be read, said with its line."""
    return FileError([Mistake(name, line, "", message)])


def _of_zip(packed: zipfile.ZipFile, name: str, kind: str | None, progress: Progress) -> Iterator[TableFile]:
    listed = [each for each in packed.infolist() if each.filename.lower().endswith(".csv")]
    listed = [each for each in listed if "fileheader" not in each.filename.lower()]
    wanted = [each for word in _IN_ZIP for each in listed if word in each.filename.lower()]
    if not wanted and len(listed) == 1:
        wanted = listed
    if not wanted:
        raise wrong(name, "is a ZIP file without npidata_pfile_....csv: take the file from download.cms.gov/nppes")
    for each in wanted:
        with packed.open(each) as stream:
            yield _table(stream, Path(each.filename).name, each.file_size, kind, progress)


def _table(stream: IO[bytes], name: str, size: int, kind: str | None, progress: Progress) -> TableFile:
    rows = _rows(stream, name, size, progress)
    try:
        _, header = next(rows)
    except StopIteration:
        raise wrong(name, "is empty") from None
    columns = Columns.of(header)
    told = kind or _kind(columns, name)
    if missing := columns.missing(_TOLD_BY.get(told, ())):
        raise wrong(name, f"has no column {', '.join(map(repr, missing[:5]))}, which a file of kind {told} has", 1)
    begins, day = _span(name)
    return TableFile(
        name, told, columns, _whole_rows(rows, columns.width, name), day, bool(begins and begins <= _WHOLE_BEGINS)
    )


def _kind(columns: Columns, name: str) -> str:
    for kind, column in _LOOKS_LIKE.items():
        if column in columns.at:
            return kind
    if "NPI" in columns.at and any(column in columns.at for column in DEACTIVATION_DAY):
        if columns.width > _WIDEST_LIST:  # else everybody in it would count as deactivated
            raise wrong(name, f"has no column {nppes.ENTITY!r}, which a file of kind {PEOPLE} has", 1)
        return DEACTIVATED
    if any("Secondary Practice Location" in column for column in columns.at):
        raise wrong(name, "lists further places of work (pl_pfile), which are not read: load npidata_pfile", 1)
    first = ", ".join(list(columns.at)[:3])[:80]
    raise wrong(
        name, f"is no file that is known here: its first line says {first!r}, and not the names of its columns", 1
    )


def _span(name: str) -> tuple[date | None, date | None]:
    """The first and the last day that a file says it holds, by its name."""
    found = _SPAN.search(name)
    if found:
        return _as_day(found[1]), _as_day(found[2])
    alone = _DAY.search(name)
    return None, _as_day(alone[1]) if alone else None


def _as_day(digits: str) -> date | None:
    try:
        return datetime.strptime(digits, "%Y%m%d").date()
    except ValueError:
        return None


def _rows(stream: IO[bytes], name: str, size: int, progress: Progress) -> Iterator[tuple[int, list[str]]]:
    """Each row with the number of its last line. Raises FileError where the file ends too early."""
    reader = csv.reader(_lines(stream, name, size, progress), strict=True)
    try:
        for row in reader:
            if row:
                yield reader.line_num, row
    except csv.Error as error:
        ended = "unexpected end" in str(error)
        message = (
            "ends inside a value: the file was cut; fetch it again"
            if ended
            else f"is no CSV with commas here ({str(error).partition(' - ')[0]}): another program saved it anew; fetch it again"
        )
        raise wrong(name, message, reader.line_num) from None
    except (zipfile.BadZipFile, zlib.error, EOFError):
        raise wrong(name, "cannot be unpacked to its end: the file was cut; fetch it again", reader.line_num) from None


def _must_be_text(begins: bytes, name: str) -> None:
    if begins.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise wrong(name, "is in UTF-16: another program saved it anew; fetch it again, or save it as CSV in UTF-8", 1)
    if begins.startswith(b"\x1f\x8b"):
        raise wrong(name, "is packed with gzip: unpack it first, or give the ZIP file that it came in")


def _lines(stream: IO[bytes], name: str, size: int, progress: Progress) -> Iterator[str]:
    """Lines as text: UTF-8, and where a line is not, the Windows one that some rows are in."""
    done = told = 0
    raw = b"\n"
    for raw in io.BufferedReader(stream, 1 << 20) if isinstance(stream, io.RawIOBase) else stream:
        if not done:
            _must_be_text(raw, name)
            raw = raw.removeprefix(codecs.BOM_UTF8)
        done += len(raw)
        if done - told > _EVERY:
            told = done
            progress(done, size)
        try:
            line = raw.decode()
        except UnicodeDecodeError:
            line = raw.decode("cp1252", "replace")
        yield line.replace("\0", "") if "\0" in line else line
    if not raw.endswith(b"\n"):
        raise csv.Error("unexpected end of the last line")
    progress(size, size)


def _whole_rows(rows: Iterator[tuple[int, list[str]]], width: int, name: str) -> Iterator[tuple[int, list[str]]]:
    for line, row in rows:
        if len(row) != width:
            raise wrong(
                name,
                f"has {len(row)} columns where the first line has {width}: the file was cut here, or was changed by another program",
                line,
            )
        yield line, row


def said(row: Sequence[str], columns: Columns, *names: str) -> str | None:
    """What stands in the first of these columns that the file has."""
    place = next((columns.at[name] for name in names if name in columns.at), -1)
    return (row[place].strip() or None) if place >= 0 else None
