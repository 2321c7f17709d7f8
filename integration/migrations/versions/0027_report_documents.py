"""A report whose documents go one by one: what they are cut from, and of which of them a person gave their word."""

import sqlalchemy as sa
from alembic import op

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None
oldest_code = "0003"  # it only adds, and a unique index becomes a wider one


def upgrade() -> None:
    op.add_column("sendings", sa.Column("whole_sha256", sa.Text()))
    op.add_column("hand_overs", sa.Column("item", sa.Text(), nullable=False, server_default=""))
    op.create_index(
        "hand_overs_each",
        "hand_overs",
        ["delivery_id", "item"],
        unique=True,
        postgresql_where=sa.text("undone_at is null"),
    )
    op.drop_index("hand_overs_one", table_name="hand_overs")
