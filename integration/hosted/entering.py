"""A person enters a resource for a practice that we host, on a page instead of over HTTP; checked and stored as any other."""

from sqlalchemy import Engine

from integration.hosted import checking, finding, storing
from integration.hosted.rights import Rights


class AlreadyThere(Exception):
    """A resource with this identifier is there. ``ids``: theirs."""

    def __init__(self, ids: set[str]):
        self.ids = sorted(ids)
        super().__init__(f"there already: {len(self.ids)}")


def enter(engine: Engine, practice: str, base: str, resource: dict, *, strict: bool) -> str:
    """Store a resource that has one identifier, once. Returns its id. Raises AlreadyThere, Refusal (it is not R4)."""
    checking.check(resource, strict=strict)
    identifier = resource["identifier"][0]
    named = (resource["resourceType"], identifier["system"], identifier["value"])
    with storing.writing(engine, practice, base, Rights()) as writer:  # other writers of this practice wait
        there = finding.with_identifiers(writer.connection, practice, [named])
        if there:
            raise AlreadyThere(there[named])
        return writer.create(resource, storing.new_id()).id
