"""``make chaos``: run one scenario from a seed that it prints; ``--json`` makes the last line one JSON object."""

import argparse
import contextlib
import math
import random
import signal
import sys
import tempfile
from pathlib import Path

from tests.chaos.epic import LAG_SECONDS, EpicChaos
from tests.chaos.run import Chaos, as_json
from tests.servers.vendors.epic import Epic


@contextlib.contextmanager
def two_servers(kind: str, folder: Path):
    """Base URLs of two HAPI servers; an Epic-like placer; or None: the Exchange's own hosted endpoints."""
    if kind == "hosted":
        yield None
        return
    if kind == "epic":
        with Epic(lag=LAG_SECONDS) as placer:
            yield placer
        return
    from tests.servers.hapi import Hapi, build

    build()
    with Hapi(folder) as one, Hapi(folder) as other:
        yield one.start(name="placer"), other.start(name="fulfiller")


def main() -> int:
    """Parse, run, print; exit code 1 when anything was lost, doubled, stuck, out of date or where it may not be."""
    parser = argparse.ArgumentParser(prog="make chaos ARGS=")
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--requests", type=int, default=12)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 30))
    parser.add_argument("--rate", type=float, default=0.15, help="share of requests that meet a fault")
    parser.add_argument("--accepts", choices=["resources", "documents"], default="resources")
    parser.add_argument("--corrections", action="store_true", help="records, questions and orders change meanwhile")
    parser.add_argument("--no-conditional-create", action="store_true")
    parser.add_argument("--between", type=float, default=1.8, help="seconds between two kills, on average")
    parser.add_argument("--kill-seconds", type=float, default=math.inf, help="no kill comes after so many seconds")
    parser.add_argument("--settle", type=float, default=300, help="seconds it may need when nothing is killed any more")
    parser.add_argument("--keep", type=Path, help="work in this folder and leave it, logs included")
    parser.add_argument("--servers", choices=["hosted", "hapi", "epic"], default="hosted")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # what we started ends with us
    print(f"seed {given.seed}", file=sys.stderr)
    with tempfile.TemporaryDirectory(prefix="second-opinion-chaos-", ignore_cleanup_errors=True) as name:
        folder = given.keep or Path(name)
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o711)
        with two_servers(given.servers, folder) as servers:
            form = {"seed": given.seed, "requests": given.requests, "rate": given.rate, "accepts": given.accepts}
            chaos = (
                EpicChaos(folder, servers, **form)
                if isinstance(servers, Epic)
                else Chaos(
                    folder,
                    corrections=given.corrections,
                    conditional_create=not given.no_conditional_create,
                    servers=servers,
                    **form,
                )
            )
            try:
                result = chaos.run(
                    given.kills,
                    seconds_between=given.between,
                    settle_seconds=given.settle,
                    kill_seconds=given.kill_seconds,
                )
            finally:
                chaos.stop()
    print(as_json(result))
    return 1 if result.wrong() else 0


if __name__ == "__main__":
    sys.exit(main())
