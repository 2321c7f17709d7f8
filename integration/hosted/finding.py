"""Runs a search along an index: which resources match, in the order they were last updated, one page at a time."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    Text,
    and_,
    column,
    false,
    func,
    not_,
    or_,
    select,
    tuple_,
    values,
)

from integration.hosted.parameters import PARAMETERS
from integration.hosted.query import Alternative, Criterion, Query, TimeSpan
from integration.hosted.tables import hosted_index, hosted_resources, hosted_versions

_RANK = {parameter.name: rank for rank, parameter in enumerate(PARAMETERS)}
_LAST_CHARACTER = "\U0010ffff"
_LOOK_UP_AT_ONCE = 1000  # a statement takes 65,535 parameters

Identified = tuple[str, str, str]  # type, system and value of an identifier


class Found(NamedTuple):
    """The newest version of a resource."""

    id: str
    version: int
    updated_at: datetime
    content: bytes


def find(connection: Connection, practice: str, query: Query, limit: int) -> list[Found]:
    """The first ``limit`` matches after ``query.after``, oldest change first."""
    page = matching(practice, query).limit(limit).subquery("page")
    resource, version = hosted_resources.c, hosted_versions.c
    statement = (
        select(resource.id, resource.version, resource.updated_at, version.content)
        .select_from(page)
        .join(
            hosted_resources, and_(resource.practice == practice, resource.type == query.type, resource.id == page.c.id)
        )
        .join(
            hosted_versions,
            and_(
                version.practice == practice,
                version.type == query.type,
                version.id == page.c.id,
                version.version == resource.version,
            ),
        )
        .order_by(page.c.updated_at, page.c.id)
    )
    return [Found(*row) for row in connection.execute(statement)]


def count(connection: Connection, practice: str, query: Query) -> int:
    """How many resources match."""
    return connection.scalar(select(func.count()).select_from(matching(practice, query).subquery())) or 0


def with_identifiers(connection: Connection, practice: str, wanted: Iterable[Identified]) -> dict[Identified, set[str]]:
    """Of each (type, system, value) the ids that carry it: few look-ups for a whole transaction."""
    found: dict[Identified, set[str]] = {}
    rows = sorted(set(wanted))
    for start in range(0, len(rows), _LOOK_UP_AT_ONCE):
        for type_, system, value, id_ in connection.execute(
            _carrying(practice, rows[start : start + _LOOK_UP_AT_ONCE])
        ):
            found.setdefault((type_, system, value), set()).add(id_)
    return found


def _carrying(practice: str, rows: list[Identified]) -> Select:
    asked = values(column("type", Text), column("system", Text), column("value", Text), name="asked").data(rows)
    index = hosted_index.c
    return select(index.type, index.system, index.value, index.id).join(
        asked,
        and_(
            index.practice == practice,
            index.param == "identifier",
            index.type == asked.c.type,
            index.value == asked.c.value,
            index.system == asked.c.system,
        ),
    )


def matching(practice: str, query: Query) -> Select:
    """id and updated_at of the matches, led by the parameter that leaves the fewest."""
    query = _narrowed(query)
    criteria = sorted(query.criteria, key=lambda criterion: _RANK[criterion.param])
    lead = criteria.pop(0) if criteria and not query.ids else None
    table = hosted_resources if lead is None else hosted_index.alias("lead")
    conditions = [table.c.practice == practice, table.c.type == query.type]
    if lead is not None:
        conditions += [table.c.param == lead.param, _any_of(table, lead)]
    conditions += _all_of(table, practice, query, criteria)
    if query.within is not None:
        conditions.append(
            or_(false(), *(and_(*_all_of(table, practice, each, each.criteria)) for each in query.within))
        )
    if query.after:
        conditions.append(tuple_(table.c.updated_at, table.c.id) > tuple_(*query.after))
    statement = select(table.c.updated_at, table.c.id).where(*conditions).order_by(table.c.updated_at, table.c.id)
    return statement if lead is None else statement.distinct()


def _narrowed(query: Query) -> Query:
    """With what it has to lie within as its own criteria, where that is one search: then it may lead."""
    only = _as_one(query.within) if query.within else None
    if only is None:
        return query
    return replace(
        query,
        criteria=query.criteria + only.criteria,
        ids=query.ids + only.ids,
        spans=query.spans + only.spans,
        within=None,
    )


def _as_one(searches: Sequence[Query]) -> Query | None:
    """One search for all; several are one when each asks for values of the same parameter and nothing else."""
    if len(searches) == 1:
        return searches[0]
    params = {each.param for one in searches for each in one.criteria}
    if len(params) != 1 or any(len(one.criteria) != 1 or one.ids or one.spans for one in searches):
        return None
    alternatives = tuple(each for one in searches for each in one.criteria[0].alternatives)
    return Query(searches[0].type, [Criterion(params.pop(), alternatives)])


def _all_of(table: Any, practice: str, query: Query, criteria: list[Criterion]) -> list[ColumnElement[bool]]:
    return [
        *(_has(table, practice, query.type, criterion) for criterion in criteria),
        *(table.c.id.in_(sorted(ids)) for ids in query.ids),
        *(or_(*(_within(table, span) for span in spans)) for spans in query.spans),
    ]


def _has(table: Any, practice: str, type_: str, criterion: Criterion) -> ColumnElement[bool]:
    """A probe for each row of the lead, exact in either index: updated_at is the same in all rows of a resource.

    OFFSET 0 keeps PostgreSQL from reading all of a common value (status=final) instead: measured with 300,000
    resources, 128 ms a page, and 37 s before the first ANALYZE.
    """
    other = hosted_index.alias()
    probe = select(other.c.id).where(
        other.c.practice == practice,
        other.c.type == type_,
        other.c.id == table.c.id,
        other.c.updated_at == table.c.updated_at,
        other.c.param == criterion.param,
        _any_of(other, criterion),
    )
    return probe.correlate(table).offset(0).exists()


def _any_of(table: Any, criterion: Criterion) -> ColumnElement[bool]:
    return or_(*(_is(table, alternative) for alternative in criterion.alternatives))


def _is(table: Any, alternative: Alternative) -> ColumnElement[bool]:
    conditions = []
    if alternative.systems is not None:
        conditions.append(table.c.system.in_(alternative.systems))
    if alternative.is_prefix:
        # A range, not LIKE: a prepared LIKE cannot use the index.
        conditions += [table.c.value >= alternative.value, table.c.value < f"{alternative.value}{_LAST_CHARACTER}"]
    elif alternative.value is not None:
        conditions.append(table.c.value == alternative.value)
    return and_(*conditions)


def _within(table: Any, span: TimeSpan) -> ColumnElement[bool]:
    moment, bounds = table.c.updated_at, []
    if span.start is not None:
        bounds.append(moment >= span.start)
    if span.end is not None:
        bounds.append(moment < span.end)
    inside = and_(*bounds) if bounds else false()
    return not_(inside) if span.outside else inside
