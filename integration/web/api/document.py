"""OpenAPI 3.1 from the routes and their models. ``second-opinion api spec`` prints it; /api/openapi.json serves it.

Made by us: flask-openapi and APIFlask replace the Flask class, and spectree answers bad input in its own shape and brings
pages of its own. What is left to do is one pass over the routes; pydantic writes the schemas.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, get_args, get_origin

from flask import Flask, current_app
from pydantic import BaseModel, ConfigDict
from pydantic.json_schema import models_json_schema

from integration.store.roles import in_order
from integration.web.access import scope
from integration.web.api.routes import BYTES, JSON, Described, blueprint, get
from integration.web.problems import CONTENT_TYPE, PROBLEMS, ProblemDetails

SCHEMAS = "#/components/schemas/"
CONVERTERS = {"": {"type": "string", "minLength": 1}, "int": {"type": "integer", "minimum": 0}}
EVERY, EVERY_POST = (
    ("wrong-query", "not-signed-in", "not-allowed", "wrong-host", "database-away"),
    ("foreign-origin", "not-json", "too-large"),
)


class Document(BaseModel):
    """An OpenAPI document."""

    model_config = ConfigDict(extra="allow")

    openapi: str


@get("/openapi.json")
def description() -> Document:
    """This description."""
    return Document.model_validate(openapi(current_app))


def openapi(app: Flask | None = None) -> dict[str, Any]:
    """The description of the API; of a bare app that has nothing else when none is given."""
    if app is None:
        app = Flask("second-opinion")
        app.register_blueprint(blueprint)
    routes = sorted(_routes(app), key=lambda route: route.path)
    references, schemas = _schemas(routes)
    paths: dict[str, dict] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method] = _operation(route, references)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Second Opinion Exchange",
            "version": version("second-opinion-exchange"),
            "description": "What the operations pages do, for programs. Ids and words, never clinical content.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": tag} for tag in dict.fromkeys(route.tag for route in routes)],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer", "description": "When sign-in is on."}},
        },
        "security": [{}, {"token": []}],
    }


@dataclass(frozen=True)
class Route:
    """One method of one path."""

    path: str
    method: str
    endpoint: str
    parameters: tuple[tuple[str, str], ...]
    words: str
    described: Described

    @property
    def tag(self) -> str:
        """What it is about: the first word of its path."""
        return self.path.split("/")[2]


def _routes(app: Flask) -> Iterator[Route]:
    for rule in app.url_map.iter_rules():
        view = app.view_functions[rule.endpoint]
        if hasattr(view, "described"):
            parameters = tuple(re.findall(r"<(?:(\w+):)?(\w+)>", rule.rule))
            path = re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule)
            for method in sorted((rule.methods or set()) & {"GET", "POST", "PUT", "DELETE"}):
                yield Route(path, method.lower(), rule.endpoint, parameters, view.__doc__ or "", view.described)


def _schemas(routes: list[Route]) -> tuple[dict, dict]:
    """``{(model, mode): reference}`` and the schemas they point to."""
    wanted: dict = {(ProblemDetails, "serialization"): None}
    for route in routes:
        wanted[_model_of(route.described.answer), "serialization"] = None
        if route.described.body is not None:
            wanted[route.described.body, "validation"] = None
    references, schemas = models_json_schema(list(wanted), ref_template=f"{SCHEMAS}{{model}}")
    told = {f'"{SCHEMAS}{name}"': f'"{SCHEMAS}{_short(name)}"' for name in schemas["$defs"]}
    names = re.compile("|".join(map(re.escape, told)))
    defs = json.loads(names.sub(lambda found: told[found[0]], json.dumps(schemas["$defs"])))
    ours = {each: {"$ref": json.loads(told[json.dumps(reference["$ref"])])} for each, reference in references.items()}
    return ours, {_short(name): defs[name] for name in defs}


def _short(name: str) -> str:
    """Two classes of one name are told apart by their modules: ``mappings__model__consent__Standing`` is ConsentStanding."""
    *modules, own = name.split("__")
    module = next((each.title().replace("_", "") for each in reversed(modules) if each != "model"), "")
    return own if own.startswith(module) else module + own


def _model_of(answer: Any) -> type[BaseModel]:
    return get_args(answer)[0] if get_origin(answer) is list else answer


def _operation(route: Route, references: dict) -> dict:
    described, roles = route.described, in_order(scope.needed(route.endpoint) or ())
    role = f"Role: {' or '.join(roles)}." if roles else "Needs no role."
    summary, _, rest = " ".join(route.words.split()).partition(". ")
    made = {
        "operationId": route.endpoint.rpartition(".")[2],
        "tags": [route.tag],
        "summary": summary.removesuffix("."),
        "description": f"{rest} {role}".strip(),
        "parameters": [_in_path(*each) for each in route.parameters] + _in_query(described.query),
        "responses": _responses(route, references),
    }
    if described.takes == BYTES:
        made["requestBody"] = {"required": True, "content": {BYTES: {"schema": {"type": "string", "format": "binary"}}}}
    elif described.body is not None:
        made["requestBody"] = {
            "required": True,
            "content": {JSON: {"schema": references[described.body, "validation"]}},
        }
    return made


def _in_path(converter: str, name: str) -> dict:
    return {"name": name, "in": "path", "required": True, "schema": CONVERTERS[converter]}


def _in_query(model: type[BaseModel]) -> list[dict]:
    fields = model.model_json_schema()["properties"] if model.model_fields else {}
    return [
        {
            "name": name,
            "in": "query",
            "required": model.model_fields[name].is_required(),
            "description": schema.pop("description", ""),
            "schema": _plain(schema),
        }
        for name, schema in fields.items()
    ]


def _plain(schema: dict) -> dict:
    """A parameter is there or not; it is never null."""
    members = [member for member in schema.get("anyOf", ()) if member != {"type": "null"}]
    kept = {
        key: value
        for key, value in schema.items()
        if key not in ("anyOf", "title", "default") or key == "default" and value is not None
    }
    return {**kept, **members[0]} if len(members) == 1 else kept


def _responses(route: Route, references: dict) -> dict:
    described = route.described
    schema = references[_model_of(described.answer), "serialization"]
    if get_origin(described.answer) is list:
        schema = {"type": "array", "items": schema}
    made = {
        str(status): {"description": "Done.", "content": {JSON: {"schema": schema}}} for status in described.statuses
    }
    refused: dict[int, list[str]] = {}
    for kind in dict.fromkeys((*described.refuses, *EVERY, *(EVERY_POST if route.method == "post" else ()))):
        refused.setdefault(PROBLEMS[kind][0], []).append(kind)
    for status, kinds in sorted(refused.items()):
        words = "; ".join(f"{PROBLEMS[kind][1]} (`{kind}`)" for kind in kinds)
        content = {CONTENT_TYPE: {"schema": references[ProblemDetails, "serialization"]}}
        made[str(status)] = {"description": f"{words}.", "content": content}
    return made
