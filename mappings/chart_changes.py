"""When a chart is looked at again, and what of it changed since it was sent: decided from plain values, done by watch_chart."""

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime, timedelta
from enum import StrEnum

from mappings.model.delivery import ENDED
from mappings.model.packet import ManifestItem
from mappings.model.states import FINAL, Status
from mappings.withdrawal import Carried

IN_FULL_EVERY = timedelta(days=1)  # what is gone, re-filed or changed behind a reference no search by time shows
SMALL_CHART = (
    1000  # records; so few are searched for as a whole at every look: as many requests, and it shows what is gone
)


class Look(StrEnum):
    """How a watch looks at the chart now."""

    OVER = "over"  # nobody needs it any more
    LATER = "later"  # one delivery of records at a time; what changes meanwhile is read then
    IN_FULL = "in-full"  # the whole chart with all that it points to
    SEARCH = "search"  # see whether something changed


def how_to_look(
    status: Status,
    *,
    now: datetime,
    ended_at: datetime,
    watch_days: float,
    deliveries: Iterable[str],
    read_in_full_at: datetime | None,
    wants_other_records: bool,
    visit_ended_at: datetime | None = None,
    person_said: bool = False,
) -> Look:
    """By the request (``ended_at``: when it was closed or last changed), its deliveries' statuses, and when all was last read.

    After an opinion the watch goes on as long as the returned report is watched; where the visit is known, it ends at
    ``visit_ended_at``, the visit and the time that a site gives it. What a person said of records since they were last read
    (``person_said``) travels however late it is: a record of another patient does not stay because the visit is over.
    """
    is_late = visit_ended_at is not None and now > visit_ended_at
    is_late |= status in FINAL and now - ended_at > timedelta(days=watch_days)
    if (status in FINAL and status is not Status.COMPLETED) or (is_late and not person_said):
        return Look.OVER
    if any(each not in ENDED for each in deliveries):
        return Look.LATER
    if read_in_full_at is None or now - read_in_full_at >= IN_FULL_EVERY or wants_other_records or person_said:
        return Look.IN_FULL
    return Look.SEARCH


def is_searched_whole(stands: Carried) -> bool:
    """Whether searches ask for all of a chart and not for what is younger only."""
    return len(stands.resources) <= SMALL_CHART


def changed(shown: Mapping[str, str], stands: Carried, attachments: Collection[ManifestItem] = ()) -> list[str]:
    """Of what is shown (``{Type/id: SHA-256}``) what is new or says something else than the copy that was carried.

    By its own bytes, or by those of the ``attachments`` that it points to.
    """
    replaced = {item.source for item in attachments if stands.attachments.get(item.of or "") != item.sha256}
    before = {source: item.sha256 for source, item in stands.resources.items()}
    return [source for source, sha256 in shown.items() if before.get(source) != sha256 or source in replaced]


def shows_a_loss(shown: Collection[str], searched: Collection[str], stands: Carried) -> bool:
    """True when a search for everything of the types ``searched`` did not show a record that was carried.

    What a search merely does not show is not gone: this only says that the whole chart is to be read.
    """
    return any(
        source not in shown and source.partition("/")[0] in searched and stands.may_be_withdrawn(source)
        for source in stands.resources
    )
