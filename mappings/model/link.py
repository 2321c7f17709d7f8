"""What a thing is called at an endpoint, as the ledger of links knows it."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Link:
    """What a thing is called at an endpoint, what we last wrote there, and what that was made of.

    ``sha256`` names the bytes written, a line of the payload ``written_in`` or a payload of their own; ``ours_sha256`` those
    that were ours alone, where something of the other side was kept. Of links that older versions stored the rest is empty.
    """

    system: str
    value: str
    reference: str  # Type/id at the endpoint
    origin: str  # created matched person
    version: str | None = None
    sha256: str | None = None
    written_in: str | None = None
    ours_sha256: str | None = None
    source_sha256: str | None = None
    source_version: str | None = None
    source_updated_at: datetime | None = None
    gathered_at: datetime | None = None
    verified_at: datetime | None = None
