"""What the fulfiller's Task and reports lead to: decided from what was read of them; jobs/steps/watch_fulfiller.py carries it out.

https://hl7.org/fhir/R4/task.html (Task.status, Task.output)  https://hl7.org/fhir/R4/documentreference.html (relatesTo)
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from mappings.consult_report import ReportReading, carries_the_same, successor, to_return_first
from mappings.model.states import Actor, Status, may_move

# --- the Task ----------------------------------------------------------------------------------------------------


class OnTask(StrEnum):
    """What to do about a Task that was read."""

    LOOK_FOR_REPORT = "look-for-report"  # it is completed
    STORE = "store"  # it says something new: see `event_of`
    NOTHING = "nothing"  # this version was seen before


def on_task(said: Status | None, *, is_news: bool) -> OnTask:
    """A completed Task leads to its report also when it was seen before: the report may be readable only now."""
    if said is Status.COMPLETED:
        return OnTask.LOOK_FOR_REPORT
    return OnTask.STORE if is_news else OnTask.NOTHING


@dataclass(frozen=True)
class TaskEvent:
    """What a Task's status does to the request: it moves it (``to``), or may not (``refused`` says why), or neither."""

    to: Status | None = None
    refused: str | None = None


def event_of(current: Status, said: Status | None) -> TaskEvent:
    """By the table of transitions; what a fulfiller may not do is stored and flagged, never applied."""
    if said is None or said is current:
        return TaskEvent()
    if may_move(current, said, Actor.FULFILLER):
        return TaskEvent(to=said)
    return TaskEvent(refused=f"{current} to {said} is not allowed")


# --- the report of a completed Task ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Found:
    """A report as it was read, what it is called there, and what it says about itself."""

    name: str
    resource: dict
    reading: ReportReading
    was_elsewhere: bool = False  # an output gave it an address that is not known to be this server's


class OnReport(StrEnum):
    """What becomes of the report of a completed Task."""

    RETURN = "return"  # it is final: the request is answered
    RETURN_PRELIMINARY = "return-preliminary"  # as what it is; the request stays open until it is final
    WAIT = "wait"  # the request stays open


@dataclass(frozen=True)
class Choice:
    """What to do, and about which report; None where none can be read."""

    do: OnReport
    report: Found | None = None


def must_look_further(found: Iterable[Found], *, has_unread: bool) -> bool:
    """True when reports that no output names are looked for: none of those named is final, and all were read."""
    return not has_unread and not any(each.reading.final for each in found)


def choose(found: Sequence[Found], *, has_unread: bool) -> Choice:
    """The report to return first. ``has_unread``: an output cannot be read (yet), and may be the consult note."""
    first = to_return_first([each.reading for each in found]) if found else None
    if first is None or has_unread and not first.is_consult_note:
        return Choice(OnReport.WAIT)
    report = next(each for each in found if each.reading is first)
    if first.final:
        return Choice(OnReport.RETURN, report)
    return Choice(OnReport.RETURN_PRELIMINARY if first.preliminary else OnReport.WAIT, report)


OTHER_PATIENT, OTHER_REQUEST = "report-other-patient", "report-other-request"


def why_not_ours(
    patient: str | None, related: Collection[str], *, patients: Collection[str], service_request: str | None
) -> str | None:
    """The cause for which a report must not be returned; None when it may be.

    ``patient`` and ``related`` (ServiceRequests) are what it names, ``patients`` what ours is called there.
    """
    if patient not in patients:
        return OTHER_PATIENT
    return OTHER_REQUEST if related and service_request not in related else None


def not_returned(
    names: Iterable[str], returned: Found | None, found: Collection[Found], besides: Collection[str], elsewhere: str
) -> list[str]:
    """Of what a Task handed over, what nobody returns: neither the report, nor replaced, nor the same document in another form.

    ``besides`` were returned before; ``elsewhere`` stands in ``names`` for every address that is not on this server.
    """
    done = {*besides, *(old for each in found for old in each.reading.replaces)}
    done |= {each.name for each in found if not each.reading.stands}
    done |= {elsewhere} if any(each.was_elsewhere for each in found) else set()
    if returned is not None:
        done |= {returned.name, *returned.reading.replaces}
        done |= {each.name for each in found if carries_the_same(each.reading, returned.reading)}
    return [name for name in names if name not in done]


# --- after a report was returned ---------------------------------------------------------------------------------


class Compared(StrEnum):
    """How a report differs from the one that was stored last."""

    SAME = "same"
    OTHER = "other"
    BY_BYTES = "by-bytes"  # its record says the same: whether its documents do, their bytes tell


def compare_with_stored(source: str, version: str | None, stored: dict, found: Found) -> Compared:
    """By its name, by its version where the server counts them, else by its content (``stored``: the resource then)."""
    is_same_version = bool(found.reading.version) and found.reading.version == version
    if found.name != source or not is_same_version and {**stored, "meta": None} != {**found.resource, "meta": None}:
        return Compared.OTHER
    return Compared.SAME if found.reading.retracted else Compared.BY_BYTES


def must_look_for_successor(found: Found | None, *, is_news: bool) -> bool:
    """True when the Task may name a report that replaces the returned one: it changed, or that one no longer stands."""
    return is_news or found is None or not found.reading.stands


def successor_among(others: Sequence[Found], source: str) -> Found | None:
    """The one that says that it replaces the returned report, directly or through others."""
    following = successor([each.reading for each in others], source)
    return next((each for each in others if each.reading is following), None) if following else None


def is_settled(others: Iterable[Found], *, is_news: bool, has_unread: bool) -> bool:
    """True when all that a Task says now was read and is final: this version need not be looked at again."""
    return is_news and not has_unread and all(each.reading.final for each in others)
