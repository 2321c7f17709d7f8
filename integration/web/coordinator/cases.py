"""One page for one case: what is done, what is missing, who has the next move and by when; and the board of all of mine."""

from flask import Blueprint
from flask.typing import ResponseReturnValue

from integration import cases
from integration.store.request_list import Wanted
from integration.views.request_list import lines
from integration.web import forms, pages, world
from integration.web.access import scope

blueprint = pages.sentences(Blueprint("cases", __name__))


@blueprint.get("/cases/<request_id>")
def show(request_id: str) -> ResponseReturnValue:
    """Every part of a case, the next move at the top. It says who the patient is: the look is recorded."""
    this, parts = cases.read(
        world.engine(), world.payloads(), world.config(), request_id, pages.now(), actor=forms.actor()
    )
    return pages.render("case.html", this=this, parts=parts, patient=this.content.patient)


@blueprint.get("/board")
def board() -> ResponseReturnValue:
    """The open requests of my practices."""
    with world.engine().connect() as conn:
        rows, _ = lines(conn, Wanted(), scope=scope.mine())
    return pages.render("board.html", rows=rows)
