"""A world where all goes well: one endpoint at a server under example.invalid, and HTTP servers that misbehave."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

from mappings.model.profiles import PROFILES

BASE = "https://hospital.example.invalid/fhir"


def endpoint(
    base_url: str = BASE,
    *,
    timeout_seconds: float = 5.0,
    concurrency: int = 4,
    page_size: int = 50,
    max_answer_bytes: int = 64 << 20,
    max_search_bytes: int = 1 << 30,
    max_json_depth: int = 500,
    **capabilities: bool | int,
) -> SimpleNamespace:
    """What config.yaml says of one endpoint, as far as this package reads it."""
    limits = SimpleNamespace(
        timeout_seconds=timeout_seconds,
        page_size=page_size,
        max_inline_bytes=1024,
        search_lag_seconds=0.0,
        concurrency=concurrency,
        max_answer_bytes=max_answer_bytes,
        max_search_bytes=max_search_bytes,
        max_json_depth=max_json_depth,
    )
    return SimpleNamespace(
        key="hospital",
        name="University Hospital",
        base_url=base_url,
        bases=(base_url,),
        limits=limits,
        overrides=capabilities,
        auth="none",
        of_profile=PROFILES["generic"],
    )


Behave = Callable[[BaseHTTPRequestHandler], None]


class _Quiet(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """Clients that leave early are what these tests are about."""


class World:
    """A real server on loopback whose every answer is ``behave``; it counts connections and requests."""

    def __init__(self, behave: Behave):
        self.behave = behave
        self.requests: list[tuple[str, str, bytes]] = []
        self.headers: list[dict[str, str]] = []
        self.connections = 0
        self._server = _Quiet(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self.base_url = f"http://127.0.0.1:{self._server.server_port}/fhir"

    def _handler(world) -> type[BaseHTTPRequestHandler]:
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def setup(self) -> None:
                world.connections += 1
                super().setup()

            def answer_one(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                world.requests.append((self.command, self.path, body))
                world.headers.append(dict(self.headers))
                world.behave(self)

            do_GET = do_POST = do_PUT = answer_one

            def log_message(self, *_: object) -> None:
                pass

        return Handler

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@contextmanager
def world(behave: Behave) -> Iterator[World]:
    """A started `World`."""
    started = World(behave)
    started.start()
    try:
        yield started
    finally:
        started.stop()


def answer(
    handler: BaseHTTPRequestHandler,
    status: int = 200,
    body: bytes = b"{}",
    content_type: str = "application/fhir+json",
    **headers: str,
) -> None:
    """A well-formed answer."""
    handler.send_response(status)
    handler.send_header("Content-Type", content_type)
    handler.send_header("Content-Length", str(len(body)))
    for name, value in headers.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.end_headers()
    handler.wfile.write(body)


def cut(handler: BaseHTTPRequestHandler) -> None:
    """Take the request, say nothing, close."""
    handler.close_connection = True
    handler.connection.shutdown(socket.SHUT_RDWR)


def free_port() -> int:
    """A port where nobody listens."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]
