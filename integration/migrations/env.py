"""How Alembic runs our revisions: on the connection that ``Database.migrate`` hands over, in its transaction."""

from alembic import context

from integration.hosted.tables import hosted_metadata
from integration.postgres.database import remember_oldest_code
from integration.store.tables import metadata


def include_name(name: str | None, kind: str, parents: object) -> bool:
    """Procrastinate's tables are Procrastinate's: comparing must not propose to drop them."""
    return not (kind == "table" and name is not None and name.startswith("procrastinate_"))


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=[metadata, hosted_metadata],
    include_name=include_name,
    compare_type=True,
    compare_server_default=True,
)
with context.begin_transaction():
    context.run_migrations()
    if (revision := context.get_context().get_current_revision()) is not None:
        remember_oldest_code(context.get_bind(), revision)
