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

from dataclasses import dataclass


class ExchangeError(Exception):
    """Something the Exchange was asked to do is not possible."""


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

    def __init__(self, path: str, message: str):
        self.path = path
        super().__init__(f"{path}: {message}")


class PartialError(ExchangeError):
    """Part of the record could not be had; the packet is not made."""

    def __init__(self, problems: list[str]):
        self.problems = list(problems)
        shown = "; ".join(self.problems[:5])
        more = f" (and {len(self.problems) - 5} more)" if len(self.problems) > 5 else ""
        super().__init__(f"the record is not complete: {shown}{more}")


class NeedsPerson(ExchangeError):
    """A person has to decide before this can go on.

    ``cause`` is a short stable word operators can filter by, ``action`` says what to do.
    """

    def __init__(self, cause: str, message: str, action: str = ""):
        self.cause = cause
        self.action = action
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
