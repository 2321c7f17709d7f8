"""Loads US Core StructureDefinitions, ValueSets and CodeSystems into a server, so that `$validate` knows them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import requests

US_CORE_VERSION = "9.0.0"
LOAD_SECONDS = 120


def load_us_core(base_url: str, profiles: Path, version: str = US_CORE_VERSION) -> int:
    """Store every file of the folder in one transaction, and return how many there were."""
    entries = [_entry(path, version) for path in sorted(profiles.glob("*.json"))]
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
    with requests.Session() as session:
        session.trust_env = False
        session.post(base_url, json=bundle, timeout=LOAD_SECONDS).raise_for_status()
    return len(entries)


def _entry(path: Path, version: str) -> dict[str, Any]:
    """The source files carry old versions or none; a published guide has one for all, which `url|version` needs."""
    resource = json.loads(path.read_bytes()) | {"version": version}
    url = f"{resource['resourceType']}/{resource['id']}"
    return {"resource": resource, "request": {"method": "PUT", "url": url}}
