"""Writes mappings/required_codes.py from the official R4 JSON schema: which codes an element with a required binding takes.

Run ``python -m tests.mappings.make_required_codes`` from the repository's root; SECOND_OPINION_DATA names the folder with the schema.
Lists of more than 200 codes (all resource types, all languages of a program) are left out: another check knows those types.
"""

import json
import os
import zipfile
from pathlib import Path

TARGET = Path(__file__).parents[2] / "mappings" / "required_codes.py"
HEAD = '''"""The codes that elements with a required binding take in FHIR R4; generated, do not edit.

Made by ``python -m tests.mappings.make_required_codes`` from the official R4 4.0.1 JSON schema.
"""

'''
MOST = 200


def render() -> str:
    """The text of mappings/required_codes.py."""
    with zipfile.ZipFile(Path(os.environ["SECOND_OPINION_DATA"], "r4-schema", "fhir.schema.json.zip")) as archive:
        schema = json.loads(archive.read(archive.namelist()[0]))
    lists: dict[tuple[str, ...], list[str]] = {}
    for name, definition in sorted(schema["definitions"].items()):
        for element, told in definition.get("properties", {}).items():
            codes = told.get("enum") or told.get("items", {}).get("enum")
            if codes and len(codes) <= MOST:
                lists.setdefault(tuple(codes), []).append(f"{name.replace('_', '')}.{element}")
    lines = [f"    ({' '.join(sorted(names))!r}, {' '.join(codes)!r}),\n" for codes, names in lists.items()]
    body = "_LISTS = (\n" + "".join(lines).replace("'", '"') + ")\n"
    return (
        HEAD
        + body
        + "REQUIRED_CODES: dict[str, frozenset[str]] = {\n"
        + "    name: frozenset(codes.split()) for names, codes in _LISTS for name in names.split()\n}\n"
    )


if __name__ == "__main__":
    TARGET.write_text(render(), encoding="utf-8")
