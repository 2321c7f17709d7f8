"""Find a doctor: search the directory, a profile, and what people enter or correct. No patient stands in an address here."""

from collections.abc import Mapping
from urllib.parse import urlencode

from flask import Blueprint, Response, request, url_for
from flask.typing import ResponseReturnValue

from integration.directory import choosing, profiles
from integration.directory.profiles import NotSaid
from integration.directory.searching import FIELDS, search
from integration.store.operations import NotPossible
from integration.views import directory as views
from integration.views.languages import COMMON
from integration.views.texts import t
from integration.web import forms, pages, world
from mappings.directory.places import STATES
from mappings.directory.query import MILES
from mappings.specialties import NUCC, SPECIALTIES

blueprint = pages.sentences(Blueprint("directory", __name__, url_prefix="/directory"))
OFFERED = sorted({*SPECIALTIES.values(), *NUCC.values()})
DISTANCES = (5, 10, 25, 50, 100, 250, 500)
ENTERED = tuple(name for name in profiles.FIELDS if name != "npi")


@blueprint.get("")
def find() -> ResponseReturnValue:
    """The form, and who fits: those who state it, then those who do not say."""
    typed = {name: request.args.get(name, "") for name in (*FIELDS, "after")}
    asked, draft_id = any(typed.values()), request.args.get("draft_id", "")
    results = search(world.engine(), typed, pages.now().date()) if asked else None
    on = {name: value for name, value in {**typed, "draft_id": draft_id}.items() if value and name != "after"}
    return pages.render(
        "directory.html",
        400 if results and results.wrong else 200,
        typed=typed,
        results=results,
        groups=views.in_groups(results) if results else [],
        following=_address(on, results.next) if results and results.next else None,
        first=_address(on) if typed["after"] else None,
        specialties=OFFERED,
        languages=COMMON,
        states=STATES,
        within=[(miles, t("directory.miles", n=miles)) for miles in DISTANCES if miles != MILES],
        v=views,
        draft_id=draft_id,
    )


def _address(on: Mapping[str, str], after: str = "") -> str:
    return f"{url_for('directory.find')}?{urlencode({**on, **({'after': after} if after else {})})}"


@blueprint.get("/<int:entry_id>")
def show(entry_id: int) -> ResponseReturnValue:
    """All that is known of one doctor, and whose word it is."""
    found = _profile(entry_id)
    if found is None:
        return pages.problem(t("problem.missing"), t("directory.no_entry"), 404)
    return pages.render(
        "directory_entry.html", found=found, entry=found.entry, v=views, draft_id=request.args.get("draft_id", "")
    )


@blueprint.post("/<int:entry_id>/choose")
def choose(entry_id: int) -> ResponseReturnValue:
    """Put this doctor into the draft that is named in the form: whoever writes it is asked nothing twice."""
    found, draft_id = _profile(entry_id), forms.typed("draft_id")
    if found is None:
        return pages.problem(t("problem.missing"), t("directory.no_entry"), 404)
    if not forms.is_ours():
        return pages.problem(t("directory.title"), forms.refusal(), 403)
    with world.engine().begin() as conn:
        choosing.choose(conn, world.config(), found, draft_id, actor=forms.actor())
    address = url_for("drafts.show", draft_id=draft_id, at="asked")
    return forms.told(t("directory.chosen", name=views.name_of(found.entry)), address)


@blueprint.get("/<int:entry_id>/correct")
def correct_form(entry_id: int) -> ResponseReturnValue:
    """What it says now, to be corrected."""
    found = _profile(entry_id)
    if found is None:
        return pages.problem(t("problem.missing"), t("directory.no_entry"), 404)
    return _edit(found, {name: views.as_typed(getattr(found.entry, name)) for name in ENTERED}, {}, 200)


@blueprint.post("/<int:entry_id>/correct")
def correct(entry_id: int) -> ResponseReturnValue:
    """Keep what a person knows better. Nothing typed is lost: a refusal shows the form again with it."""
    found = _profile(entry_id)
    if found is None:
        return pages.problem(t("problem.missing"), t("directory.no_entry"), 404)
    typed = {name: forms.typed(name) for name in ENTERED}
    problem, status = _refusal()
    if problem:
        return _edit(found, typed, {}, status, problem)
    was = {name: views.as_typed(getattr(found.entry, name)) for name in ENTERED}
    changed = {name: value for name, value in typed.items() if value != was[name]}
    try:
        profiles.correct(
            world.engine(),
            world.config(),
            entry_id,
            changed,
            seen=_revision(),
            actor=forms.actor(),
            reason=forms.typed("reason"),
        )
    except NotSaid as error:
        return _edit(found, typed, error.fields, 400)
    except NotPossible as error:
        return _edit(found, typed, {}, 409, str(error))
    return forms.told(t("directory.corrected"), url_for("directory.show", entry_id=entry_id))


@blueprint.get("/new")
def enter_form() -> ResponseReturnValue:
    """An empty form for somebody whom no source knows."""
    return _edit(None, {}, {}, 200)


@blueprint.post("/new")
def enter() -> ResponseReturnValue:
    """Enter somebody by hand."""
    typed = {name: forms.typed(name) for name in profiles.FIELDS}
    problem, status = _refusal()
    if problem:
        return _edit(None, typed, {}, status, problem)
    given = {name: value for name, value in typed.items() if value}
    try:
        entry = profiles.add(
            world.engine(), world.config(), given, pages.now().date(), actor=forms.actor(), reason=forms.typed("reason")
        )
    except NotSaid as error:
        return _edit(None, typed, error.fields, 400)
    except NotPossible as error:
        return _edit(None, typed, {}, 409, str(error))
    return forms.told(t("directory.entered"), url_for("directory.show", entry_id=entry))


def _revision() -> int:
    """The one that they looked at; 0, which is none, for what a page of ours never sends."""
    text = forms.typed("revision", 9)
    return int(text) if text.isascii() and text.isdigit() else 0


def _refusal() -> tuple[str, int]:
    if not forms.is_ours():
        return forms.refusal(), 403
    return ("", 200) if forms.typed("reason") else (t("action.no_reason"), 400)


def _profile(entry_id: int) -> views.Profile | None:
    try:
        return profiles.profile(world.engine(), entry_id, pages.now().date())
    except NotPossible:
        return None


def _edit(
    found: views.Profile | None, typed: Mapping[str, str], wrong: Mapping[str, str], status: int, error: str = ""
) -> Response:
    return pages.render(
        "directory_edit.html",
        status,
        found=found,
        typed=typed,
        wrong=wrong,
        error=error,
        fields=ENTERED if found else profiles.FIELDS,
        specialties=OFFERED,
        languages=COMMON,
        endpoints={key: each.name for key, each in world.config().endpoints.items()},
        reason=forms.typed("reason"),
        v=views,
    )
