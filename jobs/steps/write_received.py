"""Write what arrived from elsewhere into the hosted practice that received it, once who the patient is there is known."""

from datetime import timedelta

from integration import received_at_home
from integration.store.operations import NotPossible
from jobs.world import Context, Outcome
from mappings.model.errors import PermanentError

UNTIL_LINKED = timedelta(minutes=15)


def write_received(ctx: Context) -> Outcome:
    """Documents with their bytes and who accepted them; what was taken back is marked as entered in error there too."""
    world = ctx.world
    try:
        is_written = received_at_home.write(world.engine, world.payloads, world.config, ctx.request_id)
    except NotPossible as error:
        raise PermanentError(str(error), endpoint=ctx.step.endpoint) from error
    return Outcome() if is_written else Outcome(again_at=ctx.now + UNTIL_LINKED)
