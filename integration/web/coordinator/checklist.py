"""The checklist of a request: what is there, what is missing and why, and what a coordinator knows of it."""

from datetime import UTC, datetime

from flask import Blueprint, Response, url_for
from flask.typing import ResponseReturnValue

from integration.settings.checklist_files import load_catalog
from integration.store import audit, checklist_facts
from integration.store.operations import NotPossible
from integration.views import checklist
from integration.views.texts import t
from integration.web import forms, pages, world

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
    if topic not in checklist_facts.Topic.__members__.values():
        return _page(request_id, 400, t("checklist.which"))
    try:
        with world.engine().begin() as conn:
            checklist.say(
                conn,
                world.payloads(),
                world.config(),
                load_catalog(world.config().checklists),
                request_id,
                checklist_facts.Topic(topic),
                key or forms.typed("record"),
                value or forms.typed("word"),
                actor=forms.actor(),
                reason=forms.typed("reason"),
            )
    except NotPossible as error:
        return _page(request_id, 409, str(error))
    return forms.told(t("checklist.kept"), url_for("checklist.show", request_id=request_id))


def _page(request_id: str, status: int, error: str = "") -> Response:
    config = world.config()
    catalog = load_catalog(config.checklists)
    with world.engine().begin() as conn:
        found = checklist.completeness(conn, world.payloads(), config, catalog, request_id, datetime.now(UTC).date())
        audit.record(conn, forms.actor(), "checklist.looked-at", request_id)
    rest = [item for item in found.items if not item.is_open]
    return pages.render("checklist.html", status, found=found, rest=rest, catalog=catalog, error=error)
