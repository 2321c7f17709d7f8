"""A process that asks a server as often as it may, from two threads: ``python -m tests.integration.store.hammer DATABASE BASE_URL COUNT``."""

import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from types import SimpleNamespace

from integration.fhir.servers import Servers
from integration.postgres.database import connect
from integration.store.pace import wait_for_turn
from tests.integration.fhir.endpoints import endpoint

THREADS = 2


def main(database_url: str, base_url: str, count: int) -> None:
    """Say "ready", wait for a line, then ask; as the house puts it together."""
    database = connect(database_url)
    before = partial(wait_for_turn, database.engine)
    servers = Servers(SimpleNamespace(endpoints={"lakeview": endpoint(base_url, concurrency=THREADS)}), before=before)
    print("ready", flush=True)
    sys.stdin.readline()
    with ThreadPoolExecutor(THREADS) as pool:
        for _ in pool.map(lambda _: servers.server("lakeview").read("Patient", "1"), range(count)):
            pass
    servers.close()
    database.close()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
