"""What happens at a hosted endpoint and somebody wants to know later: the findings about what was stored."""

from collections.abc import Callable

from sqlalchemy import Connection

from integration.settings.config import Config
from integration.store import findings
from mappings.model.findings import Finding


def note_of(config: Config) -> Callable[[Connection, str, list[Finding]], None]:
    """Writes findings under the name of the endpoint that a practice is; its own name when it is none."""
    endpoint_of = {
        each.base_url.removeprefix("hosted:"): key for key, each in config.endpoints.items() if each.base_url
    }

    def note(conn: Connection, practice: str, found: list[Finding]) -> None:
        findings.record(conn, found, endpoint=endpoint_of.get(practice, practice))

    return note
