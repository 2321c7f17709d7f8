"""What goes wrong, in one JSON shape: RFC 9457 problem details, with every mistake of the input under ``errors``."""

import json
from collections.abc import Iterable

from flask import Response, request
from pydantic import BaseModel, Field
from sqlalchemy.exc import DataError, DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from werkzeug.exceptions import HTTPException

from integration.postgres.health import is_away
from integration.store.filters import FilterError
from integration.store.requests import KeyReused, UnknownRequest
from mappings.model.errors import ExchangeError, Mistake, RequestError

BASE = "https://second-opinion.example/problems/"
CONTENT_TYPE = "application/problem+json"
# The last word of the type -> HTTP status and title. docs/reference/api.md lists them.
PROBLEMS: dict[str, tuple[int, str]] = {
    "wrong-query": (400, "The address says something this route does not know"),
    "wrong-body": (400, "The body is not right"),
    "wrong-filter": (400, "The filter cannot be read"),
    "patient-in-address": (400, "A patient identifier may not be in an address"),
    "not-signed-in": (401, "Sign in first"),
    "foreign-origin": (403, "Another site may not do this"),
    "not-allowed": (403, "Your role may not do this"),
    "unknown": (404, "There is no such thing"),
    "not-possible": (409, "It cannot be done as things are now"),
    "key-reused": (409, "The same key came with another request"),
    "too-large": (413, "The body is too large"),
    "not-json": (415, "The body is not what this route takes"),
    "file-refused": (422, "The file was not taken"),
    "wrong-host": (421, "This is not the host you asked for"),
    "not-now": (503, "The server of the other side cannot be asked now"),
    "database-away": (503, "The database does not answer"),
}


class Error(BaseModel):
    """One mistake of the input."""

    message: str = Field(description="What is wrong and what would be right, as a sentence.")
    path: str | None = Field(None, description="Where: a field, or a place in one.")
    line: int | None = Field(None, description="Line of the body, when it has lines.")
    position: int | None = Field(None, description="Where in a filter, from 0.")
    length: int | None = Field(None, description="How long the wrong part of a filter is.")


class ProblemDetails(BaseModel):
    """RFC 9457 problem details."""

    type: str = Field(description="What kind of problem it is; the last word is stable. `about:blank` for plain HTTP.")
    title: str = Field(description="The kind in words; the same for each problem of this type.")
    status: int = Field(description="The HTTP status again.")
    detail: str = Field(description="What happened this time and what to do, as a sentence.")
    errors: list[Error] = Field([], description="Every mistake of the input, when it is the input.")


class Problem(ExchangeError):
    """Raised by a route: ``kind`` is a key of PROBLEMS."""

    def __init__(self, kind: str, detail: str, errors: Iterable[Error] = ()):
        self.kind, self.errors = kind, list(errors)
        super().__init__(detail)

    @property
    def status(self) -> int:
        """Its HTTP status."""
        return PROBLEMS[self.kind][0]


def known(error: ExchangeError) -> Response:
    """An error of ours as an answer."""
    problem = error if isinstance(error, Problem) else _as_problem(error)
    status, title = PROBLEMS[problem.kind]
    return _answer(BASE + problem.kind, title, status, str(problem), problem.errors)


def _as_problem(error: ExchangeError) -> Problem:
    if isinstance(error, RequestError):
        return wrong("wrong-body", error.mistakes)
    if isinstance(error, FilterError):
        place = Error(message=str(error), path="q", position=error.position, length=error.length)
        return Problem("wrong-filter", f"At character {error.position + 1}: {error}.", [place])
    kinds = {UnknownRequest: "unknown", KeyReused: "key-reused"}
    return Problem(kinds.get(type(error), "not-possible"), _sentence(str(error)))


def wrong(kind: str, mistakes: Iterable[Mistake]) -> Problem:
    """Mistakes of an input as a problem."""
    errors = [Error(message=each.message, path=each.path or None, line=each.line) for each in mistakes]
    more = [f"And {len(errors) - 3} more."] if len(errors) > 3 else []
    told = [_sentence(f"`{each.path}` {each.message}" if each.path else f"It {each.message}") for each in errors[:3]]
    return Problem(kind, " ".join(told + more), errors)


def _sentence(words: str) -> str:
    return words[:1].upper() + words[1:] + ("" if words.endswith((".", "?")) else ".")


def http(error: HTTPException) -> Response | HTTPException:
    """What Flask itself refuses under /api, in the same shape; elsewhere as it is."""
    if not request.path.startswith("/api/"):
        return error
    kind = {404: "unknown", 413: "too-large"}.get(error.code or 0)
    type_, title = (BASE + kind, PROBLEMS[kind][1]) if kind else ("about:blank", error.name)
    answer = _answer(type_, title, error.code or 500, error.description or error.name, [])
    for name, value in error.get_headers():
        if name != "Content-Type":
            answer.headers[name] = value
    return answer


def impossible(_error: DataError) -> Response:
    """A value no row can hold (too large a number, a NUL in a text): nothing of that name exists."""
    return known(Problem("unknown", "There is nothing of that name."))


def away(error: DBAPIError | PoolTimeout) -> Response:
    """The database is away; nothing was done."""
    if not is_away(error):
        raise error
    return known(Problem("database-away", "The database does not answer. Nothing was done; try again in a moment."))


def _answer(kind: str, title: str, status: int, detail: str, errors: list[Error]) -> Response:
    told = ProblemDetails(type=kind, title=title, status=status, detail=detail, errors=errors)
    body = told.model_dump(mode="json")
    body["errors"] = [each.model_dump(mode="json", exclude_none=True) for each in errors]
    return Response(json.dumps(body), status, content_type=CONTENT_TYPE)
