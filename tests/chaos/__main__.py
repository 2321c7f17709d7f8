"""``make chaos``: run one scenario from a seed that it prints; ``--json`` makes the last line one JSON object."""
import argparse
import random
import sys
import tempfile
from pathlib import Path

from tests.chaos.run import Chaos, as_json


def main() -> int:
    """Parse, run, print; exit code 1 when anything was lost, doubled or stuck."""
    parser = argparse.ArgumentParser(prog="make chaos ARGS=")
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--requests", type=int, default=12)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 30))
    parser.add_argument("--rate", type=float, default=0.15, help="share of requests that meet a fault")
    parser.add_argument("--accepts", choices=["resources", "documents"], default="resources")
    parser.add_argument("--no-conditional-create", action="store_true")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    print(f"seed {given.seed}", file=sys.stderr)
    with tempfile.TemporaryDirectory(prefix="second-opinion-chaos-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o711)
        chaos = Chaos(folder, seed=given.seed, requests=given.requests, rate=given.rate, accepts=given.accepts,
                      conditional_create=not given.no_conditional_create)
        try:
            result = chaos.run(given.kills)
        finally:
            chaos.stop()
    print(as_json(result))
    return 1 if result.lost or result.duplicated or result.stuck else 0


if __name__ == "__main__":
    sys.exit(main())
