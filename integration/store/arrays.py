"""Many values in one statement: as arrays, because single parameters end at 65,535 and row-wise IN at the server's stack."""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Select, Table, any_, func, literal, select
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.sql.selectable import TableValuedAlias

ROWS_AT_ONCE = 5_000  # of one INSERT: its arrays stay small, and no statement keeps an open transaction waiting


def any_of(column: ColumnElement, values: Iterable[Any]) -> ColumnElement[bool]:
    """The column holds one of the values, however many there are."""
    return column == any_(literal(list(values), ARRAY(column.type)))


def unnested(table: Table, names: Sequence[str], rows: Sequence[Sequence[Any]]) -> TableValuedAlias:
    """Rows of values as something to join with; each column named and typed as the table's."""
    arrays = [literal([row[place] for row in rows], ARRAY(table.c[name].type)) for place, name in enumerate(names)]
    return func.unnest(*arrays).table_valued(*names, name="given").render_derived()


def blocks(table: Table, rows: Sequence[dict[str, Any]]) -> Iterable[tuple[list[str], Select]]:
    """Names and SELECT for ``insert(table).from_select``, some thousand rows at a time; all rows have the same keys."""
    names = list(rows[0]) if rows else []
    for start in range(0, len(rows), ROWS_AT_ONCE):
        block = [tuple(row[name] for name in names) for row in rows[start : start + ROWS_AT_ONCE]]
        given = unnested(table, names, block)
        yield names, select(*(given.c[name] for name in names))
