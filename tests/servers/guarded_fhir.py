"""A FHIR server that holds one patient, behind a strict token address: for what signing in alone has to show."""

import json
import threading
import time
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

from tests.servers.backend_services import BackendServices


class GuardedFhir(BackendServices):
    """Counts tokens and requests; ``keys`` is what it knows as our key set (a dict, or a callable that fetches it)."""

    def __init__(self, keys, *, client_id: str = "exchange", secret: str = "s3cret&=", life: int = 300):
        super().__init__(keys, client_id=client_id, secret=secret, life=life)
        self.requests: list[tuple[str, str, str]] = []  # method, path, Authorization
        self.answers: dict[str, dict] = {}
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self.base = f"http://127.0.0.1:{self._server.server_port}"
        self.fhir, self.token_url = f"{self.base}/fhir", f"{self.base}/oauth2/token"

    def __enter__(self) -> "GuardedFhir":
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *_) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _handler(guarded) -> type[BaseHTTPRequestHandler]:
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                path = urlsplit(self.path).path
                if path == "/fhir/.well-known/smart-configuration":
                    return self.say(200, {}, guarded.answers.get(path, {"token_endpoint": guarded.token_url}))
                self.fhir(b"")

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                if urlsplit(self.path).path == "/oauth2/token":
                    time.sleep(guarded.slow)
                    form = {name: values[0] for name, values in parse_qs(body.decode()).items()}
                    return self.say(*guarded.token(form, self.headers.get("Authorization", "")))
                self.fhir(body)

            do_PUT = do_POST

            def fhir(self, body: bytes) -> None:
                shown = self.headers.get("Authorization", "")
                guarded.requests.append((self.command, self.path, shown))
                if not guarded.opens(shown):
                    return self.say(401, {}, {"resourceType": "OperationOutcome", "issue": []})
                self.say(200, {}, guarded.answers.get(urlsplit(self.path).path, {"resourceType": "Patient", "id": "1"}))

            def say(self, status: int, headers: dict, body: dict) -> None:
                data = json.dumps(body).encode()
                self.send_response_only(status)
                self.send_header("Date", formatdate(time.time() + guarded.clock_ahead, usegmt=True))
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_: object) -> None:
                pass

        return Handler
