"""`second-opinion top` in a real pseudo-terminal: what it shows fits, its keys do what they say, nothing without a reason."""

import fcntl
import json
import os
import pty
import signal
import struct
import subprocess
import sys
import termios
import threading
import time

import pyte
import pytest
from sqlalchemy import text, update

from integration.store import alarms
from integration.store.tables import endpoints
from second_opinion.top import split
from tests.integration.web.site import Site

pytestmark = pytest.mark.postgres
WAIT_SECONDS = 60  # nobody waits so long, unless the machine has much else to do


@pytest.fixture
def site(tmp_path, database) -> Site:
    return Site(tmp_path, database)


class Terminal:
    """A person before ``second-opinion top``: a real pseudo-terminal, and what an emulator shows of it."""

    def __init__(self, site: Site, folder, database, *words: str, columns: int = 80, rows: int = 24):
        self.screen = pyte.Screen(columns, rows)
        self.stream, self.raw = pyte.ByteStream(self.screen), b""
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        environment = {
            name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES", "NO_COLOR")
        }
        self.process = subprocess.Popen(
            [sys.executable, "-m", "second_opinion", "--config", str(folder / "config.yaml"), "top", *words],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
            env={**environment, "TERM": "xterm-256color", "USER": "bob", "SECOND_OPINION_DATABASE_URL": database.url},
        )
        self.before = termios.tcgetattr(slave)
        self.slave = slave
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        while True:
            try:
                data = os.read(self.master, 65536)
            except OSError:
                return
            self.raw += data
            self.stream.feed(data)

    @property
    def shown(self) -> str:
        return "\n".join(line.rstrip() for line in self.screen.display)

    def press(self, keys: str) -> None:
        os.write(self.master, keys.encode())

    def until(self, *words: str, gone: str = "") -> str:
        """Wait until all of this is shown, and ``gone`` is not."""
        end = time.monotonic() + WAIT_SECONDS
        while not all(word in self.shown for word in words) or gone and gone in self.shown:
            assert time.monotonic() < end and self.process.poll() is None, (
                f"waited for {words}:\n{self.shown}\n{self.raw[-500:]!r}"
            )
            time.sleep(0.05)
        return self.shown

    def resize(self, columns: int, rows: int) -> None:
        self.screen.resize(rows, columns)
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        os.killpg(self.process.pid, signal.SIGWINCH)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self.slave)
        os.close(self.master)


@pytest.fixture
def open_top(site, tmp_path, database):
    """Starts ``second-opinion top`` in a terminal."""
    made = []

    def start(*words: str, **size) -> Terminal:
        made.append(Terminal(site, tmp_path, database, *words, **size))
        return made[-1]

    yield start
    for each in made:
        each.close()


def busy(site: Site) -> tuple[str, int]:
    """Parked, retrying and due work; an endpoint that rests; an alarm."""
    request_id = site.request()
    parked = site.step("match_people", request_id=request_id, cause="patient-several", message="three are alike")
    for number in range(40):
        site.step("verify_records", "bob", "waiting", request_id=site.request(f"w{number}"), cause="http-503")
    with site.engine.begin() as conn:
        conn.execute(
            update(endpoints)
            .where(endpoints.c.key == "mercy")
            .values(breaker="half-open", failures=5, breaker_until=text("now() + interval '1 h'"))
        )
        alarms.raise_alarm(conn, "endpoint-down", "mercy", "mercy has answered nothing")
        conn.execute(text("UPDATE steps SET deadline = now() - interval '2 h' WHERE id = :id"), {"id": parked})
    return request_id, parked


def test_it_fits_80_columns_and_24_rows_moves_filters_opens_retries_with_a_reason_and_quits(site, open_top):
    request_id, parked = busy(site)
    terminal = open_top("--every", "1")
    shown = terminal.until("Second Opinion Exchange", "q quit")
    assert (
        len(shown.splitlines()) == 24 and "[attention 41]" in shown and " parked 1 " in shown and "retrying 40" in shown
    )
    first = next(line for line in shown.splitlines() if line.startswith("> "))
    assert (
        "late by 2 h" in first
        and "match_people" in first
        and "mercy" in first
        and request_id[:12] in first
        and "patient-several" in first
    )
    assert (
        "1 alarm(s): endpoint-down mercy" in shown
        and "mercy          resting" in shown
        and "5 failed in a row, 1 open, 1 parked, no success yet" in shown
    )
    assert "press Link patient" in shown, "what to do stands below"

    terminal.press("\x1b[B")
    terminal.until("> ", gone="link the right one")
    terminal.press("\x1b[B" * 60)
    terminal.until("The endpoint is down for the moment.")
    terminal.press("\x1b[A" * 99 + "\r")
    opened = terminal.until(f"{request_id}: draft", "three are alike", "lacks: the records are not verified")
    assert "parked   match_people" in opened
    terminal.press("\x1b")
    terminal.until("[attention 41]", gone="lacks:")

    terminal.press("\x1b[C")
    terminal.until("[parked 1]", gone="verify_records")
    terminal.press("/" + "\x7f" * 20 + "endpoint:bob stat:x\r")
    terminal.until("At character 14", "did you mean state:", "filter: endpoint:bob stat:x")
    terminal.press("\x7f" * 6 + "\r")
    terminal.until("[attention 40]", "filter: endpoint:bob", gone="match_people")
    terminal.press("/" + "\x7f" * 20 + "patient:M1\r")
    terminal.until("match_people", gone="M1")

    terminal.press("R")
    terminal.until("Why retry match_people at mercy?")
    terminal.press("   \r")
    terminal.until("Write why")
    assert site.row(parked).status == "parked"
    terminal.press("\x1b")
    terminal.until("Nothing was done.")
    assert site.row(parked).status == "parked" and not site.audited("step.retried")
    terminal.press("Rlinked by phone\r")
    terminal.until(f"Step {parked} (match_people, mercy) is due now.")
    assert site.row(parked).status == "due"
    assert [(row.actor, row.reason) for row in site.audited("step.retried")] == [("cli bob", "linked by phone")]
    terminal.press("q")
    assert terminal.process.wait(WAIT_SECONDS) == 0
    assert termios.tcgetattr(terminal.slave)[3] == terminal.before[3], "the terminal is left as it was"


def test_it_refreshes_itself_fits_a_window_that_changed_and_says_what_moved_on(site, open_top):
    step = site.step(request_id=site.request())
    terminal = open_top("--every", "1")
    terminal.until("[attention 1]", "push_records")
    site.step("verify_records", "bob")
    terminal.until("[attention 2]", "verify_records")
    terminal.resize(60, 16)
    shown = terminal.until("Second Opinion Exchange", "push_records", "q quit")
    assert len(shown.splitlines()) == 16 and max(map(len, shown.splitlines())) <= 60
    terminal.press("R")
    terminal.until("Why retry")
    with site.engine.begin() as conn:
        conn.execute(text("UPDATE steps SET status = 'due' WHERE id = :id"), {"id": step})
    terminal.press("too late\r")
    terminal.until("nothing done")
    assert not site.audited("step.retried")


def test_hostile_text_of_an_endpoint_does_nothing_to_the_terminal(site, open_top):
    site.step(cause="\x1b]0;owned\x07\x1b[2J\u202egnp", message="\x1b[31mred\x07", action="\x1b[5m")
    terminal = open_top()
    shown = terminal.until("push_records", "q quit")
    assert b"owned\x07" not in terminal.raw and "\u202e" not in shown and "Second Opinion Exchange" in shown


def run_top(folder, database, *words: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "second_opinion", "--config", str(folder / "config.yaml"), "top", *words],
        capture_output=True,
        text=True,
        timeout=120,
        stdin=subprocess.DEVNULL,
        env={**os.environ, "SECOND_OPINION_DATABASE_URL": database.url},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_without_a_terminal_it_prints_once_and_json_is_one_value(site, tmp_path, database):
    busy(site)
    printed = run_top(tmp_path, database)
    assert (
        printed.count("verify_records") == 40
        and "\x1b" not in printed
        and "q quit" not in printed
        and "resting" in printed
    )
    told = json.loads(run_top(tmp_path, database, "endpoint:mercy", "--json"))
    assert (told["counts"]["parked"], len(told["steps"]), told["filter"], told["alarms"][0]["rule"]) == (
        1,
        1,
        "endpoint:mercy",
        "endpoint-down",
    )
    assert {each["key"]: each["health"] for each in told["endpoints"]}["mercy"] == "resting"


def test_keys_are_told_apart():
    assert split("q\x1b[A\x1bOB/ä\r\x7f\x1b") == ["q", "up", "down", "/", "ä", "enter", "backspace", "esc"]
    assert split("\x1b[5~x\x1b[1;5Cy") == ["x", "y"]
