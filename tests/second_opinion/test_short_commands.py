"""A short command loads what it needs: half of its time was loading what only workers, pages or migrations use."""

import json
import os
import subprocess
import sys

import pytest

HEAVY = {
    "sqlalchemy",
    "psycopg",
    "pydantic",
    "requests",
    "flask",
    "alembic",
    "procrastinate",
    "reportlab",
    "fhirclient",
}
RUN = """
import json, sys
sys.argv[0] = "second-opinion"
from second_opinion import main
try:
    main()
finally:
    print(json.dumps(sorted(sys.modules)), file=sys.stderr)
"""


def loaded_by(*arguments: str, **environ: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", RUN, *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, "SECOND_OPINION_CONFIG": "", **environ},
        check=True,
    )
    return HEAVY & {name.partition(".")[0] for name in json.loads(done.stderr.splitlines()[-1])}


@pytest.mark.parametrize(
    "arguments", [["--help"], ["--version"], ["requests", "--help"], ["deliveries", "retry", "--help"]]
)
def test_help_loads_neither_database_nor_configuration(arguments):
    assert loaded_by(*arguments) == set()


@pytest.mark.postgres
@pytest.mark.parametrize(
    "arguments", [["requests", "list"], ["deliveries", "list"], ["steps", "list"], ["endpoints", "list"]]
)
def test_a_list_loads_the_database_and_nothing_to_send_to_show_or_to_migrate(arguments, database, tmp_path):
    config = tmp_path / "config.yaml"
    config.write_text(f"data_dir: {tmp_path}/data\n")
    heavy = loaded_by("--config", str(config), *arguments, SECOND_OPINION_DATABASE_URL=database.url)
    assert heavy <= {"sqlalchemy", "psycopg", "pydantic"}
