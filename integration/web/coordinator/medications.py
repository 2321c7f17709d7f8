"""The list of medications: as the chart says it, gone through with the patient."""

from flask import Blueprint, Response, url_for
from flask.typing import ResponseReturnValue

from integration import medications
from integration.store.operations import NotPossible
from integration.views.texts import t
from integration.web import forms, pages, world
from integration.web.access import consented
from mappings.medications import INFORMANTS, Informant, What

blueprint = pages.sentences(Blueprint("medications", __name__, url_prefix="/requests/<request_id>/medications"))
SAID = (What.TAKING, What.NOT_TAKING, What.DIFFERENTLY)
MOST = 2000  # fields of a form


@blueprint.get("")
def show(request_id: str) -> ResponseReturnValue:
    """Each medication with every record that names it, and what was last said of it. The look is recorded."""
    return _page(request_id, 200)


@blueprint.post("")
def review(request_id: str) -> ResponseReturnValue:
    """Keep what was said. A refusal shows the page again with everything that was typed."""
    if not forms.is_ours():
        return _page(request_id, 403, forms.refusal())
    after = forms.typed("after", 18)
    keys = [forms.typed(f"key-{number}", 400) for number in range(MOST) if forms.typed(f"key-{number}", 400)]
    said = {key: (forms.typed(f"what-{key}"), forms.typed(f"words-{key}", 2000)) for key in keys}
    try:
        medications.review(
            world.engine(),
            world.payloads(),
            request_id,
            after=int(after) if after.isascii() and after.isdigit() else 0,
            list_sha256=forms.typed("list"),
            informant=forms.typed("informant"),
            said={key: each for key, each in said.items() if each[0]},
            also=forms.typed("also", 20_000).splitlines(),
            actor=forms.actor(),
        )
    except NotPossible as error:
        return _page(request_id, 409, str(error))
    return forms.told(t("medications.kept"), url_for("medications.show", request_id=request_id))


def _page(request_id: str, status: int, error: str = "") -> Response:
    limit = consented.limit(request_id)
    found = medications.shown(world.engine(), world.payloads(), request_id, actor=forms.actor(), limit=limit)
    also = "\n".join(each.words for each in found.said.values() if not each.sources)
    return pages.render(
        "medications.html",
        status,
        found=found,
        also=also,
        said=SAID,
        informants=INFORMANTS,
        whose=Informant,
        error=error,
    )
