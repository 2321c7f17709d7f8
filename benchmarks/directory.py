"""The directory: how fast NPPES-shaped rows are loaded, and how long a search of 1,000,000 doctors takes. The plans PostgreSQL chose."""

import random
import re
from collections.abc import Iterator
from datetime import date
from pathlib import Path

from sqlalchemy import Engine, event, text

from benchmarks.common import Clock, Row, below, cpu_of, fresh_database, milliseconds, percentile, postgres, say
from integration.directory import zip_codes
from integration.directory.loading import Wanted, load
from integration.directory.searching import search
from integration.postgres.database import connect
from integration.settings.config import load_config
from tests import directory_files as files

LOADED, DOCTORS, TIMES = 100_000, 1_000_000, 40
LOAD_AIM, SEARCH_AIM = 60, 200  # seconds for 100,000 rows; milliseconds at p95
TODAY = date(2026, 11, 29)
SEARCHES = {
    "specialty and 25 miles in a large city": {"specialty": "Medical oncology", "zip": "{zip}"},
    "25 miles alone": {"zip": "{zip}"},
    "500 miles, female, licensed in a state": {
        "zip": "{zip}",
        "within": "500",
        "gender": "female",
        "licensed_in": "MA",
    },
    "a language that few state": {"language": "Navajo", "zip": "{zip}", "specialty": "Cardiology"},
    "a language nobody states, 500 miles": {"language": "Klingon", "zip": "{zip}", "within": "500"},
    "accepts second opinions, anywhere": {"second_opinions": "yes", "specialty": "Neurosurgery"},
    "reached by Direct, one specialty, 100 miles": {
        "reached_by": "direct",
        "specialty": "Urology",
        "zip": "{zip}",
        "within": "100",
    },
    "beginning of a last name": {"name": "bako"},
    "first and last name": {"name": "Ana Smith"},
    "a rare specialty, anywhere": {"specialty": "Neuropathology"},
    "stated only, four filters": {
        "specialty": "Medical oncology",
        "zip": "{zip}",
        "within": "100",
        "gender": "female",
        "language": "es",
        "stated_only": "yes",
    },
}
# What 900,000 more look like: the people that were loaded, moved to all ZIP codes there are, as the population is.
COPIED = """
    INSERT INTO directory_entries (source, source_id, file_on, npi, family, given, name_key, gender, languages, spoken, specialties,
      city, state, postal_code, zip, country, lat, lon, position, licensed_in, second_opinions, direct_address, state_now)
    SELECT e.source, 'c' || k || '-' || e.source_id, e.file_on, e.npi, e.family || chr(65 + k), e.given, e.name_key || chr(97 + k), e.gender,
      e.languages, e.spoken, e.specialties, z.city, z.state, z.zip, z.zip, 'US', z.lat, z.lon, 'zip', e.licensed_in, e.second_opinions,
      e.direct_address, 'active'
    FROM (SELECT *, row_number() OVER (ORDER BY id) AS n FROM directory_entries WHERE state_now = 'active') e
    CROSS JOIN generate_series(1, :copies) k
    JOIN (SELECT *, row_number() OVER (ORDER BY zip) - 1 AS n FROM zip_points WHERE kind = 'STANDARD') z ON z.n = (e.n * 7919 + k * 104729) % :zips
    LIMIT :more"""
SPEAK = """
    UPDATE directory_entries SET languages = ARRAY[l], spoken = ARRAY[l]
    FROM (SELECT id AS of, CASE WHEN id % 4000 = 0 THEN 'nv' WHEN id % 40 = 0 THEN 'es' WHEN id % 90 = 0 THEN 'zh' END AS l FROM directory_entries) s
    WHERE of = id AND l IS NOT NULL"""
ACCEPT = "UPDATE directory_entries SET second_opinions = id % 200 = 0 WHERE id % 100 = 0"
DIRECT = "UPDATE directory_entries SET direct_address = 'a@direct.example.org' WHERE id % 15 = 0"


def run(folder: Path, *, write: bool) -> list[Row]:
    """Load, fill up, search, explain."""
    config_file = folder / "config.yaml"
    config_file.write_text(f"data_dir: {folder / 'data'}\n")
    with fresh_database(load_config(config_file, {})) as database:
        rows = [_loading(database.engine, folder)]
        _fill(database.engine)
        web = connect(database.url, fresh_plans=True)  # as the web process does
        try:
            rows += _searching(web.engine)
        finally:
            web.close()
    return rows


def _loading(engine: Engine, folder: Path) -> Row:
    zip_codes.ensure(engine)
    path = files.write(folder / "npidata_pfile_20050523-20261108.zip", files.people(LOADED, places=_places(engine)))
    say(f"  wrote {LOADED:,} rows")
    before = cpu_of(postgres())
    with Clock() as clock:
        [done] = load(engine, path, Wanted(), actor="bench", progress=lambda read, size: None)
    cpu = clock.own + cpu_of(postgres()) - before
    say(f"  loaded in {clock.wall:.0f} s, {cpu:.0f} s of CPU")
    note = f"{done.added:,} people with 330 columns; {cpu:.0f} s of CPU"
    return below(f"load {LOADED:,} rows of NPPES (zipped)", clock.wall, "s", LOAD_AIM, note)


def _places(engine: Engine) -> list[tuple[str, str, str]]:
    """Large cities more often than villages, as doctors are."""
    with engine.connect() as conn:
        rows = conn.execute(text("SELECT city, state, zip FROM zip_points WHERE kind = 'STANDARD' ORDER BY zip")).all()
    return [*map(tuple, rows[::10]), *files.PLACES * 250]


def _fill(engine: Engine) -> None:
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
        here = conn.execute(text("SELECT count(*) FROM directory_entries")).scalar_one()
        zips = conn.execute(text("SELECT count(*) FROM zip_points WHERE kind = 'STANDARD'")).scalar_one()
        given = {"copies": DOCTORS // here + 1, "zips": zips, "more": DOCTORS - here}
        conn.execute(text(COPIED), given)
        for statement in (SPEAK, ACCEPT, DIRECT, "VACUUM (ANALYZE) directory_entries"):
            conn.execute(text(statement))
        say(f"  filled to {conn.execute(text('SELECT count(*) FROM directory_entries')).scalar_one():,}")


def _searching(engine: Engine) -> Iterator[Row]:
    chance = random.Random(7)
    zips = [zip for _, _, zip in files.PLACES]
    for what, typed in SEARCHES.items():

        def one(typed: dict[str, str] = typed) -> None:
            search(engine, {name: value.format(zip=chance.choice(zips)) for name, value in typed.items()}, TODAY)

        one()
        before = cpu_of(postgres())
        with Clock() as clock:
            times = milliseconds(one, TIMES)
        cpu = (clock.own + cpu_of(postgres()) - before) * 1000 / TIMES
        note = f"{cpu:.0f} ms of CPU each; " + _scans(
            engine, {name: value.format(zip=zips[0]) for name, value in typed.items()}
        )
        yield below(what, percentile(times, 0.95), "ms at p95", SEARCH_AIM, note)


def _scans(engine: Engine, typed: dict[str, str]) -> str:
    """Which indexes PostgreSQL used for the first statement of a search."""
    seen: list[tuple[str, object]] = []

    def note(conn: object, cursor: object, statement: str, parameters: object, *_: object) -> None:
        if "FROM directory_entries" in statement and "state_now" in statement:
            seen.append((statement, parameters))

    event.listen(engine, "before_cursor_execute", note)
    try:
        search(engine, typed, TODAY)
    finally:
        event.remove(engine, "before_cursor_execute", note)
    with engine.connect() as conn:
        plan = conn.exec_driver_sql(f"EXPLAIN {seen[0][0]}", seen[0][1]).scalars().all()
    used = re.findall(r"(?:Index (?:Only )?Scan(?: Backward)? using|Bitmap Index Scan on) (\S+)", "\n".join(plan))
    return "by " + ", ".join(dict.fromkeys(used)) if used else "reads the table"
