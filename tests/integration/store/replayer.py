"""A process that shows the same assertions as another one: ``python -m tests.integration.store.replayer DATABASE CLIENT COUNT``."""

import sys
import time

from integration.postgres.database import connect
from integration.store.client_tokens import use_once


def main(database_url: str, client: str, count: int) -> None:
    """Say "ready", wait for a line, then show them; prints those that were taken here."""
    database = connect(database_url)
    print("ready", flush=True)
    sys.stdin.readline()
    taken = []
    for number in range(count):
        with database.engine.begin() as conn:
            if use_once(conn, client, f"jti-{number}", time.time() + 300):
                taken.append(str(number))
    print(" ".join(taken))
    database.close()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
