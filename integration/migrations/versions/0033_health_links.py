"""Links by which a patient carries the packet, their encrypted files, and who opened them."""

import sqlalchemy as sa
from alembic import op

revision = "0033"
down_revision = "0032"
branch_labels = None
depends_on = None
oldest_code = "0003"  # it only adds


def upgrade() -> None:
    time = sa.DateTime(timezone=True)
    op.create_table(
        "health_links",
        sa.Column("id", sa.Text(), primary_key=True),
        sa.Column("request_id", sa.Text(), sa.ForeignKey("requests.id"), nullable=False),
        sa.Column("token_sha256", sa.Text(), nullable=False, unique=True),
        sa.Column("flag", sa.Text(), nullable=False),
        sa.Column("passcode", sa.Text()),
        sa.Column("attempts_left", sa.Integer(), nullable=False),
        sa.Column("wrapped_key", sa.LargeBinary()),
        sa.Column("packet_version", sa.Integer(), nullable=False),
        sa.Column("left_out", sa.Integer(), nullable=False),
        sa.Column("made_by", sa.Text(), nullable=False),
        sa.Column("created_at", time, nullable=False, server_default=sa.func.now()),
        sa.Column("expires_at", time, nullable=False),
        sa.Column("ended_at", time),
        sa.Column("ended_by", sa.Text()),
        sa.Column("ended_because", sa.Text()),
    )
    op.create_index("health_links_request", "health_links", ["request_id", "created_at"])
    op.create_table(
        "health_link_files",
        sa.Column("link_id", sa.Text(), sa.ForeignKey("health_links.id"), primary_key=True),
        sa.Column("number", sa.Integer(), primary_key=True),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("made_at", time, nullable=False, server_default=sa.func.now()),
    )
    op.create_table(
        "health_link_locations",
        sa.Column("token_sha256", sa.Text(), primary_key=True),
        sa.Column("link_id", sa.Text(), sa.ForeignKey("health_links.id"), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("recipient", sa.Text(), nullable=False),
        sa.Column("expires_at", time, nullable=False),
        sa.Column("used_at", time),
    )
    op.create_index("health_link_locations_expire", "health_link_locations", ["expires_at"])
    op.create_table(
        "health_link_accesses",
        sa.Column("id", sa.BigInteger(), sa.Identity(), primary_key=True),
        sa.Column("link_id", sa.Text(), sa.ForeignKey("health_links.id"), nullable=False),
        sa.Column("request_id", sa.Text(), sa.ForeignKey("requests.id"), nullable=False),
        sa.Column("at", time, nullable=False, server_default=sa.func.statement_timestamp()),
        sa.Column("recipient", sa.Text(), nullable=False),
        sa.Column("what", sa.Text(), nullable=False),
        sa.Column("files", sa.Integer(), nullable=False),
    )
    op.create_index("health_link_accesses_link", "health_link_accesses", ["link_id", "at"])
    op.create_index("health_link_accesses_request", "health_link_accesses", ["request_id", "id"])
