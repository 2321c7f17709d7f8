"""Records that cannot be written as they are: each is named, and none stops another."""

from collections.abc import Mapping

from sqlalchemy.exc import SQLAlchemyError

from mappings.model.errors import ExchangeError, MappingError, NeedsPerson, PermanentError, TransferError
from mappings.model.findings import Finding

# Answers that speak of what was sent, not of who sends or of the server's state.
_CONTENT = frozenset({400, 403, 405, 411, 412, 413, 415, 422, 501})


def trouble_of(error: Exception, source: str) -> Finding:
    """Why this one record cannot be written; what is no matter of a record is raised again."""
    if isinstance(error, MappingError):
        path = error.path if error.path.startswith(source) else f"{source}#{error.path}"
        return Finding("record-not-sendable", str(error).removeprefix(f"{error.path}: "), path, "error")
    if isinstance(error, ExchangeError | SQLAlchemyError | MemoryError):
        raise error
    return Finding(
        "record-not-readable", f"its content has a shape that is not FHIR ({type(error).__name__})", source, "error"
    )


def about_content(error: TransferError) -> bool:
    """True when the endpoint refused what was sent, so that another record may be taken."""
    return isinstance(error, PermanentError) and error.status_code in _CONTENT


def worth_splitting(error: TransferError, attempts: int) -> bool:
    """True when a smaller chunk may be taken; a failure inside the server only when it came again."""
    return about_content(error) or error.status_code == 500 and attempts > 0


def named_trouble(endpoint: str, left: Mapping[str, Finding]) -> NeedsPerson:
    """What a person is told: how many, the first five by name, and under the one cause most of them have."""
    causes = [each.cause for each in left.values()]
    cause = max(sorted(set(causes)), key=causes.count)
    first = next(each for each in left.values() if each.cause == cause)
    return NeedsPerson(
        cause,
        f"{len(left)} record(s) were not written at {endpoint}: {', '.join(list(left)[:5])}. {first.path}: {first.message}",
        items=tuple(left),
    )
