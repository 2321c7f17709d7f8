"""``make demo`` as a newcomer runs it, and again after it was killed in the middle."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
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


def test_the_demo_closes_the_loop_and_again_after_a_kill(folder):
    port = free_port()
    first = demo(folder, port)
    for line in first.stderr:
        if "gathered" in line:
            break
    first.send_signal(signal.SIGKILL)
    first.wait()
    time.sleep(1)
    second = demo(folder, port)
    out, err = second.communicate(timeout=170)
    result = json.loads(out.strip().splitlines()[-1])
    assert result["closed"] and result["report_verified"], err
    assert result["gathered"] == result["sent"] == result["verified"] >= 150
    assert result["duplicates"] == 0
    assert second.returncode == 0
