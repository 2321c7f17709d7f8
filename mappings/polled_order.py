"""What a poll does about one order: decided from what the order says and what is known of it; jobs/steps/taking_in.py does it.

https://hl7.org/fhir/R4/servicerequest.html (ServiceRequest.status)
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from mappings.model.request import SecondOpinionRequest
from mappings.model.states import FINAL, Status
from mappings.order import WITHDRAWN, Mark, follow, has_other_subject


class OnNew(StrEnum):
    """What to do about an order that is no request of ours yet."""

    NOTHING = "nothing"  # the Exchange wrote it, or nobody wants it done
    TELL_DERIVED = "tell-derived"  # made from one that the Exchange wrote: part of that request
    REFUSE_ID = "refuse-id"  # it cannot be read again
    READ = "read"  # what it points to; then it is taken in


def on_new(status: Any, mark: Mark | None, *, is_written_by_us: bool, follows_ours: bool, is_address: bool) -> OnNew:
    """``mark``: what it says of being ours; ``follows_ours``: it is based on, or replaces, what the Exchange wrote there."""
    if mark is Mark.OURS or is_written_by_us or status != "active":
        return OnNew.NOTHING
    if mark is Mark.DERIVED or follows_ours:
        return OnNew.TELL_DERIVED
    return OnNew.READ if is_address else OnNew.REFUSE_ID


class OnKnown(StrEnum):
    """What to do about an order that became a request."""

    NOTHING = "nothing"  # the request is over, or the order says what it said
    CANCEL = "cancel"  # the placer took it back
    TELL_STATUS = "tell-status"  # it is not active, or asks for something else: the request goes on
    FOLLOW = "follow"  # read what it says now, and give the consultant the change


def on_known(status: Any, request_status: Status, *, is_being_cancelled: bool, is_changed: bool, asks: bool) -> OnKnown:
    """``is_changed``: it says something else than when it was last followed; ``asks``: still for a second opinion."""
    if status in WITHDRAWN:
        return OnKnown.CANCEL
    if request_status in FINAL or is_being_cancelled or not is_changed:
        return OnKnown.NOTHING
    return OnKnown.FOLLOW if status == "active" and asks else OnKnown.TELL_STATUS


def status_in_words(status: Any) -> str:
    """Of an order that is not followed: what became of it."""
    if isinstance(status, str) and status.isalpha() and status != "active":
        return f"is {status} in its EHR now"
    return "no longer asks for a second opinion in its EHR"


@dataclass(frozen=True)
class Stop:
    """The order is about another patient now: nothing more is sent."""


@dataclass(frozen=True)
class Change:
    """``request`` is what it is from now on (None: as it is); ``conflicts`` a person corrected otherwise, and theirs stays.

    ``tell_the_rest``: nothing of the request changed; what else changed in the order is told.
    """

    request: SecondOpinionRequest | None = None
    conflicts: tuple[str, ...] = ()

    @property
    def tell_the_rest(self) -> bool:
        """True when the change was in what is no part of a request."""
        return self.request is None and not self.conflicts


def change_of(
    subjects: tuple[str | None, str | None],
    before: SecondOpinionRequest,
    after: SecondOpinionRequest,
    now: SecondOpinionRequest,
) -> Stop | Change:
    """What a changed order does to its request, which is ``now``; it said ``before`` and says ``after``.

    ``subjects``: ``Patient/id`` that the order named then, and names today.
    """
    if has_other_subject(*subjects, before, after):
        return Stop()
    made = follow(before, after, now)
    return Change(made.request if made.request != now else None, made.conflicts)
