"""Launches a real Orthanc imaging server, if this machine has one installed, for pytest fixtures."""

from __future__ import annotations

import json
import shutil
import signal
import socket
import subprocess
from pathlib import Path
from typing import Any, Self

from .process import ServerUnavailable, end, spawn, wait_for_line

READY_LINE = r".*(Orthanc has started)"
READY_SECONDS = 60
STOP_SECONDS = 15
PLUGINS = Path("/usr/share/orthanc/plugins")  # where Debian's packages put DICOMweb


class Orthanc:
    """One Orthanc process with its storage under the given folder; leaving the context stops it."""

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder)
        self.base_url = ""
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, port: int = 0, *, name: str) -> str:
        """Start without DICOM port or password, and return the base URL; DICOMweb is at /dicom-web."""
        port = port or _free_port()
        log = self.folder / f"orthanc-{name}.log"
        self.process = spawn([_binary(), self._write_configuration(port, name)], log)
        try:
            wait_for_line(self.process, log, READY_LINE, READY_SECONDS)
        except BaseException:
            self.stop()
            raise
        self.base_url = f"http://127.0.0.1:{port}"
        return self.base_url

    def stop(self) -> None:
        """End the server; its storage stays for the next start with the same name."""
        if self.process:
            end(self.process, signal.SIGTERM, STOP_SECONDS)
            self.process = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()

    def _write_configuration(self, port: int, name: str) -> str:
        path = self.folder / f"orthanc-{name}.json"
        path.write_text(json.dumps(_configuration(port, name, self.folder / name)))
        return str(path)


def _configuration(port: int, name: str, storage: Path) -> dict[str, Any]:
    """Orthanc 1.10 cannot bind to one address; it refuses requests that come from elsewhere."""
    plugins = [str(PLUGINS)] if PLUGINS.is_dir() else []
    files = {"StorageDirectory": str(storage), "IndexDirectory": str(storage), "Plugins": plugins}
    access = {"HttpPort": port, "RemoteAccessAllowed": False, "AuthenticationEnabled": False}
    return {"Name": name, "DicomServerEnabled": False, **files, **access}


def _binary() -> str:
    if path := shutil.which("Orthanc"):
        return path
    raise ServerUnavailable("Orthanc: no Orthanc on the PATH; Debian's package orthanc has it.")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
