"""A request in the form for clinicians and back: what the form cannot show stays, what nobody touched is not changed."""

import copy
import json
from dataclasses import replace
from typing import Any

from integration.settings.request_file import load_request
from integration.views.texts import t
from integration.web import world
from integration.web.coordinator import request_fields
from integration.web.coordinator.request_fields import ICD, NPI, Field
from mappings.model.request import SecondOpinionRequest
from mappings.revision import FIXED, Change
from mappings.specialties import offered

Sections = list[tuple[str, list[Field]]]
# Lists of which the form shows one: that of this system.
_SYSTEMS = {
    "requester.identifiers[0].value": NPI,
    "first_opinion.doctor.identifiers[0].value": NPI,
    "consultant.identifiers[0].value": NPI,
    "first_opinion.diagnosis.codes[0].code": ICD,
}


def sections(request: SecondOpinionRequest) -> Sections:
    """The fields that can be corrected; a specialty that the form does not offer stays a choice."""
    shown = [
        (name, [_offering(field, request) for field in some if field.path not in FIXED])
        for name, some in request_fields.fields()
    ]
    in_case = request.follows is not None or request.requisition is not None
    return [(name, some) for name, some in shown if some and (in_case or name != request_fields.EARLIER)]


def shown(request: SecondOpinionRequest) -> dict[str, str]:
    """What the form shows of a request, by field."""
    whole = request.model_dump(mode="json", exclude_none=True)
    return {field.path: _text(_get(whole, field.path)) for _, some in sections(request) for field in some}


def corrected(base: SecondOpinionRequest, before: dict[str, str], typed: dict[str, str]) -> SecondOpinionRequest:
    """``base`` with the fields changed in which ``typed`` differs from what was shown ``before``. Raises RequestError."""
    made = copy.deepcopy(base.model_dump(mode="json", exclude_none=True))
    for path, value in typed.items():
        if path in before and _plain(value) != _plain(before[path]):
            _set(made, path, _plain(value))
    return load_request(json.dumps(_pruned(made) or {}).encode(), "form", endpoints=world.config().endpoints)


def with_changes(present: dict[str, str], before: dict[str, str], typed: dict[str, str]) -> dict[str, str]:
    """What is shown now, with what a person changed in what they were shown before."""
    return {
        path: typed[path] if path in typed and _plain(typed[path]) != _plain(before.get(path, "")) else value
        for path, value in present.items()
    }


def label(change: Change) -> str:
    """A changed value for people: section and field of the form, else its path."""
    for section, some in request_fields.fields():
        for field in some:
            if field.path.removesuffix("[0]") == change.path:
                return f"{t(f'new.section.{section}')}: {t(f'new.{field.label}')}"
    return change.path


def _offering(field: Field, request: SecondOpinionRequest) -> Field:
    if field.path != "specialty.code" or request.specialty is None or request.specialty.code in dict(field.choices):
        return field
    own = (request.specialty.code, request.specialty.display or request.specialty.code)
    return replace(field, choices=(own, *field.choices))


def _text(value: object) -> str:
    return "\n".join(value) if isinstance(value, list) else "" if value is None else str(value)


def _plain(value: str) -> str:
    return value.replace("\r\n", "\n").strip()


def _parts(path: str) -> list[tuple[str, bool]]:
    """``[(name, is the first of a list)]``"""
    return [(part.partition("[")[0], "[" in part) for part in path.split(".")]


def _get(whole: dict, path: str) -> Any:
    found: Any = whole
    for name, listed in _parts(path):
        found = found.get(name) if isinstance(found, dict) else None
        if listed and isinstance(found, list):
            found = (
                next((each for each in found if _SYSTEMS.get(path) in (None, each.get("system"))), None)
                if path in _SYSTEMS
                else next(iter(found), None)
            )
    return found


def _set(whole: dict, path: str, value: str) -> None:
    """Write one field; an empty one is taken away."""
    *parents, (last, listed) = _parts(path)
    at = whole
    for name, in_list in parents:
        at = _first_of(at.setdefault(name, []), path, value) if in_list else at.setdefault(name, {})
    if listed:
        at[last] = [value, *(at.get(last) or [])[1:]] if value else (at.get(last) or [])[1:]
    elif path == "patient_questions":
        at[last] = [line.strip() for line in value.splitlines() if line.strip()]
    elif path == "specialty.code" and value:
        at.clear()
        at |= offered(value, request_fields.loaded_specialties())
    elif value:
        at[last] = value
    elif path in _SYSTEMS or path == "specialty.code":
        at.clear()
    else:
        at.pop(last, None)


def _first_of(some: list, path: str, value: str) -> dict:
    """The item of a list that the form shows; a new one before the others when there is none."""
    system = _SYSTEMS.get(path)
    found = next((each for each in some if system in (None, each.get("system"))), None)
    if found is None:
        found = {"system": system} if system and value else {}
        some.insert(0, found)
    return found


def _pruned(value: Any) -> Any:
    """Without what became empty: an identifier, then perhaps the person."""
    if isinstance(value, dict):
        made = {name: _pruned(inner) for name, inner in value.items()}
        return {name: inner for name, inner in made.items() if inner not in (None, {}, [])} or None
    if isinstance(value, list):
        return [inner for inner in map(_pruned, value) if inner not in (None, {}, [])] or None
    return value
