"""A server of SMART Health Links of somebody else, kind or not: it counts passcodes, lists what is not there, cuts, drips and lies."""

import json
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.integration.health_links.reader import sealed

KEY = "rxTgYlOaKJPFtcEd0qcceN8wEU4p94SqAwIWQe6uX7Q"
HEADER = {"alg": "dir", "enc": "A256GCM", "cty": "application/fhir+json", "zip": "DEF"}
Answer = tuple[int, dict, bytes]


class UnkindLinks:
    """``files`` are sealed and listed; ``manifest`` and ``location`` may answer anything instead. ``asked``: what came."""

    def __init__(self, *files: dict, passcode: str = ""):
        self.asked: list[tuple[str, str, Any]] = []
        self.files = [sealed(json.dumps(each).encode(), KEY, HEADER) for each in files]
        self.passcode, self.left, self.inside, self.drip = passcode, 3, True, 0.0
        self.manifest: Callable[[], Answer] | None = None
        self.location: Callable[[int], Answer] | None = None
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    @property
    def url(self) -> str:
        return f"{self.address}/m/{'t' * 43}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def listed(self) -> list[dict]:
        """The manifest's files as they should be."""
        kind = {"contentType": "application/fhir+json"}
        if self.inside:
            return [{**kind, "embedded": each} for each in self.files]
        return [{**kind, "location": f"{self.address}/f/{number}"} for number in range(len(self.files))]

    def answer_manifest(self, body: Any) -> Answer:
        if self.manifest is not None:
            return self.manifest()
        if self.passcode and body.get("passcode") != self.passcode:
            self.left -= 1
            return 401, {}, json.dumps({"remainingAttempts": self.left}).encode()
        return 200, {}, json.dumps({"files": self.listed()}).encode()

    def answer_file(self, number: int) -> Answer:
        if self.location is not None:
            return self.location(number)
        return 200, {"Content-Type": "application/jose"}, self.files[number].encode()

    def _handler(self):
        unkind = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                unkind.asked.append(("POST", self.path, body))
                self._send(*unkind.answer_manifest(body))

            def do_GET(self):
                unkind.asked.append(("GET", self.path, None))
                number = self.path.rpartition("/")[2].partition("?")[0]
                self._send(*unkind.answer_file(int(number) if number.isdigit() else 0))

            def _send(self, status, headers, body):
                self.send_response(status)
                for name, value in {"Content-Length": str(len(body)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                try:
                    for at in range(0, len(body), 1 if unkind.drip else len(body) or 1):
                        self.wfile.write(body[at : at + (1 if unkind.drip else len(body))])
                        time.sleep(unkind.drip)
                except OSError:
                    """The other side has gone."""

            def log_message(self, *args):
                """Nothing: an address holds a token."""

        return Handler
