"""Clients that sign in at hosted endpoints by SMART Backend Services, what they have shown, and their tokens."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None
oldest_code = "0003"  # it only adds


def upgrade() -> None:
    op.create_table(
        "clients",
        sa.Column("id", sa.Text(), primary_key=True),
        sa.Column("practice", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("jwks", sa.Text()),
        sa.Column("jwks_url", sa.Text()),
        sa.Column("jwks_asked_at", sa.DateTime(timezone=True)),
        sa.Column("jwks_answered_at", sa.DateTime(timezone=True)),
        sa.Column("jwks_until", sa.DateTime(timezone=True)),
        sa.Column("jwks_problem", sa.Text()),
        sa.Column("scopes", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True)),
        sa.Column("revoked_at", sa.DateTime(timezone=True)),
    )
    op.create_index(
        "clients_name", "clients", ["practice", "name"], unique=True, postgresql_where=sa.text("revoked_at is null")
    )
    op.create_table(
        "client_assertions",
        sa.Column("client", sa.Text(), sa.ForeignKey("clients.id"), primary_key=True),
        sa.Column("jti_sha256", sa.Text(), primary_key=True),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_index("ix_client_assertions_until", "client_assertions", ["until"])
    op.create_table(
        "client_tokens",
        sa.Column("token_sha256", sa.Text(), primary_key=True),
        sa.Column("client", sa.Text(), sa.ForeignKey("clients.id"), nullable=False),
        sa.Column("scopes", sa.Text(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_index("ix_client_tokens_expires_at", "client_tokens", ["expires_at"])
