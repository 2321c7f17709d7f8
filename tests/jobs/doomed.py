"""A worker of its own process, as in production, that is killed when a server has taken what it wrote and before it answers."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from sqlalchemy import Engine, text

from integration.postgres.database import Database


class Doomed:
    """It runs on the database and configuration of a test, from now until ``die`` is called by the server it writes to."""

    def __init__(self, folder: Path, database: Database):
        self.deaths = 0
        command = [sys.executable, "-m", "second_opinion", "--config", str(folder / "config.yaml"), "worker"]
        self._process = subprocess.Popen(
            [*command, "--name", "doomed"],
            env={**os.environ, "SECOND_OPINION_DATABASE_URL": database.url},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def die(self, *_what: object) -> None:
        """Kill it, once; the server's answer never comes."""
        if not self.deaths:
            self.deaths += 1
            self._process.send_signal(signal.SIGKILL)
            self._process.wait(10)
            raise ConnectionError

    def wait(self) -> None:
        """Until it is dead; whatever happened, no process is left."""
        try:
            self._process.wait(60)
        finally:
            self._process.kill()


def hurry(engine: Engine) -> None:
    """What waits for its next attempt is due."""
    with engine.begin() as conn:
        conn.execute(text("UPDATE steps SET next_attempt_at = now() WHERE status = 'waiting'"))


def lease_runs_out(engine: Engine) -> None:
    """Of what the dead held."""
    with engine.begin() as conn:
        conn.execute(text("UPDATE steps SET lease_until = now() - interval '1 second' WHERE status = 'leased'"))
