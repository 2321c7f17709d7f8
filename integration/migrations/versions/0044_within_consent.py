"""What is read and carried within the patient's consent, and that nothing is written down as leaving which did not ask for it."""

import sqlalchemy as sa
from alembic import op

revision = "0044"
down_revision = "0043"
branch_labels = None
depends_on = None
oldest_code = "0003"  # it only adds; what older code sends against a consent is refused, and is sent by newer code

ASKED = """
CREATE FUNCTION leaving_has_asked() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF split_part(coalesce(NEW.reason, ''), ':', 1) NOT IN
    ('status', 'cancellation', 'withdrawal', 'check', 'subscription', 'consent') THEN
    PERFORM 1 FROM requests WHERE id = NEW.request_id FOR KEY SHARE;
    IF (SELECT max(id) FROM consents WHERE request_id = NEW.request_id)
      IS DISTINCT FROM (NEW.detail->>'consent')::bigint THEN
      RAISE EXCEPTION 'nothing leaves for a request before the consent that stands was asked'
        USING ERRCODE = 'insufficient_privilege';
    END IF;
  END IF;
  RETURN NEW;
END $$"""


def upgrade() -> None:
    op.create_table(
        "limited_key_facts",
        sa.Column("packet_id", sa.Text(), nullable=False),
        sa.Column("left_out", sa.Text(), nullable=False),
        sa.Column("made_of", sa.Text(), nullable=False),
        sa.Column("page_sha256", sa.Text(), nullable=False),
        sa.Column("whole_sha256", sa.Text(), nullable=False),
        sa.Column("chart_sha256", sa.Text(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["packet_id"], ["packets.id"]),
        sa.PrimaryKeyConstraint("packet_id", "left_out"),
    )
    op.add_column("health_links", sa.Column("consent_id", sa.BigInteger(), sa.ForeignKey("consents.id")))
    op.execute(ASKED)
    op.execute(
        "CREATE TRIGGER audit_leaving_asked BEFORE INSERT ON audit FOR EACH ROW "
        "WHEN (NEW.action = 'data.leaves' AND NEW.request_id IS NOT NULL) EXECUTE FUNCTION leaving_has_asked()"
    )
