"""A free time that somebody chose at a consulting provider's server, and what became of it: the words and what may follow what.

Nothing of it is a visit until the server says that it is booked.
"""

from enum import StrEnum


class BookingWord(StrEnum):
    """How a booking stands."""

    ASKED = "asked"  # chosen by a person; the server is being asked
    PENDING = "pending"  # the server holds it, and its practice has not said yes
    BOOKED = "booked"
    TAKEN = "taken"  # the time is not free any more: nothing of ours stands there
    REFUSED = "refused"  # the server or its practice says no
    CANCELING = "canceling"  # to be taken back there
    CANCELED = "canceled"  # nothing of ours stands there
    SET_ASIDE = "set-aside"  # a person recorded the visit otherwise; what stands there is asked for by phone


class Why(StrEnum):
    """Why a booking stands as it does. Pages have a sentence for each."""

    NONE = ""
    BUSY = "busy"  # the server does not call the time free any more
    GONE = "gone"  # there is no such time there any more
    MOVED = "moved"  # it begins at another time than the person saw
    CONFLICT = "conflict"  # the server says that somebody has it
    NOT_TAKEN = "not-taken"  # the server takes no such appointment
    DECLINED = "declined"  # the practice said no
    OTHER_TIME = "other-time"  # the server made an appointment at another time
    TWICE = "twice"  # somebody else got the same time in the same moment
    CHANGED = "changed"  # what is known of the visit changed meanwhile
    OTHERWISE = "otherwise"  # a person recorded the visit in another way
    REPLACED = "replaced"  # by another time
    BY_PERSON = "by-person"  # a person canceled it
    THERE = "there"  # it was canceled at the server
    WITHDRAWN = "withdrawn"  # the request was canceled


B = BookingWord
MAY: dict[BookingWord, frozenset[BookingWord]] = {
    B.ASKED: frozenset({B.PENDING, B.BOOKED, B.TAKEN, B.REFUSED, B.CANCELING, B.SET_ASIDE}),
    B.PENDING: frozenset({B.BOOKED, B.REFUSED, B.CANCELING, B.CANCELED, B.SET_ASIDE}),
    B.BOOKED: frozenset({B.CANCELING, B.CANCELED, B.SET_ASIDE}),
    B.CANCELING: frozenset({B.CANCELED}),
    B.TAKEN: frozenset(),
    B.REFUSED: frozenset(),
    B.CANCELED: frozenset(),
    B.SET_ASIDE: frozenset(),
}
WAITS = (B.ASKED, B.PENDING)  # for the server's word: one at a time for a request
OWED = (*WAITS, B.CANCELING)  # something is still to be done there
