"""Patients' private links, and releasing a report to the patient."""

from integration.store import private_links as store
from integration.store import releases, requests
from integration.store.operations import NotPossible, WrongWords
from integration.views.private_links import view
from integration.web import forms, pages, problems, world
from integration.web.api.answers import Done
from integration.web.api.bodies import Because, PrivateLinkBody, ReleaseBody
from integration.web.api.request_answers import PrivateLinkMade, PrivateLinks
from integration.web.api.routes import get, post
from integration.web.problems import Problem
from mappings.model.errors import Mistake
from mappings.model.private_link import TypedLink


@get("/requests/<request_id>/private-links", refuses=("unknown",))
def private_links(request_id: str) -> PrivateLinks:
    """The links of a request and how each stands; never the link itself."""
    with world.engine().begin() as conn:
        requests.get(conn, request_id)
        found = [view(each, pages.now()) for each in store.of_request(conn, request_id)]
    return PrivateLinks.model_validate({"request_id": request_id, "private_links": found})


@post("/requests/<request_id>/private-links", refuses=("wrong-body", "unknown"))
def make_private_link(request_id: str, body: PrivateLinkBody) -> PrivateLinkMade:
    """Make a link. The answer is the only place where it, and a code, are ever shown: give the code by another way."""
    typed = TypedLink(body.opened_by, str(body.days), body.language)
    try:
        with world.engine().begin() as conn:
            made = store.make(conn, request_id, typed, actor=forms.actor())
    except WrongWords as error:
        mistakes = [Mistake("", None, field, words) for field, words in error.wrong.items()]
        raise problems.wrong("wrong-body", mistakes) from error
    base = world.config().web.public_url or world.config().web.address
    return PrivateLinkMade(request_id=request_id, id=made.link.id, link=f"{base}/p/{made.token}", code=made.code)


@post(
    "/requests/<request_id>/private-links/<int:private_link>/revoke", refuses=("wrong-body", "unknown", "not-possible")
)
def revoke_private_link(request_id: str, private_link: int, body: Because) -> Done:
    """Close a link for good, and end what it opened."""
    try:
        with world.engine().begin() as conn:
            store.revoke(conn, request_id, private_link, actor=forms.actor(), reason=body.reason)
    except NotPossible as error:
        raise Problem("not-possible", str(error)) from error
    return Done(changed=True, message="Revoked.")


@post("/requests/<request_id>/release", refuses=("wrong-body", "unknown", "not-possible"))
def release_report(request_id: str, body: ReleaseBody) -> Done:
    """The primary doctor lets the patient read the newest report on their own page."""
    try:
        with world.engine().begin() as conn:
            is_new = releases.release(conn, request_id, str(body.revision), body.by, actor=forms.actor())
    except NotPossible as error:
        raise Problem("not-possible", str(error)) from error
    return Done(changed=is_new, message="Released." if is_new else "It was released already.")


@post("/requests/<request_id>/release/take-back", refuses=("wrong-body", "unknown", "not-possible"))
def take_back_release(request_id: str, body: Because) -> Done:
    """The patient's page does not show it any more."""
    try:
        with world.engine().begin() as conn:
            releases.take_back(conn, request_id, actor=forms.actor(), reason=body.reason)
    except NotPossible as error:
        raise Problem("not-possible", str(error)) from error
    return Done(changed=True, message="Taken back.")
