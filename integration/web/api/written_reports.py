"""A consultant's report: saved, signed, corrected, retracted. A PDF is handed in on the page."""

from collections.abc import Callable

from integration import written_reports
from integration.store.operations import NotPossible
from integration.store.report_drafts import from_json
from integration.views.desk import view_of_report
from integration.views.texts import t
from integration.web import forms, world
from integration.web.api.answers import Done
from integration.web.api.bodies import Because
from integration.web.api.desk_models import ReportAtDesk, SaveReport, SignReport
from integration.web.api.routes import get, post
from integration.web.problems import Problem

_REFUSES = ("wrong-body", "unknown", "not-possible")


@get("/desk/<request_id>/report", refuses=("unknown",))
def written_report(request_id: str) -> ReportAtDesk:
    """The report as it is being written, and those that were signed. The look is recorded."""
    found = written_reports.look(world.engine(), world.config(), request_id, actor=forms.actor(), reason="API")
    return ReportAtDesk.model_validate(view_of_report(found))


@post("/desk/<request_id>/report", refuses=_REFUSES)
def save_report(request_id: str, body: SaveReport) -> Done:
    """Keep what is written so far, whatever is still wrong with it."""
    typed = from_json(body.report.model_dump(mode="json"))

    def do() -> str:
        made = written_reports.save(
            world.engine(), world.config(), request_id, typed, version=body.version, actor=forms.actor()
        )
        return f"Saved as version {made.version}."

    return _done(do)


@post("/desk/<request_id>/report/sign", refuses=_REFUSES)
def sign_report(request_id: str, body: SignReport) -> Done:
    """Sign the draft: it goes back to the referring doctor."""

    def do() -> str:
        made = written_reports.sign(
            world.engine(),
            world.payloads(),
            world.config(),
            request_id,
            by=body.signed_by,
            is_theirs=body.is_theirs,
            version=body.version,
            actor=forms.actor(),
        )
        more = f" {t('written.without_pdf', why=made.without_pdf)}" if made.without_pdf else ""
        return t("written.signed", by=body.signed_by) + more

    return _done(do)


@post("/desk/<request_id>/report/<int:number>/retract", refuses=_REFUSES)
def retract_report(request_id: str, number: int, body: Because) -> Done:
    """The report that was signed last should never have been: it is marked as an error, its copy with it."""

    def do() -> str:
        made = (world.engine(), world.config(), request_id, number)
        written_reports.retract(*made, actor=forms.actor(), reason=body.reason)
        return t("written.did.retract")

    return _done(do)


def _done(do: Callable[[], str]) -> Done:
    try:
        return Done(changed=True, message=do())
    except NotPossible as error:
        raise Problem("not-possible", str(error)) from error
