"""A doctor of the directory as the consultant of a draft: who they are, what they do and where, and the endpoint that reaches them."""

from sqlalchemy import Connection

from integration.settings.config import Config
from integration.store import drafts
from integration.store.directory_search import EntryRow
from integration.store.operations import NotPossible
from integration.views.directory import Profile, name_of, place_of
from mappings.codes import SYSTEM_NPI, SYSTEM_NUCC
from mappings.directory.spelling import spelled
from mappings.model.request import Code, HumanName, Identifier, OrganizationRef, PractitionerRef


def consultant_of(entry: EntryRow, words: str | None) -> PractitionerRef:
    """What a request says of its consultant; what the entry does not state is left out. ``words``: of its first specialty."""
    specialty = entry.specialties[0] if entry.specialties else None
    return PractitionerRef(
        identifiers=(Identifier(system=SYSTEM_NPI, value=entry.npi),) if entry.npi else (),
        name=HumanName(family=spelled(entry.family), given=tuple(spelled(entry.given).split())),
        specialty=Code(system=SYSTEM_NUCC, code=specialty, display=words) if specialty else None,
        organization=OrganizationRef(name=entry.organization) if entry.organization else None,
    )


def choose(conn: Connection, config: Config, found: Profile, draft_id: str, *, actor: str) -> None:
    """Put a doctor into a draft, and the endpoint that reaches them where it is known. Raises NotPossible, UnknownDraft, DraftSent."""
    entry = found.entry
    if entry.state_now != "active":
        raise NotPossible(
            "this doctor is no longer active at the source: choose another one, or correct the entry first"
        )
    words = found.specialties.get(entry.specialties[0]) if entry.specialties else None
    made = consultant_of(entry, words).model_dump(mode="json", exclude_none=True)
    seen = ", ".join(filter(None, (name_of(entry), entry.organization, place_of(entry))))
    source = f"entry {entry.id} of the directory"
    draft = drafts.set_consultant(conn, draft_id, made, seen, source, entry=entry.id, actor=actor)
    endpoint = config.endpoints.get(entry.endpoint or "")
    if endpoint is not None and endpoint.is_fulfiller:
        typed = {"fulfiller": entry.endpoint or ""}
        drafts.save(
            conn, draft_id, expected_version=draft.version, typed=typed, picked={}, step=draft.step, actor=actor
        )
