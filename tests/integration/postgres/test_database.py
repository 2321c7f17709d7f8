"""Connecting, and the schema: current, compared, migrated by several processes at once."""

import ast
import difflib
import importlib.util
import shutil
import subprocess
import sys
import threading
import time
from importlib import resources
from pathlib import Path
from types import SimpleNamespace

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from procrastinate.schema import SchemaManager
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from integration.hosted.tables import hosted_metadata
from integration.postgres import database as module
from integration.postgres.database import SchemaState, alembic_config, connect, masked, oldest_code, open_database
from integration.postgres.embedded import _binary
from integration.postgres.postmaster import wait_until
from integration.store.tables import metadata
from mappings.model.errors import ExchangeError

pytestmark = pytest.mark.postgres
MORE = """\
import sqlalchemy as sa
from alembic import op
revision, down_revision, branch_labels, depends_on = "{revision}", "{previous}", None, None
def upgrade(): pass
{line}
"""


def schema_of(postgres, database) -> list[str]:
    """The lines that make the schema, sorted, for the order of columns means nothing to us."""
    with database.engine.connect() as connection:
        name = connection.execute(text("SELECT current_database()")).scalar()
    done = subprocess.run(
        [
            _binary("pg_dump"),
            "--schema-only",
            "--no-owner",
            "--exclude-table=alembic_version",
            f"--dbname={postgres.admin_url(name)}",
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    lines = (line.rstrip(",") for line in done.stdout.splitlines() if not line.startswith(("--", "\\")))
    return sorted(line for line in lines if line and "SCHEMA public" not in line)


def config(url=None, url_file=None, data_dir="data"):
    return SimpleNamespace(database=SimpleNamespace(url=url, url_file=url_file), data_dir=data_dir)


def test_a_migrated_database_is_current(database):
    assert database.schema_state() is SchemaState.CURRENT
    database.check_current()


def test_an_empty_database_is_refused_with_what_to_do(empty_database):
    assert empty_database.schema_state() is SchemaState.EMPTY
    with pytest.raises(ExchangeError, match="not there yet: run second-opinion database migrate"):
        empty_database.check_current()


def test_an_older_schema_is_refused_with_what_to_do(database):
    set_revision(database, "0001")
    with pytest.raises(ExchangeError, match="older than .*: run second-opinion database migrate"):
        database.check_current()


def test_newer_tables_that_bear_this_version_will_do(database, caplog):
    """In a rolling upgrade they come first, and a process of the old version that ends has to start again."""
    set_revision(database, "9999")
    database.check_current()
    database.migrate()
    assert caplog.text.count("the tables are newer and bear this version") == 2


def test_newer_tables_that_broke_older_code_are_refused_also_by_migrate(database):
    set_revision(database, "9999", oldest="9998")
    for refuse in (database.check_current, database.migrate):
        with pytest.raises(ExchangeError, match="made by a newer version of the Exchange"):
            refuse()


def test_the_oldest_code_that_works_is_the_newest_that_any_revision_names(empty_database, more_revisions):
    """9002 removes what the code of 9001 no longer needs: a version later than it could."""
    more_revisions("", "", 'oldest_code = "9001"', "")
    empty_database.migrate()
    with empty_database.engine.connect() as connection:
        assert oldest_code(connection) == "9001"


def test_a_revision_is_the_number_its_file_is_named_by_and_the_highest_is_the_head():
    scripts = ScriptDirectory.from_config(alembic_config())
    assert {script.revision for script in scripts.walk_revisions()} == module.known_revisions()
    assert scripts.get_current_head() == max(module.known_revisions())


def test_the_tables_bear_no_code_that_would_show_a_practice_the_requests_of_another(database):
    """Code before 0023 takes everyone who signs in for a viewer of all requests; docs/how-to/scale-out.md says what to do."""
    with database.engine.connect() as connection:
        assert oldest_code(connection) == "0023"


def test_a_revision_that_does_more_than_add_says_which_code_still_works():
    """Old workers run on the new tables in a rolling upgrade. ``oldest_code`` is the revision whose code still can: that of the
    version before, else the changelog names it and docs/how-to/scale-out.md says what to do."""
    scripts = ScriptDirectory.from_config(alembic_config())
    known = [script.revision for script in scripts.walk_revisions()]
    for script in scripts.iterate_revisions("head", module.FIRST_RELEASE):
        said = getattr(script.module, "oldest_code", None)
        assert said in known or said is None and more_than_adds(Path(script.path).read_text()) == [], script.path


@pytest.mark.parametrize(
    ("line", "is_more"),
    [
        ("op.create_table('t', sa.Column('a', sa.Text(), nullable=False))", False),
        ("op.add_column('steps', sa.Column('a', sa.Text(), nullable=True))", False),
        ("op.add_column('steps', sa.Column('a', sa.Text(), server_default='x', nullable=False))", False),
        ("op.create_index('i', 'steps', ['a'], unique=False)", False),
        ("op.add_column('steps', sa.Column('a', sa.Text(), nullable=False))", True),
        ("op.create_index('i', 'steps', ['a'], unique=True)", True),
        ("op.drop_column('steps', 'a')", True),
        ("op.execute('UPDATE steps SET a = 1')", True),
    ],
)
def test_what_older_code_may_not_bear_is_seen(line, is_more):
    assert bool(more_than_adds(f"def upgrade():\n    {line}\n")) is is_more


def more_than_adds(source: str) -> list[str]:
    """Lines of ``upgrade()`` after which code that does not know of them may fail."""
    calls = (
        node
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id == "op"
    )
    return [ast.unparse(call) for call in calls if call.func.attr not in ("f", "create_table") and not _only_adds(call)]


def _only_adds(call: ast.Call) -> bool:
    given = {
        word.arg: ast.unparse(word.value)
        for node in ast.walk(call)
        if isinstance(node, ast.Call)
        for word in node.keywords
    }
    if call.func.attr == "add_column":
        return given.get("nullable") != "False" or "server_default" in given
    return call.func.attr == "create_index" and given.get("unique", "False") == "False"


def test_a_migration_waits_only_briefly_for_a_table_and_tries_again(database, more_revisions, monkeypatch):
    """While it waits for a table that a backup reads, everybody else waits behind it."""
    monkeypatch.setattr(module, "MIGRATION_LOCK_SECONDS", 1)
    more_revisions("def upgrade(): op.add_column('steps', sa.Column('more', sa.Text()))")
    migration = threading.Thread(target=database.migrate)
    with psycopg.connect(database.url) as backup, psycopg.connect(database.url, autocommit=True) as worker:
        backup.execute("SELECT count(*) FROM steps")
        migration.start()
        wait_until(lambda: worker.execute("SELECT 1 FROM pg_locks WHERE NOT granted").fetchone(), 20)
        worker.execute("SET statement_timeout = '15s'")
        worker.execute("SELECT count(*) FROM steps")  # waits behind the migration, until that gives up
        assert migration.is_alive()
    migration.join(20)
    with database.engine.connect() as connection:
        connection.execute(text("SELECT more FROM steps"))


def test_a_migration_that_never_gets_a_table_changes_nothing_and_says_so(database, more_revisions, monkeypatch):
    monkeypatch.setattr(module, "MIGRATION_LOCK_SECONDS", 1)
    monkeypatch.setattr(module, "MIGRATION_TRIES", 1)
    more_revisions("def upgrade(): op.add_column('steps', sa.Column('more', sa.Text()))")
    with psycopg.connect(database.url) as backup:
        backup.execute("SELECT count(*) FROM steps")
        with pytest.raises(ExchangeError, match="a backup for example: nothing was changed"):
            database.migrate()
    assert database.schema_state() is SchemaState.OLDER


@pytest.fixture
def more_revisions(tmp_path, monkeypatch):
    """Gives this version revisions 9000, 9001, ... with the lines it is called with."""

    def make(*lines: str) -> None:
        previous = ScriptDirectory.from_config(alembic_config()).get_current_head()
        shutil.copytree(module.MIGRATIONS, tmp_path / "migrations", ignore=shutil.ignore_patterns("__pycache__"))
        for number, line in enumerate(lines):
            words = MORE.format(revision=9000 + number, previous=previous, line=line)
            (tmp_path / "migrations" / "versions" / f"{9000 + number}_more.py").write_text(words)
            previous = 9000 + number
        monkeypatch.setattr(module, "MIGRATIONS", tmp_path / "migrations")

    return make


def test_migrating_again_changes_nothing(postgres, database):
    before = schema_of(postgres, database)
    database.migrate()
    assert schema_of(postgres, database) == before


def test_several_processes_may_migrate_at_once(empty_database):
    code = "import sys; from integration.postgres.database import connect; connect(sys.stdin.read()).migrate()"
    pipes = {"stdin": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    processes = [subprocess.Popen([sys.executable, "-c", code], **pipes) for _ in range(3)]
    errors = [None] * len(processes)

    def run(number: int) -> None:
        errors[number] = processes[number].communicate(empty_database.url, timeout=120)[1]

    threads = [threading.Thread(target=run, args=(number,)) for number in range(len(processes))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == [""] * len(processes)
    assert [process.returncode for process in processes] == [0] * len(processes)
    assert empty_database.schema_state() is SchemaState.CURRENT


def test_a_migration_that_fails_leaves_nothing(empty_database):
    with empty_database.engine.begin() as connection:
        connection.execute(text("CREATE TABLE steps (id int)"))  # in the way of the second revision
    with pytest.raises(DBAPIError):
        empty_database.migrate()
    assert empty_database.schema_state() is SchemaState.EMPTY
    with empty_database.engine.connect() as connection:
        assert connection.execute(text("SELECT to_regclass('procrastinate_jobs')")).scalar() is None


def test_the_revisions_make_the_tables_that_the_code_describes(postgres, database, empty_database):
    """Also partial indexes and storage settings, which autogenerate does not compare."""
    with empty_database.engine.begin() as connection:
        metadata.create_all(connection)
        hosted_metadata.create_all(connection)
        for migration in first_revision().migrations():
            connection.connection.cursor().execute(migration)
    described, made = schema_of(postgres, empty_database), schema_of(postgres, database)
    assert list(difflib.unified_diff(described, made)) == []


def test_autogenerate_has_nothing_to_add(database):
    def include_name(name, kind, parents):
        return not (kind == "table" and name.startswith("procrastinate_"))

    with database.engine.connect() as connection:
        context = MigrationContext.configure(
            connection, opts={"include_name": include_name, "compare_type": True, "compare_server_default": True}
        )
        assert compare_metadata(context, [metadata, hosted_metadata]) == []


def test_our_first_revision_makes_procrastinates_own_schema(postgres, empty_database):
    """It runs Procrastinate's migrations one by one; the whole schema it packs must come out."""
    with psycopg.connect(empty_database.url) as connection:
        for migration in first_revision().migrations():
            connection.execute(migration)
    by_migrations = schema_of(postgres, empty_database)
    with psycopg.connect(empty_database.url) as connection:
        connection.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
        connection.execute(SchemaManager.get_schema())
    packed = schema_of(postgres, empty_database)
    assert list(difflib.unified_diff(packed, by_migrations)) == []


def test_every_procrastinate_migration_has_a_revision_of_ours():
    """When this fails a newer Procrastinate came: write a revision that runs its new migrations.

    Those it calls ``post`` belong into the version after: old workers still run when the tables are changed.
    """
    packaged = [one.name for one in (resources.files("procrastinate.sql") / "migrations").iterdir()]
    assert max(name for name in packaged if name.endswith(".sql")) == first_revision().LAST_PROCRASTINATE_MIGRATION


def test_revisions_form_one_line():
    scripts = ScriptDirectory.from_config(alembic_config())
    assert len(scripts.get_heads()) == 1
    assert [one.revision for one in scripts.walk_revisions()][::-1][0] == "0001"


def test_a_frozen_process_loses_its_transaction_after_five_seconds(database):
    with pytest.raises(DBAPIError, match="idle-in-transaction"), database.engine.begin() as connection:
        assert connection.execute(text("SHOW idle_in_transaction_session_timeout")).scalar() == "5s"
        time.sleep(5.3)
        connection.execute(text("SELECT 1"))


def test_sessions_say_who_they_are_and_use_utc(database):
    with database.engine.connect() as connection:
        assert connection.execute(text("SHOW timezone")).scalar() == "UTC"
        assert connection.execute(text("SHOW application_name")).scalar().startswith("test_")


def test_connections_come_back_after_the_server_cut_them(database):
    with database.engine.connect() as connection:
        connection.execute(text("SELECT 1"))
    with psycopg.connect(database.url, autocommit=True) as other:
        other.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND usename = current_user AND pid <> pg_backend_pid()"
        )
    with database.engine.connect() as connection:
        assert connection.execute(text("SELECT 1")).scalar() == 1


def test_options_in_the_address_are_kept(database):
    with_options = connect(database.url + "&options=-c%20work_mem%3D5MB")
    with with_options.engine.connect() as connection:
        assert connection.execute(text("SHOW work_mem")).scalar() == "5MB"
        assert connection.execute(text("SHOW timezone")).scalar() == "UTC"
    with_options.close()


def test_an_external_database_is_opened_by_address_or_by_file(database, tmp_path):
    file = tmp_path / "url"
    file.write_text(database.url + "\n")
    for opened in (open_database(config(url=database.url)), open_database(config(url_file=str(file)))):
        assert opened.embedded is None
        assert opened.schema_state() is SchemaState.CURRENT
        opened.close()


def test_an_address_file_that_is_missing_is_named(tmp_path):
    with pytest.raises(ExchangeError, match="database.url_file: .*absent cannot be read"):
        open_database(config(url_file=str(tmp_path / "absent")))


def test_without_an_address_the_embedded_one_is_joined_and_left_running(postgres):
    opened = open_database(config(data_dir=postgres.data_dir))
    assert opened.embedded is not None
    opened.close()
    assert postgres.is_running()


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("postgresql://exchange:hush-hush@db.invalid/exchange", "db.invalid"),
        ("postgresql://exchange:hush-hush@127.0.0.1:1/exchange", "refused"),
        ("postgresql+psycopg://exchange:hush-hush@127.0.0.1:1/exchange", "refused"),
        ("postgresql://exchange:hush-hush@127.0.0.1:notaport/exchange", "invalid integer"),
        ("postgresql:///exchange?host=/nowhere&user=exchange&password=hush-hush", "No such file"),
    ],
)
def test_an_unreachable_database_is_said_without_the_password(url, reason):
    with pytest.raises(ExchangeError, match=f"cannot be reached .*{reason}.*check database.url") as refusal:
        connect(url)
    assert "hush" not in str(refusal.value)
    assert refusal.value.__cause__ is None


@pytest.mark.parametrize("change", [("second_opinion:", "second_opinion:hush-hush"), ("@/", "@/no_such_")])
def test_a_refused_sign_in_is_said_without_the_password(postgres, change):
    url = postgres.url.replace(*change, 1)
    with pytest.raises(ExchangeError, match="cannot be reached") as refusal:
        connect(url)
    assert "hush" not in str(refusal.value)
    assert postgres.url.split(":")[2].split("@")[0] not in str(refusal.value)


@pytest.mark.parametrize("url", ["postgresql://exchange:hush-hush@[host/x", "host hush-hush", "http://hush-hush"])
def test_an_unreadable_address_is_not_repeated(url):
    with pytest.raises(ExchangeError, match="database.url cannot be read: it should look like") as refusal:
        connect(url)
    assert "hush" not in str(refusal.value)


def test_a_server_that_is_too_old_is_named(postgres, monkeypatch):
    monkeypatch.setattr(module, "OLDEST_POSTGRES", 99)
    with pytest.raises(ExchangeError, match="is PostgreSQL 18, and the Exchange needs 99 or newer"):
        connect(postgres.url)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://me:hush@host/db", "postgresql://me:***@host/db"),
        ("postgresql://me:h@u/s?h@host/db", "postgresql://me:***@host/db"),
        ("postgresql://me@host/db", "postgresql://me@host/db"),
        ("postgresql://host/db?password=hush&sslmode=require", "postgresql://host/db?password=***&sslmode=require"),
        ("host=db user=me password='hush hush' dbname=x", "host=db user=me password=*** dbname=x"),
        ("postgresql://host:5432/db", "postgresql://host:5432/db"),
    ],
)
def test_passwords_are_masked(url, shown):
    assert masked(url) == shown


def test_the_password_is_not_in_what_python_prints(database):
    password = database.url.split(":")[2].split("@")[0]
    assert password not in repr(database) + repr(database.engine) + str(database.engine.url)


def set_revision(database, revision: str, *, oldest: str | None = None) -> None:
    with database.engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = :revision"), {"revision": revision})
        if oldest:
            connection.execute(text(f"COMMENT ON TABLE alembic_version IS '{module._OLDEST_CODE}{oldest}'"))


def first_revision():
    spec = importlib.util.spec_from_file_location("first", module.MIGRATIONS / "versions" / "0001_procrastinate.py")
    revision = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(revision)
    return revision
