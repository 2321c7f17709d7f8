"""The checklist of a request: what is there, what is missing and why, and what a coordinator knows of it."""

from datetime import UTC, datetime

from flask import Blueprint, Response, url_for
from flask.typing import ResponseReturnValue

from integration import checklists
from integration.store.checklist_facts import Topic
from integration.store.operations import NotPossible
from integration.views.texts import t
from integration.web import forms, pages, world
from integration.web.access import consented

blueprint = pages.sentences(Blueprint("checklist", __name__, url_prefix="/requests/<request_id>/checklist"))


@blueprint.get("")
def show(request_id: str) -> ResponseReturnValue:
    """Each item with its state, why, and the records that speak for it. It shows what is wrong with a patient: the look is recorded."""
    return _page(request_id, 200)


@blueprint.post("")
def say(request_id: str) -> ResponseReturnValue:
    """Keep what a person says of an item. Nothing typed is lost: a refusal shows the page again with it."""
    if not forms.is_ours():
        return _page(request_id, 403, forms.refusal())
    if not forms.typed("reason"):
        return _page(request_id, 400, t("action.no_reason"))
    # A button names topic, key and word; where one is chosen from a list, the list says the word.
    topic, _, rest = forms.typed("say").partition(" ")
    key, _, value = rest.partition(" ")
    if topic not in Topic.__members__.values():
        return _page(request_id, 400, t("checklist.which"))
    try:
        checklists.say(
            world.engine(),
            world.payloads(),
            world.config(),
            request_id,
            Topic(topic),
            key or forms.typed("record"),
            value or forms.typed("word"),
            actor=forms.actor(),
            reason=forms.typed("reason"),
        )
    except NotPossible as error:
        return _page(request_id, 409, str(error))
    return forms.told(t("checklist.kept"), url_for("checklist.show", request_id=request_id))


def _page(request_id: str, status: int, error: str = "") -> Response:
    today = datetime.now(UTC).date()
    limit = consented.limit(request_id)
    found = checklists.completeness(
        world.engine(), world.payloads(), world.config(), request_id, today, actor=forms.actor(), limit=limit
    )
    rest = [item for item in found.items if not item.is_open]
    return pages.render("checklist.html", status, found=found, rest=rest, catalog=found.catalog, error=error)
