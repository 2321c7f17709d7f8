"""Reading the orders of a placer page by page: what is asked for, and where it goes on after each page. Plain values only.

Two searches run beside each other. *Changes* asks for what changed since a mark, at every poll. *Sweep* asks once a day for
all active orders: an order that a server shows later than `OVERLAP` after its time would be missed for ever. Which orders are
second opinions is decided by their codes as they come: a reason's code, where most carry it, has no search parameter in R4.
"""

from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta

OVERLAP = timedelta(minutes=5)  # servers print whole seconds and compare finer; clocks differ
FIRST_LOOK_BACK = timedelta(
    days=1
)  # where the mark begins beside a first sweep that takes its time: no clock is a day behind
SWEEP_EVERY = timedelta(days=1)
MAX_PAGES = 20_000  # of one search: a server whose pages go in a circle would never end


@dataclass(frozen=True)
class Progress:
    """How far one search has come. ``url`` is the next page; None: begin (again)."""

    began: str
    params: dict[str, str]
    url: str | None = None
    pages: int = 0
    newest: str | None = None  # of what came so far, by the server's clock
    restarts: int = 0

    def after_page(self, url: str | None, newest: datetime | None) -> "Progress":
        """One page further."""
        latest = max(filter(None, (self.newest_at, newest)), default=None)
        return replace(self, url=url, pages=self.pages + 1, newest=latest.isoformat() if latest else None)

    def from_the_start(self) -> "Progress":
        """The server no longer has the page: its search begins anew."""
        return replace(self, url=None, restarts=self.restarts + 1)

    @property
    def began_at(self) -> datetime:
        """When it began, by the database's clock."""
        return datetime.fromisoformat(self.began)

    @property
    def newest_at(self) -> datetime | None:
        """The newest of what came so far."""
        return datetime.fromisoformat(self.newest) if self.newest else None

    def to_json(self) -> dict:
        """As it is stored."""
        return asdict(self)

    @classmethod
    def from_json(cls, kept: dict | None) -> "Progress | None":
        """As it was stored; None where none is under way."""
        return cls(**{name: kept[name] for name in cls.__dataclass_fields__ if name in kept}) if kept else None


def changes_since(since: datetime, now: datetime) -> Progress:
    """The search for what changed since a time; give the mark less `OVERLAP`."""
    return Progress(now.isoformat(), {"_lastUpdated": f"ge{since.isoformat(timespec='seconds')}"})


def sweep_of(now: datetime, *, by_status: bool) -> Progress:
    """The search for all there is; only for active orders where the server offers that."""
    return Progress(now.isoformat(), {"status": "active"} if by_status else {})


def sweep_is_due(swept_at: datetime | None, now: datetime) -> bool:
    """Once a day, and when none was ever read to its end."""
    return swept_at is None or now - swept_at >= SWEEP_EVERY


def mark_after(progress: Progress, since: datetime | None, now: datetime) -> datetime | None:
    """Up to when everything was seen, once the last page was read; None: unknown. A clock that runs ahead hides nothing."""
    known = [each for each in (since, progress.newest_at) if each is not None]
    return min(max(known), now) if known else None


def mark_of_first_sweep(progress: Progress, now: datetime) -> datetime:
    """As above for a first sweep: while it was read for long, orders came that it may have passed by."""
    if now - progress.began_at < OVERLAP and progress.newest_at is not None:
        return min(progress.newest_at, now)
    return progress.began_at - FIRST_LOOK_BACK
