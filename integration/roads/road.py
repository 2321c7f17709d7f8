"""What a road is: prepare, send, look up, read back. What a road cannot say, it raises.

``Impossible``: nothing was written, and nothing will be by this road: the next one may be tried.
``UnknownOutcome`` (raised): it may be there. It is looked up; never is another road tried.
``TemporaryError`` (raised): later, by the same road. ``NeedsPerson`` and ``PermanentError`` (raised): a person decides.
jobs/target/sending.py walks the roads; mappings/model/sending.py decides.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from integration.fhir.capabilities import Capabilities
from integration.fhir.exchanges import Observer
from integration.fhir.server import FhirServer
from integration.settings.config import Config, Endpoint
from mappings.model.leaving import Going
from mappings.model.outgoing import Outgoing
from mappings.model.request import Identifier
from mappings.model.roads import Level
from mappings.model.sending import MAX_SENDS

NOT_ALLOWED = (401, 403, 405)  # reading is not registered for us, or not offered
NOT_OFFERED = (404, 405, 501)  # nothing like it can be written there
NOT_TAKEN = (413, 415)  # too large, or of a type that it does not take


class Attempt(Protocol):
    """What a road may use of the attempt of which it is a part: jobs/world.py has it.

    A road with a wire of its own asks ``turn`` before it connects, ``before_write`` before its first byte, and tells
    ``exchanges`` what the exchange was, sizes and times; what they raise goes on. `server` does all this itself.
    """

    @property
    def now(self) -> datetime: ...
    @property
    def config(self) -> Config: ...
    def endpoint(self, key: str) -> Endpoint: ...
    def server(self, key: str) -> FhirServer: ...
    def capabilities(self, key: str) -> Capabilities: ...
    def bases(self, key: str) -> tuple[str, ...]: ...
    @property
    def exchanges(self) -> Observer: ...
    def turn(self, key: str) -> None: ...
    def before_write(self, key: str, going: Going) -> None: ...
    def finding(self, cause: str, message: str, path: str = "", severity: str = "warning") -> None: ...


@dataclass(frozen=True)
class Way:
    """What a road is made of. ``key``: the endpoint that the document is for.

    ``differs(endpoint, sent, read, name)``: compare what was sent with what was read there; says each difference as a finding.
    ``find(endpoint, type, identifier)``: the resources there that carry the identifier themselves, and whether the server
    answered as if the identifier had not been asked for: then nothing found says nothing.
    """

    key: str
    attempt: Attempt
    differs: Callable[[str, dict[str, Any], dict[str, Any], str], bool]
    find: Callable[[str, str, Identifier], tuple[list[dict[str, Any]], bool]]

    @property
    def endpoint(self) -> Endpoint:
        """As config.yaml has it."""
        return self.attempt.endpoint(self.key)


@dataclass(frozen=True)
class Impossible:
    """This road cannot take the document. ``cause`` is one of mappings/model/causes.py; ``message`` a sentence, ids only."""

    cause: str
    message: str


@dataclass(frozen=True)
class Prepared:
    """Exactly what will go. ``body``: bytes that are kept, and whose hash stands in the ledger, before the send.

    ``resource``: the DocumentReference that ``body`` is, on roads over FHIR. ``control_id``: the message's own number,
    where the receiver tells repeats by it. ``attachment_sha256``: of each attachment that goes, in order. ``whole``: the
    report with all its documents, where only the first goes with this; the others follow, each for itself.
    """

    item: Outgoing
    body: bytes
    attachment_sha256: tuple[str, ...] = ()
    resource: Mapping[str, Any] | None = None
    control_id: str | None = None
    whole: bytes | None = None


@dataclass(frozen=True)
class Taken:
    """The system said yes. ``reference``: what it is called there; None where that is not told.

    ``level``: what is known if it can never be read back. ``receipt``: ids and codes of the answer, never content.
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
    """It is surely not there: the search could have seen it, and did not. (That the index may lag is waited for by who asks.)"""


@dataclass(frozen=True)
class CannotTell:
    """Looking cannot decide. ``message``: why; ``search_for``: the words by which a person finds it in that system."""

    message: str
    search_for: str


@dataclass(frozen=True)
class Repeat:
    """Looking cannot decide, but the same bytes with the same control id may go again: the receiver tells a repeat by it.

    After ``most_sends``, the first one among them, it is a CannotTell.
    """

    message: str
    search_for: str
    most_sends: int = MAX_SENDS


@dataclass(frozen=True)
class ReadBack:
    """What was read back. ``same``: it is what was sent; what is not was said as findings."""

    same: bool
    version: str | None = None


@dataclass(frozen=True)
class NotAllowed:
    """We may not read there: the level is what sending alone could reach."""

    message: str


class EndpointRoad:
    """What roads have in common that end at the endpoint they are made for."""

    def __init__(self, way: Way):
        self.way = way

    @property
    def at(self) -> str:
        """Where the document will stand."""
        return self.way.key


class Road(Protocol):
    """One way into one endpoint, made anew for each attempt: ``YourRoad(way)``.

    ``name``: its word in config.yaml. ``at``: the endpoint where the document will stand: usually the one that it is for;
    the patient of the item is one of that endpoint. ``sends``: False where a person carries the document.
    """

    name: str
    sends: bool

    @property
    def at(self) -> str: ...

    def can(self) -> Impossible | None:
        """Whether it can be used at all, before anything is read or written: it is configured, and the system takes it."""

    def prepare(self, item: Outgoing) -> Prepared | Impossible:
        """The bytes that will go. Writes nothing; may read (the encounter). ``item.retracts``: the bytes that take it back."""

    def restore(self, item: Outgoing, body: bytes, control_id: str | None) -> Prepared:
        """What went earlier, from the bytes that were kept; ``item`` may say something newer."""

    def resource_of(self, body: bytes) -> Mapping[str, Any]:
        """What kept bytes say of their document, as a DocumentReference says it; as little as the road can tell."""

    def send(self, prepared: Prepared) -> Taken | There | Impossible:
        """Send once. The ledger's row is written; the lease was renewed."""

    def look_up(self, prepared: Prepared, since: datetime) -> There | Absent | CannotTell | Repeat:
        """Whether an earlier send, not before ``since``, reached it. Sends nothing."""

    def renew(self, prepared: Prepared, there: There) -> Taken | None:
        """It was there: see that it says what is wanted now, where the road can change it. None: it stands as it was sent."""

    def read_back(self, prepared: Prepared, reference: str | None) -> ReadBack | NotAllowed | None:
        """Compare what stands there with what went; None: not readable yet."""
