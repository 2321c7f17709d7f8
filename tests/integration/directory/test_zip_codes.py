"""ZIP codes whose place the list does not know are no place in the sea, and who was put there comes back."""

import importlib

import pytest
from sqlalchemy import insert, select, text

from integration.directory.zip_codes import placed
from integration.store import zip_points
from integration.store.tables import directory_entries
from mappings.directory.places import zip_of
from mappings.directory.query import read_zip

pytestmark = pytest.mark.postgres
POINT = dict(city="Seattle", state="WA", kind="STANDARD", active=True)


def point(zip: str, lat: str = "47.6", lon: str = "-122.3", **more) -> dict:
    return {"zip": zip, "lat": lat, "lon": lon, **POINT, **more}


def test_the_list_writes_zeros_for_what_it_does_not_know_and_they_are_no_place():
    known = placed([point("98101"), point("98190", "0.0000", "0.0000"), point("09002", "0", "0", kind="MILITARY")])
    assert [each["zip"] for each in known] == ["98101", "09002"] and known[0]["lat"] == 47.6


def test_an_installation_that_had_them_at_zero_gets_them_right(database):
    with database.engine.begin() as conn:
        for each in (point("98101"), point("98190", "0", "0"), point("09002", "0", "0", kind="MILITARY")):
            zip_points.fill(conn, [{**each, "lat": float(each["lat"]), "lon": float(each["lon"])}])
        row = dict(source="nppes", file_on="2026-11-08", family="A", given="B", name_key="a b", state_now="active")
        places = [("98190", 0, 0, "zip"), ("98101", 47.6, -122.3, "zip"), ("98100", 23.8, -61.15, "zip3"), ("00700", 0, 0, "zip"), ("98190", 0, 0, "source")]  # fmt: skip
        for number, (zip, lat, lon, position) in enumerate(places):
            conn.execute(insert(directory_entries).values(**row, source_id=str(number), zip=zip, lat=lat, lon=lon, position=position))  # fmt: skip
        for statement in _statements():
            conn.execute(text(statement))
        assert zip_points.find(conn, "98190") is None and zip_points.find(conn, "09002") is not None
        e = directory_entries.c
        found = conn.execute(select(e.lat, e.lon, e.position).order_by(e.source_id)).all()
    middle = (47.6, -122.3)
    assert found == [(*middle, "zip3"), (*middle, "zip"), (*middle, "zip3"), (None, None, None), (0, 0, "source")]


def _statements() -> list[str]:
    """What the migration does, without moving the database's revision."""
    said: list[str] = []
    module = importlib.import_module("integration.migrations.versions.0049_zip_codes_without_a_place")
    module.op = type("Op", (), {"execute": staticmethod(said.append)})
    module.upgrade()
    return said


@pytest.mark.parametrize("word", ["98101", "98101-1234", "981011234", "98101 1234", "98101–1234", "98101‑1234"])
def test_nine_digits_are_its_first_five_also_with_the_dash_of_a_text_program(word):
    assert read_zip(word) == zip_of(word) == "98101"
