"""A site that publishes key sets by TLS, and can do what such sites do: move, drip, swell, stop; with a certificate of its own authority."""

import ssl
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import trustme


class KeySets:
    """``answer`` makes (status, headers, body) of each request; ``drip`` sends a byte each so many seconds."""

    def __init__(self, folder: Path, body: str = "", name: str = "localhost"):
        self.asked: list[str] = []
        self.answer: Callable[[], tuple[int, dict, str]] = lambda: (200, {"Cache-Control": "max-age=300"}, self.body)
        self.body, self.drip, self.drip_handshake = body, 0.0, False
        self._stopping = threading.Event()
        authority = trustme.CA()
        self.ca_file = str(folder / "keys-ca.pem")
        authority.cert_pem.write_to_path(self.ca_file)
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        authority.issue_cert(name).configure_cert(context)
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        plain = self._server.get_request

        def get_request():
            made, address = plain()
            if self.drip_handshake:
                threading.Thread(target=self._dripped, args=(made,), daemon=True).start()
                raise OSError("not a connection for us")
            return context.wrap_socket(made, server_side=True, do_handshake_on_connect=False), address

        self._server.get_request = get_request
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"https://localhost:{self._server.server_port}/jwks.json"

    def close(self) -> None:
        self._stopping.set()
        self._server.shutdown()
        self._server.server_close()

    def _dripped(self, made) -> None:
        """A TLS record of 16 KB that never ends."""
        made.sendall(b"\x16\x03\x03\x40\x00")
        self._slowly(lambda: made.sendall(b"\x00"))

    def _slowly(self, send: Callable[[], None]) -> None:
        try:
            while not self._stopping.wait(max(self.drip, 0.05)):
                send()
        except OSError:
            """The other side has gone."""

    def _handler(self):
        sets = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                sets.asked.append(self.path)
                status, headers, body = sets.answer()
                if sets.drip:
                    self.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
                    return sets._slowly(lambda: self.wfile.write(b"x"))
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body.encode())

            def log_message(self, *arguments):
                """Quiet."""

        return Handler
