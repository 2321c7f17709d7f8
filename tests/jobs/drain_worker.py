"""A worker as in production, with one more kind of step: a single write to its endpoint. ``python -m tests.jobs.drain_worker CONFIG NAME``."""

import asyncio
import os
import sys
from pathlib import Path

from integration.postgres.database import open_database
from integration.settings.config import load_config
from jobs import engine, schedule
from jobs.world import Context, Outcome
from mappings.model.leaving import REASON_OF_STEP, Reason
from second_opinion.house import make_world


def write_once(ctx: Context) -> Outcome:
    """PUT the step's number, as the first and only thing."""
    ctx.lease.before_write()
    ctx.server(ctx.step.endpoint).transport.request("PUT", f"Basic/{ctx.step.id}", body=b"{}", write=True)
    return Outcome()


def main(config_path: Path, name: str) -> None:
    engine.JOBS["write_once"] = write_once
    REASON_OF_STEP["write_once"] = Reason.STATUS  # the gate lets nothing go without one
    config = load_config(config_path, os.environ)
    database = open_database(config, application_name=name)
    world = make_world(config, database.engine)
    ticker = schedule.start(world)
    try:
        asyncio.run(engine.work(world, database.psycopg_url, name=name))
    finally:
        ticker.shutdown(wait=False)
        database.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
