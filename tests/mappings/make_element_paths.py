"""Writes mappings/element_paths.py: where References, Attachments and resources may stand in FHIR R4.

Run ``python -m tests.mappings.make_element_paths`` from the repository's root to write it again.
The classes of fhirclient are R4 4.0.1; fhir.resources has only R4B (4.3). Both are read, R4 wins where they differ,
so that a resource of an R4B server is walked as well.
"""

import importlib
import json
import pkgutil
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path

import fhirclient.models as r4
from fhir.resources.R4B import fhirtypes, get_fhir_model_class

TARGET = Path(__file__).parents[2] / "mappings" / "element_paths.py"
GOALS = frozenset({"Reference", "Attachment", "Resource"})
ABSTRACT = frozenset({"Resource", "DomainResource"})
Types = dict[str, dict[str, tuple[str, bool]]]  # type -> element -> (its type, does it repeat)

HEAD = '''"""Where References, Attachments and resources stand in FHIR R4; generated, do not edit.

Made by ``python -m tests.mappings.make_element_paths`` (R4 4.0.1, and what R4B 4.3 adds).
"""

'''


def render() -> str:
    """The text of mappings/element_paths.py."""
    types, resources = read_types()
    leading = _leading(types)
    identifier = {
        name: "many" if types[name]["identifier"][1] else "single"
        for name in sorted(resources)
        if types[name].get("identifier", ("",))[0] == "Identifier"
    }
    cardinality = {name: identifier.get(name, "none") for name in sorted(resources)}
    return "".join(
        [
            HEAD,
            'from typing import Literal\n\nCardinality = Literal["many", "single", "none"]\n'
            "# Every resource type -> how many identifiers it holds: many, single or none.\n",
            f"IDENTIFIERS: dict[str, Cardinality] = {_dump(cardinality)}\n\n",
            "# Type -> element -> type of the element, for the elements that lead to one of the three.\n"
            "# `extension` is not listed: it may stand everywhere.\n",
            f"ELEMENTS: dict[str, dict[str, str]] = {_dump(leading)}\n",
        ]
    )


def read_types() -> tuple[Types, set[str]]:
    """All types of both versions, and the names of the resources among them."""
    types, resources = {}, set()
    for name, is_resource, elements in [*_r4b_classes(), *_r4_classes()]:
        types.setdefault(name, {}).update(elements)
        if is_resource and name not in ABSTRACT:
            resources.add(name)
    return types, resources


def _r4_classes() -> Iterator[tuple[str, bool, dict]]:
    resource = importlib.import_module("fhirclient.models.resource").Resource
    for cls in _fhirclient_classes():
        elements = {name: (_plain(kind), is_list) for _, name, kind, is_list, _, _ in cls().elementProperties()}
        yield _plain(cls), issubclass(cls, resource), elements


def _plain(cls: type) -> str:
    return "Reference" if cls.__name__ == "FHIRReference" else cls.__name__


def _fhirclient_classes() -> list[type]:
    base = importlib.import_module("fhirclient.models.fhirabstractbase").FHIRAbstractBase
    modules = [
        importlib.import_module(f"fhirclient.models.{info.name}")
        for info in pkgutil.iter_modules(r4.__path__)
        if not info.name.endswith(("_test", "_tests"))
    ]
    classes = {
        value
        for module in modules
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, base)
    }
    return sorted((cls for cls in classes if not cls.__name__.startswith("FHIRAbstract")), key=lambda cls: cls.__name__)


def _r4b_classes() -> Iterator[tuple[str, bool, dict]]:
    resource = get_fhir_model_class("Resource")
    for name in sorted(_r4b_names()):
        cls = get_fhir_model_class(name)
        elements = {field.alias or key: _r4b_element(field.annotation) for key, field in cls.model_fields.items()}
        yield name, issubclass(cls, resource), elements


def _r4b_names() -> set[str]:
    named = {name.removesuffix("Type") for name, value in vars(fhirtypes).items() if hasattr(value, "get_model_klass")}
    return {name for name in named if not name.startswith("FHIR")}


def _r4b_element(annotation: object) -> tuple[str, bool]:
    """('Reference', True) of Optional[List[abc.ReferenceType]]; a primitive comes out as ('', ...)."""
    found = re.search(r"abc\.(\w+)Type\b", str(annotation))
    return (found[1] if found else ""), "List[" in str(annotation)


def _leading(types: Types) -> dict[str, dict[str, str]]:
    """Only the elements from which a goal can be reached."""
    kept = {
        name: {key: kind for key, (kind, _) in elements.items() if key not in ("extension", "modifierExtension")}
        for name, elements in types.items()
    }
    leads = set(GOALS)
    while True:
        more = {name for name, elements in kept.items() if name not in leads and leads & set(elements.values())}
        if not more:
            break
        leads |= more
    pruned = {
        name: {key: kind for key, kind in sorted(elements.items()) if kind in leads}
        for name, elements in sorted(kept.items())
    }
    return {name: elements for name, elements in pruned.items() if elements and name not in ABSTRACT}


def _dump(value: dict) -> str:
    return "".join(["{\n", *(_entry(key, item) for key, item in value.items()), "}"])


def _entry(key: str, item: str | dict[str, str]) -> str:
    line = f"    {json.dumps(key)}: {json.dumps(item)},\n"
    if len(line) <= 120:
        return line
    pairs = json.dumps(item)[1:-1].replace('": "', '":\0"')  # \0: a pair is never split over two lines
    inner = textwrap.fill(pairs, 111, break_long_words=False, break_on_hyphens=False).replace("\0", " ")
    return f"    {json.dumps(key)}: {{\n{textwrap.indent(inner, ' ' * 8)},\n    }},\n"


if __name__ == "__main__":
    TARGET.write_text(render(), encoding="utf-8")
