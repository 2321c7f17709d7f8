"""Other providers whose records a person had gathered for a request."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0045"
down_revision = "0044"
branch_labels = None
depends_on = None
oldest_code = (
    "0003"  # it only adds; an older worker would take back what came from others: upgrade all before one is named
)


def upgrade() -> None:
    op.create_table(
        "record_sources",
        sa.Column("id", sa.BigInteger(), sa.Identity(), primary_key=True),
        sa.Column("request_id", sa.Text(), sa.ForeignKey("requests.id"), nullable=False),
        sa.Column("endpoint", sa.Text(), nullable=False),
        sa.Column("whole", sa.Boolean(), nullable=False),
        sa.Column("number_system", sa.Text(), nullable=False),
        sa.Column("number", sa.Text(), nullable=False),
        sa.Column("named_by", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        sa.Column("manifest_sha256", sa.Text()),
        sa.Column("read_at", sa.DateTime(timezone=True)),
        sa.Column("changed_at", sa.DateTime(timezone=True)),
        sa.Column("gone", JSONB(), nullable=False, server_default="{}"),
        sa.Column("ended_by", sa.Text()),
        sa.Column("ended_at", sa.DateTime(timezone=True)),
        sa.Column("ended_reason", sa.Text()),
    )
    op.create_index("record_sources_request", "record_sources", ["request_id", "id"])
    op.create_index(
        "record_sources_once",
        "record_sources",
        ["request_id", "endpoint"],
        unique=True,
        postgresql_where=sa.text("ended_at IS NULL"),
    )
