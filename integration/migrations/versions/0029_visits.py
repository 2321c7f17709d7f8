"""Visits: each change of a request's appointment, what an EHR shows of them, and from when on records are at risk."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None
oldest_code = "0003"  # it only adds
_TIME = sa.DateTime(timezone=True)
_OWED = (
    "closed_at is null and records_due_at is not null and records not in ('verified', 'acknowledged') "
    "and status in ('draft', 'requested', 'received', 'accepted', 'in-progress', 'on-hold')"
)


def upgrade() -> None:
    for name in ("visit_at", "records_risk_at"):
        op.add_column("requests", sa.Column(name, _TIME))
    _index("requests_at_risk", "requests", "records_risk_at", f"records_risk_at is not null and {_OWED}")
    _index("requests_breached", "requests", "visit_at", f"visit_at is not null and {_OWED}")
    travelled = "kind = 'records' and version = 1 and verified_at is not null"
    _index("deliveries_travelled", "deliveries", "verified_at", travelled)
    _index("checklist_facts_items", "checklist_facts", "created_at", "topic = 'item'")
    op.create_table(
        "appointments",
        sa.Column("request_id", sa.Text(), sa.ForeignKey("requests.id"), primary_key=True),
        sa.Column("version", sa.Integer(), primary_key=True),
        sa.Column("began", sa.Integer(), nullable=False),
        sa.Column("change", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("known", sa.Text(), nullable=False),
        sa.Column("start_at", _TIME, nullable=False),
        sa.Column("end_at", _TIME),
        sa.Column("zone", sa.Text(), nullable=False),
        *_place(),
        sa.Column("endpoint", sa.Text()),
        sa.Column("reference", sa.Text()),
        sa.Column("told_by", sa.Text(), nullable=False, server_default=""),
        sa.Column("cancelation", sa.Text()),
        sa.Column("confirmed", ARRAY(sa.Text()), nullable=False, server_default=sa.text("'{}'")),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False, server_default=""),
        sa.Column("created_at", _TIME, nullable=False, server_default=sa.func.now()),
    )
    op.create_table(
        "found_appointments",
        sa.Column("request_id", sa.Text(), sa.ForeignKey("requests.id"), primary_key=True),
        sa.Column("endpoint", sa.Text(), primary_key=True),
        sa.Column("reference", sa.Text(), primary_key=True),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("start_at", _TIME, nullable=False),
        sa.Column("end_at", _TIME),
        *_place(),
        sa.Column("version", sa.Text()),
        sa.Column("read_at", _TIME, nullable=False, server_default=sa.func.now()),
        sa.Column("dismissed_at", _TIME),
        sa.Column("dismissed_by", sa.Text()),
    )


def _place() -> list[sa.Column]:
    return [sa.Column(name, sa.Text(), nullable=False, server_default="") for name in ("place", "with_whom")]


def _index(name: str, table: str, column: str, where: str) -> None:
    op.create_index(name, table, [column], postgresql_where=sa.text(where))
