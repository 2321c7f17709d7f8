"""A rolling upgrade: two versions work side by side on one database, with steps in flight, and lose and double nothing."""

import shutil
import subprocess
from pathlib import Path

import psycopg
import pytest
from alembic.script import ScriptDirectory

from integration.postgres.database import alembic_config, connect
from jobs.upkeep import check_alarms
from tests.chaos.machines import ROOT, Machines, until

pytestmark = [pytest.mark.chaos, pytest.mark.postgres, pytest.mark.long]
PACKAGES = ("mappings", "integration", "jobs", "second_opinion")
REVISION = """\
import sqlalchemy as sa
from alembic import op

revision, down_revision, branch_labels, depends_on = "9001", "{head}", None, None


def upgrade():
    op.add_column("steps", sa.Column("done_by", sa.Text()))
    op.add_column("requests", sa.Column("note", sa.Text()))
    op.create_table("new_things", sa.Column("id", sa.BigInteger(), sa.Identity(), primary_key=True), sa.Column("step_id", sa.BigInteger()))
"""
NEW_KIND = """
from sqlalchemy import text


def new_kind(ctx):
    def commit(conn):
        conn.execute(text("UPDATE steps SET done_by = 'new version' WHERE id = :id"), {"id": ctx.step.id})
        conn.execute(text("INSERT INTO new_things (step_id) VALUES (:id)"), {"id": ctx.step.id})
    return Outcome(apply=[commit])


JOBS["new_kind"] = new_kind
"""


def old_version(folder: Path) -> Path:
    """The code as it stands, in a folder of its own."""
    for package in PACKAGES:
        shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def new_version(folder: Path) -> Path:
    """A version later: one revision more, which adds columns to busy tables and a table, and one kind of step more."""
    head = ScriptDirectory.from_config(alembic_config()).get_current_head()
    (old_version(folder) / "integration" / "migrations" / "versions" / "9001_more.py").write_text(
        REVISION.format(head=head)
    )
    with (folder / "jobs" / "engine.py").open("a") as file:
        file.write(NEW_KIND)
    return folder


class Upgrade(Machines):
    """Machines whose rows are asked and pushed on."""

    def one(self, query: str):
        return self.rows(query)[0][0]

    def run(self, statement: str) -> None:
        with psycopg.connect(self.postgres.url) as conn:
            conn.execute(statement)

    def make_due(self, ids: list[str]) -> None:
        """Steps of the kind that only the new version knows."""
        for request_id in ids:
            self.run(
                f"INSERT INTO steps (request_id, kind, endpoint, status) VALUES ('{request_id}', 'new_kind', 'bob', 'due')"
            )

    def waiting(self) -> int:
        return self.one(
            "SELECT count(*) FROM steps WHERE kind = 'new_kind' AND status = 'waiting' AND cause = 'unknown-kind'"
        )

    def hurry(self) -> None:
        """What was put back for half a minute is due now."""
        self.run("UPDATE steps SET next_attempt_at = now() WHERE kind = 'new_kind' AND status = 'waiting'")

    def alarms(self) -> list[tuple]:
        """What a check that runs now finds: (rule, is over)."""
        database = connect(self.postgres.url)
        with database.engine.begin() as conn:
            check_alarms.make_due(conn)
        database.close()
        until(
            lambda: self.one("SELECT count(*) FROM steps WHERE kind = 'check_alarms' AND status <> 'done'") == 0,
            "the check",
        )
        return self.rows("SELECT rule, recovered_at IS NOT NULL FROM alarms WHERE rule = 'unknown-kind'")


def test_two_versions_work_side_by_side_and_lose_and_double_nothing(folder, servers):
    old, new = old_version(folder / "old"), new_version(folder / "new")
    with Upgrade(folder, alice=servers.alice, bob=servers.bob, webs=1, workers=2, home=old) as machines:
        for number in range(10):
            machines.load(number)
        first = [machines.submit(number) for number in range(4)]

        processes = dict(machines.running)
        subprocess.run(
            machines.command("worker", 0, "database", "migrate"),
            cwd=new,
            env=machines.environment,
            check=True,
            timeout=60,
        )
        later = [machines.submit(number) for number in range(4, 6)]  # the old web and workers go on, on newer tables
        machines.make_due(first)
        until(lambda: machines.waiting() == len(first), "old workers to put back what they do not know")
        assert machines.running == processes, "an old process ended by the migration"
        assert set(machines.rows("SELECT attempts, lost FROM steps WHERE kind = 'new_kind'")) == {(0, 0)}
        for role in (("worker", 0), ("worker", 1)):
            machines.running[role].kill()
        assert machines.alarms() == []  # ... also those that have to start again
        machines.run("UPDATE steps SET first_attempt_at = now() - interval '16 minutes' WHERE kind = 'new_kind'")
        assert machines.alarms() == [("unknown-kind", False)]

        for role in (("web", 1), ("worker", 2), ("worker", 3)):
            machines.join(*role, new)
        machines.wait_ready()
        machines.make_due(later)
        machines.hurry()
        machines.submit(6)
        for role in (("worker", 0), ("web", 0), ("worker", 1)):
            machines.leave(*role)
            machines.submit(len(machines.ids))
            machines.hurry()
        machines.settle(240)
        until(
            lambda: machines.hurry() or machines.one("SELECT count(*) FROM new_things") >= 6,
            "the new workers to do the new kind",
        )

        assert machines.wrong() == []
        assert sorted(
            machines.rows("SELECT s.request_id, s.status, s.done_by FROM steps s JOIN new_things n ON n.step_id = s.id")
        ) == sorted((each, "done", "new version") for each in first + later)
        assert machines.rows("SELECT outcome, count(*) FROM attempts WHERE kind = 'new_kind' GROUP BY 1") == [
            ("done", 6)
        ]
        assert machines.one("SELECT count(*) FROM steps WHERE status = 'parked'") == 0
        assert machines.alarms() == [("unknown-kind", True)]
