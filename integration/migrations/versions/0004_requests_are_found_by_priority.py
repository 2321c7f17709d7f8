"""Requests are found by priority: the queue page of urgent ones read them all."""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("requests_priority", "requests", ["priority", "id"], unique=False)
