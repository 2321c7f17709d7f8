"""What a health library answered for a code, and how often it was asked."""

import sqlalchemy as sa
from alembic import op

revision = "0040"
down_revision = "0039"
branch_labels = None
depends_on = None
oldest_code = "0003"  # it only adds


def upgrade() -> None:
    time = sa.DateTime(timezone=True)
    op.create_table(
        "library_answers",
        sa.Column("address", sa.Text(), primary_key=True),
        sa.Column("system", sa.Text(), primary_key=True),
        sa.Column("code", sa.Text(), primary_key=True),
        sa.Column("language", sa.Text(), primary_key=True),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("read_at", time, nullable=False),
    )
    op.create_table(
        "library_asks",
        sa.Column("id", sa.BigInteger(), sa.Identity(), primary_key=True),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("until", time, nullable=False),
        sa.Column("is_rest", sa.Boolean(), nullable=False),
    )
    op.create_index("library_asks_until", "library_asks", ["until"])
