"""What is asked of sources, and what travels by courier, each with its history."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None
oldest_code = "0003"  # it only adds


def _id() -> sa.Column:
    return sa.Column("id", sa.BigInteger(), sa.Identity(), primary_key=True)


def _words(*names: str) -> list[sa.Column]:
    return [sa.Column(name, sa.Text(), nullable=False) for name in names]


def _many(name: str) -> sa.Column:
    return sa.Column(name, ARRAY(sa.Text()), nullable=False)


def _of(name: str, target: str, kind: type = sa.BigInteger) -> sa.Column:
    return sa.Column(name, kind(), sa.ForeignKey(target), nullable=False)


def _created() -> sa.Column:
    return sa.Column("created_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now())


def upgrade() -> None:
    op.create_table(
        "source_asks",
        _id(),
        _of("request_id", "requests.id", sa.Text),
        sa.Column("endpoint", sa.Text()),
        *_words("holder"),
        _many("address"),
        *_words("fax", "road"),
        _many("items"),
        *_words("what"),
        sa.Column("due", sa.Date(), nullable=False),
        sa.Column("renews", sa.BigInteger(), sa.ForeignKey("source_asks.id"), unique=True),
        *_words("actor", "reason"),
        _created(),
    )
    op.create_index("source_asks_request", "source_asks", ["request_id", "id"])
    op.create_table(
        "source_ask_events",
        _id(),
        _of("ask_id", "source_asks.id"),
        *_words("word", "actor", "note"),
        sa.Column("day", sa.Date()),
        *_words("done_by", "by_way", "reference"),
        _many("outputs"),
        *_words("kept_sha256"),
        _created(),
    )
    op.create_index("source_ask_events_ask", "source_ask_events", ["ask_id", "id"])
    op.create_table(
        "parcels",
        _id(),
        _of("request_id", "requests.id", sa.Text),
        *_words("kind", "what", "source", "actor"),
        _created(),
    )
    op.create_index("parcels_request", "parcels", ["request_id", "id"])
    op.create_table(
        "parcel_moves",
        _id(),
        _of("parcel_id", "parcels.id"),
        *_words("word"),
        sa.Column("day", sa.Date(), nullable=False),
        *_words("done_by", "actor"),
        sa.Column("pieces_sent", sa.Integer()),
        sa.Column("pieces_counted", sa.Integer()),
        *_words("carrier", "tracking", "note"),
        _created(),
    )
    op.create_index("parcel_moves_parcel", "parcel_moves", ["parcel_id", "id"])
