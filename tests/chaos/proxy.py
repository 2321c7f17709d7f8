"""A fault proxy between real processes: it delays, cuts, swallows, doubles and resets, from a seed."""

import http.client
import random
import socket
import struct
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

# Fault -> weight. What toxiproxy knows (latency, bandwidth, down, timeout, reset_peer, slow_close, slicer, limit_data),
# and two that matter to writes: the answer swallowed after the server has committed, and the request delivered twice.
FAULTS = {
    "latency": 4,
    "bandwidth": 1,
    "down": 2,
    "timeout": 1,
    "reset": 2,
    "slow_close": 1,
    "slice": 2,
    "truncate": 2,
    "swallow": 6,
    "duplicate": 2,
}
WRITE_SHARE = 2.5  # writes are rare and matter most
HOP = {"connection", "keep-alive", "transfer-encoding", "content-length"}


class FaultProxy:
    """Stands before the server at ``url``; ``rate`` is the share of requests that meet a fault. ``address`` replaces ``url``."""

    def __init__(self, url: str, *, seed: int, rate: float = 0.15, faults: dict[str, int] = FAULTS):
        there = urlsplit(url)
        self.upstream, self.rate, self.faults = (there.hostname, there.port), rate, faults
        self.random, self.done, self._lock = random.Random(seed), Counter(), threading.Lock()
        handler = type("Handler", (_Handler,), {"proxy": self})
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.server.daemon_threads = True
        self.address = f"http://127.0.0.1:{self.server.server_address[1]}{there.path}"

    def __enter__(self) -> "FaultProxy":
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True).start()
        return self

    def __exit__(self, *_) -> None:
        self.server.shutdown()
        self.server.server_close()

    def choose(self, method: str) -> str:
        """The fault this request meets, or "pass"; swallowing and doubling are for writes."""
        with self._lock:
            if self.random.random() >= self.rate * (1 if method == "GET" else WRITE_SHARE):
                return "pass"
            fault = self.random.choices(list(self.faults), list(self.faults.values()))[0]
            if method == "GET" and fault in ("swallow", "duplicate"):
                fault = "latency"
            self.done[fault] += 1
            return fault


class _Handler(BaseHTTPRequestHandler):
    proxy: FaultProxy
    protocol_version = "HTTP/1.1"

    def _any(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        fault = self.proxy.choose(self.command)
        if fault in ("down", "reset"):
            return self._reset()
        if fault == "timeout":
            time.sleep(3)
            return self._reset()
        if fault == "latency":
            time.sleep(0.5)
        answer = self._forward(body)
        if fault == "duplicate" and answer is not None:
            self._forward(body)
        if answer is None or fault == "swallow":
            return self._reset()
        self._answer(*answer, fault)

    do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = _any

    def _forward(self, body: bytes):
        try:
            connection = http.client.HTTPConnection(*self.proxy.upstream, timeout=60)
            connection.request(
                self.command,
                self.path,
                body or None,
                {k: v for k, v in self.headers.items() if k.lower() not in HOP} | {"Connection": "close"},
            )
            response = connection.getresponse()
            return response.status, response.getheaders(), response.read()
        except OSError:
            return None
        except http.client.HTTPException:
            return None
        finally:
            connection.close()

    def _answer(self, status: int, headers, body: bytes, fault: str) -> None:
        self.close_connection = True
        self.send_response_only(status)
        for name, value in headers:
            if name.lower() not in HOP:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Connection", "close")
        self.end_headers()
        try:
            self._write(body, fault)
        except OSError:
            return

    def _write(self, body: bytes, fault: str) -> None:
        if fault == "truncate":
            self.wfile.write(body[: len(body) // 2])
            return self._reset()
        if fault in ("slice", "bandwidth"):
            size = 256 if fault == "slice" else 4096
            for start in range(0, min(len(body), size * 40), size):
                self.wfile.write(body[start : start + size])
                time.sleep(0.01)
            self.wfile.write(body[size * 40 :])
            return None
        self.wfile.write(body)
        if fault == "slow_close":
            self.wfile.flush()
            time.sleep(1)
        return None

    def _reset(self) -> None:
        """RST, as a crashed peer or a firewall would."""
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()

    def finish(self) -> None:
        try:
            super().finish()
        except (OSError, ValueError):
            return

    def log_message(self, *_) -> None:
        return
