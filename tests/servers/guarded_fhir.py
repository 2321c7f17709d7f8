"""A FHIR server behind SMART Backend Services, as strict as vendors are: it checks each claim, with a library that is not ours.

``habit`` is how one real vendor differs; ``refuse`` makes the token address answer something else.
"""

import json
import threading
import time
from base64 import b64decode
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

import jwt

ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


class GuardedFhir:
    """Counts tokens and requests; ``keys`` is what it knows as our key set (a dict, or a callable that fetches it)."""

    def __init__(self, keys, *, client_id: str = "exchange", secret: str = "s3cret&=", life: int = 300):
        self.keys, self.client_id, self.secret, self.life = keys, client_id, secret, life
        self.given: list[str] = []
        self.good: set[str] = set()
        self.asked: list[dict] = []  # the forms of token requests
        self.seen_jti: set[str] = set()
        self.requests: list[tuple[str, str, str]] = []  # method, path, Authorization
        self.answers: dict[str, dict] = {}
        self.refuse: list[tuple[int, dict, dict]] = []  # status, headers, body: the next token requests
        self.clock_ahead = 0.0
        self.slow = 0.0
        self.no_scope = False  # Epic's habit: a scope is refused
        self._lock = threading.Lock()
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

    def revoke(self) -> None:
        """No token given so far opens anything any more."""
        with self._lock:
            self.good.clear()

    def token(self, form: dict, authorization: str) -> tuple[int, dict, dict]:
        """What the token address answers."""
        with self._lock:
            self.asked.append(form)
            if self.refuse:
                return self.refuse.pop(0)
            wrong = self._wrong(form, authorization)
            if wrong:
                return (
                    (400 if wrong != "invalid_client" else 401),
                    {},
                    {"error": wrong, "error_description": "Patient Zero"},
                )
            value = f"token-{len(self.given)}"
            self.given.append(value)
            self.good.add(value)
        body = {"access_token": value, "token_type": "Bearer", "expires_in": self.life, "scope": "system/Patient.read"}
        return 200, {}, body

    def _wrong(self, form: dict, authorization: str) -> str:
        if form.get("grant_type") != "client_credentials":
            return "unsupported_grant_type"
        if self.no_scope and "scope" in form:
            return "invalid_scope"
        if authorization.startswith("Basic "):
            user, _, secret = b64decode(authorization.removeprefix("Basic ")).decode().partition(":")
            right = (unquote(user), unquote(secret)) == (self.client_id, self.secret)
            return "" if right else "invalid_client"
        if "client_secret" in form:
            right = (form.get("client_id"), form["client_secret"]) == (self.client_id, self.secret)
            return "" if right else "invalid_client"
        return "" if form.get("client_assertion_type") == ASSERTION and self._is_signed(form) else "invalid_client"

    def _is_signed(self, form: dict) -> bool:
        token, now = form.get("client_assertion", ""), time.time() + self.clock_ahead
        try:
            header = jwt.get_unverified_header(token)
            known = self.keys() if callable(self.keys) else self.keys
            matching = [key for key in known["keys"] if key.get("kid") == header.get("kid")]
            if len(matching) != 1 or header.get("typ") != "JWT" or header["alg"] not in ("RS384", "ES384"):
                return False
            claims = jwt.decode(
                token,
                jwt.PyJWK(matching[0], algorithm=header["alg"]).key,
                algorithms=["RS384", "ES384"],
                options={"verify_aud": False, "verify_exp": False, "verify_iat": False},
            )
        except (jwt.PyJWTError, KeyError, ValueError):
            return False
        fits = (
            claims.get("iss") == claims.get("sub") == self.client_id
            and claims.get("aud") == self.token_url
            and now < claims.get("exp", 0) <= now + 300
            and abs(claims.get("iat", now) - now) < 60
            and len(claims.get("jti", "")) in range(10, 151)
            and claims["jti"] not in self.seen_jti
        )
        self.seen_jti.add(claims.get("jti", ""))
        return fits

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
                with guarded._lock:
                    good = shown.removeprefix("Bearer ") in guarded.good
                if not good:
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
