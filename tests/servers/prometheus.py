"""A real Prometheus that scrapes one address and evaluates a rule file."""

import contextlib
import json
import shutil
import signal
import socket
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from tests.servers.process import ServerFailed, end, spawn, tail

UNPACKED = Path(sys.prefix) / "debian"  # where tests/prepare.py unpacks it
SETTINGS = """\
global: {{scrape_interval: 1s, evaluation_interval: 1s}}
rule_files: ["{rules}"]
scrape_configs: [{{job_name: second-opinion, static_configs: [{{targets: ["127.0.0.1:{port}"]}}]}}]
"""


def program(name: str) -> str | None:
    """Where ``prometheus`` or ``promtool`` is; None when it is not here."""
    return shutil.which(name) or shutil.which(name, path=str(UNPACKED / "usr" / "bin"))


@contextlib.contextmanager
def prometheus(folder: Path, port: int, rules: Path) -> Iterator[str]:
    """Scrapes ``port``; gives the address of its API."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        own = free.getsockname()[1]
    (folder / "prometheus.yml").write_text(SETTINGS.format(rules=rules, port=port))
    log = folder / "prometheus.log"
    process = spawn(
        [
            program("prometheus"),
            f"--config.file={folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={folder / 'tsdb'}",
            f"--web.listen-address=127.0.0.1:{own}",
        ],
        log,
    )
    try:
        base = f"http://127.0.0.1:{own}/api/v1"
        until = time.monotonic() + 60
        while not _ready(own):
            if process.poll() is not None or time.monotonic() > until:
                raise ServerFailed(f"Prometheus is not ready: {tail(log)}")
            time.sleep(0.1)
        yield base
    finally:
        end(process, signal.SIGTERM, 10)


def asked(base: str, what: str) -> dict:
    """``data`` of one answer of its API."""
    with urllib.request.urlopen(f"{base}/{what}", timeout=10) as answer:
        return json.load(answer)["data"]


def _ready(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/-/ready", timeout=2) as answer:
            return answer.status == 200
    except (urllib.error.URLError, OSError):
        return False
