"""A worker process for the benchmark: the product's own, with steps that do nothing; or plain Procrastinate, to compare."""

import argparse
import asyncio
import os
from pathlib import Path

import procrastinate

from integration.fhir.servers import Servers
from integration.packets.payloads import Payloads
from integration.postgres.database import open_database
from integration.settings.config import load_config
from integration.store.steps import NextStep
from jobs import engine, schedule
from jobs.world import Context, Outcome, World

PLAIN = "plain"  # job and queue that no step is behind


def nothing(_ctx: Context) -> Outcome:
    """A step without work."""
    return Outcome()


def nothing_then_more(ctx: Context) -> Outcome:
    """A step without work that makes another one due."""
    return Outcome(next_steps=(NextStep("nothing", ctx.step.endpoint),))


async def work_plainly(conninfo: str, name: str, concurrency: int) -> None:
    """What Procrastinate does by itself: no lease, no row of ours."""
    app = procrastinate.App(connector=procrastinate.PsycopgConnector(conninfo=conninfo, min_size=1, max_size=4))

    @app.task(name=PLAIN, queue=PLAIN)
    def plain(number: int) -> None:
        """Nothing; a sync task, so that it takes a thread as our steps do."""

    async with app.open_async():
        await app.run_worker_async(
            queues=[PLAIN], name=name, concurrency=concurrency, delete_jobs="successful", fetch_job_polling_interval=1.0
        )


def main() -> None:
    """As ``second-opinion worker`` does."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--name", required=True)
    parser.add_argument("--plain", action="store_true")
    given = parser.parse_args()
    engine.JOBS.update(nothing=nothing, nothing_then_more=nothing_then_more, gather_records=nothing)
    config = load_config(given.config, os.environ)
    database = open_database(config, application_name=f"second-opinion worker {given.name}")
    try:
        if given.plain:
            asyncio.run(work_plainly(database.psycopg_url, given.name, config.engine.concurrency))
        world = World(config, database.engine, Servers(config), Payloads(config.payloads.url))
        ticker = schedule.start(world)
        asyncio.run(engine.work(world, database.psycopg_url, name=given.name))
        ticker.shutdown(wait=False)
    finally:
        database.close()


if __name__ == "__main__":
    main()
