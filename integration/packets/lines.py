"""Resources as lines of JSON in a file, found by ``Type/id``: of a chart of 100,000 records only the index is in memory."""

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from dataclasses import dataclass
from typing import BinaryIO

from integration import fhir_json
from integration.packets.payloads import away_when_refused
from mappings.codes import as_dict, as_text
from mappings.model.errors import ExchangeError


@dataclass(frozen=True, slots=True)
class Line:
    """Where a line stands, and what it is: its bytes, their SHA-256, and the version its server gave the resource."""

    at: int
    size: int
    sha256: str
    version: str | None = None


class Lines(Mapping[str, dict]):
    """What a file holds, read when it is asked for; each line is compared with its hash. Safe to use from several threads."""

    def __init__(self, file: BinaryIO, index: dict[str, Line]):
        self._file, self._index = file, index

    def line(self, source: str) -> bytes:
        """The bytes of one resource, as they were stored."""
        line = self._index[source]
        data = _read(self._file, line.at, line.size)
        if hashlib.sha256(data).hexdigest() != line.sha256:
            raise ExchangeError(f"{source} does not have the hash of the manifest: its bytes were changed on disk")
        return data

    def about(self, source: str) -> Line:
        """What is known of one without reading it."""
        return self._index[source]

    def __getitem__(self, source: str) -> dict:
        if source not in self._index:
            raise KeyError(source)
        return fhir_json.loads(self.line(source))

    def __iter__(self) -> Iterator[str]:
        return iter(self._index)

    def __contains__(self, source: object) -> bool:
        return source in self._index

    def __len__(self) -> int:
        return len(self._index)


class Spool(Lines, MutableMapping[str, dict]):
    """Lines that are being gathered, in a file that is gone with us."""

    def __init__(self, file: BinaryIO, resources: Mapping[str, dict] | None = None):
        super().__init__(file, {})
        self.size = 0  # bytes written so far
        self.update(resources or {})

    def __setitem__(self, source: str, resource: dict) -> None:
        """Raises ValueError for what no JSON can hold."""
        data = fhir_json.dumps(resource)
        _append(self._file, data)
        version = as_text(as_dict(resource.get("meta")).get("versionId"))
        self._index[source] = Line(self.size, len(data), hashlib.sha256(data).hexdigest(), version)
        self.size += len(data)

    def __delitem__(self, source: str) -> None:
        del self._index[source]

    def sort(self) -> None:
        """By ``Type/id`` from now on: the same chart makes the same packet."""
        self._index = dict(sorted(self._index.items()))


class ByteSpool(MutableMapping[str, bytes]):
    """Bytes by name, in a file that is gone with us; what is stored anew takes the place of what was there."""

    def __init__(self, file: BinaryIO):
        self._file, self._end = file, 0
        self._places: dict[str, tuple[int, int]] = {}

    def size(self, name: str) -> int:
        """How many bytes are stored under a name."""
        return self._places[name][1]

    def __setitem__(self, name: str, data: bytes) -> None:
        _append(self._file, data)
        self._places[name] = (self._end, len(data))
        self._end += len(data)

    def __getitem__(self, name: str) -> bytes:
        at, size = self._places[name]
        return _read(self._file, at, size)

    def __delitem__(self, name: str) -> None:
        del self._places[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __contains__(self, name: object) -> bool:
        return name in self._places

    def __len__(self) -> int:
        return len(self._places)


def _append(file: BinaryIO, data: bytes) -> None:
    """Written now, not at some later line. Raises PayloadsAway: these files lie beside the payloads."""
    with away_when_refused():
        file.write(data)
        file.flush()


def _read(file: BinaryIO, at: int, size: int) -> bytes:
    with away_when_refused():
        return os.pread(file.fileno(), size, at)


def joined(lines: Iterable[bytes]) -> Iterator[bytes]:
    """One line each, with a line feed between them: no JSON of ours holds one."""
    for number, line in enumerate(lines):
        yield b"\n" + line if number else line
