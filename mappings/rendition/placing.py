"""Which section a record goes into, as which row, in which order. Whatever is wrong with one record stops no other."""

import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from mappings.elsewhere import said_origin
from mappings.model.findings import Finding
from mappings.rendition.model import NOT_STATED, Correction, Row, Section
from mappings.rendition.names import source_of
from mappings.rendition.rows import RowMaker, matching
from mappings.rendition.tables import TABLES, Table, table_of
from mappings.rendition.words import Words

EMPTY_NOTE = "No record of this kind is in the packet. That does not say that there is none."
CORRECTED = "Corrected: it replaces what was sent before"
NEW = "New: it was not sent before"
UNSHOWN = "This record could not be shown here; it is sent beside this document, as it came"


@dataclass(frozen=True)
class Placed:
    """A record in its section; ``problem`` names the error when it could not be shown."""

    table: Table
    row: Row
    name: str = ""
    date: str = ""
    problem: str = ""

    def finding(self) -> Finding:
        """What an operator has to know of one that could not be shown."""
        return Finding(
            "render.record-unshown",
            f"it is so unlike FHIR that it could not be shown ({self.problem}); it is sent beside the summary, as it came",
            self.row.source,
            "error",
        )


def placed(resources: Iterable[dict], maker: RowMaker, correction: Correction | None) -> list[Placed]:
    """Every record, in its section."""
    found = [_place(each, maker) for each in resources]
    return found if correction is None else [_marked(each, correction) for each in found]


def sections(records: Iterable[Placed], *, empty_ones: bool) -> Iterator[Section]:
    """The sections that hold something; ``empty_ones``: also those that a reader of a chart looks for."""
    members: dict[str, list[Placed]] = {table.key: [] for table in TABLES}
    for each in records:
        members[each.table.key].append(each)
    for table in TABLES:
        if members[table.key] or table.always and empty_ones:
            rows = tuple(each.row for each in _sorted(members[table.key]))
            yield Section(table.key, table.title, table.columns, rows, "" if rows else EMPTY_NOTE)


def _place(resource: dict, maker: RowMaker) -> Placed:
    try:
        table = table_of(resource)
        name = _sort_name(resource.get(table.name)) if table.by_name else ""
        row = maker.row(resource, table)
        if origin := said_origin(resource):
            row = replace(row, mark=f"From {origin}")
        return Placed(table, row, name, _date(resource, table))
    except Exception as error:  # whatever another system put into it
        table = TABLES[-1]
        cells = (str(resource.get("resourceType")), *[NOT_STATED] * (len(table.columns) - 1))
        return Placed(table, Row(source_of(resource), cells, mark=UNSHOWN), problem=type(error).__name__)


def _marked(record: Placed, correction: Correction) -> Placed:
    mark = CORRECTED if record.row.source in correction.known else NEW
    return replace(record, row=replace(record.row, mark=". ".join(filter(None, (mark, record.row.mark)))))


def _sorted(records: list[Placed]) -> list[Placed]:
    """Newest first; results first by test, so that their course can be read. Undated ones last."""
    newest = sorted(sorted(records, key=lambda each: each.row.source), key=lambda each: each.date, reverse=True)
    return sorted(newest, key=lambda each: each.name)


def _sort_name(value: object) -> str:
    """The name without case and without characters nobody sees: one source writes a zero-width space into some."""
    plain = unicodedata.normalize("NFKC", Words({}).of(value)).casefold()
    return "".join(char for char in plain if unicodedata.category(char) != "Cf")


def _date(resource: dict, table: Table) -> str:
    found = [resource[key] for element in table.dates for key in matching(resource, element)]
    for value in found:
        text = value.get("start") or value.get("end") if isinstance(value, dict) else value
        if isinstance(text, str):
            return text
    return ""
