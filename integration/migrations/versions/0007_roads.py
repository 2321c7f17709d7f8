"""Roads and levels: by which road a delivery went, what is known of it, and the ledger of what was sent."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None
oldest_code = "0003"  # it only adds


def upgrade() -> None:
    for name in ("road", "level", "encounter"):
        op.add_column("deliveries", sa.Column(name, sa.Text()))
    op.create_table(
        "sendings",
        sa.Column("endpoint", sa.Text(), primary_key=True),
        sa.Column("system", sa.Text(), primary_key=True),
        sa.Column("value", sa.Text(), primary_key=True),
        sa.Column("request_id", sa.Text(), sa.ForeignKey("requests.id"), nullable=False),
        sa.Column("delivery_id", sa.Text(), sa.ForeignKey("deliveries.id"), nullable=False),
        sa.Column("road", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("sha256", sa.Text()),
        sa.Column("control_id", sa.Text()),
        sa.Column("reference", sa.Text()),
        sa.Column("level", sa.Text()),
        sa.Column("receipt", JSONB(), nullable=False, server_default=sa.text("'{}'")),
        sa.Column("tried", JSONB(), nullable=False, server_default=sa.text("'[]'")),
        sa.Column("sends", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("begun_at", sa.DateTime(timezone=True)),
        sa.Column("sent_at", sa.DateTime(timezone=True)),
        sa.Column("ended_at", sa.DateTime(timezone=True)),
    )
    op.create_index("sendings_delivery", "sendings", ["delivery_id"])
