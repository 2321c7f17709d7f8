"""docs/reference/checks.md: what a check says of each vendor-like server. `python -m tests.reference_checks` writes it anew."""

import json
import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

from integration.fhir.exchanges import ignore
from integration.fhir.servers import Servers
from integration.settings.config import load_config
from jobs.upkeep import endpoint_check
from jobs.upkeep.endpoint_check import TestPatient, examined
from second_opinion.endpoint_check import lines
from tests.servers.vendors.athena import Athena
from tests.servers.vendors.charts import load
from tests.servers.vendors.epic import Epic
from tests.servers.vendors.meditech import Meditech
from tests.servers.vendors.oracle_health import OracleHealth
from tests.servers.vendors.vendor import Vendor

PAGE = Path(__file__).parent.parent / "docs" / "reference" / "checks.md"
# Epic and athenahealth say whose software it is; of the others a person has to know it.
VENDORS: tuple[tuple[type[Vendor], str, dict[str, str]], ...] = (
    (Epic, "epic", {}),
    (OracleHealth, "oracle", {"profile": "oracle-health"}),
    (Athena, "athena", {}),
    (Meditech, "meditech", {"profile": "meditech"}),
)
_NAMED = re.compile(r"\b([A-Z][A-Za-z]+)/[A-Za-z0-9.-]*[A-Za-z0-9]")


def check_of(
    vendor: Vendor, key: str, *, encounter: bool = True, **more: Any
) -> tuple[dict[str, Any], tuple[str, str]]:
    """What a check with a test patient finds there, and ``(Patient/id, Encounter/id)`` of that patient."""
    about, visit = load(vendor, results=5)
    one = {"base_url": vendor.url, "role": "both", **more}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "config.yaml"
        file.write_text(json.dumps({"data_dir": folder, "endpoints": {key: one}}))
        config = load_config(file, {})
        who = TestPatient(about, write=True, encounter=visit if encounter else None)
        with _no_database():
            found = examined(config, None, Servers(config), key, who)  # type: ignore[arg-type]
    return found, (about, visit)


@contextmanager
def _no_database() -> Iterator[None]:
    """The gate records in a database what leaves; here nothing does."""

    def ungated(engine: object, servers: Servers, endpoint: str, *_: object) -> Any:
        return servers.server(endpoint).observed(ignore, lambda going: None)

    with patch.object(endpoint_check, "for_a_person", ungated):
        yield


def checks_page() -> str:
    """docs/reference/checks.md"""
    return f"""<!-- Made from what the check says of tests/servers/vendors by tests/reference_checks.py; do not edit. -->
# What a check says

`second-opinion endpoints check` tries what our flow needs ([how](../how-to/connect-an-ehr.md#3-check-it)). Here is what it says of the
servers of `tests/servers/vendors/`, which behave as those vendors publish theirs, or as they were met in their sandboxes: each as a
placer and a fulfiller, with a test patient and leave to write. A site's own server may differ; ids are left out. A document that was
written at Epic or Oracle Health cannot be taken away again, so it is said where it stays.

{"".join(_section(*each) for each in VENDORS)}"""


def _section(make: type[Vendor], key: str, more: Mapping[str, Any]) -> str:
    with make() as vendor:
        found, _ = check_of(vendor, key, **more)
    said = masked(lines({**found, "changed_since": []}))
    words = f"second-opinion endpoints check {key} --patient Patient/ID --write --encounter Encounter/ID"
    return f"## {make.__name__}\n\n```\n$ {words}\n{said}\n```\n\n"


def masked(text: str) -> str:
    """Without what differs each time: addresses, ids, and the words of a test document."""
    text = re.sub(r"http://127\.0\.0\.1:\d+[^\s,]*", "https://ehr.example.org/r4", text)
    text = re.sub(r"SOE ref check-[0-9a-f]+-1", "SOE ref check-…-1", text)
    return _NAMED.sub(lambda found: found[0] if found[0].startswith("SOE") else f"{found[1]}/ID", text)


if __name__ == "__main__":
    PAGE.write_text(checks_page(), encoding="utf-8")
