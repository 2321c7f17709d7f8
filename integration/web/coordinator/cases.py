"""One page for one case: what is done, what is missing, who has the next move and by when; and the board of all of mine."""

from flask import Blueprint, request, url_for
from flask.typing import ResponseReturnValue

from integration import case_opinions, cases
from integration.store import audit, request_list
from integration.store.board import Show, Sort
from integration.views import board as boards
from integration.views import case as case_view
from integration.web import forms, pages, world
from integration.web.access import scope
from mappings.model.states import OPEN

blueprint = pages.sentences(Blueprint("cases", __name__))


@blueprint.get("/cases/<request_id>")
def show(request_id: str) -> ResponseReturnValue:
    """Every part of a case, the next move at the top. It says who the patient is: the look is recorded."""
    this, parts = cases.read(
        world.engine(), world.payloads(), world.config(), request_id, pages.now(), actor=forms.actor()
    )
    with world.engine().connect() as conn:
        opinions = case_opinions.of_case(conn, this.row.case, scope.mine())
        others = request_list.of_patient(conn, this.row.patient_hash, scope.mine(), but=request_id)
    shown = {each.request_id for each in opinions}
    is_open = this.row.status in OPEN and not this.row.cancel_requested
    return pages.render(
        "case.html",
        this=this,
        parts=parts,
        opinions=opinions,
        asks=scope.mine().asks_for(this.row.placer),
        others=[each for each in others if each.id not in shown],
        is_open=is_open,
        label=case_view.label,
    )


@blueprint.get("/board")
def board() -> ResponseReturnValue:
    """The open cases of my practices, those with the least time left first. Names are on it: which were shown is recorded."""
    given = request.args.get("show", "")
    tab = Show(given) if given in list(Show) else Show.ALL
    wanted = request.args.get("by", "")
    by = Sort(wanted) if wanted in list(Sort) else Sort.TIME
    with world.engine().begin() as conn:
        found = boards.read(conn, scope.mine(), tab, pages.now(), after=request.args.get("after", ""), by=by)
        shown = {"requests": [turn.id for turn in found.turns]}
        audit.record(conn, forms.actor(), "board.looked-at", detail=shown)
    return pages.render(
        "board.html",
        found=found,
        tab=tab,
        tabs=[(each, found.counts[each], url_for("cases.board", show=each, by=by)) for each in Show],
        name_of=boards.name_of,
        of_case=boards.of_case,
        to_do=boards.to_do,
        first="after" in request.args,
        by=by,
        sorts=[(each, url_for("cases.board", show=tab, by=each)) for each in Sort],
    )
