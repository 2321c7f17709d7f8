"""Who is told, for real: a mail server with STARTTLS and login (aiosmtpd), and an HTTP server that keeps what is posted."""

import email
import email.policy
import logging
import ssl
import threading
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import trustme
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult

from tests.integration.fhir.endpoints import free_port

USER, PASSWORD = "exchange", "correct horse battery staple"


class Certificates:
    """An authority of this test, and what it says about localhost."""

    def __init__(self, folder, *names: str):
        authority = trustme.CA()
        self.file = folder / "authority.pem"
        authority.cert_pem.write_to_path(self.file)
        self.server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(*(names or ("localhost", "127.0.0.1"))).configure_cert(self.server)


class MailServer:
    """``mails`` it took, ``tries`` of addresses; ``answers`` may say otherwise: {"RCPT": "550 ...", "DATA": "451 ..."}."""

    def __init__(
        self,
        certificates: Certificates | None = None,
        *,
        security: str = "none",
        login: bool = False,
        port: int = 0,
        answers: dict[str, str] | None = None,
    ):
        self.mails: list[EmailMessage] = []
        self.raw: list[bytes] = []
        self.tries: list[str] = []
        self.answers = answers or {}
        self.port = port or free_port()
        wanted: dict = {}
        if security == "starttls":
            wanted = dict(tls_context=certificates.server, require_starttls=True)
        if security == "tls":
            wanted = dict(ssl_context=certificates.server)
        if login:
            wanted |= dict(
                auth_required=True, auth_require_tls=security == "starttls", authenticator=self._authenticate
            )
        self._controller = Controller(self, hostname="127.0.0.1", port=self.port, **wanted)
        logging.getLogger("mail.log").setLevel(logging.ERROR)

    def __enter__(self) -> "MailServer":
        self._controller.start()
        return self

    def __exit__(self, *_) -> None:
        self._controller.stop()

    def _authenticate(self, server, session, envelope, mechanism, data) -> AuthResult:
        return AuthResult(success=(data.login, data.password) == (USER.encode(), PASSWORD.encode()), handled=False)

    async def handle_RCPT(self, server, session, envelope, address, options):
        self.tries.append(address)
        if "RCPT" in self.answers:
            return self.answers["RCPT"]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        if "DATA" in self.answers:
            return self.answers["DATA"]
        self.raw.append(envelope.content)
        self.mails.append(email.message_from_bytes(envelope.content, policy=email.policy.default))
        return "250 2.0.0 taken"


class Hook:
    """An HTTP server that keeps ``posted`` (headers, body) and answers as told."""

    def __init__(
        self, status: int = 200, headers: dict[str, str] | None = None, certificates: Certificates | None = None
    ):
        self.posted: list[tuple[dict[str, str], bytes]] = []
        self.status = status
        hook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                hook.posted.append((dict(self.headers), self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(hook.status)
                for name, value in (headers or {}).items():
                    self.send_header(name, value)
                self.end_headers()

            do_GET = do_POST

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        if certificates is not None:
            self._server.socket = certificates.server.wrap_socket(self._server.socket, server_side=True)
        self.address = f"http{'s' if certificates else ''}://127.0.0.1:{self._server.server_port}/hook/one"

    def __enter__(self) -> "Hook":
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_) -> None:
        self._server.shutdown()
        self._server.server_close()
