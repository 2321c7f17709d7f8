"""What is asked of a vendor-like server and what it answers."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

FHIR_JSON = "application/fhir+json"


@dataclass(frozen=True)
class Kind:
    """What may be done with a type: ``can`` as in a CapabilityStatement; ``search``: parameters that are evaluated;
    ``listed``: that the CapabilityStatement names too, and that change nothing."""

    can: tuple[str, ...]
    search: tuple[str, ...] = ()
    listed: tuple[str, ...] = ()


@dataclass(frozen=True)
class Asked:
    """One request; ``parts``: its path below the base address; ``query``: of its address, ``form``: of its body."""

    method: str
    parts: tuple[str, ...]
    query: list[tuple[str, str]]
    headers: Mapping[str, str]
    body: bytes

    @property
    def form(self) -> list[tuple[str, str]]:
        return parse_qsl(self.body.decode(), keep_blank_values=True)

    def prefers(self, what: str) -> bool:
        return f"return={what}" in self.headers.get("prefer", "")


@dataclass(frozen=True)
class Told:
    """One answer; ``body``: JSON, bytes, or None for an empty one."""

    status: int
    body: dict | list | bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    content_type: str = FHIR_JSON


@dataclass(frozen=True)
class Standing:
    """A document that stands at a vendor: ``written`` over its interface, or by the people there."""

    reference: str
    data: bytes
    written: bool
    resource: Mapping[str, Any]


def outcome(severity: str, code: str, words: str, *, vendor_code: str = "", at: str = "") -> dict:
    """An OperationOutcome with one issue."""
    return {"resourceType": "OperationOutcome", "issue": [issue(severity, code, words, vendor_code=vendor_code, at=at)]}


def issue(severity: str, code: str, words: str, *, vendor_code: str = "", at: str = "") -> dict:
    """One issue; ``vendor_code`` stands in its details."""
    details = {"details": {"coding": [{"code": vendor_code}], "text": words}} if vendor_code else {}
    where = {"expression": [at]} if at else {}
    return {"severity": severity, "code": code, **details, "diagnostics": words, **where}
