"""One access to a hosted endpoint: who, which interaction, which resources; no values."""

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Connection


@dataclass(frozen=True)
class Access:
    """``ids`` are Type/id of what was read, found or written; ``parameters`` the names of a search."""

    actor: str
    practice: str
    interaction: str  # http://hl7.org/fhir/restful-interaction
    type: str = ""
    ids: tuple[str, ...] = ()
    parameters: tuple[str, ...] = ()


# Told of each access; with the connection of the commit when something was written.
Tell = Callable[[Access, Connection | None], None]


def nobody_asks(access: Access, conn: Connection | None) -> None:
    """For an endpoint of its own, in tests of it."""
