"""Ends connections when their seconds are over: a timeout counts from byte to byte, and bytes may drip."""

import socket
import threading
from contextlib import suppress
from types import TracebackType


class Deadline:
    """Of every connection it watches."""

    is_over = False

    def __init__(self, seconds: float):
        self.seconds = seconds
        self._timer = threading.Timer(seconds, self._end)
        self._timer.daemon = True
        self._watched: list[socket.socket] = []

    def watch(self, made: socket.socket) -> None:
        """A second handle of the same connection: TLS takes the first one over."""
        self._watched.append(made.dup())

    def _end(self) -> None:
        self.is_over = True
        for each in self._watched:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def __enter__(self) -> "Deadline":
        self._timer.start()
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._timer.cancel()
        for each in self._watched:
            each.close()
