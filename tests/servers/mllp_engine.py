"""A real interface engine over TCP for tests: files document messages, and drops, delays, refuses, doubles and lies on demand.

It shares no code with the product: frames and fields are cut by hand. What stands is asked of its store, never of its answers.
"""

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

START, END = b"\x0b", b"\x1c\r"
CODECS = {"UNICODE UTF-8": "utf-8", "8859/1": "latin-1", "8859/5": "iso8859-5", "ASCII": "ascii"}


@dataclass(frozen=True)
class Message:
    """One that arrived, decoded as MSH-18 says."""

    raw: bytes

    @property
    def text(self) -> str:
        fields = self.raw.split(b"\r")[0].split(b"|")
        return self.raw.decode(CODECS[fields[17].decode() if len(fields) > 17 and fields[17] else "ASCII"])

    def field(self, name: str, number: int) -> str:
        """Of the first segment of this name; MSH counts its separator."""
        line = next((each for each in self.text.split("\r") if each.startswith(f"{name}|")), "")
        fields = line.split("|")
        index = number - 1 if name == "MSH" else number
        return fields[index] if index < len(fields) else ""

    def segments(self, name: str) -> list[list[str]]:
        return [each.split("|") for each in self.text.split("\r") if each.startswith(f"{name}|")]

    @property
    def control_id(self) -> str:
        return self.field("MSH", 10)

    @property
    def event(self) -> str:
        return self.field("MSH", 9).split("^")[1]

    @property
    def number(self) -> str:
        return self.field("TXA", 12).split("^")[0]


@dataclass
class Filed:
    """What stands under one TXA-12. ``messages``: more than one where the same document was filed twice."""

    messages: list[Message] = field(default_factory=list)
    state: str = "current"


class MllpEngine:
    """``with MllpEngine() as engine``: ``engine.port``. ``faults``: one word for each message to come, in order; then all is well.

    swallow (filed, no answer), drop (not filed, no answer), half (half an answer), garbage, huge, other-id, double,
    delay (filed, its answer late), nak:AE, nak:AR, nak:CR (not filed), commit (filed, only CA), nothing.
    """

    def __init__(
        self,
        *,
        drops_duplicates: bool = False,
        enhanced: bool = False,
        context: ssl.SSLContext | None = None,
        delay_seconds: float = 1.0,
    ):
        self.drops_duplicates, self.enhanced, self.context, self.delay_seconds = (
            drops_duplicates, enhanced, context, delay_seconds
        )  # fmt: skip
        self.faults: list[str] = []
        self.arrived: list[Message] = []
        self.documents: dict[str, Filed] = {}
        self.written: Callable[[Message], None] | None = None
        self.error_segment = "ERR||PID^1^3|204^Unknown key identifier^HL70357|E||||Ada Synthetic1 is not known here"
        self._seen: set[str] = set()
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]

    def __enter__(self) -> "MllpEngine":
        threading.Thread(target=self._listen, daemon=True).start()
        return self

    def __exit__(self, *args: object) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def standing(self) -> dict[str, int]:
        """How often each document that is current was filed, by TXA-12."""
        return {name: len(each.messages) for name, each in self.documents.items() if each.state == "current"}

    def _listen(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection:
            if self.context is not None:
                with self.context.wrap_socket(connection, server_side=True) as encrypted:
                    self._talk(encrypted)
            else:
                self._talk(connection)

    def _talk(self, connection: socket.socket) -> None:
        held = b""
        while data := connection.recv(65536):
            held += data
            while END in held:
                frame, _, held = held.partition(END)
                if not self._handle(connection, Message(frame.partition(START)[2])):
                    return

    def _handle(self, connection: socket.socket, message: Message) -> bool:
        """False: the connection is closed."""
        with self._lock:
            fault = self.faults.pop(0) if self.faults else ""
            self.arrived.append(message)
            if not fault.startswith("nak") and fault != "drop":
                self._file(message)
        if self.written is not None:
            self.written(message)
        if fault in ("swallow", "drop"):
            return False
        if fault == "delay":
            time.sleep(self.delay_seconds)
        for frame in self._answers(message, fault):
            connection.sendall(frame)
        return fault not in ("half", "huge")

    def _file(self, message: Message) -> None:
        if self.drops_duplicates and message.control_id in self._seen:
            return
        self._seen.add(message.control_id)
        if message.event == "T11":
            self.documents[message.number].state = "cancelled"
            return
        self.documents.setdefault(message.number, Filed()).messages.append(message)
        parent = message.field("TXA", 13).split("^")[0]
        if parent in self.documents:
            self.documents[parent].state = "obsolete"

    def _answers(self, message: Message, fault: str) -> list[bytes]:
        if fault.startswith("nak:"):
            return [self._ack(message, fault[4:], extra=self.error_segment)]
        if fault == "garbage":
            return [START + b"HTTP/1.1 200 OK\r\n\r\nhello" + END]
        if fault == "huge":
            return [START + b"MSH|^~\\&|" + b"x" * (2 << 20)]
        if fault == "half":
            return [self._ack(message, "AA")[:40]]
        if fault == "other-id":
            return [self._ack(message, "AA", control_id="SOMEBODY-ELSE")]
        if fault == "commit":
            return [self._ack(message, "CA")]
        accepted = self._ack(message, "AA")
        answers = [self._ack(message, "CA"), accepted] if self.enhanced else [accepted]
        return answers * 2 if fault == "double" else answers

    def _ack(self, message: Message, code: str, *, control_id: str = "", extra: str = "") -> bytes:
        version = message.field("MSH", 12)
        lines = [
            f"MSH|^~\\&|EHR|HILLSIDE|SECOND-OPINION|EXCHANGE|20260601||ACK^{message.event}|A{len(self.arrived)}|T|{version}",
            f"MSA|{code}|{control_id or message.control_id}|Message for Ada Synthetic1",
            *([extra] if extra else []),
        ]
        return START + ("\r".join(lines) + "\r").encode() + END
