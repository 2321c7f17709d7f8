"""Accounts, alerts, exchanges of attempts, corrections of requests, and the exact pace (which replaces the tokens)."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "accounts",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("password_hash", sa.Text(), nullable=False),
        sa.Column("roles", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("enabled", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("password_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("signed_in_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "alarm_silences",
        sa.Column("rule", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("rule", "subject"),
    )
    op.create_table(
        "notices",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("recipient", sa.Text(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("rule", sa.Text(), nullable=False),
        sa.Column("alarm_ids", postgresql.ARRAY(sa.BigInteger()), nullable=False),
        sa.Column("content", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("status", sa.Text(), server_default="queued", nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("next_attempt_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("key"),
    )
    op.create_index("notices_alarms", "notices", ["alarm_ids"], unique=False, postgresql_using="gin")
    op.create_index("notices_last", "notices", ["recipient", "rule", "created_at"], unique=False)
    op.create_index(
        "notices_queued", "notices", ["next_attempt_at"], unique=False, postgresql_where=sa.text("status = 'queued'")
    )
    op.create_index(
        "notices_unsent",
        "notices",
        ["recipient", "created_at"],
        unique=False,
        postgresql_where=sa.text("status in ('queued', 'failed')"),
    )
    op.create_table(
        "pace",
        sa.Column("endpoint", sa.Text(), nullable=False),
        sa.Column("next_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("endpoint"),
    )
    op.create_table(
        "sign_in_tries",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("last_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("key"),
    )
    op.create_index("sign_in_tries_last", "sign_in_tries", ["last_at"], unique=False)
    op.create_table(
        "tokens",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("token_sha256", sa.Text(), nullable=False),
        sa.Column("prefix", sa.Text(), nullable=False),
        sa.Column("roles", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("practice", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("token_sha256"),
    )
    op.create_index("tokens_name", "tokens", ["name"], unique=True, postgresql_where=sa.text("revoked_at is null"))
    op.create_table(
        "told_alarms",
        sa.Column("recipient", sa.Text(), nullable=False),
        sa.Column("rule", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("told_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_told_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("recipient", "rule", "subject"),
    )
    op.create_table(
        "totals",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("endpoint", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("seconds", sa.Float(), nullable=False),
        sa.Column("buckets", postgresql.ARRAY(sa.BigInteger()), nullable=False),
        sa.PrimaryKeyConstraint("name", "endpoint", "kind", "outcome"),
        postgresql_with={"fillfactor": "50"},
    )
    op.create_table(
        "exchanges",
        sa.Column("attempt_id", sa.BigInteger(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("endpoint", sa.Text(), nullable=False),
        sa.Column("method", sa.Text(), nullable=False),
        sa.Column("shown", sa.Text(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("began", sa.DateTime(timezone=True), nullable=False),
        sa.Column("milliseconds", sa.Integer(), nullable=False),
        sa.Column("sent_bytes", sa.BigInteger(), nullable=False),
        sa.Column("received_bytes", sa.BigInteger(), nullable=False),
        sa.Column("cause", sa.Text(), nullable=True),
        sa.Column("retry_after_seconds", sa.Float(), nullable=True),
        sa.Column("issues", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'[]'"), nullable=False),
        sa.Column("request_body", sa.LargeBinary(), nullable=True),
        sa.Column("response_body", sa.LargeBinary(), nullable=True),
        sa.ForeignKeyConstraint(["attempt_id"], ["attempts.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("attempt_id", "number"),
    )
    op.create_index(
        "exchanges_bodies",
        "exchanges",
        ["began"],
        unique=False,
        postgresql_where=sa.text("request_body is not null or response_body is not null"),
    )
    op.create_table(
        "request_versions",
        sa.Column("request_id", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("body_sha256", sa.Text(), nullable=False),
        sa.Column("patient_hash", sa.Text(), nullable=False),
        sa.Column("fields", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'[]'"), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["request_id"],
            ["requests.id"],
        ),
        sa.PrimaryKeyConstraint("request_id", "version"),
    )
    op.create_table(
        "sessions",
        sa.Column("token_sha256", sa.Text(), nullable=False),
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["account"],
            ["accounts.name"],
        ),
        sa.PrimaryKeyConstraint("token_sha256"),
    )
    op.create_index("sessions_account", "sessions", ["account"], unique=False)
    op.create_index("sessions_seen", "sessions", ["seen_at"], unique=False)
    op.create_index("alarms_of", "alarms", ["rule", "subject", "recovered_at"], unique=False)
    op.add_column("deliveries", sa.Column("request_version", sa.Integer(), nullable=True))
    op.add_column("endpoints", sa.Column("polled_at", sa.DateTime(timezone=True), nullable=True))
    op.drop_column("endpoints", "tokens")
    op.drop_column("endpoints", "tokens_at")
    op.add_column("requests", sa.Column("version", sa.Integer(), server_default="1", nullable=False))
    op.add_column("requests", sa.Column("gathered_version", sa.Integer(), nullable=True))
    op.create_index(
        "requests_answered",
        "requests",
        ["updated_at", "id"],
        unique=False,
        postgresql_where=sa.text(
            "closed_at is null and status not in ('rejected', 'cancelled', 'failed', 'entered-in-error') and (status = 'completed' or visit = 'completed')"
        ),
    )
    op.create_index(
        "requests_loop_open",
        "requests",
        ["created_at", "id"],
        unique=False,
        postgresql_where=sa.text(
            "closed_at is null and status not in ('rejected', 'cancelled', 'failed', 'entered-in-error')"
        ),
    )
    op.create_index(
        "requests_open", "requests", ["status"], unique=False, postgresql_where=sa.text("closed_at is null")
    )
    op.create_index(
        "requests_records_owed",
        "requests",
        ["records_due_at", "id"],
        unique=False,
        postgresql_where=sa.text(
            "closed_at is null and records_due_at is not null and records not in ('verified', 'acknowledged') and status in ('draft', 'requested', 'received', 'accepted', 'in-progress', 'on-hold')"
        ),
    )
    op.add_column("steps", sa.Column("put_backs", sa.Integer(), server_default="0", nullable=False))
    op.add_column("steps", sa.Column("parked_at", sa.DateTime(timezone=True), nullable=True))
    op.execute("UPDATE steps SET parked_at = now() WHERE status = 'parked'")
