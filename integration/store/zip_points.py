"""Where ZIP codes are: a table, filled once."""

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import Connection, func, select
from sqlalchemy.dialects.postgresql import insert

from integration.store.arrays import blocks
from integration.store.tables import zip_points

MILITARY = "MILITARY"  # abroad: its point is none of a place in the United States


@dataclass(frozen=True)
class Place:
    """Where a search begins. ``zip`` of five digits, or the three that a wider place begins with; degrees."""

    zip: str
    lat: float
    lon: float
    city: str = ""
    state: str = ""
    kind: str = ""
    active: bool = True


def is_filled(conn: Connection) -> bool:
    """True when the table was filled."""
    return conn.execute(select(zip_points.c.zip).limit(1)).first() is not None


def fill(conn: Connection, points: Iterable[dict]) -> None:
    """Put every point in; who comes second changes nothing."""
    for names, block in blocks(zip_points, list(points)):
        conn.execute(insert(zip_points).from_select(names, block).on_conflict_do_nothing())


def find(conn: Connection, zip: str) -> Place | None:
    """The place of a ZIP code of five digits."""
    row = conn.execute(select(zip_points).where(zip_points.c.zip == zip)).one_or_none()
    return None if row is None else Place(row.zip, row.lat, row.lon, row.city, row.state, row.kind, row.active)


def around(conn: Connection, digits: str) -> Place | None:
    """The middle of all ZIP codes that begin with three digits; None when none does."""
    middle = select(func.avg(zip_points.c.lat).label("lat"), func.avg(zip_points.c.lon).label("lon"))
    row = conn.execute(middle.where(func.left(zip_points.c.zip, 3) == digits, zip_points.c.kind != MILITARY)).one()
    return None if row.lat is None else Place(digits, row.lat, row.lon)
