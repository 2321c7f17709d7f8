"""Dispatch as soon as something became due, instead of at the next tick: in a thread of its own, many askings at once."""

import logging
import threading
import time

from sqlalchemy import Engine

from integration.queue import Limits, dispatch, has_workers

log = logging.getLogger("second_opinion.waking")
PAUSE_SECONDS = 0.05  # between two dispatches: what is asked for meanwhile is one dispatch
PAUSE_SHARE = 5  # and this many times as long as the last one took: who asks has other work too


def wake(engine: Engine, limits: Limits) -> None:
    """Dispatch now, if a worker is there to do it: without one a step stays due instead of being under a lease for nothing.

    It never raises: what it misses, the next tick makes up for.
    """
    try:
        with engine.connect() as conn:
            there = has_workers(conn)
        if there:
            dispatch(engine, limits)
    except Exception as error:
        log.warning("not dispatched", extra={"action": "wake", "error": type(error).__name__})


class Waker:
    """Call it when something may have become due; the caller does not wait."""

    def __init__(self, engine: Engine, limits: Limits):
        self._engine, self._limits = engine, limits
        self._asked = threading.Event()
        threading.Thread(target=self._run, name="waker", daemon=True).start()

    def __call__(self) -> None:
        self._asked.set()

    def _run(self) -> None:
        while self._asked.wait():
            self._asked.clear()
            began = time.monotonic()
            wake(self._engine, self._limits)
            time.sleep(max(PAUSE_SECONDS, PAUSE_SHARE * (time.monotonic() - began)))
