"""One line of a check, and what all that is tried at one endpoint shares."""

import secrets
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from integration.fhir.capabilities import Capabilities
from integration.fhir.server import FhirServer
from integration.settings.endpoints import Endpoint
from mappings.codes import as_dict, as_dicts

MOST_SECONDS = 120.0  # a check ends then, whatever is left to try: plus the answer that it waits for


@dataclass(frozen=True)
class Tried:
    """One thing that was tried: its name, whether it worked (None: it could not be told), and what that means for transfers.

    ``refused``: the server said no, which is more than not doing it. ``learned``: what config.yaml should say of it, by its path below the endpoint (``capabilities.task``). ``left``: what
    stands there now because it could not be taken away again.
    """

    what: str
    worked: bool | None
    says: str
    learned: Mapping[str, bool | int] = field(default_factory=dict)
    left: tuple[str, ...] = ()
    refused: bool = False


@dataclass(frozen=True)
class Trying:
    """``patient``: ``Patient/id`` of a test patient there; without one nothing is searched that needs a patient.

    ``record_types``: those that a chart is gathered from. ``until``: of ``time.monotonic``; nothing is begun after it.
    """

    server: FhirServer
    can: Capabilities
    endpoint: Endpoint
    patient: str | None = None
    record_types: tuple[str, ...] = ()
    until: float = field(default_factory=lambda: time.monotonic() + MOST_SECONDS)

    @property
    def is_over(self) -> bool:
        """No time is left."""
        return time.monotonic() > self.until

    def searched(self, kind: str) -> bool:
        """The server says that it searches the type, or does not say what it searches."""
        return not self.can.searches or kind in self.can.searches

    def part(self, kind: str) -> dict[str, str]:
        """What a search of that type needs beside the patient there."""
        parts = self.endpoint.searches_for(kind)
        return dict([parts[0].split("=", 1)]) if parts else {}

    def answer(self, kind: str, params: Mapping[str, str]) -> dict[str, Any]:
        """A search as it is answered, the first page. Raises TransferError."""
        return as_dict(self.server.transport.request("GET", kind, params=dict(params)).json())


def in_time(trying: Trying, probes: Iterable[tuple[str, Callable[[], Tried]]]) -> Iterator[Tried]:
    """Each probe by its name; of those that no time is left for, that they were not tried."""
    for name, probe in probes:
        if trying.is_over:
            yield Tried(name, None, f"not tried: the {MOST_SECONDS:g} seconds of a check were over")
        else:
            yield probe()


def nobody() -> str:
    """A logical id that no resource has."""
    return f"nobody-{secrets.token_hex(12)}"


def resources(answer: Mapping[str, Any], kind: str) -> list[dict[str, Any]]:
    """The resources of that type in a Bundle."""
    found = [as_dict(each.get("resource")) for each in as_dicts(answer.get("entry"))]
    return [each for each in found if each.get("resourceType") == kind]


def echoes(answer: Mapping[str, Any], parameter: str) -> bool:
    """Whether the server says that it evaluated the parameter (https://hl7.org/fhir/R4/search.html#conformance)."""
    own = [str(each.get("url")) for each in as_dicts(answer.get("link")) if each.get("relation") == "self"]
    said = (name.partition(":")[0] for url in own for name, _ in parse_qsl(urlsplit(url).query, keep_blank_values=True))
    return parameter in said
