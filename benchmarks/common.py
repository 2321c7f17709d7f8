"""What all benchmarks share: one measured row, percentiles, a database and folder that go away afterwards."""

import contextlib
import math
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from integration.postgres.database import Database, open_database
from integration.settings.config import Config
from integration.store import endpoints


@dataclass(frozen=True)
class Row:
    """One measured number; ``aim`` says what it should stay under or over, ``met`` whether it did."""

    what: str
    value: float
    unit: str
    note: str = ""
    aim: str = ""
    met: bool | None = None


@dataclass
class Clock:
    """Seconds of a ``with`` block: ``wall`` passed, ``own`` CPU of this process in all its threads."""

    wall: float = 0.0
    own: float = 0.0

    def __enter__(self) -> "Clock":
        self._began, self._own = time.perf_counter(), time.process_time()
        return self

    def __exit__(self, *_) -> None:
        self.wall, self.own = time.perf_counter() - self._began, time.process_time() - self._own


def below(what: str, value: float, unit: str, aim: float, note: str = "") -> Row:
    """A row that should stay under ``aim``."""
    return Row(what, value, unit, note, f"< {aim:g} {unit}".strip(), value < aim)


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that ``share`` of all do not exceed."""
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


def milliseconds(work: Callable[[], object], times: int) -> list[float]:
    """How long each of ``times`` calls takes."""
    clocks = []
    for _ in range(times):
        with Clock() as clock:
            work()
        clocks.append(clock.wall * 1000)
    return clocks


def cpu_of(processes: Sequence[psutil.Process]) -> float:
    """CPU seconds that these processes and their children have used so far, children that ended included."""
    total = 0.0
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            ended = process.cpu_times()
            total += ended.children_user + ended.children_system
            for each in (process, *process.children(recursive=True)):
                with contextlib.suppress(psutil.NoSuchProcess):
                    times = each.cpu_times()
                    total += times.user + times.system
    return total


def postgres() -> list[psutil.Process]:
    """The embedded PostgreSQL that this process started."""
    return [process for process in psutil.Process().children() if "postgres" in process.name()]


@contextlib.contextmanager
def temporary_folder() -> Iterator[Path]:
    """A folder that the account PostgreSQL runs as may enter."""
    folder = Path(tempfile.mkdtemp(prefix="second-opinion-bench-"))
    folder.chmod(0o711)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def fresh_database(config: Config) -> Iterator[Database]:
    """The embedded PostgreSQL with production's settings, migrated, one row for each endpoint."""
    database = open_database(config, application_name="second-opinion bench")
    try:
        database.migrate()
        with database.engine.begin() as conn:
            endpoints.register(conn, config)
        yield database
    finally:
        database.close()


def say(words: str) -> None:
    """Progress, for the person who waits."""
    print(words, file=sys.stderr, flush=True)
