"""The board of a practice finds its cases by the practice."""

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None
oldest_code = "0003"  # it only adds

ON_BOARD = "closed_at is null and status not in ('cancelled', 'entered-in-error')"


def upgrade() -> None:
    for side in ("placer", "fulfiller"):
        op.create_index(f"requests_board_{side}", "requests", [side], postgresql_where=sa.text(ON_BOARD))
