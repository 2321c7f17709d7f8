"""What the promise needs: each subject has a function of its own here, called by ``upgrade``."""

import sqlalchemy as sa  # noqa: F401
from alembic import op  # noqa: F401

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None
oldest_code = "0003"  # it only adds


def upgrade() -> None:
    pass
