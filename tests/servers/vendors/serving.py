"""Speaks HTTP for a vendor-like server, and lets happen what its faults say."""

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, parse_qsl, unquote, urlsplit

from tests.servers.vendors.faults import reset
from tests.servers.vendors.messages import Asked, Told


def serve(vendor: Any) -> ThreadingHTTPServer:
    """A server on a free port that asks the vendor; not started."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"vendor": vendor}))
    server.daemon_threads = True
    return server


class _Handler(BaseHTTPRequestHandler):
    vendor: Any
    protocol_version = "HTTP/1.1"

    def _any(self) -> None:
        at, vendor, size = urlsplit(self.path), self.vendor, int(self.headers.get("Content-Length") or 0)
        is_write = self.command in ("POST", "PUT") and not at.path.endswith(("_search", "$match", vendor.token_path))
        if vendor.faults.away:
            return self._hang_up()
        if is_write and vendor.faults.takes("cut"):
            self.rfile.read(size // 2)
            return self._hang_up()
        body = self.rfile.read(size)
        vendor.log.append((self.command, self.path))
        told = self._told(at, body)
        if is_write and told.status < 300:
            try:
                vendor.faults.written(self.command, at.path)
            except ConnectionError:
                return self._hang_up()
            if vendor.faults.takes("swallow"):
                return self._hang_up()
        self._say(told)

    do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = _any

    def _told(self, at, body: bytes) -> Told:
        vendor, path = self.vendor, unquote(at.path)
        headers = {name.lower(): value for name, value in self.headers.items()}
        if path == vendor.token_path and vendor.sign_in:
            form = {name: values[0] for name, values in parse_qs(body.decode()).items()}
            status, more, answer = vendor.sign_in.token(form, headers.get("authorization", ""))
            return Told(status, answer, more, "application/json")
        if path == f"{vendor.base_path}/.well-known/smart-configuration" and vendor.sign_in:
            return Told(200, vendor.smart_configuration(), content_type="application/json")
        query = parse_qsl(at.query, keep_blank_values=True)
        inside = path == vendor.base_path or path.startswith(f"{vendor.base_path}/")
        parts = tuple(each for each in path.removeprefix(vendor.base_path if inside else "").split("/") if each)
        asked = Asked(self.command, parts, query, headers, body)
        with vendor.lock:
            if not inside:
                return vendor.elsewhere(asked) or Told(404, b"Service not registered", content_type="text/plain")
            return vendor.answer(asked)

    def _say(self, told: Told) -> None:
        data = (
            told.body if isinstance(told.body, bytes) else b"" if told.body is None else json.dumps(told.body).encode()
        )
        self.send_response(told.status)
        for name, value in told.headers.items():
            self.send_header(name, value)
        if data:
            self.send_header("Content-Type", told.content_type)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _hang_up(self) -> None:
        self.close_connection = True
        reset(self.connection)

    def finish(self) -> None:
        try:
            super().finish()
        except (OSError, ValueError):
            return

    def log_message(self, *_: object) -> None:
        return
