"""Documents that an earlier request of the case gathered and whose source says, by their hash, that they are the same still.

A resource is read anew each time: a search or a version number that shows nothing new proves nothing of what it points to. The
bytes behind an attachment need not be: where it states their hash as R4 wants it (SHA-1), ours either have it or are not used.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from integration.packets import stored as packets
from integration.packets.payloads import PayloadMissing, Stored
from integration.store import packets as packet_rows
from integration.store import requests
from jobs.world import Context
from mappings.document_reference import hash_form, stated_size
from mappings.model.packet import ManifestItem


@dataclass
class AlreadyHeld:
    """Those of one chart. ``used``: how many were not fetched again."""

    ctx: Context
    placer: str
    patient: str
    used: int = 0
    _known: dict[str, ManifestItem] | None = None

    def same(self, of: str, attachment: dict) -> tuple[Stored, str] | None:
        """The bytes that stand at the place ``of`` and their content type; None: fetch it."""
        if not attachment.get("hash"):
            return None
        item = self._all().get(of)
        if item is None or not self._is_stated(item, attachment):
            return None
        self.used += 1
        return Stored(item.sha256, item.size), item.content_type or ""

    def _is_stated(self, item: ManifestItem, attachment: dict) -> bool:
        if "size" in attachment and stated_size(attachment) != item.size:
            return False
        try:
            return hash_form(attachment, lambda: self.ctx.world.payloads.open(item.sha256)) == "sha1"
        except PayloadMissing:
            return False

    def _all(self) -> dict[str, ManifestItem]:
        if self._known is None:
            self._known = {str(each.of): each for each in self._items()}
        return self._known

    def _items(self) -> Iterator[ManifestItem]:
        row = self.ctx.row()
        with self.ctx.world.engine.connect() as conn:
            others = [each.id for each in requests.of_case(conn, row.case) if each.id != row.id]
            rows = [one for each in others for one in packet_rows.of_request(conn, each)]
        for one in rows:
            if one.patient == self.patient and one.attachments:
                manifest = packets.manifest_of(self.ctx.world.payloads, one.manifest_sha256)
                if manifest.source_endpoint == self.placer:
                    yield from (item for item in manifest.items if item.kind == "attachment" and item.of)
