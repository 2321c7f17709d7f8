"""What the promise needs: each subject has a function of its own here, called by ``upgrade``."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None
oldest_code = "0003"  # it only adds


def upgrade() -> None:
    charts_read()
    ways_on()
    what_was_written()
    patients_linked()
    orders()
    audit_is_append_only()
    held_tokens()
    addresses_learned()
    priority_of_steps()


def charts_read() -> None:
    """When the whole chart of a request was last read: what is gone or re-filed no search by time shows."""
    op.add_column("requests", sa.Column("chart_read_at", sa.DateTime(timezone=True)))


def addresses_learned() -> None:
    """Other base addresses under which the server of an endpoint says that it keeps what was written there."""
    op.add_column("endpoints", sa.Column("addresses", ARRAY(sa.Text()), nullable=False, server_default=sa.text("'{}'")))


def priority_of_steps() -> None:
    """How soon the request wants it, beside what is owed: the queue is filtered by it. Null: look at the request."""
    op.add_column("steps", sa.Column("priority", sa.Text()))
    op.execute("UPDATE steps SET priority = r.priority FROM requests r WHERE r.id = steps.request_id")


def what_was_written() -> None:
    """The bytes that stand at a target, what they were made of, and whether they were read back."""
    for name in ("written_in", "ours_sha256", "source_sha256", "source_version"):
        op.add_column("links", sa.Column(name, sa.Text()))
    for name in ("source_updated_at", "gathered_at", "verified_at"):
        op.add_column("links", sa.Column(name, sa.DateTime(timezone=True)))
    op.add_column("delivery_items", sa.Column("sent_in", sa.Text()))


def patients_linked() -> None:
    """Who a request's patient is at an endpoint, whom a step found, and which server an endpoint was at first use."""
    op.add_column("endpoints", sa.Column("base_url", sa.Text()))
    op.add_column("endpoints", sa.Column("says", JSONB()))
    op.add_column("endpoints", sa.Column("software", sa.Text()))
    op.create_table(
        "patient_links",
        sa.Column("id", sa.BigInteger(), sa.Identity(), primary_key=True),
        sa.Column("request_id", sa.Text(), sa.ForeignKey("requests.id"), nullable=False),
        sa.Column("endpoint", sa.Text(), nullable=False),
        sa.Column("reference", sa.Text(), nullable=False),
        sa.Column("origin", sa.Text(), nullable=False),
        sa.Column("confirmed", sa.Boolean(), nullable=False, server_default=sa.text("false")),
        sa.Column("described", sa.Text()),
        sa.Column("found", sa.Text()),
        sa.Column("merges", JSONB(), nullable=False, server_default=sa.text("'[]'")),
        sa.Column("doubts", JSONB(), nullable=False, server_default=sa.text("'[]'")),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text()),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        sa.Column("undone_at", sa.DateTime(timezone=True)),
        sa.Column("undone_by", sa.Text()),
    )
    op.create_index(
        "patient_links_one",
        "patient_links",
        ["request_id", "endpoint"],
        unique=True,
        postgresql_where=sa.text("undone_at is null"),
    )
    op.create_index("patient_links_there", "patient_links", ["endpoint", "reference"])
    op.create_table(
        "patient_candidates",
        sa.Column("request_id", sa.Text(), sa.ForeignKey("requests.id"), primary_key=True),
        sa.Column("endpoint", sa.Text(), primary_key=True),
        sa.Column("reference", sa.Text(), primary_key=True),
        sa.Column("sha256", sa.Text()),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("read_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
    )


def orders() -> None:
    """The placer's order behind a request, and where reading the orders of a placer stands."""
    op.create_table(
        "orders",
        sa.Column("request_id", sa.Text(), sa.ForeignKey("requests.id"), primary_key=True),
        sa.Column("placer", sa.Text(), nullable=False),
        sa.Column("reference", sa.Text(), nullable=False),
        sa.Column("sha256", sa.Text()),
        sa.Column("came_sha256", sa.Text()),
        sa.Column("subject", sa.Text()),
        sa.Column("body", sa.LargeBinary()),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
    )
    op.create_index("orders_reference", "orders", ["reference", "placer"])
    op.create_index("orders_placer", "orders", ["placer", "request_id"])
    op.create_table(
        "polls",
        sa.Column("endpoint", sa.Text(), primary_key=True),
        sa.Column("changes", sa.Text()),
        sa.Column("sweep", sa.Text()),
        sa.Column("swept_at", sa.DateTime(timezone=True)),
    )
    op.create_index(
        "links_orders",
        "links",
        ["endpoint", "reference"],
        postgresql_where=sa.text("reference like 'ServiceRequest/%'"),
    )
    op.execute("""
        INSERT INTO orders (request_id, placer, reference)
        SELECT id, placer, reference FROM (
            SELECT id, placer, substring(convert_from(body, 'UTF8')
                FROM '"service_request":"(ServiceRequest/[A-Za-z0-9.-]{1,64})"') AS reference FROM requests) AS said
        WHERE reference IS NOT NULL""")


def ways_on() -> None:
    """What a parked step is about, what is sent without or as it is, orders that were refused, and errors of a request."""
    op.add_column("steps", sa.Column("items", ARRAY(sa.Text()), nullable=True))
    op.add_column("endpoints", sa.Column("last_failure_cause", sa.Text(), nullable=True))
    op.create_table(
        "waivers",
        sa.Column("id", sa.BigInteger(), sa.Identity(), primary_key=True),
        sa.Column("request_id", sa.Text(), sa.ForeignKey("requests.id"), nullable=False),
        sa.Column("item", sa.Text(), nullable=False),
        sa.Column("what", sa.Text(), nullable=False, server_default=""),
        sa.Column("as_it_is", sa.Boolean(), nullable=False, server_default=sa.text("false")),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        sa.Column("undone_at", sa.DateTime(timezone=True)),
        sa.Column("undone_by", sa.Text()),
        sa.Column("undone_reason", sa.Text()),
    )
    op.create_index(
        "waivers_once", "waivers", ["request_id", "item"], unique=True, postgresql_where=sa.text("undone_at is null")
    )
    op.create_table(
        "refused_orders",
        sa.Column("endpoint", sa.Text(), primary_key=True),
        sa.Column("reference", sa.Text(), primary_key=True),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        sa.Column("skipped_sha256", sa.Text()),
        sa.Column("skipped_at", sa.DateTime(timezone=True)),
        sa.Column("skipped_by", sa.Text()),
        sa.Column("skipped_reason", sa.Text()),
    )
    op.create_index(
        "findings_errors",
        "findings",
        ["request_id"],
        postgresql_where=sa.text("severity = 'error' and request_id is not null"),
    )


def held_tokens() -> None:
    """Access tokens of other servers, held for all workers."""
    op.create_table(
        "held_tokens",
        sa.Column("endpoint", sa.Text(), primary_key=True),
        sa.Column("fingerprint", sa.Text(), primary_key=True),
        sa.Column("token", sa.Text()),
        sa.Column("scope", sa.Text()),
        *(
            sa.Column(name, sa.DateTime(timezone=True))
            for name in ("renew_at", "expires_at", "given_at", "renewing_until")
        ),
    )


def audit_is_append_only() -> None:
    """Rows are added to the audit trail and never changed; seals show it when somebody does so all the same."""
    now = sa.text("pg_current_xact_id()::text::bigint")
    op.add_column("audit", sa.Column("transaction", sa.BigInteger(), server_default=now))
    op.create_index("audit_transaction", "audit", ["transaction", "id"])
    op.create_table(
        "audit_seals",
        sa.Column("id", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("sealed_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        sa.Column("after_id", sa.BigInteger(), nullable=False),
        sa.Column("from_transaction", sa.BigInteger(), nullable=False),
        sa.Column("to_transaction", sa.BigInteger(), nullable=False),
        sa.Column("rows", sa.BigInteger(), nullable=False),
        sa.Column("previous", sa.Text(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
    )
    op.execute("""
        CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            RAISE EXCEPTION 'rows of % are never changed', TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege';
        END $$""")
    for table in ("audit", "audit_seals"):
        op.execute(
            f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
        )
