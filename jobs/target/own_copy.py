"""Keeping a resource of our own at a practice as it is wanted: created once, updated when something else is, and read back."""

from integration.store import links
from jobs.target.looking import find_all
from jobs.target.renewing import says
from jobs.target.writing import ensure_created, version_of
from jobs.world import Context
from mappings.model.request import Identifier


def keep(ctx: Context, wanted: dict, identifier: Identifier, what: str, *, begins: bool = True) -> None:
    """Bring the one copy at the step's endpoint to what ``wanted`` says; nothing is sent where it says so already.

    ``what``: what it is, in words, for findings. ``begins``: False makes none where there is none. Somebody who took it away there
    had a reason: it is said, not made again.
    """
    reference = _known(ctx, wanted["resourceType"], identifier)
    if reference is None and begins:
        reference = ensure_created(ctx, ctx.step.endpoint, wanted, identifier, authored=True, look=True)
    if reference is None or (there := _read(ctx, reference, what)) is None or says(there, wanted):
        return
    _update(ctx, there, wanted)
    there = _read(ctx, reference, what)
    if there is not None and not says(there, wanted):
        message = f"{reference}, which is {what}, took our update and does not say it; call {ctx.step.endpoint}"
        ctx.finding("own-different", message, reference, "error")


def _known(ctx: Context, kind: str, identifier: Identifier) -> str | None:
    """What it is called there: as we remember it, for a search may be late, else as it is found."""
    pair = (identifier.system, identifier.value)
    with ctx.world.engine.begin() as conn:
        link = links.find_rows(conn, ctx.step.endpoint, [pair]).get(pair)
    if link is not None:
        return link.reference
    found = find_all(ctx, ctx.step.endpoint, kind, identifier)
    return f"{kind}/{found[0]['id']}" if found else None


def _read(ctx: Context, reference: str, what: str) -> dict | None:
    there = ctx.server(ctx.step.endpoint).read_if_there(reference)
    if there is None:
        ctx.finding("own-gone", f"{reference}, which is {what}, is no longer at {ctx.step.endpoint}", reference)
    return there


def _update(ctx: Context, there: dict, wanted: dict) -> None:
    """What we say replaces what stood there; the orders that they put it under stay."""
    stays = {name: value for name, value in there.items() if name in ("id", "meta", "basedOn")}
    ctx.lease.before_write()
    ctx.server(ctx.step.endpoint).update({**wanted, **stays}, if_match=version_of(there), authored=True)
