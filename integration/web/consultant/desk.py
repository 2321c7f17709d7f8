"""A consulting practice's inbox, and its answer to one request."""

from flask import Blueprint, Response, request, url_for
from flask.typing import ResponseReturnValue

from integration import desk
from integration.store.desk import Show
from integration.store.operations import NotPossible, WrongWords
from integration.views import desk as views
from integration.views.texts import t
from integration.web import forms, pages, world
from integration.web.access import scope
from mappings.model.desk import DECLINE_WORDS, MAX_WORDS, Answer, TypedSaid

blueprint = pages.sentences(Blueprint("desk", __name__, url_prefix="/desk"))


@blueprint.get("")
def inbox() -> ResponseReturnValue:
    """Requests asked of my practices. Names are on it: which were shown is recorded."""
    given = request.args.get("show", "")
    tab = Show(given) if given in list(Show) else Show.OPEN
    lines, numbers, following = desk.inbox(
        world.engine(),
        world.payloads(),
        world.config(),
        scope.mine(),
        tab,
        pages.now(),
        actor=forms.actor(),
        after=views.place(request.args.get("after", "")),
    )
    return pages.render(
        "desk.html",
        lines=lines,
        tab=tab,
        tabs=[(each, numbers[each], url_for("desk.inbox", show=each)) for each in Show],
        next=views.place_words(following),
        first="after" in request.args,
        views=views,
        wanted_by=lambda line: views.content_of(line.asked.body).wanted_by,
    )


@blueprint.get("/<request_id>")
def show(request_id: str) -> ResponseReturnValue:
    """One request: what is asked, what came, what was answered. The look is recorded."""
    return _page(request_id, 200)


@blueprint.post("/<request_id>")
def answer(request_id: str) -> ResponseReturnValue:
    """Accept, decline, ask for more, or hand over. A refusal shows the page again with what was typed."""
    if not forms.is_ours():
        return _page(request_id, 403, error=forms.refusal())
    did, last = forms.typed("answer"), forms.typed("last", 20)
    typed = TypedSaid(
        did,
        forms.typed("reason"),
        forms.typed(f"words-{did}", MAX_WORDS + 1),
        forms.typed(f"people-{did}", 5000),
        tuple(request.form.getlist("items")),
    )
    number = int(last) if last.isascii() and last.isdigit() else 0
    try:
        said = desk.answer(world.engine(), world.config(), request_id, typed, last=number, actor=forms.actor())
    except WrongWords as error:
        return _page(request_id, 400, wrong=dict(error.wrong), did=did)
    except NotPossible as error:
        return _page(request_id, 409, error=str(error), did=did)
    return forms.told(t(f"desk.kept.{said.answer}"), url_for("desk.show", request_id=request_id))


def _page(
    request_id: str, status: int, *, error: str = "", wrong: dict[str, str] | None = None, did: str = ""
) -> Response:
    found = desk.look(world.engine(), world.config(), request_id, actor=forms.actor())
    kinds = desk.kinds_of(world.config(), found.row.fulfiller)
    return pages.render(
        "desk_one.html",
        status,
        found=found,
        kinds=kinds,
        answers=list(Answer),
        reasons=DECLINE_WORDS,
        says=views.says,
        error=error,
        wrong=wrong or {},
        did=did,
        most=MAX_WORDS,
    )
