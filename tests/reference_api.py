"""docs/reference/api.md, made from the OpenAPI description, which is made from the routes; test_docs.py keeps it."""

import json
from typing import Any

from integration.web.api.document import openapi
from integration.web.problems import BASE, PROBLEMS

INTRODUCTION = f"""# API

What the operations pages do, for programs: JSON over HTTP, at `/api/` of the address of the pages. The same as OpenAPI 3.1 is served
at `/api/openapi.json`, and printed by `second-opinion api spec`. With sign-in on (`web.sign_in`), send a token that has the role a
route names, as `Authorization: Bearer TOKEN`; `second-opinion tokens add` makes one.

- **Filters** (`q`) are those of the search box. A patient identifier is refused in an address, because addresses are logged and shared:
  post the filter to `/api/search`, which answers one with the keyed hash.
- **Pages**: a list that has a `next` goes on with `after=` that; no row is lost or shown twice while others come.
- **Actions** need a `reason`, which is kept in the audit trail. With `seen` (what you saw) an action does nothing when things have moved
  on since, and says what changed: 409. Of two who do the same, one has the effect, and both are told.
- **Bodies** must be `application/json`, and when an `Origin` is sent it must be ours: so no page of another site can press a button.
- What a field or an address does not know is refused with a sentence. Times are ISO 8601, UTC.

## What can go wrong

Every error has one shape, [RFC 9457](https://www.rfc-editor.org/rfc/rfc9457) `application/problem+json`: `type`, `title`, `status`,
`detail` (a sentence: what is wrong and what to do), and `errors`, which names every mistake of the input with its `path`.

| Status | `type` is `{BASE}` and | Title |
|---|---|---|
"""


def api_page() -> str:
    """The page."""
    document = openapi()
    problems = "".join(f"| {status} | `{kind}` | {title} |\n" for kind, (status, title) in PROBLEMS.items())
    routes = "\n".join(
        _route(document, path, method, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    )
    answers = sorted(set(_answers(document)))
    models = "\n".join(_model(name, document["components"]["schemas"][name]) for name in answers)
    return f"{INTRODUCTION}{problems}\n## Routes\n\n{routes}\n## Answers\n\n{models}"


def _route(document: dict, path: str, method: str, operation: dict) -> str:
    success = next(answer for status, answer in operation["responses"].items() if status.startswith("2"))
    statuses = " or ".join(status for status in operation["responses"] if status.startswith("2"))
    schema = success["content"]["application/json"]["schema"]
    rows = [
        (each["name"], each["schema"], each["description"], each["required"])
        for each in operation["parameters"]
        if each["in"] == "query"
    ]
    text = f"### {method.upper()} {path}\n\n{operation['summary']}. {operation['description']}\n\nAnswers {statuses}: {_kind(schema)}.\n"
    if "application/octet-stream" in operation.get("requestBody", {}).get("content", ()):
        return f"{text}\nThe body is the file, as `application/octet-stream`.\n{_table(rows)}"
    if "requestBody" in operation:
        body = operation["requestBody"]["content"]["application/json"]["schema"]["$ref"].rsplit("/", 1)[1]
        if body == "SecondOpinionRequest":
            return text + "\nThe body is a [request file](request.md) as JSON.\n"
        rows += _fields(document["components"]["schemas"][body])
    return text + _table(rows)


def _fields(schema: dict) -> list[tuple[str, dict, str, bool]]:
    needed = schema.get("required", ())
    return [
        (name, field, field.get("description", ""), name in needed)
        for name, field in schema.get("properties", {}).items()
    ]


def _table(rows: list[tuple[str, dict, str, bool]]) -> str:
    if not rows:
        return ""
    lines = [
        f"| `{name}` | {_kind(schema)}{', required' if required else _default(schema)} | {words} |"
        for name, schema, words, required in rows
    ]
    return "\n| Give | Value | Meaning |\n|---|---|---|\n" + "\n".join(lines) + "\n"


def _default(schema: dict) -> str:
    return f", else `{json.dumps(schema['default'])}`" if schema.get("default") not in (None, "") else ""


def _answers(document: dict) -> list[str]:
    """Models of answers, those inside them too."""
    found = [
        _name(answer["content"]["application/json"]["schema"])
        for methods in document["paths"].values()
        for operation in methods.values()
        for status, answer in operation["responses"].items()
        if status.startswith("2")
    ]
    for name in found:
        found += [each for each in _named(document["components"]["schemas"][name]) if each not in found]
    return [name for name in found if name != "Document"]


def _named(schema: Any) -> list[str]:
    if isinstance(schema, dict):
        own = [schema["$ref"].rsplit("/", 1)[1]] if "$ref" in schema else []
        return own + [name for value in schema.values() for name in _named(value)]
    return [name for value in schema for name in _named(value)] if isinstance(schema, list) else []


def _name(schema: dict) -> str:
    return (schema.get("items") or schema)["$ref"].rsplit("/", 1)[1]


def _model(name: str, schema: dict) -> str:
    rows = "\n".join(f"| `{field}` | {_kind(value)} | {words} |" for field, value, words, _ in _fields(schema))
    return f"### {name}\n\n{schema.get('description', '').split(chr(10) * 2)[0]}\n\n| Field | Value | Meaning |\n|---|---|---|\n{rows}\n"


def _kind(schema: dict) -> str:
    if "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[1]
        return (
            f"[{name}](#{name.lower()})"
            if name not in ("StepSeen", "Document")
            else {"StepSeen": "`{lease_no, status}`", "Document": "OpenAPI"}[name]
        )
    if "anyOf" in schema:
        return " or ".join(_kind(each) for each in schema["anyOf"])
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    kind = schema.get("type")
    if kind == "array":
        return f"list of {_kind(schema['items'])}"
    if kind == "object":
        return (
            f"map of {_kind(schema['additionalProperties'])}"
            if isinstance(schema.get("additionalProperties"), dict)
            else "object"
        )
    return {
        "string": "time" if schema.get("format") == "date-time" else "text",
        "integer": "whole number",
        "boolean": "true or false",
        "null": "null",
        None: "anything",
    }.get(kind, kind)
