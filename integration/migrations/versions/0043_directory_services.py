"""What a directory states of the services that a doctor works in, and from which of its entries a request's consultant was chosen."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0043"
down_revision = "0042"
branch_labels = None
depends_on = None
oldest_code = "0003"  # it only adds


def upgrade() -> None:
    op.add_column("directory_entries", sa.Column("services", JSONB()))
    op.add_column("requests", sa.Column("directory_entry", sa.BigInteger(), sa.ForeignKey("directory_entries.id")))
