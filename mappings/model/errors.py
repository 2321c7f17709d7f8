"""Every error the Exchange raises on purpose, each a sentence with a next step.

ExchangeError
├── ConfigError            a file of ours is wrong: all mistakes at once, file and line
├── RequestError           a second opinion request is wrong
├── MappingError           a resource cannot be read or written as we understand it (FHIRPath + why)
├── PartialError           something of the record could not be fetched: never a smaller packet
├── NeedsPerson            only a human may decide (patient match, unknown outcome, conflict)
└── TransferError          an exchange with another system failed
    ├── TemporaryError     later (network before sending, 408, 425, 429, 5xx)
    ├── UnknownOutcome     a write may or may not have happened: look before sending again
    └── PermanentError     never by itself (other 4xx, wrong FHIR version, HTML instead of FHIR)

No message holds patient data: ids, paths and codes only.
"""

from collections.abc import Iterable
from dataclasses import dataclass


class ExchangeError(Exception):
    """Something the Exchange was asked to do is not possible.

    ``cause`` is a word of mappings/model/causes.py; ``items`` names what of the record it is about, as ``Type/id`` or
    ``Type/id#path``: a person may send without them.
    """

    cause: str = ""
    items: tuple[str, ...] = ()


@dataclass(frozen=True)
class Mistake:
    """One wrong place in a file a person wrote."""

    file: str
    line: int | None
    path: str
    message: str

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}" if self.line else self.file
        return f"{where}: {self.path}: {self.message}" if self.path else f"{where}: {self.message}"


class FileError(ExchangeError):
    """A file is wrong in one or more places."""

    def __init__(self, mistakes: list[Mistake]):
        self.mistakes = list(mistakes)
        super().__init__("\n".join(str(mistake) for mistake in self.mistakes))


class ConfigError(FileError):
    """config.yaml or the environment is wrong."""


class RequestError(FileError):
    """A second opinion request is wrong."""


class MappingError(ExchangeError):
    """A resource cannot be mapped.

    ``path`` is a FHIRPath such as ``ServiceRequest.priority``.
    """

    cause = "resource-unreadable"

    def __init__(self, path: str, message: str):
        self.path = path
        super().__init__(f"{path}: {message}")


class PartialError(ExchangeError):
    """Part of the record could not be had; the packet is not made."""

    cause = "record-partial"

    def __init__(self, problems: list[str], items: Iterable[str] = ()):
        self.problems, self.items = list(problems), tuple(dict.fromkeys(items))
        shown = "; ".join(self.problems[:5])
        more = f" (and {len(self.problems) - 5} more)" if len(self.problems) > 5 else ""
        super().__init__(f"the record is not complete: {shown}{more}")


class NeedsPerson(ExchangeError):
    """A person has to decide before this can go on; what they may do is said with its cause."""

    def __init__(self, cause: str, message: str, *, items: Iterable[str] = ()):
        self.cause, self.items = cause, tuple(dict.fromkeys(items))
        super().__init__(message)


class TransferError(ExchangeError):
    """An exchange with another system failed."""

    def __init__(
        self,
        message: str,
        *,
        endpoint: str = "",
        status_code: int | None = None,
        retry_after_seconds: float | None = None,
        cause: str = "",
        outcome: dict | None = None,
    ):
        self.endpoint = endpoint
        self.status_code = status_code
        self.retry_after_seconds = retry_after_seconds
        self.cause = cause or (f"http-{status_code}" if status_code else "network")
        self.outcome = outcome
        super().__init__(message)


class TemporaryError(TransferError):
    """The other system could not answer now; a later attempt may succeed."""


class UnknownOutcome(TransferError):
    """The request was sent and the answer never came: it may have been done."""


class PermanentError(TransferError):
    """The other system refuses; sending the same again cannot help."""
