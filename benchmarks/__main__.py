"""``make bench``: run the benchmarks, print one table, and with ``--write`` keep it in docs/reference/benchmarks.md."""

import argparse
import dataclasses
import json
import os
import platform
import sys
import time
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path

from benchmarks.common import Clock, Row, say, temporary_folder
from tests.servers.process import ServerUnavailable

NAMES = ("chart", "singles", "size", "dispatch", "engine", "directory", "reading", "memory")
PAGE = Path(__file__).parent.parent / "docs" / "reference" / "benchmarks.md"
HEAD = """\
<!-- Written by `python -m benchmarks --write` (make bench ARGS=--write): measure again instead of editing. -->
# Benchmarks

Measured, not promised, and never part of the tests. Ratios (`times`) compare two things in the same run and say more than the seconds,
which hold for one machine with one load. `make bench` measures all of it, `make bench ARGS="--only chart"` one part.

"""
TITLES = {
    "chart": "A chart between two HAPI servers",
    "singles": "A long chart, one record after the other",
    "size": "Long charts and a large document",
    "dispatch": "100,000 due and 1,000,000 finished steps",
    "engine": "Workers, start latency, intake",
    "directory": "A directory of 1,000,000 doctors",
    "reading": "Reading a packet",
    "memory": "Memory of a worker over time",
}


def main() -> int:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(prog="make bench ARGS=")
    parser.add_argument("--only", choices=NAMES, help="this benchmark alone")
    parser.add_argument("--json", action="store_true", help="the last line is one JSON object")
    parser.add_argument("--write", action="store_true", help=f"write {PAGE.name} (and query-plans.md)")
    parser.add_argument("--minutes", type=float, default=15, help="how long the benchmark memory runs")
    given = parser.parse_args()
    if given.minutes < 5:
        parser.error("--minutes: at least 5, for the first 3 are a warm-up")
    measured = [
        measure(name, write=given.write, minutes=given.minutes) for name in ([given.only] if given.only else NAMES)
    ]
    print("\n".join(map(section, measured)))
    if given.write:
        PAGE.write_text(page(measured), "utf-8")
    if given.json:
        print(json.dumps({each["name"]: each for each in measured}))
    return 0


def measure(name: str, *, write: bool, minutes: float) -> dict:
    """Run one benchmark; a machine that cannot run it says so instead of failing the others."""
    before = os.getloadavg()
    say(f"{name}: {TITLES[name]} ...")
    rows: list[Row] = []
    why = ""
    with Clock() as clock, temporary_folder() as folder:
        try:
            rows = import_module(f"benchmarks.{name}").run(
                folder, write=write, **({"minutes": minutes} if name == "memory" else {})
            )
        except ServerUnavailable as error:
            why = str(error)
    return {
        "name": name,
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "load_before": round(before[0], 1),
        "load_after": round(os.getloadavg()[0], 1),
        "seconds": round(clock.wall),
        "skipped": why,
        "rows": [dataclasses.asdict(row) for row in rows],
    }


def section(measured: dict) -> str:
    """One benchmark as Markdown."""
    lines = [
        f"## {TITLES[measured['name']]}",
        "",
        f"`{measured['name']}`, {measured['date']}, {measured['cores']} cores, Python {measured['python']}, load average "
        f"{measured['load_before']} before and {measured['load_after']} after, {measured['seconds']} s.",
        "",
    ]
    if measured["skipped"]:
        return "\n".join([*lines, f"Not measured: {measured['skipped']}", ""])
    lines += ["| What | Measured | Aim | |", "|---|---:|---:|---|"]
    return "\n".join([*lines, *(line(Row(**row)) for row in measured["rows"]), ""])


def line(row: Row) -> str:
    """One row as Markdown."""
    met = {True: "met", False: "**missed**", None: ""}[row.met]
    return f"| {row.what} | {shown(row.value)} {row.unit} | {' '.join(filter(None, [row.aim, met]))} | {row.note} |"


def shown(value: float) -> str:
    """Three digits that mean something."""
    if value == int(value) or value >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def page(measured: list[dict]) -> str:
    """The page; parts that were not measured this time stay as they were."""
    old = PAGE.read_text("utf-8") if PAGE.exists() else ""
    parts = {part.split("\n")[0]: f"## {part.strip()}\n" for part in old.split("\n## ")[1:]}
    parts |= {TITLES[each["name"]]: section(each) for each in measured}
    return HEAD + "\n".join(parts[title] for title in TITLES.values() if title in parts)


if __name__ == "__main__":
    began = time.monotonic()
    code = main()
    say(f"{time.monotonic() - began:.0f} s")
    sys.exit(code)
