"""Find a doctor, for programs: search the directory, show an entry, enter and correct."""

from collections.abc import Mapping

from integration.directory import profiles
from integration.directory.profiles import NotSaid
from integration.directory.searching import search
from integration.store.operations import NotPossible
from integration.views import directory as views
from integration.web import forms, pages, world
from integration.web.api.answers import Done
from integration.web.api.bodies import DirectoryCorrection, DirectoryEntered, DirectoryQuery
from integration.web.api.directory_answers import DirectoryMade, DirectoryPage, DirectoryProfile
from integration.web.api.routes import get, post
from integration.web.problems import Problem, wrong
from mappings.model.errors import Mistake


@get("/directory", refuses=("wrong-query",))
def directory_search(query: DirectoryQuery) -> DirectoryPage:
    """Who fits, nearest first; those who do not state everything that is asked for come after those who do. Unknown is null, never no."""
    typed = {name: _typed(value) for name, value in query.model_dump(exclude={"limit"}).items()}
    results = search(world.engine(), typed, pages.now().date(), limit=query.limit)
    if results.wrong:
        raise _wrong("wrong-query", results.wrong)
    return DirectoryPage.model_validate(views.view_results(results))


@get("/directory/<int:entry_id>", refuses=("unknown",))
def directory_entry(entry_id: int) -> DirectoryProfile:
    """All that is known of one entry, whose word it is, and what people corrected."""
    try:
        found = profiles.profile(world.engine(), entry_id, pages.now().date())
    except NotPossible as error:
        raise Problem("unknown", f"{error}.") from None
    return DirectoryProfile.model_validate(views.view_profile(found))


@post("/directory", statuses=(201,), refuses=("wrong-body", "not-possible"))
def directory_enter(body: DirectoryEntered) -> DirectoryMade:
    """Enter a doctor by hand."""
    try:
        entry = profiles.add(
            world.engine(), world.config(), body.values, pages.now().date(), actor=forms.actor(), reason=body.reason
        )
    except NotSaid as error:
        raise _wrong("wrong-body", error.fields) from None
    except NotPossible as error:
        raise Problem("not-possible", f"{error}.") from None
    return DirectoryMade(id=entry)


@post("/directory/<int:entry_id>/correct", refuses=("wrong-body", "unknown", "not-possible"))
def directory_correct(entry_id: int, body: DirectoryCorrection) -> Done:
    """Correct fields of an entry; no later file overwrites it. An empty value is what is not known."""
    if not profiles.is_there(world.engine(), entry_id):
        raise Problem("unknown", "The directory has no such entry.")
    try:
        changed = profiles.correct(
            world.engine(),
            world.config(),
            entry_id,
            body.values,
            seen=body.seen,
            actor=forms.actor(),
            reason=body.reason,
        )
    except NotSaid as error:
        raise _wrong("wrong-body", error.fields) from None
    except NotPossible as error:
        raise Problem("not-possible", f"{error}.") from None
    return Done(changed=changed, message="The entry is corrected." if changed else "It says so already.")


def _typed(value: object) -> str:
    return ("yes" if value else "") if isinstance(value, bool) else str(value or "")


def _wrong(kind: str, fields: Mapping[str, str]) -> Problem:
    return wrong(kind, [Mistake("", None, name, says) for name, says in fields.items()])
