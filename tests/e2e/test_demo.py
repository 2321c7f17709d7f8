"""``make demo`` as a newcomer runs it, and again after it was killed in the middle."""

import http.server
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chaos.run import free_port

pytestmark = [pytest.mark.postgres, pytest.mark.chaos]


@pytest.fixture
def folder() -> Iterator[Path]:
    made = Path(tempfile.mkdtemp(prefix="second-opinion-demo-"))
    made.chmod(0o711)
    yield made / "data"
    shutil.rmtree(made, ignore_errors=True)


def demo(folder: Path, port: int) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-m", "second_opinion", "demo", "--exit", "--json", "--data-dir", str(folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "DEMO_PORT": str(port)},
    )


def result_of(process: subprocess.Popen) -> dict:
    out, err = process.communicate(timeout=170)
    result = json.loads(out.strip().splitlines()[-1])
    assert process.returncode == 0 and result["closed"] and result["report_verified"], err
    assert result["gathered"] == result["sent"] == result["verified"] >= 150
    assert result["duplicates"] == 0 and result["decision"] == "Change the plan"
    assert "has written and signed the report" in err and "the patient opens her link" in err
    return {**result, "told": err}


def test_the_demo_closes_a_loop_after_a_kill_and_a_second_and_a_third_one(folder):
    """Each is a new request about the same patient; the chart holds the orders and reports of those before."""
    port = free_port()
    first = demo(folder, port)
    for line in first.stderr:
        if "gathered" in line:
            break
    first.send_signal(signal.SIGKILL)
    first.wait()
    time.sleep(1)
    results = [result_of(demo(folder, port)) for _ in range(3)]
    assert len({each["request_id"] for each in results}) == 3


def test_a_taken_port_is_noticed_at_once_and_another_one_is_used(folder):
    """What listens there may be an Exchange that is not the demo's: nothing is loaded into it."""
    asked: list[str] = []

    class Other(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_response(200)
            self.end_headers()

        do_POST = do_GET

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Other) as other:
        threading.Thread(target=other.serve_forever, daemon=True).start()
        result = result_of(demo(folder, other.server_address[1]))
        other.shutdown()
    assert "is taken by another program; this demo uses" in result["told"] and asked == []
