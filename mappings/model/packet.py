"""The packet: what was gathered, as an immutable manifest over content-addressed bytes."""

from typing import Literal

from pydantic import BaseModel, ConfigDict


class ManifestItem(BaseModel):
    """One resource or attachment in a packet.

    ``source`` is ``Type/id`` at the source; ``version`` its meta.versionId where the server gave one;
    ``sha256`` (hex) names the bytes in the payload store; ``size`` counts those bytes.
    For an attachment ``kind`` is "attachment", ``content_type`` is set and ``of`` names the resource and
    FHIRPath that points to it (``DocumentReference/1#content[0].attachment``).
    ``withdrawn``: an earlier packet carried it (``version``, ``sha256`` and ``size`` are that copy's) and it is no longer
    this patient's record there, ``why``. ``waived``: it could not be had, ``why``, and a person said to send without it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: str
    version: str | None = None
    kind: Literal["resource", "attachment", "withdrawn", "waived"] = "resource"
    size: int
    sha256: str
    content_type: str | None = None
    of: str | None = None
    why: str | None = None


class Manifest(BaseModel):
    """Everything one packet holds, in the order it was gathered. Never changes once stored."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    packet_id: str
    request_id: str
    source_endpoint: str
    identifier_system: str
    patient: str  # Patient/id at the source
    gathered_at: str  # ISO 8601 with zone
    pack_sha256: str = ""  # the resources' bytes, one line each in manifest order, under one hash
    source_bases: tuple[str, ...] = ()  # further addresses that the source's server writes of itself, as it showed
    items: tuple[ManifestItem, ...]

    @property
    def resources(self) -> tuple[ManifestItem, ...]:
        """The patient's records: every gathered resource, attachments not counted."""
        return tuple(item for item in self.items if item.kind == "resource")

    @property
    def attachments(self) -> tuple[ManifestItem, ...]:
        """The bytes behind the documents of its records."""
        return tuple(item for item in self.items if item.kind == "attachment")

    @property
    def withdrawn(self) -> tuple[ManifestItem, ...]:
        """What earlier packets carried and this one takes back."""
        return tuple(item for item in self.items if item.kind == "withdrawn")

    @property
    def waived(self) -> tuple[ManifestItem, ...]:
        """What is missing because a person said to send without it."""
        return tuple(item for item in self.items if item.kind == "waived")

    def bases(self, configured: tuple[str, ...]) -> tuple[str, ...]:
        """Every address of the source's server, so that its references are understood as when they were gathered."""
        return (*configured, *self.source_bases)
