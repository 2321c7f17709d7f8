"""Listens for HL7 v2 messages over MLLP: frames in, acknowledgments out; bounded in size, time and connections.

A message that is not whole is not one: nothing of it is kept, and the connection ends.
"""

import contextlib
import logging
import socket
import ssl
import threading
from dataclasses import dataclass

from integration.listening.taking import Answer, Taking
from integration.settings.hl7v2 import Listen
from mappings.hl7v2.reading import INTERNAL
from mappings.model.errors import ExchangeError

log = logging.getLogger("second_opinion.hl7v2")
START, END = b"\x0b", b"\x1c"
MOST_CONNECTIONS = 32
IDLE_SECONDS = 600.0  # engines keep their connection; the system ends those whose other side is gone
REST_SECONDS = 30.0  # within which what has begun has to go on
_BLOCK = 1 << 16


@dataclass
class Listener:
    """One port, of one endpoint. ``port``: where it listens, once it does."""

    listen: Listen
    taking: Taking
    port: int = 0

    def __post_init__(self) -> None:
        self._room = threading.BoundedSemaphore(MOST_CONNECTIONS)
        self._context = _context(self.listen)
        family = socket.AF_INET6 if ":" in self.listen.host else socket.AF_INET
        try:
            self._socket = socket.create_server((self.listen.host, self.listen.port), family=family)
        except OSError as error:
            raise ExchangeError(
                f"cannot listen for HL7 v2 at {self.listen.host}, port {self.listen.port} ({error.strerror}): stop what "
                "listens there, or change hl7v2.listen of the endpoint"
            ) from None
        self.port = self._socket.getsockname()[1]

    def start(self) -> "Listener":
        """In a thread of its own."""
        threading.Thread(target=self.run, daemon=True, name=f"hl7v2 {self.taking.key}").start()
        return self

    def run(self) -> None:
        """Until it is stopped."""
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            if not self._room.acquire(blocking=False):
                connection.close()
                continue
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def stop(self) -> None:
        """No new connections; what is under way ends by itself."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def _serve(self, connection: socket.socket) -> None:
        try:
            with connection, contextlib.suppress(OSError):
                connection.settimeout(REST_SECONDS)
                if self._context is None:
                    self._talk(connection)
                else:
                    with self._context.wrap_socket(connection, server_side=True) as encrypted:
                        self._talk(encrypted)
        finally:
            self._room.release()

    def _talk(self, connection: socket.socket) -> None:
        held = bytearray()
        looked = 0
        while True:
            connection.settimeout(REST_SECONDS if held else IDLE_SECONDS)
            data = connection.recv(_BLOCK)
            if not data:
                return
            held += data if held else data.lstrip(b"\r\n")  # the end of a frame may come in two parts
            if not held:
                continue
            if held[:1] != START:
                return  # it does not speak MLLP
            while (end := held.find(END, looked)) >= 0:
                message, held = bytes(held[1:end]), held[end + 1 :].lstrip(b"\r\n")
                looked = 0
                connection.sendall(START + self.taking.answer(message) + END + b"\r")
            looked = len(held)
            if len(held) > self.listen.max_message_bytes:
                words = f"a message may have {self.listen.max_message_bytes} bytes here"
                said = self.taking.acknowledge(bytes(held[1:4096]), Answer("AR", "MSH", INTERNAL, words))
                connection.sendall(START + said + END + b"\r")
                log.warning("%s sent a message that is too large", self.taking.key, extra={"action": "hl7v2.large"})
                return


def _context(listen: Listen) -> ssl.SSLContext | None:
    if listen.encryption == "none":
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(str(listen.tls.certificate_file), listen.tls.key_file)
    if listen.tls.ca_file:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(listen.tls.ca_file)
    return context
