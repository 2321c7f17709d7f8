"""A route of the API says its models once: its parameters ``query`` and ``body`` are read by them, OpenAPI is made of them."""

import functools
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn, get_args, get_type_hints

from flask import Blueprint, Response, current_app, request
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError
from sqlalchemy.exc import DataError, DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from werkzeug.exceptions import HTTPException

from integration.settings.mistakes import to_mistakes, validation_problems
from integration.settings.yaml_lines import Document
from integration.web import forms, problems
from integration.web.problems import Problem
from mappings.model.errors import ExchangeError, Mistake

blueprint = Blueprint("api", __name__, url_prefix="/api")
JSON = "application/json"
BYTES = "application/octet-stream"


class Nothing(BaseModel):
    """An address without parameters."""

    model_config = ConfigDict(extra="forbid")


@dataclass(frozen=True)
class Described:
    """What a route takes and gives, for OpenAPI."""

    query: type[BaseModel]
    body: type[BaseModel] | None
    answer: Any
    statuses: tuple[int, ...]
    refuses: tuple[str, ...]
    takes: str = JSON


def get(path: str, *, refuses: tuple[str, ...] = ()) -> Callable:
    """A route that reads."""
    return _route("GET", path, (200,), refuses)


def post(
    path: str,
    *,
    statuses: tuple[int, ...] = (200,),
    refuses: tuple[str, ...] = (),
    body: type[BaseModel] | None = None,
    takes: str = JSON,
) -> Callable:
    """A route that does something. ``body`` documents one that the view reads by itself; ``takes``: its media type."""
    return _route("POST", path, statuses, refuses, body, takes)


def _route(
    method: str,
    path: str,
    statuses: tuple[int, ...],
    refuses: tuple[str, ...],
    read_by_view: type[BaseModel] | None = None,
    takes: str = JSON,
) -> Callable:
    def join(view: Callable) -> Callable:
        hints = get_type_hints(view)
        described = Described(
            hints.get("query", Nothing),
            hints.get("body", read_by_view),
            _answer_of(hints["return"]),
            statuses,
            refuses,
            takes,
        )

        @functools.wraps(view)
        def answer(**given: Any) -> Response:
            query = _query(described.query)
            if "query" in hints:
                given["query"] = query
            if "body" in hints and described.body is not None:
                given["body"] = _body(described.body)
            return _json(view(**given), described)

        answer.described = described  # type: ignore[attr-defined]  # where OpenAPI finds what the route takes
        blueprint.add_url_rule(path, view.__name__, answer, methods=[method])
        return view

    return join


def _answer_of(hint: Any) -> Any:
    """The model of ``Model`` or of ``tuple[Model, int, dict]``."""
    return get_args(hint)[0] if getattr(hint, "__origin__", None) is tuple else hint


def _json(returned: Any, described: Described) -> Response:
    value, status, headers = returned if isinstance(returned, tuple) else (returned, described.statuses[0], {})
    body = TypeAdapter(described.answer).dump_json(value)
    return Response(body, status, headers, content_type=JSON)


def _query(model: type[BaseModel]) -> BaseModel:
    twice = [name for name, values in request.args.lists() if len(values) > 1]
    if twice:
        raise problems.wrong(
            "wrong-query", [Mistake("query", None, name[:60], "is given more than once") for name in twice]
        )
    value = request.args.to_dict()
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise _wrong("wrong-query", error, value, model) from None


def _body(model: type[BaseModel]) -> BaseModel:
    value = read_json()
    try:
        return model.model_validate_json(request.get_data(), strict=True)
    except ValidationError as error:
        raise _wrong("wrong-body", error, value, model) from None


def read_json() -> Any:
    """The body as JSON. Raises Problem when it is none."""
    try:
        return json.loads(request.get_data().decode(), parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        place = f"line {error.lineno}, column {error.colno}" if isinstance(error, json.JSONDecodeError) else "somewhere"
        raise Problem(
            "wrong-body",
            f"The body is not JSON: it cannot be read at {place}.",
            [problems.Error(message="is not JSON", line=getattr(error, "lineno", None))],
        ) from None


def _refuse(word: str) -> NoReturn:
    raise ValueError(f"{word} is no JSON number")


def _wrong(kind: str, error: ValidationError, value: Any, model: type[BaseModel]) -> Problem:
    found = validation_problems(error, Document(value), model=model)
    return problems.wrong(
        kind, to_mistakes(found, model=model, file="") or [Mistake("", None, "", "is not what this route takes")]
    )


@blueprint.before_request
def ours_and_json() -> None:
    """A page of another site can post a form or plain text to a loopback address without asking; JSON it cannot.

    So a POST must be JSON (or, where a route takes a file, bytes), and must not say that it comes from another origin.
    """
    if request.method != "POST":
        return
    if not forms.comes_from_here():
        raise Problem("foreign-origin", "The Origin of this request is not this server. Nothing was done.")
    described: Described | None = getattr(current_app.view_functions[request.endpoint or ""], "described", None)
    takes = described.takes if described else JSON
    if request.mimetype != takes:
        what = "JSON" if takes == JSON else "the bytes of the file"
        raise Problem("not-json", f"Send the body as {what}, with Content-Type: {takes}. Nothing was done.")


blueprint.register_error_handler(ExchangeError, problems.known)
blueprint.register_error_handler(DataError, problems.impossible)
blueprint.register_error_handler(DBAPIError, problems.away)
blueprint.register_error_handler(PoolTimeout, problems.away)
blueprint.app_errorhandler(HTTPException)(problems.http)
