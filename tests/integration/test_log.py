"""What a process logs: one level for all of ours, a time on every line, also when it crashes; never an error's text."""

import json
import subprocess
import sys

import pytest

CRASH = """
import logging, threading
from integration.log import set_up_logging
set_up_logging("info")
for name in ("second_opinion.x", "integration.hosted.blueprint", "jobs.x", "mappings.x", "elsewhere"):
    logging.getLogger(name).info("seen")
if {thread}:
    thread = threading.Thread(target=lambda: int("CANARY")); thread.start(); thread.join()
else:
    int("CANARY")
"""


@pytest.mark.parametrize("thread", [True, False])
def test_a_crash_is_a_line_with_time_and_places_and_without_its_text(thread):
    ended = subprocess.run([sys.executable, "-c", CRASH.format(thread=thread)], capture_output=True, text=True)
    lines = [json.loads(line) for line in ended.stderr.splitlines()]
    assert [line["log"] for line in lines[:-1]] == [
        "second_opinion.x",
        "integration.hosted.blueprint",
        "jobs.x",
        "mappings.x",
    ]
    crash = lines[-1]
    assert crash["at"] and crash["level"] == "critical" and crash["error"] == "ValueError" and crash["places"]
    assert "CANARY" not in ended.stderr
