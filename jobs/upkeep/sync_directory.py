"""Reads a directory of doctors over FHIR again, when its time has come or somebody pressed Run now: all of it or nothing."""

from datetime import timedelta

from integration.directory.syncing import sync
from integration.store.directory import FewerThanKnown, LoadUnderWay
from jobs.world import Context, Outcome
from mappings.model.errors import NeedsPerson

BUSY_SECONDS = 300.0


def sync_directory(ctx: Context) -> Outcome:
    """One reading of the directory at this step's endpoint; what was odd about it is a finding.

    Another load that is under way is waited for. A list that lacks a fifth of those known was probably cut: a person decides.
    """
    source = ctx.config.directory.sources.get(ctx.step.endpoint)
    if source is None:
        return Outcome()  # config.yaml names it no longer
    try:
        done = sync(ctx.world.engine, ctx.server(ctx.step.endpoint), source, ctx.now.date(), actor="exchange")
    except LoadUnderWay:
        return Outcome(again_at=ctx.now + timedelta(seconds=BUSY_SECONDS))
    except FewerThanKnown as error:
        raise NeedsPerson("directory-fewer", str(error)) from None
    for note in done.notes:
        ctx.finding("directory-note", note, f"load {done.load_id}", "info")
    return Outcome()
