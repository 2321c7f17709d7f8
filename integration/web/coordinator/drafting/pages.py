"""A new request as a conversation: drafts of a practice, a page for each step, one review, and then the intake as for any other.

Each step is saved before the next is shown. Two people may have one draft open: who saves second is shown what the first
changed, keeps what they typed, and decides.
"""

import json
from collections.abc import Mapping, Sequence, Set
from dataclasses import replace
from datetime import timedelta
from typing import Any

from flask import Blueprint, Response, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import Connection
from werkzeug.exceptions import NotFound

from integration.store import audit, drafts, requests
from integration.store.drafts import Draft, DraftSent, DraftStale, UnknownDraft
from integration.views.texts import t
from integration.web import forms, pages, spans, world
from integration.web.access import scope
from integration.web.coordinator.drafting import reasons, whole
from integration.web.coordinator.drafting.step import Did, Step
from integration.web.coordinator.drafting.steps import BY_KEY, REVIEW, STEPS, after
from integration.web.coordinator.drafting.whole import Lack
from integration.web.coordinator.request_fields import fields
from mappings.model.draft import part_at
from mappings.model.errors import ExchangeError, RequestError
from mappings.model.request import SecondOpinionRequest

FIXED_PARTS = ("follows", "number")  # with another case it is another draft
blueprint = pages.sentences(Blueprint("drafts", __name__, url_prefix="/new"))


def practices() -> list[str]:
    """The endpoints for which who asks may write requests."""
    mine = scope.mine()
    return [key for key, each in world.config().endpoints.items() if each.is_placer and mine.asks_for(key)]


@blueprint.get("")
def listed() -> ResponseReturnValue:
    """The drafts of my practices, without what they say of a patient; and a new one."""
    return _list(200)


@blueprint.post("")
def begin() -> ResponseReturnValue:
    """Begin one for a practice."""
    if not forms.is_ours():
        return _list(403, forms.refusal())
    practice = forms.typed("practice")
    if practice not in practices():
        return _list(400, t("draft.which_practice"))
    with world.engine().begin() as conn:
        draft = drafts.begin(conn, practice, actor=forms.actor())
    return forms.see_other(url_for("drafts.show", draft_id=draft.id, at=draft.step))


@blueprint.get("/<draft_id>/<at>")
def show(draft_id: str, at: str) -> ResponseReturnValue:
    """One step, or the review. It shows patient data: the look is recorded."""
    draft = _draft(draft_id)
    if draft.request_id:
        return _sent(draft)
    with world.engine().begin() as conn:
        audit.record(conn, forms.actor(), "draft.opened", subject=f"{draft.id} {at}"[:200])
    at = at if at in (*BY_KEY, REVIEW) else draft.step  # a step that there was in an earlier version
    if at == REVIEW:
        return _review(draft)
    return _page(draft, BY_KEY.get(at, STEPS[0]), says_missing="missing" in request.args)


@blueprint.post("/<draft_id>/<at>")
def save(draft_id: str, at: str) -> ResponseReturnValue:
    """1. the form is ours, 2. do what the button says, 3. save, 4. the next step, or this one with what was found."""
    draft = _draft(draft_id)
    if draft.request_id:
        return _sent(draft)
    if at == REVIEW:
        return _send(draft)
    return _do(draft, _step(at))


@blueprint.post("/<draft_id>/discard")
def discard(draft_id: str) -> ResponseReturnValue:
    """Nobody will send it: it is removed, with a reason."""
    reason = forms.typed("reason")
    if not forms.is_ours():
        return _list(403, forms.refusal())
    if not reason:
        return _list(400, t("action.no_reason"))
    draft = _draft(draft_id)
    try:
        with world.engine().begin() as conn:
            drafts.discard(conn, draft.id, actor=forms.actor(), reason=reason)
    except DraftSent as error:
        return _sent(error.draft)
    return forms.told(t("draft.discarded"), url_for("drafts.listed"))


def _list(status: int, error: str = "") -> Response:
    mine = practices()
    with world.engine().connect() as conn:
        found = drafts.of_placers(conn, mine)
    days = world.config().retention.drafts_days
    leaves = {each.id: each.updated_at + timedelta(days=days) for each in found}
    soon = pages.now() + timedelta(days=drafts.TOLD_DAYS)
    going = {key: at for key, at in leaves.items() if at < soon}
    return pages.render("drafts.html", status, drafts=found, going=going, practices=mine, error=error)


def _draft(draft_id: str) -> Draft:
    """Of a practice of who asks; any other is not there."""
    with world.engine().connect() as conn:
        draft = drafts.get(conn, draft_id)
    if draft.placer not in practices():
        raise UnknownDraft(f"there is no draft {draft_id}; it may have been discarded, or removed after its time")
    return draft


def _step(key: str) -> Step:
    if key not in BY_KEY:
        raise NotFound
    return BY_KEY[key]


def _sent(draft: Draft) -> Response:
    return forms.told(t("new.known", id=draft.request_id), url_for("requests.show", request_id=draft.request_id))


def _typed(step: Step) -> dict[str, str]:
    """What the form holds of this step's fields; a field that is not on the page stays as it is."""
    return {
        path: request.form[path].replace("\x00", "").replace("\r\n", "\n")
        for path in step.paths
        if path in request.form
    }


def _do(draft: Draft, step: Step) -> Response:
    typed = _typed(step)
    if not forms.is_ours():
        return _page(draft, step, typed=typed, did=Did(says=forms.refusal()), status=403)
    word, _, rest = forms.typed("do", 300).partition(" ")
    if word == "unpick" and rest in step.parts and rest not in FIXED_PARTS:
        did = Did(picked={rest: None})
    elif word in ("", "next", "save"):
        did = Did(goes_on=word == "next")
    else:
        did = step.act(draft, word, rest, typed)
    return _saved(draft, step, typed, did, word)


def _saved(draft: Draft, step: Step, typed: Mapping[str, str], did: Did, word: str) -> Response:
    go_to = after(step.key) if did.goes_on and not did.says else step.key
    expected, before = _expected(), draft.content.picked.keys()
    try:
        with world.engine().begin() as conn:
            draft = drafts.save(
                conn,
                draft.id,
                expected_version=expected,
                typed={**typed, **did.typed},
                picked=did.picked,
                step=go_to,
                actor=forms.actor(),
            )
    except DraftStale as error:
        return _stale(error.now, step, typed, did, expected)
    except DraftSent as error:
        return _sent(error.draft)
    gone = before - draft.content.picked.keys() - did.picked.keys()
    if gone:
        did = replace(did, says=" ".join(filter(None, (_gone(gone), did.says))))
    if did.says or did.shows:
        return _page(draft, step, did=did)
    if word == "save":
        return forms.told(t("draft.saved"), url_for("drafts.listed"))
    return forms.see_other(url_for("drafts.show", draft_id=draft.id, at=go_to))


def _gone(parts: Set[str]) -> str:
    """What went with the patient who was taken back; what was typed stays, and is to be read once more."""
    return t("draft.gone_with_patient", parts=", ".join(sorted(t(f"draft.part.{part}") for part in parts)))


def _expected() -> int:
    given = request.form.get("version", "")
    return int(given) if given.isascii() and given.isdigit() and len(given) < 9 else 0


def _stale(now: Draft, step: Step, typed: Mapping[str, str], did: Did, expected: int) -> Response:
    """The page as it is now, with what this person changed in it, and beside that what somebody else saved meanwhile."""
    seen = _seen()
    mine = {path: value for path, value in typed.items() if value != seen.get(path, "")}
    changed = now.content.changed_after(expected)
    theirs = [
        (label(name), change.actor, _value(now, name), name in mine and _value(now, name) != mine[name])
        for name, change in sorted(changed.items())
    ]
    lost = [part for part, pick in did.picked.items() if pick is not None]
    shown = {**now.content.typed, **mine}
    says = t("draft.pick_again") if lost else ""
    return _page(now, step, typed=shown, did=Did(says=says), status=409, theirs=theirs)


def _seen() -> dict[str, str]:
    try:
        seen = json.loads(request.form.get("seen", "{}"))
    except ValueError:
        return {}
    return {str(name): str(value) for name, value in seen.items()} if isinstance(seen, dict) else {}


def from_where(source: str) -> str:
    """Where something that was picked is from: an id of a server is said as the place whose server it is."""
    reference, _, key = source.partition(" at ")
    if key and "/" in reference:
        return t("draft.from_ehr", place=world.place_name(key.partition(";")[0]))
    return t("draft.from", source=source)


def label(name: str) -> str:
    """A field or a part of a draft, in words."""
    for section, some in fields():
        for field in some:
            if field.path == name:
                return f"{t(f'new.section.{section}')}: {t(f'new.{field.label}')}"
    return t(f"draft.part.{name}")


def _value(draft: Draft, name: str) -> str:
    """What a field or part says, as people read it."""
    pick = draft.content.picked.get(name)
    value = pick.words if pick else draft.content.typed.get(name, "")
    choices = next((field.choices for _, some in fields() for field in some if field.path == name), ())
    return dict(choices).get(value, value)


def _page(
    draft: Draft,
    step: Step,
    *,
    typed: Mapping[str, str] | None = None,
    did: Did = Did(),
    status: int = 200,
    theirs: Sequence[tuple] = (),
    says_missing: bool = False,
) -> Response:
    shown = {**draft.content.typed, **(typed or {})}
    here = [each for each in whole.lacks(draft) if each.step == step.key]
    wrong = [each for each in here if says_missing or each.path and draft.content.typed.get(each.path)]
    return pages.render(
        f"draft_{step.key}.html",
        status,
        draft=draft,
        step=step,
        steps=STEPS,
        sections=step.sections(),
        typed=shown,
        seen=json.dumps({path: draft.content.typed.get(path, "") for path in step.paths}),
        mistakes={each.path: each.message for each in wrong if each.path},
        others=[each.message for each in wrong if not each.path],
        picked=draft.content.picked,
        theirs=theirs,
        says=did.says,
        from_where=from_where,
        **{"not_now": "", "people": {}, **step.offers(draft), **did.shows},
    )


def _review(draft: Draft, status: int = 200, more: Sequence[Lack] = (), others: Sequence[str] = ()) -> Response:
    found = [*whole.lacks(draft), *more]
    suits = None if found else reasons.suits(draft, whole.request_of(draft))
    return pages.render(
        "draft_review.html",
        status,
        draft=draft,
        step=None,
        steps=STEPS,
        lacks={step.key: [each for each in found if each.step == step.key] for step in STEPS},
        is_whole=not found,
        suits=suits,
        travels=_travels(draft),
        said={step.key: list(_said(draft, step)) for step in STEPS},
        others=others,
        label=label,
        from_where=from_where,
    )


def _travels(draft: Draft) -> str:
    """What is known of the earlier opinions of the case: yes, no, unknown; empty where there are none."""
    answer = draft.content.typed.get("earlier_opinions.answer")
    return "" if drafts.follows(draft.content) is None else answer or "unknown"


def _said(draft: Draft, step: Step) -> Any:
    """(label, words, where they are from) of all that a step holds; a pick stands for the fields it replaces."""
    content = draft.content
    hidden = {path for part in content.picked for path in step.paths if part_at(path) == part}
    for part in step.parts:
        if part in content.picked:
            yield t(f"draft.part.{part}"), content.picked[part].words, content.picked[part].source
    for path in step.paths:
        if content.typed.get(path) and path not in hidden:
            yield label(path), _value(draft, path), ""


def _take_in(conn: Connection, made: SecondOpinionRequest, draft: Draft) -> str:
    entry = drafts.chosen_entry(draft.content)
    return requests.take_in(conn, made, actor=forms.actor(), entry=entry, **world.intake(made.fulfiller))[0]


def _send(draft: Draft) -> Response:
    """Taken in as every request is. Sent twice it is one request; sent after somebody else's change it is shown again."""
    if not forms.is_ours():
        return _review(draft, 403, others=[forms.refusal()])
    try:
        made = whole.request_of(draft)
        with world.engine().begin() as conn:
            request_id = drafts.send(
                conn,
                draft.id,
                expected_version=_expected(),
                take_in=lambda: _take_in(conn, made, draft),
                actor=forms.actor(),
            )
    except DraftStale as error:
        return _review(error.now, 409, others=[t("draft.changed_meanwhile", actor=error.now.updated_by)])
    except DraftSent as error:
        return _sent(error.draft)
    except RequestError as error:
        known = whole.lacks(draft)
        return _review(draft, 400, [each for each in whole.placed(draft, error) if each not in known])
    except ExchangeError as error:
        return _review(draft, 409, others=[str(error)])
    spans.takes_in(request_id)
    return forms.told(t("new.taken", id=request_id), url_for("requests.show", request_id=request_id))
