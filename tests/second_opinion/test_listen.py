"""`second-opinion listen` as a process of its own, killed while it takes an order: the site sends it again, and it is one request."""

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest
from sqlalchemy import func, select

from integration.store.tables import requests
from tests.integration.listening.asking import CONFIG, ask
from tests.mappings.hl7v2.orders import ORM, message

pytestmark = pytest.mark.postgres


@contextlib.contextmanager
def listening(folder, url: str) -> Iterator[tuple[subprocess.Popen, int]]:
    """The process, and where it listens."""
    arguments = ["-m", "second_opinion", "--config", str(folder / "config.yaml"), "listen"]
    environ = {**os.environ, "SECOND_OPINION_DATABASE_URL": url}
    process = subprocess.Popen([sys.executable, *arguments], env=environ, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr is not None
        found = next(
            filter(None, (re.search(r"alice are taken at .*, port (\d+)", line) for line in process.stderr)), None
        )
        assert found is not None, "it ended before it listened"
        yield process, int(found[1])
    finally:
        process.kill()
        process.wait(10)


@pytest.mark.parametrize("after_seconds", [0.0, 0.03])
def test_a_listener_that_is_killed_while_it_takes_an_order_takes_it_once(tmp_path, database, after_seconds):
    (tmp_path / "config.yaml").write_text(CONFIG.format(more="encryption: none"))
    with (
        listening(tmp_path, database.url) as (process, port),
        socket.create_connection(("127.0.0.1", port), 10) as wire,
    ):
        wire.sendall(b"\x0b" + message(ORM) + b"\x1c\r")
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(after_seconds)
        process.kill()
    with listening(tmp_path, database.url) as (process, port):
        assert ask(port, ORM) == ["AA"]
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
    with database.engine.connect() as conn:
        assert conn.execute(select(func.count()).select_from(requests)).scalar_one() == 1


def test_where_no_site_sends_orders_it_says_so(tmp_path, database):
    text = CONFIG.format(more="encryption: none")
    (tmp_path / "config.yaml").write_text(
        re.sub(r" +listen: \{[^}]*\}[^}]*\}\n", "", text.replace("role: placer", "role: placer\n    roads: [hl7v2]"))
    )
    done = subprocess.run(
        [sys.executable, "-m", "second_opinion", "--config", str(tmp_path / "config.yaml"), "listen"],
        env={**os.environ, "SECOND_OPINION_DATABASE_URL": database.url}, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 1 and "no endpoint of config.yaml sends orders over HL7 v2" in done.stderr, done.stderr
