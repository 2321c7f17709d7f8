"""Finds doctors in the directory: those who say what was asked for, then those who do not say, nearest first.

Distances are great circles (haversine), in miles, over a box of degrees that an index finds. The nearest rings are looked at first, so that a
large city costs no more than a small one. How PostgreSQL finds them: docs/how-to/directory.md.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import date, datetime

from sqlalchemy import (
    ColumnElement,
    Connection,
    Float,
    Row,
    Select,
    and_,
    cast,
    func,
    literal,
    not_,
    or_,
    select,
    tuple_,
)
from sqlalchemy.dialects.postgresql import distinct_on

from integration.store.tables import directory_corrections, directory_entries, directory_loads, specialty_codes
from integration.store.zip_points import Place
from mappings.directory.query import After, Query
from mappings.names import fold

EARTH_MILES = 3958.8
MILES_OF_A_DEGREE = 69.0
RINGS = (5, 40)  # miles, before the whole distance that is asked for
NOWHERE = 1e6  # miles: sorts who has no known place behind everybody else
STATED, NOT_STATED, NO_PLACE = 0, 1, 2  # groups, in the order in which they are shown
E = directory_entries.c
_ACTIVE = E.state_now == "active"


@dataclass(frozen=True)
class EntryRow:
    """One row of the directory; see mappings/directory/entry.py for what its fields mean."""

    id: int
    source: str
    source_id: str
    load_id: int | None
    file_on: date
    npi: str | None
    family: str
    given: str
    name_key: str
    credentials: str | None
    gender: str | None
    languages: list[str] | None
    spoken: list[str] | None
    specialties: list[str] | None
    specialty_texts: list[str] | None
    organization: str | None
    line: str | None
    city: str | None
    state: str | None
    postal_code: str | None
    zip: str | None
    country: str | None
    lat: float | None
    lon: float | None
    position: str | None
    phone: str | None
    licensed_in: list[str] | None
    second_opinions: bool | None
    accepting: bool | None
    endpoint: str | None
    fhir_address: str | None
    direct_address: str | None
    services: list[dict] | None
    version: str | None
    updated_on: date | None
    state_now: str
    ended_on: date | None
    entered_by: str | None
    revision: int


@dataclass(frozen=True)
class Found:
    """An entry, how far it is (None: nobody asked, or its place is not known), and in which group."""

    entry: EntryRow
    miles: float | None
    group: int


@dataclass(frozen=True)
class Correction:
    """What a person said of a field, and what the source said last, both as JSON."""

    field: str
    value: str
    source_value: str
    actor: str
    reason: str
    created_at: datetime


def search(
    conn: Connection, query: Query, place: Place | None, *, after: After | None = None, limit: int
) -> list[Found]:
    """One entry more than ``limit`` when there is a further page."""
    found: list[Found] = []
    groups = (STATED,) if query.stated_only else (STATED, NOT_STATED, NO_PLACE)
    for group in groups:
        if after is not None and group < after.group or (group == NO_PLACE and place is None):
            continue
        begin = after if after is not None and after.group == group else None
        found += _of_group(conn, query, place, group, begin, limit + 1 - len(found))
        if len(found) > limit:
            break
    return found


def _of_group(
    conn: Connection, query: Query, place: Place | None, group: int, after: After | None, limit: int
) -> list[Found]:
    wanted = list(_filters(query, group))
    if place is None or group == NO_PLACE:
        where = [*wanted, E.lat.is_(None)] if group == NO_PLACE else wanted
        named = conn.execute(_in_order_of_names(where, after).limit(limit))
        return [Found(_entry(row), None, group) for row in named]
    rows: Sequence[Row] = ()
    for radius in (*(each for each in RINGS if each < query.miles), query.miles):
        if after is not None and radius <= after.miles and radius < query.miles:
            continue
        rows = conn.execute(_in_order_of_distance(wanted, place, radius, after).limit(limit)).all()
        if len(rows) >= limit:
            break
    return [Found(_entry(row), row.miles, group) for row in rows]


def _in_order_of_names(where: list[ColumnElement], after: After | None) -> Select:
    if after is not None:
        where = [*where, tuple_(E.name_key, E.id) > tuple_(literal(after.name), literal(after.id))]
    return select(directory_entries).where(_ACTIVE, *where).order_by(E.name_key, E.id)


def _in_order_of_distance(where: list[ColumnElement], place: Place, radius: float, after: After | None) -> Select:
    near = (
        select(directory_entries, _distance(place).label("miles"))
        .where(_ACTIVE, *_box(place, radius), *where)
        .subquery("near")
    )
    n = near.c
    ordered = select(near).where(n.miles <= radius).order_by(n.miles, n.name_key, n.id)
    if after is None:
        return ordered
    return ordered.where(
        tuple_(n.miles, n.name_key, n.id) > tuple_(literal(after.miles, Float), literal(after.name), literal(after.id))
    )


def _box(place: Place, radius: float) -> tuple[ColumnElement, ColumnElement]:
    height = radius / MILES_OF_A_DEGREE + 0.01
    width = min(180.0, height / max(0.05, math.cos(math.radians(place.lat))))
    return E.lat.between(place.lat - height, place.lat + height), E.lon.between(place.lon - width, place.lon + width)


def _distance(place: Place) -> ColumnElement[float]:
    up = func.sin(func.radians(E.lat - place.lat) / 2)
    across = func.sin(func.radians(E.lon - place.lon) / 2)
    chord = up * up + math.cos(math.radians(place.lat)) * func.cos(func.radians(E.lat)) * across * across
    return cast(2 * EARTH_MILES * func.asin(func.sqrt(func.least(1.0, chord))), Float)


def _filters(query: Query, group: int) -> Iterator[ColumnElement]:
    """Group 0: each filter is met by what is stated. The others: none is contradicted, and in group 1 one is left open."""
    if query.name:
        yield _named(query.name)
    pairs = list(_pairs(query))
    if group == STATED:
        yield from (stated for stated, _ in pairs)
        return
    yield from (or_(stated, is_open) for stated, is_open in pairs)
    if group == NOT_STATED and pairs:
        yield or_(*(is_open for _, is_open in pairs))
    elif group == NOT_STATED:
        yield literal(False)  # nothing was asked that could be left open


def _pairs(query: Query) -> Iterator[tuple[ColumnElement, ColumnElement]]:
    """(stated as asked for, not stated) of each filter that is asked for; they never hold both."""
    if query.specialties:
        yield E.specialties.overlap(list(query.specialties)), E.specialties.is_(None)
    if query.gender:
        yield E.gender == query.gender, E.gender.is_(None)
    if query.language:
        spoken: ColumnElement = E.spoken.overlap(list(query.languages))
        is_open: ColumnElement = E.spoken.is_(None)
        if query.may_be_spoken:
            is_open = or_(is_open, and_(E.spoken.overlap(list(query.may_be_spoken)), not_(spoken)))
        yield spoken, is_open
    if query.second_opinions:
        yield E.second_opinions, E.second_opinions.is_(None)
    if query.licensed_in:  # a license that is not listed may exist
        licensed = func.coalesce(E.licensed_in.contains([query.licensed_in]), False)
        yield licensed, not_(licensed)
    if query.road:
        reached = {
            "endpoint": E.endpoint.is_not(None),
            "fhir": or_(E.fhir_address.is_not(None), E.endpoint.is_not(None)),
            "direct": E.direct_address.is_not(None),
        }[query.road]
        yield reached, not_(reached)


def _named(typed: str) -> ColumnElement[bool]:
    """The beginning of a last name, or first and last in either order: a folded name begins with the last name."""
    family, comma, given = typed.partition(",")
    if comma:
        starts = {fold(f"{family} {given}")}
    else:
        words = fold(typed).split()
        starts = {" ".join(words[place:] + words[:place]) for place in range(len(words))}
    return or_(*(and_(E.name_key >= start, E.name_key < start + "\U0010ffff") for start in sorted(starts)))


def _entry(row: Row) -> EntryRow:
    return EntryRow(**{each.name: getattr(row, each.name) for each in fields(EntryRow)})


def get(conn: Connection, entry_id: int) -> EntryRow | None:
    """One entry, whatever its state."""
    row = conn.execute(select(directory_entries).where(E.id == entry_id)).one_or_none()
    return None if row is None else _entry(row)


def others_of(conn: Connection, entry: EntryRow) -> list[EntryRow]:
    """What other sources, or other places, say of the same NPI."""
    if entry.npi is None:
        return []
    rows = conn.execute(select(directory_entries).where(E.npi == entry.npi, E.id != entry.id).order_by(E.id).limit(20))
    return [_entry(row) for row in rows]


def by_npi(conn: Connection, npi: str) -> list[EntryRow]:
    """Every entry of an NPI, those in use first."""
    rows = conn.execute(select(directory_entries).where(E.npi == npi).order_by(E.state_now, E.id).limit(20))
    return [_entry(row) for row in rows]


def with_services(conn: Connection, npi: str) -> list[EntryRow]:
    """The entries in use of an NPI that say something of a service."""
    rows = conn.execute(select(directory_entries).where(E.npi == npi, E.services.is_not(None), _ACTIVE).order_by(E.id))
    return [_entry(row) for row in rows]


def corrections_of(conn: Connection, entry_id: int) -> list[Correction]:
    """What people say of it that its source does not."""
    c = directory_corrections.c
    columns = [getattr(c, each.name) for each in fields(Correction)]
    rows = conn.execute(select(*columns).where(c.entry_id == entry_id, c.ended_at.is_(None)).order_by(c.id))
    return [Correction(*row) for row in rows]


def sources(conn: Connection) -> Mapping[str, Row]:
    """The newest load of each source, by the day of what it says."""
    newest = (
        select(directory_loads)
        .ext(distinct_on(directory_loads.c.source))
        .where(directory_loads.c.kind.not_in(("nppes-endpoints", "nppes-deactivated")))
        .order_by(directory_loads.c.source, directory_loads.c.file_on.desc(), directory_loads.c.id.desc())
    )
    return {row.source: row for row in conn.execute(newest)}


def loads(conn: Connection, limit: int = 20) -> list[Row]:
    """What was loaded last, newest first."""
    return list(conn.execute(select(directory_loads).order_by(directory_loads.c.id.desc()).limit(limit)))


def is_spoken(conn: Connection, languages: tuple[str, ...]) -> bool:
    """Does anybody in the directory state one of these languages?"""
    any_of = select(E.id).where(_ACTIVE, E.spoken.is_not(None), E.spoken.overlap(list(languages))).limit(1)
    return conn.execute(any_of).first() is not None


def words_of(conn: Connection, codes: list[str]) -> dict[str, str]:
    """What NUCC's own list calls codes, where a site loaded it."""
    rows = conn.execute(select(specialty_codes).where(specialty_codes.c.code.in_(codes)))
    return {row.code: row.words for row in rows}


def loaded_specialties(conn: Connection, groupings: Sequence[str]) -> dict[str, str]:
    """What NUCC's own list calls the codes of some groupings, where a site loaded it."""
    c = specialty_codes.c
    return {row.code: row.words for row in conn.execute(select(c.code, c.words).where(c.grouping.in_(groupings)))}


def codes_called(conn: Connection, words: str) -> list[str]:
    """Codes whose name holds these words, where a site loaded NUCC's list."""
    c = specialty_codes.c
    rows = conn.execute(select(c.code).where(c.words.icontains(words, autoescape=True)).order_by(c.code).limit(50))
    return [row.code for row in rows]
