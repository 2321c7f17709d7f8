"""The app behind a real HTTP server."""

import contextlib
import threading
from collections.abc import Iterator

from flask import Flask

from integration.web.server import Limits, create_servers


@contextlib.contextmanager
def serving(app: Flask, limits: Limits = Limits()) -> Iterator[int]:
    """Gives the port at 127.0.0.1."""
    server = create_servers(app, host="127.0.0.1", port=0, limits=limits, threads=4)
    thread = threading.Thread(target=_run, args=(server,), daemon=True)
    thread.start()
    try:
        yield server.port
    finally:
        server.close()
        thread.join(5)


def _run(server) -> None:
    with contextlib.suppress(OSError):  # closed under its select()
        server.run()
