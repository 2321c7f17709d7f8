"""Records of other providers' systems for a request: named, how they stand, stopped."""

from integration import record_sources
from integration.store.operations import WrongWords
from integration.views.elsewhere import view
from integration.web import forms, problems, world
from integration.web.api.answers import Done
from integration.web.api.bodies import Because
from integration.web.api.record_answers import ElsewhereSources
from integration.web.api.record_bodies import GatherElsewhere
from integration.web.api.routes import get, post
from mappings.model.errors import Mistake

_REFUSES = ("wrong-body", "unknown", "not-possible")


@get("/requests/<request_id>/records-elsewhere", refuses=("unknown",))
def elsewhere(request_id: str) -> ElsewhereSources:
    """Whose records are gathered for a request, and what was read there."""
    found = record_sources.standing(world.engine(), world.payloads(), world.config(), request_id)
    return ElsewhereSources.model_validate({"request_id": request_id, "items": [view(each) for each in found]})


@post("/requests/<request_id>/records-elsewhere", refuses=_REFUSES)
def gather_elsewhere(request_id: str, body: GatherElsewhere) -> Done:
    """Gather records from another provider, now and as long as the chart is watched."""
    said = dict(number=body.number, system=body.system, reason=body.reason)
    try:
        made = record_sources.gather(
            world.engine(), world.config(), request_id, body.source, actor=forms.actor(), **said
        )
    except WrongWords as error:
        mistakes = [Mistake("", None, field, words) for field, words in error.wrong.items()]
        raise problems.wrong("wrong-body", mistakes) from error
    return Done(
        changed=made, message="It is read there now." if made else "It was named already, and is read once more."
    )


@post("/requests/<request_id>/records-elsewhere/<at>/stop", refuses=_REFUSES)
def stop_elsewhere(request_id: str, at: str, body: Because) -> Done:
    """Gather nothing more from it; what was sent of it is taken back."""
    record_sources.stop(world.engine(), request_id, at, actor=forms.actor(), reason=body.reason)
    return Done(changed=True, message="What was sent of it is taken back.")
