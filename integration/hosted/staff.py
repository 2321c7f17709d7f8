"""What the people of a hosted practice write on our pages: into its store by the rules of the endpoint, in the commit of their pages.

Whoever reads the endpoint sees it as they see what a program wrote there: a new version, checked as R4, never a change in place.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine

from integration import fhir_json
from integration.hosted import checking, storing
from integration.hosted.rights import Rights
from integration.hosted.storing import Stored
from mappings.model.errors import ExchangeError
from mappings.structure import StructureIssue


class NotWritten(ExchangeError):
    """The practice's own endpoint would refuse this resource."""


class Staff:
    """Reads and writes in one commit of one practice; ``connection`` is for the rows that belong to it."""

    def __init__(self, writer: storing.Writer, practice: str, *, strict: bool):
        self.connection = writer.connection
        self._writer, self._practice, self._strict = writer, practice, strict
        self.bent: list[tuple[Stored, StructureIssue]] = []

    def read(self, reference: str) -> dict[str, Any]:
        """The newest version of ``Type/id``, as it is while nobody else writes. Raises Refusal (404)."""
        return read_now(self.connection, self._practice, reference)

    def create(self, resource: dict[str, Any]) -> str:
        """A new resource; its ``Type/id``. Raises Refusal for what is not R4."""
        return self._kept(resource, lambda: self._writer.create(resource, storing.new_id()))

    def create_large(self, content_type: str, sha256: str, size: int) -> str:
        """A Binary of bytes that are in the payload store; its ``Type/id``. It is read as bytes only."""
        stored = self._writer.create_large(content_type, storing.Payload(sha256, size))
        return f"{stored.type}/{stored.id}"

    def update(self, resource: dict[str, Any]) -> str:
        """The next version of what was read here. Raises Refusal."""
        seen = int(resource["meta"]["versionId"])
        return self._kept(resource, lambda: self._writer.update(resource, resource["id"], seen))

    def _kept(self, resource: dict[str, Any], write: Any) -> str:
        issues = checking.check(resource, strict=self._strict)
        stored: Stored = write()
        self.bent += [(stored, each) for each in issues]
        return f"{stored.type}/{stored.id}"


def read_now(connection: Connection, practice: str, reference: str) -> dict[str, Any]:
    """The newest version of ``Type/id`` at a practice. Raises Refusal (404)."""
    type_, _, id_ = reference.partition("/")
    read: dict[str, Any] = fhir_json.loads(storing.read(connection, practice, type_, id_).content)
    return read


@contextmanager
def at_desk(engine: Engine, practice: str, base: str, *, strict: bool) -> Iterator[Staff]:
    """One commit into ``practice``, or none when the block raises. ``base``: the address of its endpoint."""
    with storing.writing(engine, practice, base, Rights()) as writer:
        yield Staff(writer, practice, strict=strict)
