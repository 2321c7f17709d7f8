"""Steps at which workers die are found; what several requests make is held by one step; packets of one chart are found."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None
oldest_code = "0003"  # the unique index is on a column that older code never fills


def upgrade() -> None:
    op.create_index("packets_patient", "packets", ["patient"], unique=False)
    op.add_column("steps", sa.Column("holds", sa.Text(), nullable=True))
    op.add_column("steps", sa.Column("holds_lease", sa.Integer(), nullable=True))
    op.create_index(
        "steps_holds",
        "steps",
        ["holds"],
        unique=True,
        postgresql_where=sa.text("status = 'leased' and holds_lease = lease_no and holds is not null"),
    )
    op.create_index(
        "steps_suspects", "steps", ["endpoint", "status"], unique=False, postgresql_where=sa.text("lost >= 2")
    )
