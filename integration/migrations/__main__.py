"""For developers: writes the next revision, from what tables.py says and the revisions so far do not.

``python -m integration.migrations "what changes"``
"""

import sys
import tempfile
from pathlib import Path

from alembic import command

from integration.postgres.database import alembic_config, connect
from integration.postgres.embedded import EmbeddedPostgres


def main(message: str) -> None:
    with tempfile.TemporaryDirectory(prefix="second-opinion-") as folder:
        Path(folder).chmod(0o711)
        server = EmbeddedPostgres(Path(folder) / "data")
        database = connect(server.start())
        try:
            database.migrate()
            config = alembic_config()
            with database.engine.begin() as connection:
                connection.exec_driver_sql("SET LOCAL idle_in_transaction_session_timeout = 0")
                config.attributes["connection"] = connection
                number = len(list((Path(__file__).parent / "versions").glob("[0-9]*.py"))) + 1
                command.revision(config, message, autogenerate=True, rev_id=f"{number:04d}")
        finally:
            database.close()
            server.stop()


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
