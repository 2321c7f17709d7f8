"""Checks of endpoints: what was found, when, and what is asked for and not done yet."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0016"
down_revision = "0019"
branch_labels = None
depends_on = None
oldest_code = "0003"  # it only adds


def upgrade() -> None:
    op.create_table(
        "endpoint_checks",
        sa.Column("id", sa.BigInteger(), sa.Identity(), primary_key=True),
        sa.Column("endpoint", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        sa.Column("done_at", sa.DateTime(timezone=True)),
        sa.Column("found", JSONB()),
    )
    op.create_index("endpoint_checks_done", "endpoint_checks", ["endpoint", "done_at"])
    op.create_index(
        "endpoint_checks_waiting",
        "endpoint_checks",
        ["endpoint"],
        unique=True,
        postgresql_where=sa.text("done_at is null"),
    )
