"""Procrastinate's tables, as of version 3.10."""

from importlib import resources

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

# Packaged migrations never change once released, so running them up to this one gives the same schema for ever,
# whatever version is installed. A newer one gets its own revision of ours (a test says so).
LAST_PROCRASTINATE_MIGRATION = "03.04.00_50_post_add_retry_failed_job_procedure.sql"


def upgrade() -> None:
    cursor = op.get_bind().connection.cursor()
    for migration in migrations():
        cursor.execute(migration)


def migrations() -> list[str]:
    folder = resources.files("procrastinate.sql") / "migrations"
    files = sorted((one for one in folder.iterdir() if one.name.endswith(".sql")), key=lambda one: one.name)
    return [one.read_text(encoding="utf-8") for one in files if one.name <= LAST_PROCRASTINATE_MIGRATION]
