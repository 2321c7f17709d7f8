"""The web server: waitress, with a deadline for what a client sends, and no large body read for who is nobody here.

One loop reads what clients send and threads answer whole requests, so a slow client never holds a thread. What waitress
leaves open is added here: how long a request may take to arrive, who has to make room when all connections are taken,
and whether a large body is wanted, which is asked before it is read.
"""

import contextlib
import io
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from flask import Flask
from waitress import wasyncore
from waitress.adjustments import Adjustments
from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser
from waitress.server import TcpWSGIServer
from waitress.task import ThreadedTaskDispatcher
from werkzeug.exceptions import ClientDisconnected

from integration.hosted import MAX_BODY_BYTES
from integration.settings.config import Config
from integration.web import FORM_BYTES, PAGE_BODY_BYTES, UPLOAD_PATHS

THREADS = 16
# Both with a file each stay below the 1,024 that a process may have open where nobody has raised it.
MAX_CONNECTIONS = 400
SPOOLED_ABOVE = 64 << 10  # a body above this goes on to a temporary file
MAX_SPOOLED = 1 << 30  # of all bodies that are still arriving


@dataclass(frozen=True)
class Limits:
    """How long a request may take to arrive, and how much is read before anybody has said who they are."""

    header_seconds: float = 10
    body_seconds: float = 20  # and on top of it what its size takes at the slowest pace
    slowest_bytes_per_second: int = 8 << 10
    idle_seconds: int = 30
    unasked_bytes: int = 256 << 10  # a form that somebody filled in before their session ended fits in
    page_bytes: int = PAGE_BODY_BYTES
    hosted_bytes: int = MAX_BODY_BYTES
    upload_bytes: int = PAGE_BODY_BYTES
    goodbye_seconds: float = 5  # an answer is lost when a connection is closed with unread bytes: they are read away

    def body(self, path: str) -> int:
        """The largest body a path takes."""
        if path.endswith(UPLOAD_PATHS) and not path.startswith("/fhir/"):
            return self.upload_bytes
        return self.hosted_bytes if path.startswith("/fhir/") else self.page_bytes


@dataclass(frozen=True)
class Arriving:
    """As much of a request as has come: seconds since it began and since its headers ended, and bytes of its body."""

    seconds: float
    body_seconds: float | None
    body_bytes: int


def is_overdue(arriving: Arriving, limits: Limits) -> bool:
    """True when a request takes longer to arrive than any honest connection needs."""
    if arriving.body_seconds is None:
        return arriving.seconds > limits.header_seconds
    return arriving.body_seconds > limits.body_seconds + arriving.body_bytes / limits.slowest_bytes_per_second


def who_makes_room(waiting: Iterable[tuple[str, float, Any]]) -> Any | None:
    """Of (client, since when, connection) the one that goes: of the client that has most, the one that waits longest."""
    found = list(waiting)
    each = Counter(client for client, _, _ in found)
    return min(found, key=lambda one: (-each[one[0]], one[1]), default=(None, None, None))[2]


class Unread(io.RawIOBase):
    """The body of a request that was not read: who asks for it all the same gets an error, never an empty body that looks whole."""

    def readable(self) -> bool:
        """As an open file is."""
        return True

    def readinto(self, _buffer: Any) -> int:
        """Raises ClientDisconnected, which is a 400."""
        raise ClientDisconnected()


class Request(HTTPRequestParser):
    """One request as it arrives."""

    is_read = True
    expect_continue: bool

    def __init__(self, adj: Adjustments, limits: Limits):
        super().__init__(adj)
        self.limits, self.began_at, self.headers_at = limits, time.monotonic(), 0.0
        self.must_ask = self.continues_later = False
        self.answer: Future | None = None

    def received(self, data: bytes) -> int:
        """As waitress does it; at the end of the headers of a large body "100 Continue" waits until it is wanted."""
        consumed = super().received(data)
        if self.headers_finished and not self.headers_at:
            self.headers_at = time.monotonic()
            self.must_ask = not self.completed and (self.chunked or self.content_length > self.limits.unasked_bytes)
            if self.must_ask:
                self.continues_later, self.expect_continue = self.expect_continue, False
        return consumed

    @property
    def is_too_large(self) -> bool:
        """True when the body is, or says that it will be, larger than its path takes."""
        return max(self.content_length, self.body_bytes_received) > self.limits.body(self.path)

    def arriving(self, now: float) -> Arriving:
        """How far it has come."""
        body_seconds = now - self.headers_at if self.headers_at else None
        return Arriving(now - self.began_at, body_seconds, self.body_bytes_received)

    def get_body_stream(self) -> Any:
        """What the application reads."""
        return super().get_body_stream() if self.is_read else Unread()

    def without_body(self, length: int) -> None:
        """Let the application answer it now: it refuses before it would read."""
        self.close()
        self.body_rcv, self.is_read = None, False
        self.headers |= {"CONTENT_LENGTH": str(length), "CONNECTION": "close"}
        self.completed = True


class Connection(HTTPChannel):
    """One connection; all of it runs in the loop."""

    request: Request | None
    is_refusing = False  # what is still being sent is not read any more
    leaves_at = 0.0  # the answer is out; until then what still comes is read away

    def parser_class(self, adj: Adjustments) -> Request:
        """A request is about to arrive."""
        return Request(adj, self.server.limits)

    @property
    def waits_since(self) -> float | None:
        """Since when nothing is done for it here; None: it is being answered."""
        if self.requests or self.total_outbufs_len:
            return None
        return self.request.began_at if self.request else self.last_activity - time.time() + time.monotonic()

    def received(self, data: bytes) -> bool:
        """Ask about a large body, and refuse one that is too large."""
        went_on = super().received(data)
        request = self.request
        if request is not None and request.must_ask and request.answer is None:
            environ = self.task_class(self, request).get_environment()
            request.answer = self.server.ask(environ)
            request.answer.add_done_callback(lambda _: self.server.pull_trigger())
        elif request is not None and request.headers_at and not request.must_ask and request.is_too_large:
            self._answer_now(request, max(request.content_length, request.body_bytes_received))
        return went_on

    def readable(self) -> bool:
        """Nothing is read while it is not known whether it is wanted."""
        request = self.request
        if request is not None and request.answer is not None:
            if not request.answer.done():
                return False
            self._obey(request, request.answer)
        return bool(self.leaves_at) or super().readable()

    def _obey(self, request: Request, answer: Future) -> None:
        request.answer, request.must_ask = None, False
        if answer.exception() is not None or not answer.result():
            self._answer_now(request, 0)
        elif request.is_too_large:
            self._answer_now(request, max(request.content_length, request.body_bytes_received))
        elif request.continues_later:
            self.send_continue()

    def _answer_now(self, request: Request, length: int) -> None:
        with self.requests_lock:
            request.without_body(length)
            self.is_refusing, self.request = True, None
            self.requests.append(request)
            self.server.add_task(self)

    def handle_read(self) -> None:
        """Read; once the answer of a refused request is out, only to throw away."""
        if not self.leaves_at:
            return super().handle_read()
        with contextlib.suppress(OSError):
            self.recv(self.adj.recv_bytes)
        return None

    def handle_close(self) -> None:
        """Close; after a refusal the client first gets the time to read it."""
        if self.is_refusing and self.connected and not self.leaves_at:
            self.leaves_at, self.will_close = time.monotonic() + self.server.limits.goodbye_seconds, False
            with contextlib.suppress(OSError):
                self.socket.shutdown(socket.SHUT_WR)
                return
        super().handle_close()

    def look_after(self, now: float) -> None:
        """Close it when it is overdue."""
        late = self.request is not None and is_overdue(self.request.arriving(now), self.server.limits)
        if late or self.leaves_at and now > self.leaves_at:
            super().handle_close()


class Server(TcpWSGIServer):
    """One listening socket."""

    channel_class = Connection

    def __init__(self, app: Flask, *, limits: Limits, wants_body: Callable[[dict], bool], **options: Any):
        self.limits, self._wants_body = limits, wants_body
        self._asking = ThreadPoolExecutor(2, "wants-body")
        self._waking, self._is_closed = threading.Lock(), False
        super().__init__(app, **options)

    def ask(self, environ: dict) -> Future:
        """Is the body of this request wanted? Answered in a thread: the loop waits for nobody."""
        return self._asking.submit(self._wants_body, environ)

    def handle_accept(self) -> None:
        """Accept; when all connections are taken, one that only waits makes room."""
        if len(self.active_channels) >= MAX_CONNECTIONS:
            channels = list(self.active_channels.values())
            leaving = who_makes_room(
                (str(each.addr[0]), each.waits_since, each) for each in channels if each.waits_since
            )
            if leaving is not None:
                HTTPChannel.handle_close(leaving)
        super().handle_accept()

    def maintenance(self, now: float) -> None:
        """Every second: close what is idle, overdue, or too much together."""
        super().maintenance(now)
        for connection in list(self.active_channels.values()):
            connection.look_after(time.monotonic())
        arriving = [each for each in self.active_channels.values() if each.request is not None]
        arriving.sort(key=lambda each: each.request.body_bytes_received)
        while arriving and sum(each.request.body_bytes_received for each in arriving) > MAX_SPOOLED:
            HTTPChannel.handle_close(arriving.pop())

    def pull_trigger(self) -> None:
        """Wake the loop. Nothing after ``close``: the number of the closed file may already stand for another one."""
        with self._waking:
            if not self._is_closed:
                super().pull_trigger()

    def close(self) -> None:
        """Stop listening."""
        self._asking.shutdown(wait=False, cancel_futures=True)
        with self._waking:
            self._is_closed = True
            super().close()


class Servers:
    """All sockets of one address (a name may stand for two): one loop, one pool of threads."""

    def __init__(self, app: Flask, host: str, port: int, limits: Limits, threads: int, **options: Any):
        from integration.web.access import gate

        adjusted = Adjustments(
            host=host,
            port=port,
            ident=None,
            asyncore_use_poll=True,  # select ends at file 1,024
            cleanup_interval=1,
            channel_timeout=limits.idle_seconds,
            connection_limit=MAX_CONNECTIONS + 100,  # never reached: one makes room before
            inbuf_overflow=SPOOLED_ABOVE,
            max_request_body_size=1 << 60,  # Limits.body says it, and the application answers
            **options,
        )
        self._dispatcher = ThreadedTaskDispatcher()
        self._map: dict[int, Any] = {}
        self._closing, self._ended = threading.Event(), threading.Event()
        self._dispatcher.set_thread_count(threads)
        self._servers = [
            Server(
                app,
                limits=limits,
                wants_body=gate.wants_body_of(app),
                map=self._map,
                dispatcher=self._dispatcher,
                adj=adjusted,
                sockinfo=sockinfo,
            )
            for sockinfo in adjusted.listen
        ]

    @property
    def port(self) -> int:
        """The port it listens at."""
        return int(self._servers[0].effective_port)

    def run(self) -> None:
        """Serve until the process is told to end, or ``close`` is called in another thread."""
        try:
            while not self._closing.is_set():
                wasyncore.loop(timeout=1, use_poll=True, map=self._map, count=1)
        except (SystemExit, KeyboardInterrupt):
            pass
        finally:
            self._dispatcher.shutdown()
            for server in self._servers:
                server.close()
            wasyncore.close_all(self._map, ignore_all=True)
            self._ended.set()

    def close(self) -> None:
        """End ``run`` in its thread, and every connection with it."""
        self._closing.set()
        self._servers[0].pull_trigger()
        self._ended.wait(5)


def upload_limits(config: Config) -> Limits:
    """What config.yaml says of them."""
    return Limits(upload_bytes=config.records.max_upload_bytes + FORM_BYTES)


def create_servers(
    app: Flask, *, host: str, port: int, limits: Limits = Limits(), threads: int = THREADS, **options: Any
) -> Servers:
    """A server for the app, already listening."""
    return Servers(app, host, port, limits, threads, **options)
