"""Insurance: what insurers said, which answer counts for the visit, and a call written down; nothing typed is lost."""

from datetime import UTC, datetime

from flask import Blueprint, Response, request, url_for
from flask.typing import ResponseReturnValue

from integration import coverage, eligibility
from integration.store import insurances
from integration.store.operations import NotPossible
from integration.store.revisions import RevisionRefused, RevisionStale
from integration.views.coverage import ends_before, shown
from integration.views.texts import t
from integration.web import forms, pages, world
from mappings.coverage_typed import FIELDS, AnswerNotRight
from mappings.model.eligibility import SERVICES

blueprint = pages.sentences(Blueprint("coverage", __name__, url_prefix="/requests/<request_id>/coverage"))
ZONES = (
    "America/New_York",
    "America/Chicago",
    "America/Denver",
    "America/Phoenix",
    "America/Los_Angeles",
    "America/Anchorage",
    "Pacific/Honolulu",
    "America/Puerto_Rico",
    "UTC",
)
WORDS = {
    "answer": ("covered", "not-covered", "conditional", "unclear"),
    "network": ("in", "out", "unknown"),
    "required": ("yes", "no", "unknown"),
    "authorization": ("yes", "no", "unknown"),
}


@blueprint.get("")
def show(request_id: str) -> ResponseReturnValue:
    """What insurers said, newest first, and the form. The look is recorded."""
    return _page(request_id, 200)


@blueprint.post("")
def record(request_id: str) -> ResponseReturnValue:
    """Keep an answer. Who is second is told so, with what was typed still there; sent twice it is one answer."""
    typed = {name: forms.typed(name) for name in FIELDS}
    if not forms.is_ours():
        return _page(request_id, 403, typed, error=forms.refusal())
    expected = forms.typed("version", 9)
    version = int(expected) if expected.isascii() and expected.isdigit() else 0
    try:
        coverage.record(
            world.engine(),
            world.config(),
            request_id,
            typed,
            datetime.now(UTC),
            expected_version=version,
            actor=forms.actor(),
        )
    except AnswerNotRight as error:
        return _page(request_id, 400, typed, error.mistakes)
    except RevisionStale as error:
        return _page(request_id, 409, typed, error=f"{t('coverage.second')} {error}")
    except RevisionRefused as error:
        return _page(request_id, 409, typed, error=str(error))
    return forms.told(t("coverage.kept"), url_for("coverage.show", request_id=request_id))


@blueprint.post("/read")
def read(request_id: str) -> ResponseReturnValue:
    """Have the insurance read from the EHR again; a worker does it."""
    if not forms.is_ours():
        return _page(request_id, 403, error=forms.refusal())
    try:
        with world.engine().begin() as conn:
            made = insurances.ask(conn, request_id, actor=forms.actor(), reason=t("coverage.ehr_why"))
    except NotPossible as error:
        return _page(request_id, 409, error=str(error))
    told = t("coverage.ehr_asked") if made else t("coverage.ehr_under_way")
    return forms.told(told, url_for("coverage.show", request_id=request_id))


@blueprint.post("/payer")
def ask_payer(request_id: str) -> ResponseReturnValue:
    """Ask an insurer's own system; a worker sends it."""
    if not forms.is_ours():
        return _page(request_id, 403, error=forms.refusal())
    try:
        eligibility.ask(
            world.engine(),
            world.config(),
            request_id,
            forms.typed("payer", 63),
            forms.typed("insurance", 200),
            forms.typed("service", 5),
            actor=forms.actor(),
            reason=t("coverage.payer_why"),
        )
    except NotPossible as error:
        return _page(request_id, 409, error=str(error))
    return forms.told(t("coverage.payer_asked"), url_for("coverage.show", request_id=request_id))


def _page(
    request_id: str,
    status: int,
    typed: dict[str, str] | None = None,
    mistakes: dict[str, str] | None = None,
    error: str = "",
) -> Response:
    today = datetime.now(UTC).date()
    found = coverage.coverage(world.engine(), request_id, today, actor=forms.actor())
    return pages.render(
        "coverage.html",
        status,
        found=found,
        answers=shown(found),
        typed=typed or {},
        mistakes=mistakes or {},
        error=error,
        words=WORDS,
        zones=ZONES,
        today=today,
        ended=ends_before,
        payers=eligibility.payers(world.config()),
        services=SERVICES,
        payer_asks=eligibility.waiting(found.asks),
        chosen=request.form,
    )
