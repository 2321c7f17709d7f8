"""ZIP codes whose place the list does not know stood at 0, 0: they go, and who was placed by one stands in the middle of its neighbors."""

from alembic import op

revision = "0049"
down_revision = "0048"
branch_labels = None
depends_on = None
oldest_code = "0003"  # the same columns

_NOWHERE = "lat = 0 AND lon = 0"


def upgrade() -> None:
    op.execute(f"DELETE FROM zip_points WHERE {_NOWHERE} AND kind <> 'MILITARY'")
    op.execute(f"""
        UPDATE directory_entries e SET lat = m.lat, lon = m.lon, position = CASE WHEN m.lat IS NULL THEN NULL ELSE 'zip3' END
        FROM directory_entries o LEFT JOIN (
            SELECT left(zip, 3) AS digits, avg(lat) AS lat, avg(lon) AS lon FROM zip_points WHERE kind <> 'MILITARY' GROUP BY 1
        ) m ON m.digits = left(o.zip, 3)
        WHERE o.id = e.id AND (e.position = 'zip3' OR e.position = 'zip' AND e.{_NOWHERE.replace("AND ", "AND e.")})""")
