"""What the directory states of the service of a request's consultant: chosen from it, or known to it by their NPI."""

from dataclasses import replace

from sqlalchemy import Connection

from integration.store import directory_search
from integration.store.directory_search import EntryRow
from mappings.codes import SYSTEM_NPI
from mappings.directory.services import Service
from mappings.directory.stated import stated
from mappings.model.request import PractitionerRef, SecondOpinionRequest
from mappings.model.suitability import Program
from mappings.names import fold


def of_request(conn: Connection, entry_id: int | None, request: SecondOpinionRequest) -> Program | None:
    """What ``request`` is held against. ``entry_id``: the entry that its consultant was chosen from."""
    specialty = request.specialty.code if request.specialty else None
    return of_consultant(conn, entry_id, request.consultant, request.fulfiller, specialty)


def of_consultant(
    conn: Connection, entry_id: int | None, consultant: PractitionerRef | None, fulfiller: str, specialty: str | None
) -> Program | None:
    """What the entry states that they were chosen from, else the one that their NPI names; None when it states nothing.

    An entry that somebody else than ``consultant`` was chosen from counts no longer. What another entry of the same source
    says is of another place than the one that was chosen.
    """
    entry = directory_search.get(conn, entry_id) if entry_id is not None else None
    if entry is not None and not _is_of(entry, consultant):
        entry = None
    if entry is not None and entry.services is not None:
        return program_of(entry, specialty)
    return _by_npi(conn, consultant, fulfiller, specialty, entry.source if entry else None) if consultant else None


def _by_npi(
    conn: Connection, consultant: PractitionerRef, fulfiller: str, specialty: str | None, besides: str | None
) -> Program | None:
    """What all that states something of that NPI at ``fulfiller`` states alike; nobody knows which of several holds."""
    numbers = {each.value for each in consultant.identifiers if each.system == SYSTEM_NPI}
    if len(numbers) != 1:
        return None
    known = [each for each in directory_search.with_services(conn, numbers.pop()) if each.source != besides]
    if not all(_may_be_named(each, consultant) for each in known):
        return None
    here = [each for each in known if each.endpoint == fulfiller] or [each for each in known if not each.endpoint]
    found = [made for each in here if (made := program_of(each, specialty, " by the NPI"))]
    return found[0] if len({replace(each, name="", says="") for each in found}) == 1 else None


def program_of(entry: EntryRow, specialty: str | None, found: str = "") -> Program | None:
    """What an entry states, as a request with that specialty is held against it. ``found``: how it was, in words."""
    services = [Service.from_json(each) for each in entry.services or ()]
    says = f"entry {entry.id} of the directory{found} ({entry.source}, {entry.file_on})"
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


def _may_be_named(entry: EntryRow, consultant: PractitionerRef) -> bool:
    """Does no family name speak against it? A number that was mistyped may be another person's."""
    family = fold(consultant.name.family or "") if consultant.name else ""
    return not family or bool(set(family.split()) & set(fold(entry.family).split()))
