"""Messages of HL7 v2 that were taken: what was answered, so that the same one gets the same answer."""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0016"
branch_labels = None
depends_on = None
oldest_code = "0003"  # it only adds


def upgrade() -> None:
    op.create_table(
        "received_messages",
        sa.Column("endpoint", sa.Text(), primary_key=True),
        sa.Column("control_id", sa.Text(), primary_key=True),
        sa.Column("sha256", sa.Text(), primary_key=True),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("request_id", sa.Text(), sa.ForeignKey("requests.id")),
        sa.Column("code", sa.Text()),
        sa.Column("place", sa.Text(), nullable=False, server_default=""),
        sa.Column("error", sa.Text(), nullable=False, server_default=""),
        sa.Column("words", sa.Text(), nullable=False, server_default=""),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
    )
    op.create_index("received_messages_request", "received_messages", ["request_id"])
