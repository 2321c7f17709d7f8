"""A consulting practice's inbox, and its answers to requests."""

from integration import desk as desks
from integration.store.desk import Show
from integration.store.operations import NotPossible
from integration.views import desk as views
from integration.views.texts import t
from integration.web import forms, pages, world
from integration.web.access import scope
from integration.web.api.answers import Done
from integration.web.api.desk_models import AnswerBody, Inbox, InboxLine, InboxQuery, RequestAtDesk
from integration.web.api.routes import get, post
from integration.web.problems import Error, Problem
from mappings.model.desk import TypedSaid


@get("/desk", refuses=("wrong-query",))
def desk(query: InboxQuery) -> Inbox:
    """Requests asked of the practices of who asks, those with the least time left first. The look is recorded."""
    after = views.place(query.after) if query.after else None
    if query.after and after is None:
        wrong = "is not the `next` of a page"
        raise Problem("wrong-query", f"`after` {wrong}.", [Error(message=wrong, path="after")])
    lines, numbers, following = desks.inbox(
        world.engine(),
        world.payloads(),
        world.config(),
        scope.mine(),
        Show(query.show),
        pages.now(),
        actor=forms.actor(),
        after=after,
    )
    items = [InboxLine.model_validate(views.view(line)) for line in lines]
    counts = {show.value: number for show, number in numbers.items()}
    return Inbox(items=items, counts=counts, next=views.place_words(following))


@get("/desk/<request_id>", refuses=("unknown",))
def desk_of(request_id: str) -> RequestAtDesk:
    """One request as the practice that is asked sees it, and what was answered. The look is recorded."""
    found = desks.look(world.engine(), world.config(), request_id, actor=forms.actor(), reason="API")
    return RequestAtDesk.model_validate(views.view_of(found))


@post("/desk/<request_id>/answers", refuses=("wrong-body", "unknown", "not-possible"))
def answer_request(request_id: str, body: AnswerBody) -> Done:
    """Accept, decline, ask for more, or hand over. At a practice with an EHR the answer is given there."""
    typed = TypedSaid(body.answer, body.reason or "", body.words, "\n".join(body.people), tuple(body.items))
    try:
        said = desks.answer(world.engine(), world.config(), request_id, typed, last=body.last, actor=forms.actor())
    except NotPossible as error:
        raise Problem("not-possible", str(error)) from error
    return Done(changed=True, message=t(f"desk.kept.{said.answer}"))
