"""The tables of the hosted endpoint: every version's bytes, the newest version of each resource, what search looks up.

The Alembic revision creates them with ``hosted_metadata.create_all``. All text compares bytewise (collation "C"), so
that a prefix search and keyset paging both run along an index.
"""

from sqlalchemy import BigInteger, DateTime, Index, Integer, LargeBinary, MetaData, PrimaryKeyConstraint, Table, Text
from sqlalchemy import Column as _Column

hosted_metadata = MetaData()


def _text(name: str) -> _Column:
    return _Column(name, Text(collation="C"), nullable=False)


def _updated_at() -> _Column:
    return _Column("updated_at", DateTime(timezone=True), nullable=False)


# When each practice was last written. Every write updates this row first: it hands out meta.lastUpdated, strictly
# increasing, and its row lock lets one writer at a time into a practice, which makes conditional creates atomic and
# shows a poll by _lastUpdated no write out of order.
hosted_clock = Table(
    "hosted_clock",
    hosted_metadata,
    _text("practice"),
    _updated_at(),
    PrimaryKeyConstraint("practice"),
)

hosted_resources = Table(
    "hosted_resources",
    hosted_metadata,
    _text("practice"),
    _text("type"),
    _text("id"),
    _Column("version", Integer, nullable=False),
    _updated_at(),
    PrimaryKeyConstraint("practice", "type", "id"),
    Index("hosted_resources_by_time", "practice", "type", "updated_at", "id"),
)

# Bytes, never jsonb: jsonb reorders keys and refuses \u0000.
hosted_versions = Table(
    "hosted_versions",
    hosted_metadata,
    _text("practice"),
    _text("type"),
    _text("id"),
    _Column("version", Integer, nullable=False),
    _updated_at(),
    _Column("content", LargeBinary, nullable=False),
    PrimaryKeyConstraint("practice", "type", "id", "version"),
)

# The bytes of a Binary that no resource can hold as base64: they stay in the payload store, and go out block by block.
# Only our own pages make one; a client that sends a next version replaces it.
hosted_payloads = Table(
    "hosted_payloads",
    hosted_metadata,
    _text("practice"),
    _text("id"),
    _Column("version", Integer, nullable=False),
    _text("sha256"),
    _Column("size", BigInteger, nullable=False),
    PrimaryKeyConstraint("practice", "id", "version"),
)

# What the newest version of a resource can be found by. For a token: system and code. For a reference: the target's
# type and id, or "" and the address when it is elsewhere. For a name: "" and its folded form.
# updated_at is repeated here so that one index gives a search its rows in page order.
hosted_index = Table(
    "hosted_index",
    hosted_metadata,
    _text("practice"),
    _text("type"),
    _text("id"),
    _text("param"),
    _text("system"),
    _text("value"),
    _updated_at(),
    Index(
        "hosted_index_by_value", "practice", "type", "param", "value", "updated_at", "id", postgresql_include=["system"]
    ),
    Index("hosted_index_by_resource", "practice", "type", "id", "param"),
)
