"""``serve``: one machine, everything; starts web and workers as processes, and starts again what ended."""

import ctypes
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

log = logging.getLogger("second_opinion.supervisor")
FIRST_RESTART_SECONDS, LAST_RESTART_SECONDS = 0.5, 5.0
RAN_WELL_SECONDS = 3.0  # a child that starts and dies at once waits longer each time, one that was killed does not
STOP_SECONDS = 25.0
OFTEN, OFTEN_SECONDS = 3, 300.0  # a process that ended so often within so long is in trouble
PR_SET_PDEATHSIG = 1


@dataclass
class Child:
    """One role in a process of its own."""

    name: str
    arguments: list[str]
    process: subprocess.Popen | None = None
    started_at: float = 0.0
    wait: float = FIRST_RESTART_SECONDS
    due_at: float = 0.0
    environment: dict[str, str] = field(default_factory=dict)
    ends: list[float] = field(default_factory=list)
    in_trouble: bool = False


class Supervisor:
    """Keeps children running until told to stop. A worker whose loop ended is started again, a little later each time."""

    def __init__(self, children: list[Child], *, tell: Callable[[str, bool], object] = lambda name, in_trouble: None):
        """``tell(name, True)`` when a process ends again and again, ``tell(name, False)`` when that is over."""
        self.children, self.tell = children, tell
        self.stopping = threading.Event()

    def run(self) -> None:
        """Until SIGTERM or SIGINT; then children get SIGTERM and time to finish their steps."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self.stopping.set())
        try:
            while not self.stopping.is_set():
                self.check()
                self.stopping.wait(0.5)
        finally:
            self.stop()

    def check(self) -> None:
        """Start what is not running and due."""
        now = time.monotonic()
        for child in self.children:
            if child.process is not None and child.process.poll() is not None:
                self._ended(child, now)
            if child.process is None and now >= child.due_at:
                self._start(child, now)
            self._judge(child, now)

    def _judge(self, child: Child, now: float) -> None:
        """In trouble until a whole period passed with fewer ends."""
        child.ends = [at for at in child.ends if now - at < OFTEN_SECONDS]
        in_trouble = len(child.ends) >= OFTEN
        if in_trouble != child.in_trouble:
            self.tell(child.name, in_trouble)
            child.in_trouble = in_trouble

    def _ended(self, child: Child, now: float) -> None:
        child.wait = (
            FIRST_RESTART_SECONDS
            if now - child.started_at > RAN_WELL_SECONDS
            else min(LAST_RESTART_SECONDS, child.wait * 2)
        )
        log.warning(
            "process ended",
            extra={
                "action": "restart",
                "child": child.name,
                "exit_code": child.process.returncode if child.process else None,
                "in_seconds": child.wait,
            },
        )
        child.process, child.due_at = None, now + child.wait
        child.ends.append(now)

    def _start(self, child: Child, now: float) -> None:
        command = [sys.executable, "-m", "second_opinion", *child.arguments]
        child.process = subprocess.Popen(
            command, env={**os.environ, **child.environment}, stdin=subprocess.DEVNULL, preexec_fn=die_with_parent
        )
        child.started_at = now

    def stop(self) -> None:
        """SIGTERM to all, then SIGKILL to what is still there: a killed step is due again by its lease."""
        running = [child.process for child in self.children if child.process is not None]
        for process in running:
            process.terminate()
        until = time.monotonic() + STOP_SECONDS
        for process in running:
            try:
                process.wait(max(0.1, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def die_with_parent() -> None:
    """In the child before exec: its own group (Ctrl-C goes to the supervisor alone), SIGTERM when the supervisor is gone."""
    os.setsid()
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
