"""Charts nobody here wrote, and small resources, for the tests of references, Bundles and comparison."""

import copy
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from integration.fhir_json import loads
from mappings.bundle import draft, key_of, urn_of
from mappings.references import find_references

DATA = os.environ.get("SECOND_OPINION_DATA")
SYSTEM = "https://placer.example/ids"
BASE = "https://placer.example/fhir"
NAMES = ("Andy", "Darin", "Florentino", "Lavelle", "Librada", "Lourdes", "Loyd")

needs_data = pytest.mark.skipif(
    not DATA or not (Path(DATA) / "synthea").is_dir(),
    reason="SECOND_OPINION_DATA does not name the folder with the shared test data",
)


def chart(name: str) -> list[dict]:
    """The resources of one Synthea chart as a server would give them: urn:uuid replaced by Type/id."""
    path = next((Path(DATA or "") / "synthea").glob(f"{name}_*.json"))
    entries = loads(path.read_bytes())["entry"]
    key = {entry["fullUrl"]: f"{entry['resource']['resourceType']}/{entry['resource']['id']}" for entry in entries}
    return [_resolved(entry["resource"], key) for entry in entries]


def _resolved(resource: dict, key: dict[str, str]) -> dict:
    for found in find_references(resource):
        reference = found.reference.get("reference", "")
        found.reference.update({"reference": key[reference]} if reference in key else {})
    return resource


def resource(kind: str, logical_id: str, needs: Iterable[str] = ()) -> dict:
    """A resource that refers to ``needs`` (Type/id) through extensions, which may stand on every type."""
    extensions = [{"url": "https://example.org/needs", "valueReference": {"reference": key}} for key in needs]
    return {"resourceType": kind, "id": logical_id, **({"extension": extensions} if extensions else {})}


def cycle() -> list[dict]:
    """An Encounter with two diagnoses, each a Condition of that Encounter, of one patient."""
    return [
        {
            "resourceType": "Encounter",
            "id": "e",
            "subject": {"reference": "Patient/p"},
            "diagnosis": [{"condition": {"reference": "Condition/c1"}}, {"condition": {"reference": "Condition/c2"}}],
        },
        {
            "resourceType": "Condition",
            "id": "c1",
            "subject": {"reference": "Patient/p"},
            "encounter": {"reference": "Encounter/e"},
        },
        {
            "resourceType": "Condition",
            "id": "c2",
            "subject": {"reference": "Patient/p"},
            "encounter": {"reference": "Encounter/e"},
        },
        {"resourceType": "Patient", "id": "p"},
    ]


def at_target(resource: dict, links: dict[str, str]) -> dict:
    """What an honest server stores of a sent resource: its references by the ids it gave."""
    read = copy.deepcopy(resource)
    for found in find_references(read):
        text = found.reference.get("reference", "")
        if text:
            found.reference["reference"] = links[text] if text.startswith("urn:") else links.get(text, text)
    return read


def transaction(chunk: Sequence[dict], *, links: Mapping[str, str], identifier_system: str, **how: Any) -> dict:
    """A chunk as it is sent in one transaction: each by `draft`, its references inside the chunk as urn:uuid."""
    inside = {key_of(each): urn_of(identifier_system, key_of(each)) for each in chunk}
    known = {**links, **inside}
    drafts = [draft(each, links=known, identifier_system=identifier_system, **how) for each in chunk]
    return {"resourceType": "Bundle", "type": "transaction", "entry": [each.entry() for each in drafts]}


def for_update(resource: dict, *, links: Mapping[str, str], **how: Any) -> dict:
    """As it is sent to where ``links`` says it is."""
    body = draft(resource, links=links, allow_unidentified=True, **how).body
    return {"resourceType": body["resourceType"], "id": links[key_of(resource)].split("/")[1], **body}
