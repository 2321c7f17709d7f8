"""What is asked of sources for a request, what travels by courier, and what a person says of either."""

from datetime import UTC, date, datetime

from integration import asking, checklists
from integration.store import parcels as parcel_rows
from integration.store import requests, source_asks
from integration.store.operations import NotPossible
from integration.views.sources import ask_view, parcel_view
from integration.views.texts import t
from integration.web import forms, world
from integration.web.api.answers import Done
from integration.web.api.before_visit_answers import Parcels, SourceAsk, SourceAsks
from integration.web.api.bodies import AddParcel, AskAgain, AskSource, MoveParcel, SourceWord
from integration.web.api.routes import get, post
from integration.web.coordinator.parcels import may_say
from integration.web.problems import Problem
from mappings.model.parcel import TypedMove
from mappings.model.source_ask import TypedHolder

_REFUSES = ("wrong-body", "unknown", "not-possible")


def _today() -> date:
    return datetime.now(UTC).date()


@get("/requests/<request_id>/sources", refuses=("unknown",))
def sources(request_id: str) -> SourceAsks:
    """What was asked of whom, how each stands, and the next step."""
    asked = asking.asks(world.engine(), world.config(), request_id)
    return SourceAsks(
        request_id=request_id, items=[SourceAsk.model_validate(ask_view(each, _today())) for each in asked]
    )


@post("/requests/<request_id>/sources", refuses=_REFUSES)
def ask_source(request_id: str, body: AskSource) -> SourceAsk:
    """Ask a source for items of the checklist: by a Task where it takes one, else by a letter that a person sends."""
    try:
        made = asking.ask(
            world.engine(),
            world.config(),
            request_id,
            items=tuple(body.items),
            source=body.source,
            elsewhere=TypedHolder(body.place, "\n".join(body.address), body.fax),
            road=body.road or "",
            what=body.what,
            due=body.due.isoformat(),
            today=_today(),
            actor=forms.actor(),
            reason=body.reason,
        )
    except NotPossible as error:
        raise Problem("not-possible", str(error)) from error
    return _one(request_id, made)


@post("/requests/<request_id>/sources/<int:ask_id>/say", refuses=_REFUSES)
def say_of_source(request_id: str, ask_id: int, body: SourceWord) -> SourceAsk:
    """What became of an ask: a letter was sent, they promised or refused it, it came, or it is not needed any more."""
    try:
        with world.engine().begin() as conn:
            source_asks.say(
                conn,
                request_id,
                ask_id,
                body.word,
                after=body.after,
                today=_today(),
                actor=forms.actor(),
                on=body.on.isoformat() if body.on else "",
                by=body.by,
                by_way=body.by_way or "",
                note=body.note or body.reason,
            )
    except NotPossible as error:
        raise Problem("not-possible", str(error)) from error
    return _one(request_id, ask_id)


@post("/requests/<request_id>/sources/<int:ask_id>/again", refuses=_REFUSES)
def ask_source_again(request_id: str, ask_id: int, body: AskAgain) -> SourceAsk:
    """Ask the same source for the same, once more."""
    words = dict(today=_today(), actor=forms.actor(), reason=body.reason)
    try:
        made = asking.ask_again(world.engine(), world.config(), request_id, ask_id, body.due.isoformat(), **words)  # type: ignore[arg-type]
    except NotPossible as error:
        raise Problem("not-possible", str(error)) from error
    return _one(request_id, made)


@get("/requests/<request_id>/parcels", refuses=("unknown",))
def parcels(request_id: str) -> Parcels:
    """Slides, blocks and discs: where each is, and how many were counted."""
    with world.engine().connect() as conn:
        requests.get(conn, request_id)
        found = [parcel_view(each) for each in parcel_rows.of_request(conn, request_id)]
    return Parcels.model_validate({"request_id": request_id, "items": found})


@post("/requests/<request_id>/parcels", refuses=_REFUSES)
def add_parcel(request_id: str, body: AddParcel) -> Parcels:
    """Something that is wanted or on its way."""
    of = (world.engine(), world.config(), request_id)
    try:
        checklists.add_parcel(*of, body.item, body.what, body.source, actor=forms.actor(), reason=body.reason)
    except NotPossible as error:
        raise Problem("not-possible", str(error)) from error
    return parcels(request_id)


@post("/requests/<request_id>/parcels/<int:parcel_id>", refuses=_REFUSES)
def move_parcel(request_id: str, parcel_id: int, body: MoveParcel) -> Done:
    """What happened to it, after the line of its history that you saw last."""
    if not may_say(body.word):
        raise Problem("not-possible", t("parcels.not_yours"))
    day, pieces = body.on.isoformat() if body.on else "", "" if body.pieces is None else str(body.pieces)
    typed = TypedMove(body.word, day, body.by, pieces, body.carrier, body.tracking, body.note)
    words = dict(after=body.after, actor=forms.actor(), reason=body.reason)
    try:
        with world.engine().begin() as conn:
            changed = parcel_rows.move(conn, request_id, parcel_id, typed, _today(), **words)  # type: ignore[arg-type]
    except NotPossible as error:
        raise Problem("not-possible", str(error)) from error
    return Done(changed=changed, message="Kept." if changed else "It was kept already.")


def _one(request_id: str, ask_id: int) -> SourceAsk:
    return SourceAsk.model_validate(ask_view(asking.one(world.engine(), world.config(), request_id, ask_id), _today()))
