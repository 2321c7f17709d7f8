"""Before the tests: build and install what they need; what cannot be had is said by name, and its tests skip."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.servers.prometheus import UNPACKED, program

PACKAGES = {"chromium": "chromium"}  # command -> Debian package


def main() -> None:
    """Build HAPI's module, install Chromium where we may, unpack Prometheus."""
    for command, package in PACKAGES.items():
        if shutil.which(command) is None:
            install(package)
    if program("promtool") is None:
        unpack("prometheus", UNPACKED)
    try:
        from tests.servers import hapi

        hapi.build()
    except Exception as error:
        print(f"NOT AVAILABLE: HAPI FHIR: {error}", file=sys.stderr)


def install(package: str) -> None:
    """With apt, as root, without questions; a machine without apt or rights goes on without."""
    if shutil.which("apt-get") is None or os.getuid() != 0:
        print(f"NOT AVAILABLE: {package}: install it by hand; its tests skip", file=sys.stderr)
        return
    quiet = {
        "stdout": subprocess.DEVNULL,
        "stderr": subprocess.DEVNULL,
        "env": {**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
    }
    subprocess.run(["apt-get", "update", "-q"], check=False, **quiet)
    done = subprocess.run(["apt-get", "install", "-yq", "--no-install-recommends", package], check=False, **quiet)
    if done.returncode:
        print(f"NOT AVAILABLE: {package}: apt could not install it; its tests skip", file=sys.stderr)


def unpack(package: str, folder: Path) -> None:
    """The files of a Debian package under ``folder``: installed, it would be a service that starts and listens."""
    with tempfile.TemporaryDirectory() as here:
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": here}
        try:
            subprocess.run(["apt-get", "download", "-q", package], check=True, **quiet)
            subprocess.run(["dpkg-deb", "-x", next(Path(here).glob("*.deb")), folder], check=True, **quiet)
        except (OSError, subprocess.CalledProcessError, StopIteration):
            print(f"NOT AVAILABLE: {package}: install it by hand; its tests skip", file=sys.stderr)


if __name__ == "__main__":
    main()
