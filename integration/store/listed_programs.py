"""What the directory states of the service of a request's consultant, where that consultant was chosen from it."""

from dataclasses import replace

from sqlalchemy import Connection

from integration.store import directory_search
from integration.store.directory_search import EntryRow
from mappings.directory.services import Service
from mappings.directory.stated import stated
from mappings.model.request import PractitionerRef, SecondOpinionRequest
from mappings.model.suitability import Program
from mappings.names import fold


def of_entry(conn: Connection, entry_id: int | None, request: SecondOpinionRequest) -> Program | None:
    """What the entry states that ``request``'s consultant was chosen from; None when it states nothing, or another one is asked now."""
    entry = directory_search.get(conn, entry_id) if entry_id is not None else None
    if entry is None or not _is_of(entry, request.consultant):
        return None
    return program_of(entry, request.specialty.code if request.specialty else None)


def program_of(entry: EntryRow, specialty: str | None) -> Program | None:
    """What an entry states, as a request with that specialty is held against it."""
    services = [Service.from_json(each) for each in entry.services or ()]
    says = f"entry {entry.id} of the directory ({entry.source}, {entry.file_on})"
    program = stated(services, entry.organization or f"{entry.given} {entry.family}".strip(), says, specialty)
    if program is None or entry.state_now == "active":
        return program
    ended = f"{says} is {entry.state_now} since {entry.ended_on}: what it stated last is held against the request."
    return replace(program, cautions=(*program.cautions, ended))


def _is_of(entry: EntryRow, consultant: PractitionerRef | None) -> bool:
    """Is the consultant still the one of the entry, whatever was corrected since? By the NPI, else by the name."""
    if consultant is None:
        return False
    if entry.npi and consultant.identifiers:
        return any(each.value == entry.npi for each in consultant.identifiers)
    name = consultant.name
    return name is not None and fold(f"{name.family or ''} {' '.join(name.given)}") == fold(
        f"{entry.family} {entry.given}"
    )
