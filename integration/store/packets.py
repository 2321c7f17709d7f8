"""Rows of packets: one for each version of what was gathered for a request. The bytes are in the payload store."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, Row, exists, select

from integration.store import requests
from integration.store.tables import packets
from mappings.model.packet import Manifest


@dataclass(frozen=True)
class PacketRow:
    """A packet as the table has it; ``manifest_sha256`` names its manifest in the payload store."""

    id: str
    request_id: str
    version: int
    manifest_sha256: str
    patient: str  # Patient/id at the source
    resources: int
    attachments: int
    bytes: int
    created_at: datetime

    @classmethod
    def from_row(cls, row: Row) -> "PacketRow":
        """From a row of `packets`."""
        return cls(**{name: getattr(row, name) for name in cls.__dataclass_fields__})


def insert(conn: Connection, manifest: Manifest, manifest_sha256: str, version: int) -> None:
    """Store the row of a packet whose bytes are stored."""
    conn.execute(
        packets.insert().values(
            id=manifest.packet_id,
            request_id=manifest.request_id,
            version=version,
            manifest_sha256=manifest_sha256,
            patient=manifest.patient,
            resources=len(manifest.resources),
            attachments=len(manifest.items) - len(manifest.resources),
            bytes=sum(item.size for item in manifest.items),
        )
    )
    requests.has_changed(conn, manifest.request_id)


def of_request(conn: Connection, request_id: str) -> list[PacketRow]:
    """Its packets, oldest first."""
    found = conn.execute(select(packets).where(packets.c.request_id == request_id).order_by(packets.c.version))
    return [PacketRow.from_row(row) for row in found]


def of_others(conn: Connection, request_id: str, patient: str) -> bool:
    """Whether another request has a packet of this chart: it may have written there what no link tells of yet."""
    return conn.execute(
        select(exists().where(packets.c.patient == patient, packets.c.request_id != request_id))
    ).scalar_one()


def one(conn: Connection, packet_id: str) -> PacketRow:
    """The packet of a delivery: it is there for as long as the delivery is."""
    return PacketRow.from_row(conn.execute(select(packets).where(packets.c.id == packet_id)).one())
