"""MLLP: one message to an interface engine over TCP or TLS, and the frames that it answers with.

https://www.hl7.org/documentcenter/public/wg/inm/mllp_transport_specification.PDF: a frame is 0x0B, the message, 0x1C 0x0D.
What went wrong before the first byte was sent is "later"; after it, nobody knows.
"""

import socket
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from integration.settings.hl7v2 import Hl7v2
from mappings.model.errors import TemporaryError, UnknownOutcome

START, END = b"\x0b", b"\x1c"
MAX_ANSWER_BYTES = 1 << 20  # an acknowledgment has some hundred
_BLOCK = 1 << 16
_REFUSED_AFTER_HELLO = (
    "CERTIFICATE",
    "UNKNOWN_CA",
    "ACCESS_DENIED",
)  # with TLS 1.3 a client learns of it when it reads


@dataclass
class Exchange:
    """One connection after its message went. ``endpoint``: for the words of an error."""

    endpoint: str
    connection: socket.socket
    deadline: float
    rest: bytes = b""
    received: int = 0  # bytes

    def answer(self) -> bytes:
        """The next frame without its marks. Raises UnknownOutcome: half of one, none in time, or more than an answer is."""
        held = self.rest
        while True:
            begin = held.find(START)
            end = held.find(END, begin) if begin >= 0 else -1
            if end >= 0:
                self.rest = held[end + 1 :]
                return held[begin + 1 : end]
            if len(held) > MAX_ANSWER_BYTES:
                raise self._unknown("hl7v2-answer-unreadable", f"answered with more than {MAX_ANSWER_BYTES} bytes")
            held = (held if begin >= 0 else b"") + self._more(bool(held))

    def _more(self, has_begun: bool) -> bytes:
        left = self.deadline - time.monotonic()
        try:
            if left <= 0:
                raise TimeoutError
            self.connection.settimeout(left)
            data = self.connection.recv(_BLOCK)
        except TimeoutError:
            raise self._unknown("timeout", "did not answer in time") from None
        except ssl.SSLError as error:
            if not has_begun and any(each in str(error.reason or "").upper() for each in _REFUSED_AFTER_HELLO):
                raise _not_sent(self.endpoint, "certificate-refused") from None
            raise self._unknown("cut", "ended the connection before its answer was here") from None
        except OSError:
            raise self._unknown("cut", "ended the connection before its answer was here") from None
        self.received += len(data)
        if not data:
            raise self._unknown("cut", "ended the connection before its answer was here")
        return data

    def _unknown(self, cause: str, words: str) -> UnknownOutcome:
        return UnknownOutcome(f"{self.endpoint} was sent a message and {words}", endpoint=self.endpoint, cause=cause)


@contextmanager
def sent(
    endpoint: str, to: Hl7v2, message: bytes, *, timeout_seconds: float, before_write: Callable[[], None]
) -> Iterator[Exchange]:
    """Send one message; read its answers inside. ``before_write`` is asked when all is ready, before the first byte.

    Raises TemporaryError: nothing was sent. UnknownOutcome: it may be there.
    """
    with _connected(endpoint, to, timeout_seconds) as connection:
        before_write()
        connection.settimeout(timeout_seconds)
        try:
            connection.sendall(START + message + END + b"\r")
        except OSError:
            words = f"the connection to {endpoint} ended while a message was sent"
            raise UnknownOutcome(words, endpoint=endpoint, cause="cut") from None
        yield Exchange(endpoint, connection, time.monotonic() + to.ack_timeout_seconds)


def tried(endpoint: str, to: Hl7v2, *, timeout_seconds: float) -> str:
    """Connect and send nothing: the version of TLS, empty where none is spoken. Raises TemporaryError."""
    with _connected(endpoint, to, timeout_seconds) as connection:
        return (connection.version() or "") if isinstance(connection, ssl.SSLSocket) else ""


@contextmanager
def _connected(endpoint: str, to: Hl7v2, timeout_seconds: float) -> Iterator[socket.socket]:
    try:
        plain = socket.create_connection((to.host, to.port), timeout_seconds)
    except OSError as error:
        raise _not_sent(endpoint, _cause(error)) from None
    with plain:
        if to.encryption == "none":
            yield plain
            return
        try:
            encrypted = _context(to).wrap_socket(plain, server_hostname=to.host)
        except OSError as error:
            raise _not_sent(endpoint, _cause(error)) from None
        with encrypted:
            yield encrypted


def _context(to: Hl7v2) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=to.tls.ca_file)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if to.tls.certificate_file:
        context.load_cert_chain(to.tls.certificate_file, to.tls.key_file)
    return context


def _cause(error: OSError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return "certificate-refused"
    if isinstance(error, ssl.SSLError):
        return "tls"
    if isinstance(error, TimeoutError):
        return "connect-timeout"
    if isinstance(error, socket.gaierror):
        return "name-unknown"
    return "connection-refused" if isinstance(error, ConnectionRefusedError) else "no-connection"


def _not_sent(endpoint: str, cause: str) -> TemporaryError:
    return TemporaryError(
        f"the interface engine of {endpoint} cannot be reached ({cause}); nothing was sent",
        endpoint=endpoint,
        cause=cause,
    )
