"""A new request, from the form or the API: of a practice of who asks, stored once."""

from integration.store import owners, requests
from integration.store.requests import KeyReused
from integration.views.texts import t
from integration.web import forms, spans, world
from integration.web.access import scope
from mappings.model.errors import Mistake, RequestError
from mappings.model.request import SecondOpinionRequest


def take_in(made: SecondOpinionRequest, file: str) -> tuple[str, bool]:
    """Store it: its id, and True when it is new. Raises RequestError for a practice that is not theirs, and KeyReused."""
    if not scope.mine().asks_for(made.placer):
        raise RequestError([Mistake(file, None, "placer", t("new.not_yours"))])
    try:
        with world.engine().begin() as conn:
            taken = requests.take_in(conn, made, actor=forms.actor(), **world.intake(made.fulfiller))
    except KeyReused:
        _hide_others(requests.request_id_of(made.key))
        raise
    spans.takes_in(taken[0])
    return taken


def _hide_others(request_id: str) -> None:
    """Whose key it is stays unsaid when it is another practice's."""
    with world.engine().connect() as conn:
        owner = owners.of(conn, "request_id", request_id)
    if owner is not None and not scope.mine().holds(owner.placer, owner.fulfiller):
        raise KeyReused(t("new.key_taken"))
