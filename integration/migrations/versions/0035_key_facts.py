"""What was made of a packet for a reader, and where its bytes are."""

import sqlalchemy as sa
from alembic import op

revision = "0035"
down_revision = "0034"
branch_labels = None
depends_on = None
oldest_code = "0003"  # it only adds


def upgrade() -> None:
    op.create_table(
        "key_facts",
        sa.Column("packet_id", sa.Text(), sa.ForeignKey("packets.id"), primary_key=True),
        sa.Column("made_of", sa.Text(), nullable=False),
        sa.Column("page_sha256", sa.Text(), nullable=False),
        sa.Column("whole_sha256", sa.Text(), nullable=False),
        sa.Column("chart_sha256", sa.Text(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
    )
