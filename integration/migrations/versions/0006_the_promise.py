"""What the promise needs: each subject has a function of its own here, called by ``upgrade``."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None
oldest_code = "0003"  # it only adds


def upgrade() -> None:
    what_was_written()


def what_was_written() -> None:
    """The bytes that stand at a target, what they were made of, and whether they were read back."""
    for name in ("written_in", "ours_sha256", "source_sha256", "source_version"):
        op.add_column("links", sa.Column(name, sa.Text()))
    for name in ("source_updated_at", "gathered_at", "verified_at"):
        op.add_column("links", sa.Column(name, sa.DateTime(timezone=True)))
    op.add_column("delivery_items", sa.Column("sent_in", sa.Text()))
