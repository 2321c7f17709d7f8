"""Who was booked in a time before ours was made: a crash after the create does not lose it."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY

revision = "0046"
down_revision = "0045"
branch_labels = None
depends_on = None
oldest_code = "0003"  # it only adds: of what older code books nobody knows it, and nothing is concluded


def upgrade() -> None:
    op.add_column("bookings", sa.Column("others", ARRAY(sa.Text())))
