"""What people know better of the directory's entries: it stays whatever a source says later, and what the source says stands beside it."""

import json
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, func, insert, select, update

from integration.store import audit, zip_points
from integration.store.operations import NotPossible
from integration.store.storable import storable
from integration.store.tables import directory_corrections, directory_entries
from integration.store.zip_points import MILITARY
from mappings.names import fold

PERSON = "person"  # the source of who was entered by hand
LONGEST = 500  # letters of one value


def name_key(family: str, given: str) -> str:
    """What a name is searched and sorted by."""
    return storable(fold(f"{family} {given}"), LONGEST)


def correct(
    conn: Connection, entry_id: int, values: Mapping[str, Any], *, seen: int | None, actor: str, reason: str
) -> bool:
    """What a person knows better of an entry; it stays whatever its source says later. False when it was so already.

    ``seen``: the revision that they looked at. Raises NotPossible when somebody was quicker, or there is none.
    """
    entry = conn.execute(
        select(directory_entries).where(directory_entries.c.id == entry_id).with_for_update()
    ).one_or_none()
    if entry is None:
        raise NotPossible("the directory has no such entry")
    if seen is not None and seen != entry.revision:
        raise NotPossible(
            "somebody changed this entry while you looked at it: look again, and say it once more if it still holds"
        )
    changed = {name: value for name, value in values.items() if _plain(getattr(entry, name)) != _plain(value)}
    if not changed:
        return False
    for name, value in changed.items():
        _note(conn, entry, name, value, actor=actor, reason=reason)
    _apply(conn, entry_id, changed)
    conn.execute(
        update(directory_entries)
        .where(directory_entries.c.id == entry_id)
        .values(revision=directory_entries.c.revision + 1)
    )
    audit.record(
        conn, actor, "directory.corrected", subject=str(entry_id), reason=reason, detail={"fields": sorted(changed)}
    )
    return True


def _note(conn: Connection, entry: Any, name: str, value: Any, *, actor: str, reason: str) -> None:
    if entry.source == PERSON:  # there is no source that could say otherwise
        return
    c = directory_corrections.c
    open_one = (c.entry_id == entry.id, c.field == name, c.ended_at.is_(None))
    before = conn.execute(select(c.source_value).where(*open_one)).scalar_one_or_none()
    source_value = before if before is not None else json.dumps(_plain(getattr(entry, name)))
    conn.execute(update(directory_corrections).where(*open_one).values(ended_at=func.now()))
    if json.loads(source_value) == _plain(value):
        return  # as the source says: nothing to keep
    row = dict(entry_id=entry.id, field=name, value=json.dumps(_plain(value)), source_value=source_value)
    conn.execute(insert(directory_corrections).values(**row, actor=actor, reason=reason))


def keep(conn: Connection, load_id: int | None) -> None:
    """After a merge: what people said stands again, and what the source says now stands beside it."""
    c, e = directory_corrections.c, directory_entries
    wanted = select(c.id, c.entry_id, c.field, c.value, c.source_value).where(c.ended_at.is_(None))
    if load_id is not None:
        wanted = wanted.join(e, e.c.id == c.entry_id).where(e.c.load_id == load_id)
    for each in conn.execute(wanted).all():
        said = conn.execute(select(e.c[each.field]).where(e.c.id == each.entry_id)).scalar_one()
        if _plain(said) == json.loads(each.value):
            continue
        conn.execute(update(directory_corrections).where(c.id == each.id).values(source_value=json.dumps(_plain(said))))
        _apply(conn, each.entry_id, {each.field: json.loads(each.value)})


def _apply(conn: Connection, entry_id: int, values: Mapping[str, Any]) -> None:
    e = directory_entries
    conn.execute(update(e).where(e.c.id == entry_id).values(dict(values)))
    if values.keys() & {"family", "given"}:
        row = conn.execute(select(e.c.family, e.c.given).where(e.c.id == entry_id)).one()
        conn.execute(update(e).where(e.c.id == entry_id).values(name_key=name_key(row.family, row.given)))
    if "zip" in values:
        conn.execute(update(e).where(e.c.id == entry_id).values(placed(conn, {"zip": values["zip"]})))


def placed(conn: Connection, values: Mapping[str, Any]) -> dict[str, Any]:
    """Where a ZIP code is, as columns of an entry: its middle, else that of its first three digits, else nowhere."""
    zip = values.get("zip")
    place = zip_points.find(conn, zip) if zip else None
    if place is not None and place.kind != MILITARY:
        return {"lat": place.lat, "lon": place.lon, "position": "zip"}
    wider = zip_points.around(conn, zip[:3]) if zip and place is None else None
    if wider is not None:
        return {"lat": wider.lat, "lon": wider.lon, "position": "zip3"}
    return {"lat": None, "lon": None, "position": None}


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, list | tuple) else value
