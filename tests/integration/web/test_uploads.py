"""Files over a real connection: large ones whole, cut ones not at all, too large ones with a sentence before they are read."""

import hashlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time

import pytest

from integration.store.tables import received_records
from integration.web.server import upload_limits
from tests.integration.web.serving import serving

pytestmark = pytest.mark.postgres
LARGE = 24_000_000
SLOW = """
import itertools, sys, time
from pathlib import Path
from integration.packets.payloads import Payloads
from integration.received import _fill
def blocks():
    for _ in itertools.count():
        yield b"x" * 100_000
        print("on", flush=True)
        time.sleep(0.05)
_fill(Payloads(Path(sys.argv[1])).spool(), blocks(), 10**9)
"""


@pytest.fixture
def port(site):
    with serving(site.app, upload_limits(site.config)) as port:
        yield port


def post(port, path, body, length=None, **headers):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    connection.request(
        "POST",
        path,
        body,
        {"Content-Type": "application/octet-stream", **({"Content-Length": str(length)} if length else {}), **headers},
    )
    answer = connection.getresponse()
    return answer.status, json.loads(answer.read())


def address(request_id):
    return f"/api/requests/{request_id}/records-received?format=text"


def rows(site) -> int:
    with site.engine.connect() as conn:
        return len(conn.execute(received_records.select()).all())


def left_behind(site) -> list[str]:
    return [each for _, _, files in os.walk(site.config.payloads.url) for each in files]


def test_a_large_file_arrives_whole_and_the_same_bytes_are_told(site, port):
    request_id, line = site.request(), b"synthetic \xc3\xa9 line\n" * 1024
    count = LARGE // len(line)
    status, said = post(port, address(request_id), iter([line] * count), count * len(line))
    assert status == 201, said
    assert (said["size"], said["sha256"]) == (count * len(line), hashlib.sha256(line * count).hexdigest())
    assert b"".join(site.payloads.open(said["sha256"])) == line * count
    status, again = post(port, address(request_id), line * count)
    assert (status, again["id"]) == (200, said["id"]) and rows(site) == 1


def test_an_upload_that_is_cut_in_the_middle_leaves_nothing(site, port):
    request_id = site.request()
    with socket.create_connection(("127.0.0.1", port)) as wire:
        head = f"POST {address(request_id)} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Length: 5000000\r\n"
        wire.sendall(f"{head}Content-Type: application/octet-stream\r\n\r\n".encode() + b"x" * 2_000_000)
    time.sleep(0.5)
    status, said = post(port, address(request_id), b"whole")  # and the server goes on
    assert status == 201 and rows(site) == 1
    assert left_behind(site) == [said["sha256"]]


def test_five_hundred_megabytes_are_refused_before_they_are_read(site, port):
    request_id = site.request()
    with socket.create_connection(("127.0.0.1", port), timeout=30) as wire:
        head = f"POST {address(request_id)} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Length: 500000000\r\n"
        wire.sendall(f"{head}Content-Type: application/octet-stream\r\n\r\n".encode() + b"x" * 100_000)
        answer = b""
        while block := wire.recv(65536):
            answer += block
    assert b" 413 " in answer.split(b"\r\n")[0]
    assert b"larger than 400 MB" in answer and b"records.max_upload_bytes" in answer
    assert rows(site) == 0 and left_behind(site) == []


@pytest.mark.parametrize(
    ("query", "body", "kind"),
    [("pdf", b"plain", "file-refused"), ("text", b"\xff\xfe\x00", "file-refused"), ("exe", b"x", "wrong-query")],
)
def test_what_is_wrong_is_a_problem_with_a_sentence(site, port, query, body, kind):
    path = address(site.request()).replace("format=text", f"format={query}")
    status, said = post(port, path, body)
    assert said["type"].endswith(kind) and status in (400, 422) and left_behind(site) == []


def test_a_process_that_is_killed_in_the_middle_leaves_nothing(tmp_path):
    folder = tmp_path / "payloads"
    running = subprocess.Popen([sys.executable, "-c", SLOW, str(folder)], stdout=subprocess.PIPE, text=True)
    assert [running.stdout.readline() for _ in range(3)] == ["on\n"] * 3
    running.send_signal(signal.SIGKILL)
    running.wait(10)
    assert [each for each in folder.rglob("*") if each.is_file()] == []
