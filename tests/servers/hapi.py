"""Builds and launches a real HAPI FHIR R4 server, for pytest fixtures and benchmarks."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Self

import requests

from .process import ServerFailed, ServerUnavailable, end, spawn, wait_for_line

__all__ = ["Hapi", "ServerFailed", "ServerUnavailable", "build"]

MODULE = Path(__file__).parent / "hapi"
POM = MODULE / "pom.xml"
SOURCES = MODULE / "src"
TARGET = MODULE / "target"
STAMP = TARGET / "built-from"
CLASSES = TARGET / "classes.jsa"
MAIN_CLASS = "secondopinion.HapiServer"
READY_LINE = r"HAPI ready (http://127\.0\.0\.1:\d+/fhir)"
READY_SECONDS = 180
WARM_UP_SECONDS = 120
BUILD_SECONDS = 1200
STOP_SECONDS = 15
RECORD_SECONDS = 120
SMALL = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC")


class Hapi:
    """One HAPI process with an empty database in memory; leaving the context stops it."""

    def __init__(self, logs: Path) -> None:
        self.logs = Path(logs)
        self.base_url = ""
        self.process: subprocess.Popen[bytes] | None = None

    def start(
        self,
        port: int = 0,
        *,
        name: str,
        allow_external_references: bool = False,
        heap: str = "1g",
        extra: Sequence[str] = (),
        jvm_options: Sequence[str] | None = None,
    ) -> str:
        """Start on 127.0.0.1 and return the base URL; `extra` are more flags of the server."""
        if self.process:
            raise RuntimeError(f"HAPI already runs at {self.base_url}")
        flags = ["--exit-with-parent", "--port", str(port), *extra]
        if allow_external_references:
            flags.append("--allow-external-references")
        options = _fast_start() if jvm_options is None else jvm_options
        java = [_java(), f"-Xmx{heap}", *options, "-cp", build(), MAIN_CLASS]
        self._launch([*java, *flags], self.logs / f"hapi-{name}.log")
        return self.base_url

    def stop(self, patience: float = STOP_SECONDS) -> None:
        """End the server in an orderly way; its data is gone."""
        self._end(signal.SIGTERM, patience)

    def kill(self) -> None:
        """End the server as a crash would; its data is gone."""
        self._end(signal.SIGKILL, STOP_SECONDS)

    def _launch(self, command: Sequence[str], log: Path) -> None:
        self.process = spawn(command, log)
        try:
            self.base_url = wait_for_line(self.process, log, READY_LINE, READY_SECONDS)
            _warm_up(self.base_url)
        except BaseException:
            self.kill()
            raise

    def _end(self, how: signal.Signals, patience: float) -> None:
        if self.process:
            end(self.process, how, patience)
            self.process = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()


def build() -> str:
    """Return the server's class path, after building it with Maven if its sources changed."""
    _java()
    with _build_lock():
        if not _up_to_date():
            _build_anew()
    return _class_path()


def record_classes() -> None:
    """Keep the loaded classes of a trial run in a file that later starts share, which makes them a quarter faster."""
    build()
    with tempfile.TemporaryDirectory() as folder:
        part = Path(folder) / "classes.jsa"
        with Hapi(Path(folder)) as hapi:
            hapi.start(name="trial", jvm_options=[*SMALL, f"-XX:ArchiveClassesAtExit={part}"])
            hapi.stop(patience=RECORD_SECONDS)
        shutil.move(part, CLASSES)


def _fast_start() -> list[str]:
    recorded = [f"-XX:SharedArchiveFile={CLASSES}"] if CLASSES.exists() else []
    return [*SMALL, *recorded]


def _warm_up(base_url: str) -> None:
    with requests.Session() as session:
        session.trust_env = False
        session.get(f"{base_url}/metadata", timeout=WARM_UP_SECONDS).raise_for_status()


def _java() -> str:
    if path := shutil.which("java"):
        return path
    raise ServerUnavailable("HAPI: no java on the PATH; a Java 17 runtime is needed.")


@contextmanager
def _build_lock() -> Iterator[None]:
    with POM.open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield


def _up_to_date() -> bool:
    return STAMP.exists() and STAMP.read_text() == _sources_digest()


def _sources_digest() -> str:
    digest = hashlib.sha256()
    for source in [POM, *sorted(path for path in SOURCES.rglob("*") if path.is_file())]:
        digest.update(source.read_bytes())
    return digest.hexdigest()


def _build_anew() -> None:
    shutil.rmtree(TARGET, ignore_errors=True)
    _run_maven()
    STAMP.write_text(_sources_digest())


def _run_maven() -> None:
    maven = shutil.which("mvn")
    if not maven:
        raise ServerUnavailable("HAPI: no mvn on the PATH; Maven is needed to build the server.")
    command = [maven, "-q", "-B", "package"]
    try:
        subprocess.run(command, cwd=MODULE, check=True, timeout=BUILD_SECONDS, capture_output=True, text=True)
    except subprocess.TimeoutExpired as slow:
        raise ServerUnavailable(f"HAPI: Maven did not finish in {BUILD_SECONDS} s.") from slow
    except subprocess.CalledProcessError as failed:
        raise _maven_error(failed.stdout) from failed


def _maven_error(output: str) -> Exception:
    """A fault of our Java code must fail a test; a library that cannot be fetched may skip it."""
    first = next((line for line in output.splitlines() if "[ERROR]" in line), "no message")
    if "COMPILATION ERROR" in output:
        return ServerFailed(f"HAPI: the Java code does not compile: {output}")
    return ServerUnavailable(f"HAPI: Maven could not fetch or build it: {first}")


def _class_path() -> str:
    jars = sorted(str(jar) for jar in (TARGET / "lib").glob("*.jar"))
    return os.pathsep.join([str(TARGET / "hapi-server.jar"), *jars])


if __name__ == "__main__":
    build()
    record_classes()
