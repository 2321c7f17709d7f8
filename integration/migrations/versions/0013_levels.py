"""On which level a loop closed, and hand-overs: to whom, when, how. A delivery that was not read back is not called verified."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0018"
branch_labels = None
depends_on = None
oldest_code = "0003"  # it only adds; the words of a status are read by nobody who ended


def upgrade() -> None:
    op.add_column("requests", sa.Column("closed_level", sa.Text()))
    op.add_column("requests", sa.Column("closed_road", sa.Text()))
    op.execute("""
        UPDATE requests SET closed_level = found.level, closed_road = found.road
        FROM (SELECT DISTINCT ON (request_id) request_id, coalesce(level, 'read-back') AS level, road
              FROM deliveries WHERE kind = 'report' AND status = 'verified' ORDER BY request_id, version) AS found
        WHERE found.request_id = requests.id AND requests.closed_at IS NOT NULL""")
    op.execute(
        "UPDATE deliveries SET status = level, verified_at = NULL WHERE status = 'verified' AND level <> 'read-back'"
    )
    op.create_table(
        "hand_overs",
        sa.Column("id", sa.BigInteger(), sa.Identity(), primary_key=True),
        sa.Column("delivery_id", sa.Text(), sa.ForeignKey("deliveries.id"), nullable=False),
        sa.Column("request_id", sa.Text(), sa.ForeignKey("requests.id"), nullable=False),
        sa.Column("handed_to", sa.Text()),
        sa.Column("handed_at", sa.DateTime(timezone=True)),
        sa.Column("by_way", sa.Text()),
        sa.Column("handed_by", sa.Text(), nullable=False),
        sa.Column("note", sa.Text()),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("state_before", sa.Text(), nullable=False),
        sa.Column("level_before", sa.Text()),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("undone_at", sa.DateTime(timezone=True)),
        sa.Column("undone_by", sa.Text()),
        sa.Column("undone_reason", sa.Text()),
    )
    op.create_index("hand_overs_request", "hand_overs", ["request_id"])
    op.create_index(
        "hand_overs_one", "hand_overs", ["delivery_id"], unique=True, postgresql_where=sa.text("undone_at is null")
    )
