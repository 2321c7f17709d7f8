"""A directory with synthetic people in it."""

from datetime import date

import pytest
from sqlalchemy import text

from integration.directory.loading import Wanted, load
from integration.directory.searching import search
from integration.directory.zip_codes import _read, placed
from integration.store import zip_points
from tests import directory_files as files

TODAY = date(2026, 11, 29)
WHOLE, WEEK = "npidata_pfile_20050523-20261108.csv", "npidata_pfile_20261109-20261115.csv"


@pytest.fixture(scope="session")
def points() -> list[dict]:
    """Those of the places in the files, read once; all of them are in test_zip_codes.py."""
    near = tuple(zip[:3] for _, _, zip in files.PLACES)
    return [
        point
        for point in placed(_read())
        if point["zip"].startswith(near) or not point["active"] or point["kind"] == "MILITARY"
    ]


@pytest.fixture
def engine(database, points):
    """A database that knows where ZIP codes are."""
    with database.engine.begin() as conn:
        zip_points.fill(conn, points)
    return database.engine


@pytest.fixture
def directory(engine, tmp_path):
    return Directory(engine, tmp_path)


class Directory:
    """Files are loaded into it, and it is searched."""

    def __init__(self, engine, folder):
        self.engine, self.folder = engine, folder

    def load(self, *rows, name=WHOLE, header=files.HEADER, **wanted):
        path = files.write(self.folder / name, rows, header)
        return load(self.engine, path, Wanted(**wanted), actor="test", progress=lambda done, total: None)

    def search(self, **typed):
        return search(self.engine, {name: str(value) for name, value in typed.items()}, TODAY)

    def names(self, **typed):
        found = self.search(**typed)
        assert not found.wrong, found.wrong
        return [each.entry.family for each in found.found]

    def row(self, number):
        with self.engine.connect() as conn:
            return conn.execute(
                text("SELECT * FROM directory_entries WHERE npi = :npi"), {"npi": files.npi(number)}
            ).one_or_none()
