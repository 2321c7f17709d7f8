"""Says what is wrong with a file a person wrote: pydantic's errors with file, line, path and a right value.

No message holds a value of the file. With ``private`` (requests: patient data) not even a key that the model lacks.
"""

import difflib
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import ValidationError
from pydantic.fields import FieldInfo

from integration.settings.parts import KEY, SLUG
from integration.settings.yaml_lines import At, Document, Problem, scalar
from mappings.model.errors import Mistake

_SEQUENCES = (tuple, list)
_SILENT = {"default_factory_not_called"}  # says only that another field is wrong


def to_mistakes(problems: Iterable[Problem], *, model: type, file: str, private: bool = False) -> list[Mistake]:
    """Problems as mistakes, in the order of the file, each place and message once."""
    mistakes = [
        Mistake(file, problem.line, shown_path(problem.at, model, private=private), problem.message)
        for problem in problems
    ]
    return sorted(dict.fromkeys(mistakes), key=lambda mistake: (mistake.line or 0, mistake.path))


def validation_problems(
    error: ValidationError,
    document: Document,
    *,
    model: type,
    private: bool = False,
    refuse_key: Callable[[str], str | None] = lambda key: None,
) -> list[Problem]:
    """What pydantic found, once per place, with lines and advice. ``refuse_key`` may know more about an unknown key."""
    found: dict[At, Problem] = {}
    known = {problem.at for problem in document.problems}
    for item in error.errors(include_url=False, include_input=False):
        if item["type"] in _SILENT:
            continue
        at = _in_file(item["loc"], document.value, item["type"])
        if at in found or at in known or _is_echo(item, value_at(document.value, at)):
            continue
        message = _message(item, at, document.value, model=model, private=private, refuse_key=refuse_key)
        found[at] = Problem(at, document.line_of(at), message)
    return list(found.values())


def _is_echo(item: Any, value: Any) -> bool:
    """A list called too short only because its entries are wrong."""
    return item["type"] == "too_short" and isinstance(value, list) and len(value) >= item["ctx"]["min_length"]


def shown_path(at: At, model: type, *, private: bool = False) -> str:
    """``endpoints.clinic.base_url``, ``hosted[0].name``; keys a private file invents are shown as ``?``."""
    shown = ""
    for index, part in enumerate(at):
        if isinstance(part, int):
            shown += f"[{part}]"
            continue
        if private and field_at(model, at[: index + 1]) is None:
            part = "?"
        part = re.sub(r"\s+|[^ -\U0010ffff]", " ", part)[:60].strip() or "(empty key)"
        shown += f".{part}" if shown else part
    return shown


def fields_of(kind: Any) -> Mapping[str, FieldInfo]:
    """The public fields of a pydantic model or dataclass, else none."""
    fields = getattr(kind, "__pydantic_fields__", None) if isinstance(kind, type) else None
    return {name: info for name, info in (fields or {}).items() if not info.exclude}


def kinds(annotation: Any) -> Iterator[Any]:
    """The types an annotation allows, without Annotated and None."""
    origin = get_origin(annotation)
    if origin is Annotated:
        yield from kinds(get_args(annotation)[0])
    elif origin in (Union, UnionType):
        for member in get_args(annotation):
            yield from kinds(member)
    elif annotation is not type(None):
        yield annotation


def field_at(model: type, at: At) -> FieldInfo | None:
    """The field that ``at`` names, if the model has it."""
    names = [part for part in at if isinstance(part, str)]
    if not names or at[-1] != names[-1]:
        return None
    found = (fields_of(kind).get(names[-1]) for kind in _kinds_at(model, at[:-1]))
    return next((info for info in found if info is not None), None)


def _kinds_at(model: type, at: At) -> list[Any]:
    found: list[Any] = [model]
    for part in at:
        found = [kind for parent in found for kind in _inside(parent, part)]
    return found


def _inside(parent: Any, part: str | int) -> Iterator[Any]:
    if isinstance(part, str) and part in fields_of(parent):
        yield from kinds(fields_of(parent)[part].annotation)
    arguments = get_args(parent)
    if isinstance(part, int) and get_origin(parent) in _SEQUENCES and arguments:
        yield from kinds(arguments[0])
    if isinstance(part, str) and len(arguments) == 2 and get_origin(parent) not in _SEQUENCES:
        yield from kinds(arguments[1])


def known_keys(model: type, at: At) -> list[str]:
    """The keys that may stand in the group at ``at``."""
    return [name for kind in _kinds_at(model, at) for name in fields_of(kind)]


def _in_file(loc: tuple[str | int, ...], value: Any, kind: str) -> At:
    """pydantic's location without the parts it invents (names of union members)."""
    at: list[str | int] = []
    for index, part in enumerate(loc):
        last = index == len(loc) - 1
        if isinstance(value, Mapping) and part in value:
            value = value[part]
        elif isinstance(value, list) and isinstance(part, int) and part < len(value):
            value = value[part]
        elif not (last and kind == "missing" and isinstance(value, Mapping)):
            continue
        at.append(part)
    return tuple(at)


def _message(
    item: Any, at: At, root: Any, *, model: type, private: bool, refuse_key: Callable[[str], str | None]
) -> str:
    kind = item["type"]
    if kind in ("extra_forbidden", "unexpected_keyword_argument"):
        key = str(at[-1])
        return refuse_key(key) or _unknown_key(key, at[:-1], model=model)
    value = value_at(root, at)
    told = _TOLD.get(kind, _by_context)(item, value)
    if kind == "literal_error" and not private and isinstance(value, str):
        hint = nearest(value, re.findall(r"'([^']+)'", item["ctx"]["expected"]))
        return told + (hint or _example(model, at))
    return told if told.endswith(".") else told + _example(model, at)


def value_at(root: Any, at: At) -> Any:
    """What stands at ``at``; None where nothing does."""
    for part in at:
        try:
            root = root[part]
        except (KeyError, IndexError, TypeError):
            return None
    return root


def nearest(word: str, known: Iterable[str]) -> str:
    """``; did you mean `...`?`` or nothing."""
    by_fold = {_fold(name): name for name in known}
    close = difflib.get_close_matches(_fold(word), by_fold, n=1, cutoff=0.6)
    return f"; did you mean `{by_fold[close[0]]}`?" if close else ""


def listed(names: Iterable[str]) -> str:
    """The first few of what there is, to choose from."""
    known = list(names)
    shown = ", ".join(f"`{name}`" for name in known[:8]) + (", ..." if len(known) > 8 else "")
    return f"; known: {shown}" if known else "; there is none"


def _fold(word: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])|[-_ ]", "_", word).lower()


def _unknown_key(key: str, parent: At, *, model: type) -> str:
    known = known_keys(model, parent)
    hint = nearest(key, known)
    if hint:
        return f"is not a key here{hint}"
    for name in known:
        if key in known_keys(model, (*parent, name)):
            return f"is not a key here; it belongs under `{name}`"
    return "is not a key here; the keys are " + (", ".join(f"`{name}`" for name in known) or "none")


def _example(model: type, at: At) -> str:
    info = field_at(model, at)
    if info is None or not info.examples:
        return ""
    return f"; for example `{at[-1]}: {shown_example(info)}`"


def shown_example(info: FieldInfo) -> str:
    """The field's first example as one would write it in YAML."""
    example = info.examples[0] if info.examples else ""
    return example if isinstance(example, str) and date in kinds(info.annotation) else shown_value(example)


def shown_value(value: Any) -> str:
    """A value as one would write it in YAML, on one line."""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if not isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    plain = re.fullmatch(r"[\w/.+][^#]*", value) and ": " not in value and _means_itself(value)
    return value if plain else json.dumps(value, ensure_ascii=False)


def _means_itself(value: str) -> bool:
    try:
        return scalar(value) == value
    except ValueError:
        return False


def _text_wanted(item: Any, value: Any) -> str:
    if value is None:
        return "must not be empty"
    if isinstance(value, date | bool | int | float):
        written = "a date" if isinstance(value, date) else "true or false" if isinstance(value, bool) else "a number"
        return f"must be text, and this is {written}: put it in quotes"
    return "must be text, not a list or a group of keys"


def _flag_wanted(item: Any, value: Any) -> str:
    return "must be true or false, without quotes"


def _number_wanted(item: Any, value: Any) -> str:
    whole = "whole " if item["type"].startswith("int") else ""
    return f"must be a {whole}number, without quotes or unit"


def _date_wanted(item: Any, value: Any) -> str:
    return "must be a date, year-month-day"


def _group_wanted(item: Any, value: Any) -> str:
    return "must be a group of keys, each on its own line below"


def _list_wanted(item: Any, value: Any) -> str:
    return "must be a list, each entry on its own line after `- `"


def _choice_wanted(item: Any, value: Any) -> str:
    return "must be " + item["ctx"]["expected"].replace("'", "`")


def _our_words(item: Any, value: Any) -> str:
    return str(item["ctx"]["error"])


def _by_context(item: Any, value: Any) -> str:
    """Bounds and sizes; anything else is named by its kind only, for pydantic's words may repeat the value."""
    context = {key: bound for key, bound in item.get("ctx", {}).items() if key in _BOUNDS}
    told = [
        f"{_BOUNDS[key]} {bound:,}" if isinstance(bound, int | float) else f"{_BOUNDS[key]} {bound}"
        for key, bound in context.items()
    ]
    return f"must be {' and '.join(told)}" if told else f"is not valid ({item['type'].replace('_', ' ')})"


_BOUNDS = {
    "gt": "more than",
    "ge": "at least",
    "lt": "less than",
    "le": "at most",
    "min_length": "of length at least",
    "max_length": "of length at most",
}
_FORMS = {
    KEY: ": up to 63 letters, digits and . _ -, the first one a letter or a digit",
    SLUG: ": up to 64 small letters, digits and -, the first and the last one no -",
}
_TOLD: dict[str, Callable[[Any, Any], str]] = {
    "missing": lambda item, value: "is missing",
    "string_type": _text_wanted,
    "path_type": _text_wanted,
    "string_too_short": lambda item, value: "must not be empty",
    "too_short": lambda item, value: "must not be empty: give at least one",
    "string_pattern_mismatch": lambda item, value: (
        "is not of the expected form" + _FORMS.get(item["ctx"]["pattern"], "")
    ),
    "bool_type": _flag_wanted,
    "bool_parsing": _flag_wanted,
    "int_type": _number_wanted,
    "int_parsing": _number_wanted,
    "int_from_float": _number_wanted,
    "float_type": _number_wanted,
    "float_parsing": _number_wanted,
    "finite_number": _number_wanted,
    "date_type": _date_wanted,
    "date_parsing": _date_wanted,
    "date_from_datetime_parsing": _date_wanted,
    "date_from_datetime_inexact": _date_wanted,
    "model_type": _group_wanted,
    "model_attributes_type": _group_wanted,
    "dataclass_type": _group_wanted,
    "dict_type": _group_wanted,
    "mapping_type": _group_wanted,
    "tuple_type": _list_wanted,
    "list_type": _list_wanted,
    "literal_error": _choice_wanted,
    "value_error": _our_words,
}
