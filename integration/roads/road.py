"""What a road is: prepare, send, look up, read back. What a road cannot say, it raises.

``Impossible``: nothing was written, and nothing will be by this road: the next one may be tried.
``UnknownOutcome`` (raised): it may be there. It is looked up; never is another road tried.
``TemporaryError`` (raised): later, by the same road. ``NeedsPerson`` and ``PermanentError`` (raised): a person decides.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from mappings.model.outgoing import Outgoing
from mappings.model.roads import Level, RoadName


@dataclass(frozen=True)
class Impossible:
    """This road cannot take the document. ``cause`` is one of mappings/model/causes.py; ``message`` a sentence, ids only."""

    cause: str
    message: str


@dataclass(frozen=True)
class Prepared:
    """Exactly what will go. ``body``: bytes whose hash stands in the ledger before the send; the rest helps to find it again.

    ``resource``: the DocumentReference that ``body`` is, on roads over FHIR. ``control_id``: the message's own number,
    where the receiver tells repeats by it. ``attachment_sha256``: of each attachment that goes, in order.
    """

    item: Outgoing
    body: bytes
    attachment_sha256: tuple[str, ...] = ()
    resource: Mapping[str, Any] | None = None
    control_id: str | None = None


@dataclass(frozen=True)
class Taken:
    """The system said yes. ``reference``: what it is called there; None where that is not told.

    ``level``: what is known by this answer alone. ``receipt``: ids and codes of the answer, never content.
    """

    reference: str | None
    level: Level
    version: str | None = None
    receipt: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class There:
    """It stands there already, once."""

    reference: str
    version: str | None = None


@dataclass(frozen=True)
class Absent:
    """It is surely not there: the search could have seen it, and did not."""


@dataclass(frozen=True)
class CannotTell:
    """Looking cannot decide. ``message``: why; ``search_for``: the words by which a person finds it in that system."""

    message: str
    search_for: str


@dataclass(frozen=True)
class ReadBack:
    """What was read back. ``same``: it is what was sent; ``differs``: FHIRPaths or words that name what is not, ids only."""

    same: bool
    differs: tuple[str, ...] = ()
    version: str | None = None


@dataclass(frozen=True)
class NotAllowed:
    """We may not read there: the level is what sending alone could reach."""

    message: str


class Road(Protocol):
    """One way into one endpoint, made anew for each attempt."""

    name: RoadName

    def can(self) -> Impossible | None:
        """Whether it can be used at all, before anything is read or written: it is configured, and the system takes it."""

    def prepare(self, item: Outgoing) -> Prepared | Impossible:
        """The bytes that will go. Writes nothing; may read (the encounter). The same item gives the same bytes."""

    def send(self, prepared: Prepared) -> Taken | There | Impossible:
        """Send once. The ledger's row is written; the lease was renewed."""

    def look_up(self, prepared: Prepared, since: datetime) -> There | Absent | CannotTell:
        """Whether an earlier send, not before ``since``, reached it."""

    def read_back(self, prepared: Prepared, reference: str | None) -> ReadBack | NotAllowed | None:
        """Compare what stands there with what went; None: not readable yet."""

    def retract(self, item: Outgoing, reference: str | None) -> Taken | Impossible:
        """Mark the copy there as an error, never delete it."""
