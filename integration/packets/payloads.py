"""Payload bytes: content-addressed by SHA-256, in a local or shared folder or any fsspec object store."""

import hashlib
import os
import re
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import fsspec
from fsspec.registry import known_implementations

from mappings.model.errors import ExchangeError

DIGEST = re.compile(r"[0-9a-f]{64}")
CHECK = b"second-opinion payload store check".ljust(4096)  # a block: a full disk may still take a few bytes


BLOCK_BYTES = 256 * 1024


@dataclass(frozen=True)
class Stored:
    """What was stored: its SHA-256 (hex), by which it is found, and how many bytes it has."""

    sha256: str
    size: int


class PayloadMissing(ExchangeError):
    """Payload bytes that the database names are not in the payload store."""

    cause = "payload-missing"


class PayloadsAway(ExchangeError):
    """The payload store cannot be used now; what needs it waits until it can."""

    cause = "payloads-away"


@contextmanager
def away_when_refused() -> Iterator[None]:
    """Disk full, read-only or unreachable: PayloadsAway for all of them. An absent payload is another matter."""
    try:
        yield
    except FileNotFoundError:
        raise
    except OSError as error:
        raise PayloadsAway(
            f"the payload store cannot be used now ({error.strerror or type(error).__name__})"
        ) from error


def url_problem(url: str) -> str | None:
    """Why an address can be no store here: nobody knows its kind, or the library for it is not installed."""
    kinds = url.partition("://")[0].split("::") if "://" in url else ()
    return next(filter(None, map(_kind_problem, kinds)), None)


def _kind_problem(kind: str) -> str | None:
    try:
        fsspec.get_filesystem_class(kind)
    except ValueError:
        return "is of a kind that is not known: give a folder, or an address such as s3://bucket/prefix"
    except ImportError as error:
        library = known_implementations[kind]["class"].partition(".")[0]
        return f"needs a library that is not installed: {f'pip install {library}' if library != 'fsspec' else error}"
    return None


class Payloads:
    """A store of immutable bytes. ``url`` is a folder or an fsspec URL such as ``s3://bucket/prefix``."""

    def __init__(self, url: str | Path):
        self.url = str(url)
        self._remote = "://" in self.url and not self.url.startswith("file://")
        self._folder = Path(self.url.removeprefix("file://"))  # when it is none of the remote ones
        if problem := url_problem(self.url):
            raise ExchangeError(f"payloads.url {problem}")
        self._fs: Any = fsspec.core.url_to_fs(self.url)[0] if self._remote else None

    def put(self, data: bytes, *, anew: bool = False) -> str:
        """Store bytes and return their SHA-256 (hex). They are on disk when this returns.

        ``anew`` writes over what is there under that hash: it may be damaged.
        """
        digest = hashlib.sha256(data).hexdigest()
        with away_when_refused():
            if self._remote:
                self._put_remote(digest, data, anew)
            elif anew or not self._path(digest).exists():
                self._write(self._path(digest), data)
        return digest

    def put_stream(self, blocks: Iterable[bytes]) -> Stored:
        """Store bytes as they come, never whole in memory. What ``blocks`` raises is raised, and nothing stays behind."""
        folder = None if self._remote else self._folder
        with away_when_refused(), self._new_file(folder) as (file, name):
            stored = _copied(blocks, file)
            if self._remote:
                if not self._fs.exists(self._key(stored.sha256)):
                    self._fs.put_file(name, self._key(stored.sha256))
            elif not self._path(stored.sha256).exists():
                self._path(stored.sha256).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
                os.replace(name, self._path(stored.sha256))
                self._sync_folder(self._path(stored.sha256).parent)
        return stored

    def open(self, digest: str) -> Iterator[bytes]:
        """The bytes with this hash, block by block; the last one only when the hash was right, so nobody gets damaged bytes whole.

        Raises PayloadMissing when absent or changed.
        """
        found, last = hashlib.sha256(), b""
        with closing(self._opened(digest)) as file:
            while block := self._read(file):
                found.update(block)
                if last:
                    yield last
                last = block
        if found.hexdigest() != digest:
            raise _changed(digest)
        if last:
            yield last

    def get(self, digest: str) -> bytes:
        """The bytes with this hash. Raises PayloadMissing when absent or changed."""
        try:
            with away_when_refused():
                data = self._fs.cat_file(self._key(digest)) if self._remote else self._path(digest).read_bytes()
        except FileNotFoundError as error:
            raise _absent(digest) from error
        if hashlib.sha256(data).hexdigest() != digest:
            raise _changed(digest)
        return data

    def spool(self, digest: str | None = None) -> BinaryIO:
        """A file beside the payloads that is gone when it is closed, to be written; or a payload as a file, to be read."""
        if digest is not None and not self._remote:
            return self._opened(digest)
        with away_when_refused():
            if not self._remote:
                self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            file = tempfile.TemporaryFile(dir=None if self._remote else self._folder)
            for block in self.open(digest) if digest is not None else ():
                file.write(block)
            file.flush()
            return file

    def all(self) -> Iterator[str]:
        """The hashes of everything stored."""
        names = self._fs.find(self.url) if self._remote else self._folder.glob("??/*")
        return (name for name in (str(each).rsplit("/", 1)[-1] for each in names) if DIGEST.fullmatch(name))

    def drop_unfinished(self, older_than_seconds: float) -> int:
        """Remove what a process that was killed had begun to write; how many. Nobody ever reads those."""
        old = [] if self._remote else [*self._folder.glob(".new-*"), *self._folder.glob("??/.new-*")]
        old = [each for each in old if time.time() - each.stat().st_mtime > older_than_seconds]
        for each in old:
            each.unlink(missing_ok=True)
        return len(old)

    def check_writable(self) -> None:
        """Raise PayloadsAway when nothing can be stored now (disk full, read-only, unreachable)."""
        with away_when_refused():
            if self._remote:
                self._fs.pipe_file(f"{self.url}/check", CHECK)
            else:
                self._write(self._folder / ".check", CHECK)  # a name no payload has: one already there proves nothing

    def _path(self, digest: str) -> Path:
        return self._folder / digest[:2] / digest

    def _key(self, digest: str) -> str:
        return f"{self.url}/{digest[:2]}/{digest}"

    def _put_remote(self, digest: str, data: bytes, anew: bool) -> None:
        if anew or not self._fs.exists(self._key(digest)):
            self._fs.pipe_file(self._key(digest), data)

    def _opened(self, digest: str) -> BinaryIO:
        try:
            with away_when_refused():
                return self._fs.open(self._key(digest), "rb") if self._remote else self._path(digest).open("rb")
        except FileNotFoundError as error:
            raise _absent(digest) from error

    def _read(self, file: BinaryIO) -> bytes:
        with away_when_refused():
            return file.read(BLOCK_BYTES)

    def _write(self, path: Path, data: bytes) -> None:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with self._new_file(path.parent) as (file, name):
            _copied([data], file)
            os.replace(name, path)  # atomic: a reader sees all or nothing
            self._sync_folder(path.parent)

    @staticmethod
    @contextmanager
    def _new_file(folder: Path | None) -> Iterator[tuple[BinaryIO, str]]:
        """A file to write, under a name no payload has; gone afterwards unless it was given another one."""
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle, name = tempfile.mkstemp(dir=folder, prefix=".new-")
        try:
            with os.fdopen(handle, "wb") as file:
                yield file, name
        finally:
            Path(name).unlink(missing_ok=True)

    @staticmethod
    def _sync_folder(folder: Path) -> None:
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _copied(blocks: Iterable[bytes], file: BinaryIO) -> Stored:
    """``blocks`` written and on disk."""
    digest, size = hashlib.sha256(), 0
    for block in blocks:
        digest.update(block)
        size += len(block)
        file.write(block)
    file.flush()
    os.fsync(file.fileno())
    return Stored(digest.hexdigest(), size)


def _absent(digest: str) -> PayloadMissing:
    return PayloadMissing(f"payload {digest[:12]} is not in the payload store; restore it from the backup")


def _changed(digest: str) -> PayloadMissing:
    return PayloadMissing(f"payload {digest[:12]} was changed on disk; restore it from the backup")
