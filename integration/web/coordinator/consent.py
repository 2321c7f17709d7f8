"""What the patient agrees to, as the coordinator records it for them: which kinds of record, to whom, until when."""

from flask import Blueprint, Response, request, url_for
from flask.typing import ResponseReturnValue

from integration.store import consents
from integration.store.operations import WrongWords
from integration.views import consent as views
from integration.views.texts import t
from integration.web import forms, pages, world
from mappings.model.consent import MAX_NOTE, How, RecordKind, Said, TypedConsent

blueprint = pages.sentences(Blueprint("consent", __name__, url_prefix="/requests/<request_id>/consent"))


@blueprint.get("")
def show(request_id: str) -> ResponseReturnValue:
    """How it stands, and every statement. The look is recorded."""
    return _page(request_id, 200)


@blueprint.post("")
def say(request_id: str) -> ResponseReturnValue:
    """Record a statement. Nothing typed is lost: a refusal shows the page again with it."""
    if not forms.is_ours():
        return _page(request_id, 403, error=forms.refusal())
    names = ("said", "seen", "until", "how", "by")
    typed = TypedConsent(
        **{name: forms.typed(name) for name in names},
        note=forms.typed("note", MAX_NOTE + 1),
        kinds=tuple(request.form.getlist("kinds")),
        recipients=tuple(request.form.getlist("recipients")),
    )
    try:
        with world.engine().begin() as conn:
            done = consents.record(conn, request_id, typed, actor=forms.actor(), hosted=world.config().hosted_endpoints)
    except WrongWords as error:
        return _page(request_id, 400, wrong=dict(error.wrong))
    words = t("consent.kept") if done.is_new else t("consent.known")
    return forms.told(words, url_for("consent.show", request_id=request_id))


def _page(request_id: str, status: int, *, error: str = "", wrong: dict[str, str] | None = None) -> Response:
    with world.engine().begin() as conn:
        consents.looked_at(conn, request_id, actor=forms.actor())
        found = views.read(conn, world.config(), request_id, pages.now().date())
    return pages.render(
        "consent.html",
        status,
        found=found,
        error=error,
        wrong=wrong or {},
        limits=lambda row: views.limits(row, world.place_name),
        kinds=list(RecordKind),
        said=list(Said),
        hows=[each for each in How if each is not How.PAGE],
        chosen=_chosen(found),
        most=MAX_NOTE,
    )


def _chosen(found: views.ConsentState) -> dict[str, set[str]]:
    """What is checked: what was just typed, else what stands, else everything."""
    if request.method == "POST":
        return {name: set(request.form.getlist(name)) for name in ("kinds", "recipients")}
    stands = found.newest
    kinds = set(map(str, RecordKind)) if stands is None or stands.kinds is None else set(stands.kinds)
    places = set(found.places) if stands is None or stands.recipients is None else set(stands.recipients)
    return {"kinds": kinds, "recipients": places}
