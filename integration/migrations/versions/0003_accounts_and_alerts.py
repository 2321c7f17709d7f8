"""What the tables say beyond the first tables. Replaced by its generated, frozen form before it lands."""
from alembic import op
from alembic.autogenerate import produce_migrations
from alembic.operations.ops import OpContainer
from alembic.runtime.migration import MigrationContext

from integration.hosted.tables import hosted_metadata
from integration.store.tables import metadata

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    context = MigrationContext.configure(op.get_bind(), opts=dict(
        include_name=lambda name, kind, parents: not (kind == "table" and name.startswith("procrastinate_"))))
    _invoke(produce_migrations(context, [metadata, hosted_metadata]).upgrade_ops)


def _invoke(container: OpContainer) -> None:
    for each in container.ops:
        _invoke(each) if isinstance(each, OpContainer) else op.invoke(each)
