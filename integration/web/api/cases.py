"""One case with its parts, and the board: who has the next move, and by when. Ids and words, nothing of the patient."""

from dataclasses import asdict

from integration import case_opinions, cases
from integration.store.board import Show, Sort
from integration.views import board as boards
from integration.views.case import label
from integration.web import forms, pages, world
from integration.web.access import scope
from integration.web.api.bodies import BoardQuery
from integration.web.api.case_answers import Board, BoardLine, Case, CasePart, OpinionOfCase
from integration.web.api.routes import get
from integration.web.problems import Error, Problem


@get("/cases/<request_id>", refuses=("unknown",))
def case(request_id: str) -> Case:
    """Every part of one case, the next move first. The look is recorded."""
    this, parts = cases.read(
        world.engine(), world.payloads(), world.config(), request_id, pages.now(), actor=forms.actor(), reason="API"
    )
    row = this.row
    made = [CasePart.model_validate({**asdict(part), "label": label(part.key)}) for part in parts]
    sides = {"placer": row.placer, "fulfiller": row.fulfiller, "priority": row.priority, "status": row.status}
    with world.engine().connect() as conn:
        found = case_opinions.of_case(conn, row.case, scope.mine())
    opinions = [OpinionOfCase.model_validate(case_opinions.view(each)) for each in found]
    return Case(request_id=row.id, key=row.key, parts=made, opinions=opinions, **sides)


@get("/board", refuses=("wrong-query",))
def board(query: BoardQuery) -> Board:
    """Open cases, those with the least time left first; for people of practices, theirs."""
    if query.after and boards.place(query.after) is None:
        wrong = "is not the `next` of a page"
        raise Problem("wrong-query", f"`after` {wrong}.", [Error(message=wrong, path="after")])
    with world.engine().connect() as conn:
        found = boards.read(
            conn,
            scope.mine(),
            Show(query.show),
            pages.now(),
            after=query.after or "",
            limit=query.limit,
            by=Sort(query.by),
        )
    items = [BoardLine.model_validate(boards.view(turn)) for turn in found.turns]
    return Board(items=items, counts={show.value: number for show, number in found.counts.items()}, next=found.next)
