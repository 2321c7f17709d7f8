"""What a consulting practice does on our pages: its answers, what it has looked at, and the reports that it writes and signs."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY

revision = "0032"
down_revision = "0031"
branch_labels = None
depends_on = None
oldest_code = "0003"  # it only adds


def _time(name: str) -> sa.Column:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now())


def _request(*, primary_key: bool = False) -> sa.Column:
    return sa.Column("request_id", sa.Text(), sa.ForeignKey("requests.id"), primary_key=primary_key, nullable=False)


def upgrade() -> None:
    op.create_table(
        "desk_answers",
        sa.Column("id", sa.BigInteger(), sa.Identity(), primary_key=True),
        _request(),
        sa.Column("answer", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text()),
        sa.Column("words", sa.Text(), nullable=False),
        sa.Column("people", ARRAY(sa.Text()), nullable=False),
        sa.Column("items", ARRAY(sa.Text()), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        _time("created_at"),
        sa.Index("desk_answers_request", "request_id", "id"),
    )
    op.create_table(
        "desk_looks",
        sa.Column("actor", sa.Text(), primary_key=True),
        _request(primary_key=True),
        _time("looked_at"),
    )
    op.create_table(
        "report_drafts",
        _request(primary_key=True),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("file_sha256", sa.Text()),
        sa.Column("file_doubts", ARRAY(sa.Text()), nullable=False, server_default=sa.text("'{}'")),
        sa.Column("corrects", sa.Integer()),
        sa.Column("version", sa.Integer(), nullable=False, server_default="1"),
        _time("updated_at"),
        sa.Column("updated_by", sa.Text(), nullable=False),
    )
    op.create_table(
        "written_reports",
        _request(primary_key=True),
        sa.Column("number", sa.Integer(), primary_key=True),
        sa.Column("reference", sa.Text(), nullable=False),
        sa.Column("composition", sa.Text(), nullable=False),
        sa.Column("signed_by", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        _time("signed_at"),
        sa.Column("retracted_at", sa.DateTime(timezone=True)),
        sa.Column("retracted_by", sa.Text()),
        sa.Column("retracted_reason", sa.Text()),
    )
