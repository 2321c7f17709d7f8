"""Should I ask? What speaks for a second opinion here, what the program refuses, and what a coordinator answers."""

from datetime import UTC, date, datetime

from flask import Blueprint, Response, request, url_for
from flask.typing import ResponseReturnValue

from integration import suitability
from integration.store.operations import NotPossible
from integration.store.revisions import RevisionRefused
from integration.views.texts import t
from integration.web import forms, pages, world
from mappings.model.suitability import DO_THIS_INSTEAD, GO_ON, GoodReason
from mappings.suitability import REASON_WORDS, in_words

blueprint = pages.sentences(Blueprint("suitability", __name__, url_prefix="/requests/<request_id>/suitability"))


@blueprint.get("")
def show(request_id: str) -> ResponseReturnValue:
    """What the program takes, what speaks against this request, what is to be answered. The look is recorded."""
    return _page(request_id, 200)


@blueprint.post("")
def say(request_id: str) -> ResponseReturnValue:
    """An answer, the good reasons, or going on all the same. A refusal shows the page again with what was typed."""
    if not forms.is_ours():
        return _page(request_id, 403, forms.refusal())
    key, _, value = forms.typed("say").partition(" ")
    try:
        if key == "reasons":
            _give_reasons(request_id)
        else:
            suitability.answer(
                world.engine(),
                world.config(),
                request_id,
                key,
                value,
                _today(),
                actor=forms.actor(),
                reason=forms.typed("reason") or ("" if key == GO_ON else t("suitability.answered")),
            )
    except (NotPossible, RevisionRefused) as error:
        return _page(request_id, 409, str(error), at=key)
    return forms.told(t("suitability.kept"), url_for("suitability.show", request_id=request_id))


def _give_reasons(request_id: str) -> None:
    chosen = {each for each in GoodReason if each.value in request.form.getlist("good")}
    expected = forms.typed("version", 9)
    suitability.give_reasons(
        world.engine(),
        world.config(),
        request_id,
        chosen,
        expected_version=int(expected) if expected.isascii() and expected.isdigit() else None,
        actor=forms.actor(),
        reason=t("suitability.reasons_why"),
    )


def _page(request_id: str, status: int, error: str = "", at: str = "") -> Response:
    found = suitability.standing(world.engine(), world.config(), request_id, _today(), actor=forms.actor())
    program = found.judged.program
    return pages.render(
        "suitability.html",
        status,
        found=found,
        judged=found.judged,
        takes=in_words(program) if program else (),
        listed=in_words(found.judged.listed) if found.judged.listed else (),
        good=REASON_WORDS,
        instead=DO_THIS_INSTEAD,
        go_on=GO_ON,
        error=error,
        at=at,
    )


def _today() -> date:
    return datetime.now(UTC).date()
