"""Which PostgreSQL process serves a cluster's folder, whatever postmaster.pid claims; and what a killed one left."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import psutil

ORPHAN_SECONDS = 5.0
STOP_SECONDS = 30.0


def postmaster_pid(cluster: Path) -> int | None:
    """The process in postmaster.pid, if it lives and is the server of this very folder.

    The number may have been given to another process since, and a zombie is no server.
    """
    try:
        pid = int((cluster / "postmaster.pid").read_text().split("\n", 1)[0])
        return pid if _works_in(psutil.Process(pid), cluster) else None
    except (OSError, ValueError, psutil.Error):
        return None


def clear_leftovers(cluster: Path, *lock_files: Path) -> None:
    """After the server was killed: its orphans (they end by themselves), and lock files with a reused number.

    For the holder of our lock, when there is no postmaster: then the files protect nobody.
    PostgreSQL itself takes care of old shared memory.
    """
    if not (cluster / "postmaster.pid").exists():
        return
    if not wait_until(lambda: not _orphans(cluster), ORPHAN_SECONDS):
        for stubborn in _orphans(cluster):
            stubborn.kill()
        wait_until(lambda: not _orphans(cluster), ORPHAN_SECONDS)
    for file in (cluster / "postmaster.pid", *lock_files):
        file.unlink(missing_ok=True)


def shut_down(cluster: Path) -> None:
    """Fast shutdown; harder when it does not end within 30 s (the next start recovers)."""
    for how in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
        pid = postmaster_pid(cluster)
        if pid is None:
            return
        os.kill(pid, how)
        if wait_until(partial(_is_gone, pid), STOP_SECONDS):
            return


def wait_until(is_so: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not is_so():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def _orphans(cluster: Path) -> list[psutil.Process]:
    return [process for process in psutil.process_iter() if _works_in(process, cluster)]


def _works_in(process: psutil.Process, cluster: Path) -> bool:
    """A PostgreSQL process stays in its cluster's folder for life."""
    try:
        return (
            process.status() != psutil.STATUS_ZOMBIE
            and process.name().startswith("postgres")
            and Path(process.cwd()) == cluster
        )
    except (psutil.Error, OSError):
        return False


def _is_gone(pid: int) -> bool:
    return not _is_alive(pid)


def _is_alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
