"""Requests of one case: a further opinion is asked in the case of an earlier request."""

import sqlalchemy as sa
from alembic import op

revision = "0034"
down_revision = "0033"
branch_labels = None
depends_on = None
oldest_code = "0003"  # it only adds: older code takes a request in as a case of its own


def upgrade() -> None:
    op.add_column("requests", sa.Column("case_id", sa.Text()))
    op.add_column("requests", sa.Column("requisition", sa.Text()))
    op.create_index("requests_case", "requests", ["case_id"], postgresql_where=sa.text("case_id is not null"))
    op.create_index(
        "requests_requisition",
        "requests",
        ["requisition", "placer"],
        postgresql_where=sa.text("requisition is not null"),
    )
