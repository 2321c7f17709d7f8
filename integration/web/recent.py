"""What is counted over a long history is not counted again for each look: it is kept as long as its cost says."""

import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from datetime import datetime
from threading import Lock
from typing import Generic, TypeVar

from integration.store import numbers
from integration.web import pages, world

T = TypeVar("T")

CHEAP_SECONDS = 0.1  # what takes less is counted anew each time
SHARE = 100  # counting takes at most one hundredth of the time
LONGEST_SECONDS = 900


def kept_for(took: float) -> float:
    """For how long what took so many seconds to count is shown."""
    return 0.0 if took < CHEAP_SECONDS else min(LONGEST_SECONDS, took * SHARE)


@dataclass
class Recent(Generic[T]):
    """What was counted last, by what was asked; who asks while it is being counted waits for that."""

    clock: Callable[[], float] = time.monotonic
    _kept: dict[Hashable, tuple[float, T]] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    def get(self, asked: Hashable, count: Callable[[], T]) -> T:
        """As it was counted a moment ago, or counted now."""
        with self._lock:
            until, found = self._kept.get(asked, (0.0, None))
            if found is not None and self.clock() < until:
                return found
            began = self.clock()
            found = count()
            self._kept[asked] = (self.clock() + kept_for(self.clock() - began), found)
            return found


@dataclass(frozen=True)
class Numbers:
    """The numbers of a period, and when they were counted."""

    counted_at: datetime
    summary: dict
    series: list[dict]


def numbers_of(days: int) -> Numbers:
    """The numbers of the last days, the same for the page, the API, CSV and JSON."""

    def count() -> Numbers:
        now = pages.now()
        with world.engine().connect() as conn:
            return Numbers(now, *numbers.read(conn, now, days))

    kept: Recent[Numbers] = world.extension().setdefault("numbers", Recent())
    return kept.get(days, count)
