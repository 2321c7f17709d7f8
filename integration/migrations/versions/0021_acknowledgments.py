"""Who has read a report, and what was decided; which reports wait to be read. Reports that arrived before are not asked about."""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None
oldest_code = "0003"  # it only adds


def upgrade() -> None:
    op.add_column("reports", sa.Column("unread_since", sa.DateTime(timezone=True), nullable=True))
    op.create_index("reports_unread", "reports", ["unread_since"], postgresql_where=sa.text("unread_since is not null"))
    op.create_table(
        "acknowledgments",
        sa.Column("id", sa.BigInteger(), sa.Identity(), primary_key=True),
        sa.Column("request_id", sa.Text(), sa.ForeignKey("requests.id"), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("read_by", sa.Text(), nullable=False),
        sa.Column("read_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("decision", sa.Text(), nullable=False),
        sa.Column("note", sa.Text()),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        sa.Column("undone_at", sa.DateTime(timezone=True)),
        sa.Column("undone_by", sa.Text()),
        sa.Column("undone_reason", sa.Text()),
    )
    op.create_index("acknowledgments_request", "acknowledgments", ["request_id", "id"])
