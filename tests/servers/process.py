"""Starts and ends the real servers that tests talk to, each in its own process group."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path


class ServerUnavailable(Exception):
    """This machine cannot run the server; the message is a sentence that says why."""


class ServerFailed(Exception):
    """The server was started and ended, or did not become ready in time."""


def spawn(command: Sequence[str], log: Path, env: dict[str, str] | None = None) -> subprocess.Popen[bytes]:
    """Run the command with all output in the log; its standard input ends when this process does."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        return subprocess.Popen(
            list(command),
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env=env,
        )


def wait_for_line(process: subprocess.Popen[bytes], log: Path, pattern: str, timeout: float) -> str:
    """Return what the pattern's group holds, once a whole line of the log matches it."""
    line = re.compile(rf"^{pattern}\n", re.MULTILINE)
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        ended = process.poll() is not None
        if found := line.search(log.read_text(errors="replace")):
            return found.group(1)
        if ended:
            break
        time.sleep(0.05)
    raise ServerFailed(f"not ready, exit code {process.poll()}, log {log} ends: {tail(log)}")


def tail(log: Path, size: int = 2000) -> str:
    """Return the end of a log."""
    return log.read_text(errors="replace")[-size:]


def end(process: subprocess.Popen[bytes], how: signal.Signals, patience: float) -> None:
    """Signal the process group and wait for its leader, with SIGKILL when it will not go."""
    _signal_group(process, how)
    try:
        process.wait(patience)
    except subprocess.TimeoutExpired:
        _signal_group(process, signal.SIGKILL)
        process.wait()
    if process.stdin:
        process.stdin.close()


def _signal_group(process: subprocess.Popen[bytes], how: signal.Signals) -> None:
    if process.poll() is None:
        os.killpg(process.pid, how)
