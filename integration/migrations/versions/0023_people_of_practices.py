"""Accounts and tokens belong to practices; and that somebody is a viewer of everything stands in their row."""

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None
oldest_code = "0023"  # older code takes everyone who signs in for a viewer of all requests


def upgrade() -> None:
    for table in ("accounts", "tokens"):
        op.add_column(
            table, sa.Column("practices", sa.ARRAY(sa.Text()), nullable=False, server_default=sa.text("'{}'"))
        )
    op.execute("UPDATE accounts SET roles = '{viewer}' WHERE roles = '{}'")
