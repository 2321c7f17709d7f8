"""Languages and specialties of the directory in one index, whose condition is not that of the index of places.

PostgreSQL never combines two partial indexes with the same condition (`choose_bitmap_and`, src/backend/optimizer/path/indxpath.c): a
search by language, specialty and place read every row of the place from the table.
"""

import sqlalchemy as sa
from alembic import op

revision = "0042"
down_revision = "0041"
branch_labels = None
depends_on = None
oldest_code = "0003"  # an index only


def upgrade() -> None:
    op.drop_index("directory_entries_spoken", "directory_entries")
    op.create_index(
        "directory_entries_spoken",
        "directory_entries",
        ["spoken", "specialties"],
        postgresql_using="gin",
        postgresql_where=sa.text("spoken is not null"),
    )
