"""What a patient agreed to for a request, and by which statement the records of a delivery were chosen."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0036"
down_revision = "0035"
branch_labels = None
depends_on = None
oldest_code = "0003"  # it only adds; an older worker asks no consent: upgrade all of them before one is recorded


def upgrade() -> None:
    op.create_table(
        "consents",
        sa.Column("id", sa.BigInteger(), sa.Identity(), primary_key=True),
        sa.Column("request_id", sa.Text(), sa.ForeignKey("requests.id"), nullable=False),
        sa.Column("said", sa.Text(), nullable=False),
        sa.Column("kinds", postgresql.ARRAY(sa.Text())),
        sa.Column("recipients", postgresql.ARRAY(sa.Text())),
        sa.Column("until", sa.Date()),
        sa.Column("how", sa.Text(), nullable=False),
        sa.Column("said_by", sa.Text(), nullable=False),
        sa.Column("note", sa.Text()),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
    )
    op.create_index("consents_request", "consents", ["request_id", "id"])
    op.add_column("deliveries", sa.Column("consent_id", sa.BigInteger(), sa.ForeignKey("consents.id")))
