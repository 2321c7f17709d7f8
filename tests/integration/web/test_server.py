"""The web server under clients that are slow, many, or nobody: a page answers, and what is not wanted is not read."""

import contextlib
import socket
import threading
import time

import pytest
import requests
from flask import Flask, request

from integration.web import server
from integration.web.server import Arriving, Limits, is_overdue, who_makes_room
from tests.integration.web.serving import serving

QUICK = Limits(header_seconds=1, body_seconds=1, idle_seconds=2, goodbye_seconds=1)


def connect(port: int, sent: bytes = b"") -> socket.socket:
    made = socket.create_connection(("127.0.0.1", port), timeout=10)
    made.sendall(sent)
    return made


def post(path: str, length: int, *more: str) -> bytes:
    lines = [
        f"POST {path} HTTP/1.1",
        "Host: 127.0.0.1",
        "Content-Type: application/json",
        f"Content-Length: {length}",
    ]
    return "\r\n".join([*lines, *more, "", ""]).encode()


@contextlib.contextmanager
def trickling(connections: list[socket.socket]):
    """A byte now and then on each, for ever."""
    done = threading.Event()

    def trickle() -> None:
        while not done.wait(0.2):
            for each in connections:
                with contextlib.suppress(OSError):
                    each.send(b"a")

    thread = threading.Thread(target=trickle, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
        for each in connections:
            each.close()


def is_open(connection: socket.socket) -> bool:
    connection.setblocking(False)
    try:
        return connection.recv(1) != b""
    except BlockingIOError:
        return True
    except OSError:
        return False


def seconds_of(url: str) -> float:
    began = time.monotonic()
    assert requests.get(url, timeout=10).status_code == 200
    return time.monotonic() - began


def test_a_page_answers_within_two_seconds_while_250_clients_idle_or_trickle(guarded):
    with serving(guarded.app) as port:
        idle = [connect(port) for _ in range(200)]
        headers = [connect(port, b"GET / HTTP/1.1\r\nX-Slow: ") for _ in range(25)]
        bodies = [connect(port, post("/sign-in", 1000)) for _ in range(25)]
        with trickling(headers + bodies):
            for path in ("/health/live", "/sign-in", "/fhir/alice/metadata?_format=json"):
                began = time.monotonic()
                requests.get(f"http://127.0.0.1:{port}{path}", timeout=10)
                assert time.monotonic() - began < 2
        for each in idle:
            each.close()


def test_who_waits_longest_makes_room_when_all_connections_are_taken(guarded, monkeypatch):
    monkeypatch.setattr(server, "MAX_CONNECTIONS", 30)
    with serving(guarded.app) as port:
        idle = [connect(port) for _ in range(60)]
        assert seconds_of(f"http://127.0.0.1:{port}/health/live") < 2
        assert not is_open(idle[0]) and is_open(idle[-1])
        for each in idle:
            each.close()


@pytest.mark.parametrize("begun", [b"", b"GET / HTTP/1.1\r\nX-Slow: ", post("/sign-in", 1000)])
def test_a_request_that_does_not_arrive_is_closed_also_when_it_trickles(guarded, begun):
    with serving(guarded.app, QUICK) as port:
        slow = connect(port, begun)
        with trickling([slow] if begun else []):
            time.sleep(5)
            assert not is_open(slow)


def test_a_large_body_of_nobody_is_answered_before_it_is_read(guarded):
    with serving(guarded.app) as port:
        asking = connect(port, post("/fhir/alice/Patient", 50 << 20))
        answer = asking.recv(4096)
        assert b" 401 " in answer and b"OperationOutcome" in asking.recv(4096) + answer


def test_nobody_is_told_to_continue_and_somebody_is(guarded):
    expecting = post("/fhir/alice/Patient", 50 << 20, "Expect: 100-continue")
    with serving(guarded.app) as port:
        assert b" 401 " in connect(port, expecting).recv(4096)
        token = guarded.token("alice-ehr", practice="alice")["Authorization"]
        known = post("/fhir/alice/Patient", 50 << 20, "Expect: 100-continue", f"Authorization: {token}")
        assert connect(port, known).recv(4096).startswith(b"HTTP/1.1 100 ")


def test_a_client_that_sends_all_of_it_first_still_reads_the_refusal(guarded):
    with serving(guarded.app) as port:
        address = f"http://127.0.0.1:{port}/fhir/alice/Patient"
        headers = {"Content-Type": "application/fhir+json"}
        assert requests.post(address, data=b" " * (3 << 20), headers=headers, timeout=20).status_code == 401
        chunks = (b" " * 65536 for _ in range(50))
        assert requests.post(address, data=chunks, headers=headers, timeout=20).status_code == 401


def test_a_large_body_of_somebody_arrives_whole(guarded):
    headers = guarded.token("alice-ehr", practice="alice") | {"Content-Type": "text/plain"}
    data = bytes(range(256)) * 8192
    with serving(guarded.app) as port:
        base = f"http://127.0.0.1:{port}/fhir/alice/Binary"
        made = requests.post(base, data=data, headers=headers, timeout=20)
        assert made.status_code == 201
        stored = requests.get(f"{base}/{made.json()['id']}", headers=headers, timeout=20)
        assert stored.content == data


@pytest.mark.parametrize("path, size", [("/fhir/alice/Binary", 65 << 20), ("/api/requests", 5 << 20)])
def test_a_body_larger_than_its_path_takes_is_413_and_not_read(guarded, path, size):
    token = guarded.token("all", "clinical-data", "operator", practice="alice")["Authorization"]
    with serving(guarded.app) as port:
        answer = connect(port, post(path, size, f"Authorization: {token}")).recv(4096)
        assert b" 413 " in answer


def test_twenty_unfinished_bodies_of_nobody_hold_no_memory(guarded):
    with serving(guarded.app) as port:
        held = [connect(port, post("/fhir/alice/Patient", 60 << 20)) for _ in range(20)]
        for each in held:
            each.settimeout(5)
            with contextlib.suppress(OSError):
                each.sendall(b" " * (1 << 20))
            assert b" 401 " in each.recv(4096)
            each.close()


def test_requests_that_follow_each_other_on_one_connection_are_all_answered(guarded):
    with serving(guarded.app) as port, requests.Session() as session:
        for _ in range(5):
            assert session.get(f"http://127.0.0.1:{port}/health/live", timeout=5).status_code == 200


def test_a_server_is_closed_again_after_its_loop_ended(guarded):
    servers = server.create_servers(guarded.app, host="127.0.0.1", port=0, limits=QUICK, threads=1)
    thread = threading.Thread(target=servers.run, daemon=True)
    thread.start()
    servers.close()
    thread.join(5)
    assert not thread.is_alive()
    servers.close()  # the loop's files are gone, and their numbers may be others'


@pytest.mark.parametrize(
    "arriving, late",
    [
        (Arriving(9, None, 0), False),
        (Arriving(11, None, 0), True),
        (Arriving(300, 19, 0), False),
        (Arriving(300, 21, 0), True),
        (Arriving(300, 100, 8192 * 90), False),  # slow, but it comes
        (Arriving(300, 100, 8192 * 70), True),
    ],
)
def test_overdue_is_what_no_honest_connection_needs(arriving, late):
    assert is_overdue(arriving, Limits()) is late


def test_the_client_with_most_connections_makes_room():
    assert who_makes_room([("a", 1.0, "old"), ("b", 3.0, "new"), ("b", 2.0, "older")]) == "older"
    assert who_makes_room([]) is None


@pytest.mark.parametrize("wanted", [False, None])
def test_a_body_that_was_not_asked_for_never_looks_like_an_empty_one(monkeypatch, wanted):
    def asked(_environ: dict) -> bool:
        if wanted is None:
            raise RuntimeError("the database is away just now")
        return wanted

    app, got = Flask("reader"), []

    @app.post("/fhir/take")
    def take():
        got.append(len(request.get_data()))
        return "", 201

    monkeypatch.setattr("integration.web.access.gate.wants_body_of", lambda app: asked)
    with serving(app) as port:
        answer = requests.post(f"http://127.0.0.1:{port}/fhir/take", data=b"x" * 400_000, timeout=10)
    assert answer.status_code == 400 and got == []
