"""What goes wrong between a client and a vendor-like server, and when: switches that a test or a chaos run sets."""

import socket
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass
class Faults:
    """``swallow``: the next so many writes are done and their answers never arrive; ``cut``: the connection of the next so
    many ends while the body is still being sent, and nothing is done; ``refuse``: answers given instead of the next writes,
    ``(status, body)``; ``away``: every connection ends at once. ``written`` is told of each write after it was done, before
    it is answered: what it raises is the end of that connection."""

    swallow: int = 0
    cut: int = 0
    refuse: list[tuple[int, dict | None]] = field(default_factory=list)
    away: bool = False
    written: Callable[[str, str], object] = lambda method, path: None
    lock: threading.Lock = field(default_factory=threading.Lock, repr=False)
    met: dict[str, int] = field(default_factory=dict)

    def takes(self, name: str) -> bool:
        """Whether this write meets it; counted down."""
        with self.lock:
            left = getattr(self, name)
            if left > 0:
                setattr(self, name, left - 1)
                self.met[name] = self.met.get(name, 0) + 1
            return left > 0

    def refusal(self) -> tuple[int, dict | None] | None:
        """The answer to give in place of this write."""
        with self.lock:
            return self.refuse.pop(0) if self.refuse else None


def reset(connection: socket.socket) -> None:
    """RST, as a crashed peer or a firewall would."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()
