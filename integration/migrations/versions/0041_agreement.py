"""Whether a report agrees, where its author coded it."""

import sqlalchemy as sa
from alembic import op

revision = "0041"
down_revision = "0040"
branch_labels = None
depends_on = None
oldest_code = "0003"  # it only adds: of a report that older code stores nothing is known to be coded


def upgrade() -> None:
    op.add_column("reports", sa.Column("diagnosis_agreement", sa.Text()))
    op.add_column("reports", sa.Column("plan_agreement", sa.Text()))
