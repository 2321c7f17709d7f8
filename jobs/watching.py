"""When a watch looks again: soon after a change, and less and less often while nothing changes.

A placer with 600 requests of the last 30 days would else be asked 20 times a second for corrections alone (measured): new requests
found no turn.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection

from integration.store import requests, steps
from jobs.world import Context
from mappings.model.request import SecondOpinionRequest

HOUR, DAY = 3600, 86400


@dataclass(frozen=True)
class Pace:
    """The wait is this share of the time without a change, never more than ``longest_seconds``."""

    share: float
    longest_seconds: float

    def next_look(self, now: datetime, quiet_since: datetime, *, every_seconds: float) -> datetime:
        """``every_seconds`` is the shortest wait, as config.yaml says it."""
        quiet = (now - quiet_since).total_seconds()
        return now + timedelta(seconds=max(every_seconds, min(quiet * self.share, self.longest_seconds)))


TASK = Pace(1 / 100, 900)  # an answer of the consultant is seen within a hundredth of the time it took
REPORT = Pace(1 / 100, DAY)  # of amendments after the report was returned
SOURCE = Pace(1 / 24, 4 * HOUR)  # of what a source was asked for: days, not minutes
CHART = Pace(1 / 24, 4 * HOUR)  # about thirty searches each
CHART_AFTERWARDS = Pace(1 / 24, DAY)
VISIT = Pace(1 / 24, 4 * HOUR)


def watch_chart_later(conn: Connection, ctx: Context, request: SecondOpinionRequest) -> None:
    """Begin to watch the chart for corrections, unless the request is being cancelled."""
    if requests.get(conn, ctx.request_id).cancel_requested:
        return
    steps.create(
        conn,
        "watch_chart",
        request.placer,
        request_id=ctx.request_id,
        deadline=steps.LAST_OF_ALL,
        at=ctx.now + timedelta(seconds=ctx.world.config.schedules.watch_chart_seconds),
    )


def watch_visit_at_both(conn: Connection, ctx: Context, request: SecondOpinionRequest) -> None:
    """Look for appointments at both sides, where config.yaml says that they can be read; the patient is linked from now on."""
    for key in dict.fromkeys((request.placer, request.fulfiller)):
        endpoint = ctx.world.config.endpoints.get(key)
        if endpoint is not None and endpoint.appointments != "none":
            steps.create(conn, "watch_visit", key, request_id=ctx.request_id, deadline=steps.AFTER_WORK)
