"""How many parts of a case the practice that asks has to do something about: its board lists them as its own."""

import sqlalchemy as sa
from alembic import op

revision = "0047"
down_revision = "0046"
branch_labels = None
depends_on = None
oldest_code = "0003"  # it only adds: what older code changes is counted again when somebody opens the case


def upgrade() -> None:
    op.add_column("requests", sa.Column("to_do", sa.Integer()))
