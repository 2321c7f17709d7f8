"""A payer's own system asked whether a second opinion is covered: the words for how that stands, and what may be asked."""

from dataclasses import dataclass
from datetime import date
from enum import StrEnum


class AskWord(StrEnum):
    """How a question to a payer's system stands."""

    ASKED = "asked"  # a person pressed the button; nothing has left yet
    SENT = "sent"  # it is there, and the answer is waited for
    ANSWERED = "answered"
    REFUSED = "refused"  # the system does not take it, or the insurance is not to be had: a person calls
    SILENT = "silent"  # no answer in time: a person calls


OPEN = (AskWord.ASKED, AskWord.SENT)
# X12 service type codes (https://x12.org/codes/service-type-codes) that a second opinion can be asked as, in words of ours, which
# stay on our pages: X12's are licensed. A person chooses.
SERVICES = {"3": "Consultation", "20": "Second surgical opinion", "21": "Third surgical opinion"}


@dataclass(frozen=True)
class Sent:
    """What goes to a payer, in words, before a person presses the button: no diagnosis, no question, no record."""

    payer: str
    coverage: str
    service: str
    day: date | None
