"""A directory of doctors: entries of files, servers and people, where ZIP codes are, and what people correct."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None
oldest_code = "0003"  # it only adds

ACTIVE = "state_now = 'active'"


def upgrade() -> None:
    op.create_table(
        "zip_points",
        sa.Column("zip", sa.Text(), primary_key=True),
        sa.Column("lat", sa.Float(), nullable=False),
        sa.Column("lon", sa.Float(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("city", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
    )
    op.create_table(
        "directory_loads",
        sa.Column("id", sa.BigInteger(), sa.Identity(), primary_key=True),
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("source", "kind", "name")),
        sa.Column("file_on", sa.Date(), nullable=False),
        sa.Column("is_whole", sa.Boolean(), nullable=False),
        *(
            sa.Column(name, sa.BigInteger(), nullable=False)
            for name in ("rows", "added", "changed", "ended", "left_out")
        ),
        sa.Column("notes", ARRAY(sa.Text()), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        _now("loaded_at"),
    )
    op.create_index("directory_loads_source", "directory_loads", ["source", "id"])
    _entries()
    op.create_table(
        "directory_corrections",
        sa.Column("id", sa.BigInteger(), sa.Identity(), primary_key=True),
        sa.Column("entry_id", sa.BigInteger(), sa.ForeignKey("directory_entries.id"), nullable=False),
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("field", "value", "source_value", "actor", "reason")),
        _now("created_at"),
        sa.Column("ended_at", sa.DateTime(timezone=True)),
    )
    op.create_index(
        "directory_corrections_open",
        "directory_corrections",
        ["entry_id", "field"],
        unique=True,
        postgresql_where=sa.text("ended_at is null"),
    )
    op.create_table(
        "specialty_codes",
        sa.Column("code", sa.Text(), primary_key=True),
        sa.Column("words", sa.Text(), nullable=False),
        sa.Column("grouping", sa.Text(), nullable=False),
        sa.Column("load_id", sa.BigInteger(), sa.ForeignKey("directory_loads.id"), nullable=False),
    )


def _entries() -> None:
    table = "directory_entries"
    op.create_table(
        table,
        sa.Column("id", sa.BigInteger(), sa.Identity(), primary_key=True),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("source_id", sa.Text(), nullable=False),
        sa.Column("load_id", sa.BigInteger(), sa.ForeignKey("directory_loads.id")),
        sa.Column("file_on", sa.Date(), nullable=False),
        sa.Column("npi", sa.Text()),
        sa.Column("family", sa.Text(), nullable=False),
        sa.Column("given", sa.Text(), nullable=False),
        sa.Column("name_key", sa.Text(collation="C"), nullable=False),
        sa.Column("credentials", sa.Text()),
        sa.Column("gender", sa.Text()),
        *(sa.Column(name, ARRAY(sa.Text())) for name in ("languages", "spoken", "specialties", "specialty_texts")),
        *(
            sa.Column(name, sa.Text())
            for name in ("organization", "line", "city", "state", "postal_code", "zip", "country")
        ),
        sa.Column("lat", sa.Float()),
        sa.Column("lon", sa.Float()),
        sa.Column("position", sa.Text()),
        sa.Column("phone", sa.Text()),
        sa.Column("licensed_in", ARRAY(sa.Text())),
        sa.Column("second_opinions", sa.Boolean()),
        sa.Column("accepting", sa.Boolean()),
        *(sa.Column(name, sa.Text()) for name in ("endpoint", "fhir_address", "direct_address", "version")),
        sa.Column("updated_on", sa.Date()),
        sa.Column("state_now", sa.Text(), nullable=False),
        sa.Column("ended_on", sa.Date()),
        sa.Column("entered_by", sa.Text()),
        sa.Column("revision", sa.Integer(), nullable=False, server_default="1"),
        sa.UniqueConstraint("source", "source_id", name="directory_entries_source"),
    )
    op.create_index("directory_entries_npi", table, ["npi"])
    for name, columns, where, how in (
        ("name", ["name_key", "id"], "", "btree"),
        ("place", ["lat", "lon"], "", "btree"),
        ("no_place", ["id"], " and lat is null", "btree"),
        ("specialties", ["specialties"], "", "gin"),
        ("spoken", ["spoken"], " and spoken is not null", "gin"),
        ("second_opinions", ["name_key", "id"], " and second_opinions", "btree"),
    ):
        op.create_index(
            f"directory_entries_{name}",
            table,
            columns,
            postgresql_where=sa.text(f"{ACTIVE}{where}"),
            postgresql_using=how,
        )


def _now(name: str) -> sa.Column:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now())
