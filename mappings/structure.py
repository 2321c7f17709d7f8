"""Is a resource built as FHIR R4 says? The models of fhir.resources say it, element by element; nothing is changed.

They are walked, not filled: a filled model takes "true" for true, stops at the first missing element, and writes dates
anew. Its R4B differs from R4 in a few types (``NOT_IN_R4B``); of those only the shape common to all resources is known.

https://hl7.org/fhir/R4/json.html
"""

import base64
import re
import typing
from collections.abc import Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import cache
from typing import Any

from mappings.required_codes import REQUIRED_CODES

# Of R4, gone from R4B or made anew there; none of them is part of a patient's chart.
NOT_IN_R4B = frozenset(
    "EffectEvidenceSynthesis Evidence EvidenceVariable MedicinalProduct MedicinalProductAuthorization "
    "MedicinalProductContraindication MedicinalProductIndication MedicinalProductIngredient "
    "MedicinalProductInteraction MedicinalProductManufactured MedicinalProductPackaged MedicinalProductPharmaceutical "
    "MedicinalProductUndesirableEffect RiskEvidenceSynthesis SubstanceNucleicAcid SubstancePolymer SubstanceProtein "
    "SubstanceReferenceInformation SubstanceSourceMaterial SubstanceSpecification".split()
)
_TIMES = frozenset({"DateTime", "Instant", "Date"})
_NUMBERS = {"Integer": (int,), "PositiveInt": (int,), "UnsignedInt": (int,), "Decimal": (int, Decimal, float)}
# A time of day as real records write it, also without a zone or with 24:00.
_LOOSE_TIME = re.compile(r"(\d{4}-\d\d-\d\d)[T ]\d\d:\d\d(:\d\d(\.\d+)?)?\s?(Z|[+-]\d\d:?\d\d)?")
_TIME = re.compile(r"([01]\d|2[0-4]):[0-5]\d(:[0-6]\d(\.\d+)?)?")
ISSUES_AT_MOST = 50


@dataclass(frozen=True)
class StructureIssue:
    """One thing that is not as R4 says. ``code`` is from http://hl7.org/fhir/issue-type, ``path`` a FHIRPath; no values.

    ``severity`` error: nobody can read it as what it says it is. warning: it breaks a rule and can be read.
    """

    severity: str
    code: str
    path: str
    message: str


@dataclass(frozen=True)
class Element:
    """What R4 says of one element. ``model`` of a complex type, ``primitive`` of another, neither: any resource."""

    name: str
    repeats: bool = False
    model: Any = None
    primitive: str = ""
    annotation: Any = None
    is_required: bool = False
    choice: str = ""
    choice_required: bool = False
    codes: frozenset[str] | None = None


def structure_issues(resource: Any, path: str = "") -> list[StructureIssue]:
    """What is not as R4 says in a resource, at most ISSUES_AT_MOST: errors first, in the order of the resource."""
    found = []
    for issue in _resource(resource, path or _type_of(resource) or "Resource"):
        found.append(issue)
        if len(found) == 4 * ISSUES_AT_MOST:
            break
    return sorted(found, key=lambda each: each.severity != "error")[:ISSUES_AT_MOST]


def _type_of(resource: Any) -> str | None:
    type_ = resource.get("resourceType") if isinstance(resource, dict) else None
    return type_ if isinstance(type_, str) else None


def _resource(value: Any, path: str) -> Iterator[StructureIssue]:
    type_ = _type_of(value)
    if type_ is None:
        yield _error("structure", path, "A resource is an object with a resourceType.")
    elif type_ not in NOT_IN_R4B:
        model = _model(type_)
        if model is None:
            yield _error("not-supported", path, "The resourceType is no resource type of FHIR R4.")
        else:
            yield from _object(value, model, path, is_resource=True)


def _object(value: dict, model: Any, path: str, *, is_resource: bool = False) -> Iterator[StructureIssue]:
    elements = _elements(model)
    for name, given in value.items():
        if name == "resourceType" and is_resource:
            continue
        element = elements.get(name)
        if element is None:
            yield _error("structure", f"{path}.{shown_name(name)}", "R4 has no such element here.")
        elif name.startswith("_"):
            yield from _extensions(given, element, f"{path}.{name[1:]}")
        else:
            yield from _element(given, element, f"{path}.{name}", has_extensions=f"_{name}" in value)
    yield from _required(value, elements, path)
    yield from _choices(value, elements, path)


def _required(value: dict, elements: dict[str, Element], path: str) -> Iterator[StructureIssue]:
    for name, element in elements.items():
        if element.is_required and name not in value and f"_{name}" not in value:
            yield _warning("required", f"{path}.{name}", "This element is required and missing.")
    needed = {element.choice for element in elements.values() if element.choice_required}
    for choice in sorted(needed):
        names = [name for name, element in elements.items() if element.choice == choice]
        if not any(name in value or f"_{name}" in value for name in names):
            yield _warning("required", f"{path}.{choice}[x]", "This element is required and missing.")


def _choices(value: dict, elements: dict[str, Element], path: str) -> Iterator[StructureIssue]:
    given: dict[str, int] = {}
    for name in value:
        element = elements.get(name)
        if element is not None and element.choice and not name.startswith("_"):
            given[element.choice] = given.get(element.choice, 0) + 1
    for choice, times in given.items():
        if times > 1:
            yield _error("structure", f"{path}.{choice}[x]", "This element has one value of one type; more were sent.")


def _element(value: Any, element: Element, path: str, *, has_extensions: bool) -> Iterator[StructureIssue]:
    if element.repeats != isinstance(value, list):
        yield _error(
            "structure", path, "This element repeats: a list." if element.repeats else "This element is no list."
        )
        return
    if element.repeats and not value:
        yield _warning("structure", path, "An empty list is left out in FHIR.")
    for place, each in _places(value, path):
        if each is None and element.repeats and element.primitive and has_extensions:
            continue
        yield from _one(each, element, place)


def _places(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, list):
        yield from ((f"{path}[{number}]", each) for number, each in enumerate(value))
    else:
        yield path, value


def _one(value: Any, element: Element, path: str) -> Iterator[StructureIssue]:
    if element.primitive:
        yield from _primitive(value, element, path)
    elif not isinstance(value, dict):
        yield _error("structure", path, "This element is an object.")
    elif element.model is None:
        yield from _resource(value, path)
    else:
        yield from _object(value, element.model, path)


def _extensions(value: Any, element: Element, path: str) -> Iterator[StructureIssue]:
    """What stands beside a primitive: its id and extensions (https://hl7.org/fhir/R4/json.html#primitive)."""
    if element.repeats != isinstance(value, list):
        yield _error("structure", path, "What stands beside a primitive has its shape: a list beside a list.")
        return
    for place, each in _places(value, path):
        if each is None and element.repeats:
            continue
        if not isinstance(each, dict):
            yield _error("structure", place, "What stands beside a primitive is an object with id and extension.")
        else:
            yield from _object(each, element.model, place)


def _primitive(value: Any, element: Element, path: str) -> Iterator[StructureIssue]:
    kind = element.primitive
    if kind == "Boolean":
        if not isinstance(value, bool):
            yield _error("structure", path, "This element is true or false.")
    elif kind in _NUMBERS:
        if isinstance(value, bool) or not isinstance(value, _NUMBERS[kind]):
            yield _error("structure", path, "This element is a number.")
        elif kind != "Decimal" and not _fits(value, element):
            yield _warning("value", path, f"The number is none that {_type_name(kind)} takes.")
    elif not isinstance(value, str):
        yield _error("structure", path, "This element is a text.")
    else:
        yield from _text(value, element, path)


def _text(value: str, element: Element, path: str) -> Iterator[StructureIssue]:
    kind = element.primitive
    if not value.strip():
        yield _warning("value", path, "An empty text is left out in FHIR.")
    elif kind == "Base64Binary":
        if not _is_base64(value):
            yield _error("value", path, "This is not base64.")
    elif kind == "Time":
        if not _TIME.fullmatch(value):
            yield _error("value", path, "This is no time such as 08:30:00.")
    elif kind == "Xhtml":
        return
    elif element.codes is not None and value not in element.codes:
        known = ", ".join(sorted(element.codes)) if len(element.codes) <= 20 else f"{len(element.codes)} codes"
        yield _warning("code-invalid", path, f"The code is not in the required value set, which has {known}.")
    elif not _fits(value, element):
        readable = kind not in _TIMES or _is_loose_time(value)
        told = f"This is no {_type_name(kind)} as FHIR writes it."
        yield _warning("value", path, told) if readable else _error("value", path, told)


def _is_loose_time(value: str) -> bool:
    loose = _LOOSE_TIME.fullmatch(value.strip())
    return _adapter(_elements(_model("Patient"))["birthDate"].annotation).is_valid(loose[1] if loose else value.strip())


def _is_base64(value: str) -> bool:
    try:
        base64.b64decode("".join(value.split()), validate=True)
    except ValueError:
        return False
    return True


def _is_valid(adapter: Any, value: Any) -> bool:
    try:
        adapter.validate_python(value)
    except (ValueError, ArithmeticError):
        return False
    return True


class _Adapter:
    """Asks fhir.resources whether a value is of a type."""

    def __init__(self, annotation: Any):
        from pydantic import TypeAdapter

        self._adapter = TypeAdapter(annotation)

    def is_valid(self, value: Any) -> bool:
        """True when it is."""
        return _is_valid(self._adapter, value)


@cache
def _adapter(annotation: Any) -> _Adapter:
    return _Adapter(annotation)


def _fits(value: Any, element: Element) -> bool:
    if element.primitive == "String":
        return True
    return _adapter(element.annotation).is_valid(value)


@cache
def _model(type_: str) -> Any:
    from fhir.resources.R4B import get_fhir_model_class

    try:
        model = get_fhir_model_class(type_)
    except (ValueError, KeyError):
        return None
    return model if model.has_resource_base() else None


@cache
def _elements(model: Any) -> dict[str, Element]:
    """The elements of a type by their JSON names; ``_name`` for what may stand beside a primitive."""
    from fhir.resources.R4B import get_fhir_model_class

    beside = get_fhir_model_class("FHIRPrimitiveExtension")
    elements: dict[str, Element] = {}
    for field_name, field in model.model_fields.items():
        name = field.alias or field_name
        if name in ("fhir_comments", "resource_type", "resourceType") or name.startswith("_"):
            continue
        element = _read_element(name, field, _definition(model))
        elements[name] = element
        if element.primitive:
            elements[f"_{name}"] = replace(
                element, primitive="", model=beside, is_required=False, choice_required=False
            )
    elements.setdefault("id", Element("id", primitive="String"))
    return elements


def _definition(model: Any) -> str:
    """Its name in the definitions of R4: ``Observation_Component`` for the class ObservationComponent."""
    return model.__name__


def _read_element(name: str, field: Any, definition: str) -> Element:
    extra = field.json_schema_extra or {}
    inner, repeats = _inner(field.annotation)
    read = Element(
        name,
        repeats,
        is_required=bool(field.is_required() or extra.get("element_required")),
        choice=extra.get("one_of_many") or "",
        choice_required=bool(extra.get("one_of_many_required")),
        codes=REQUIRED_CODES.get(f"{definition}.{name}"),
    )
    if inner is bool:
        return replace(read, primitive="Boolean")
    marks = getattr(inner, "__metadata__", None)
    if marks:
        return replace(read, primitive=type(marks[0]).__name__, annotation=inner)
    if inner.__name__ == "ResourceType":
        return read
    return replace(read, model=inner.get_model_klass())


def _inner(annotation: Any) -> tuple[Any, bool]:
    """The type of one value, and does it repeat? ``Optional[List[Optional[X]]]`` is (X, True)."""
    repeats = False
    while True:
        origin = typing.get_origin(annotation)
        if origin is list:
            repeats, annotation = True, typing.get_args(annotation)[0]
        elif origin is not None and type(None) in typing.get_args(annotation):
            annotation = next(each for each in typing.get_args(annotation) if each is not type(None))
        else:
            return annotation, repeats


def _type_name(kind: str) -> str:
    return kind[0].lower() + kind[1:]


def shown_name(name: str) -> str:
    """A name somebody made up may be as long as a record: only what looks like an element's name is repeated."""
    return name if re.fullmatch(r"_?[A-Za-z][A-Za-z0-9]{0,39}", name) else "?"


def _error(code: str, path: str, message: str) -> StructureIssue:
    return StructureIssue("error", code, path, message)


def _warning(code: str, path: str, message: str) -> StructureIssue:
    return StructureIssue("warning", code, path, message)
