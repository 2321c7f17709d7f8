"""SMART Health Links that the patient carries, and one that a patient brought."""

from integration.health_links import making, opening
from integration.health_links.making import Wanted
from integration.store.operations import NotPossible, WrongWords
from integration.views.health_links import view
from integration.web import forms, problems, world
from integration.web.api.answers import Done
from integration.web.api.bodies import Because
from integration.web.api.link_models import BroughtLink, HealthLinkBody, HealthLinkMade, HealthLinks, LinkTaken
from integration.web.api.routes import get, post
from integration.web.health_links import base_url
from integration.web.problems import Problem
from mappings.health_link import LinkProblem
from mappings.model.errors import Mistake


@get("/requests/<request_id>/health-links", refuses=("unknown",))
def health_links(request_id: str) -> HealthLinks:
    """The links of a request, what they hold and who opened them; never a link itself. The look is recorded."""
    found = making.listed(world.visits(), request_id, actor=forms.actor(), reason="API")
    return HealthLinks.model_validate(view(found))


@post("/requests/<request_id>/health-links", refuses=("wrong-body", "unknown", "not-possible"))
def make_health_link(request_id: str, body: HealthLinkBody) -> HealthLinkMade:
    """Make a link. The answer is the only place where it and its passcode are ever shown: give the passcode by another way."""
    wanted = Wanted(
        days=str(body.days),
        is_long_term=body.later_records,
        is_direct=not body.passcode,
        is_theirs=body.patient_asked,
    )
    try:
        made = making.make(world.visits(), request_id, wanted, base_url(), actor=forms.actor())
    except WrongWords as error:
        mistakes = [Mistake("", None, field, words) for field, words in error.wrong.items()]
        raise problems.wrong("wrong-body", mistakes) from error
    except (NotPossible, LinkProblem) as error:
        raise Problem("not-possible", str(error)) from error
    row = made.row
    return HealthLinkMade(
        request_id=request_id, id=row.id, link=made.link, passcode=made.passcode, documents_left_out=row.left_out
    )


@post("/requests/<request_id>/health-links/<link_id>/revoke", refuses=("wrong-body", "unknown", "not-possible"))
def revoke_health_link(request_id: str, link_id: str, body: Because) -> Done:
    """It opens nothing any more, from the next request on."""
    try:
        making.revoke(world.visits(), request_id, link_id, actor=forms.actor(), reason=body.reason)
    except NotPossible as error:
        raise Problem("not-possible", str(error)) from error
    return Done(changed=True, message="Revoked.")


@post("/requests/<request_id>/records-received/link", refuses=("wrong-body", "unknown", "not-possible", "file-refused"))
def take_link(request_id: str, body: BroughtLink) -> LinkTaken:
    """Take in what a link holds that the patient brought. What is wrong with one file stops no other."""
    try:
        made = opening.open_link(world.visits(), request_id, body.link, body.passcode, actor=forms.actor())
    except LinkProblem as error:
        raise Problem("file-refused", str(error)) from error
    except NotPossible as error:
        raise Problem("not-possible", str(error)) from error
    taken, known = [each.id for each in made.taken], [each.id for each in made.known]
    return LinkTaken(request_id=request_id, taken=taken, known=known, refused=made.wrong)
