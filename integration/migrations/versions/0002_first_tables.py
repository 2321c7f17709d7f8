"""The store's and the hosted endpoint's first tables.

Until the first release these are whatever the tables are; then this file is replaced by its generated, frozen form
(delete it and run ``python -m integration.migrations "first tables"``).
"""
from alembic import op

from integration.hosted.tables import hosted_metadata
from integration.store.tables import metadata

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    metadata.create_all(op.get_bind(), checkfirst=False)
    hosted_metadata.create_all(op.get_bind(), checkfirst=False)
