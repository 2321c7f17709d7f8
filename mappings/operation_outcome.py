"""FHIR's own error message, written for those who call us and read from those we call."""

import re
from typing import Any

from mappings.codes import as_dict, as_dicts, as_list, as_text, one_of

SEVERITIES = ("fatal", "error", "warning", "information")
# https://hl7.org/fhir/R4/valueset-issue-type.html
ISSUE_TYPES = (
    "invalid",
    "structure",
    "required",
    "value",
    "invariant",
    "security",
    "login",
    "unknown",
    "expired",
    "forbidden",
    "suppressed",
    "processing",
    "not-supported",
    "duplicate",
    "multiple-matches",
    "not-found",
    "deleted",
    "too-long",
    "code-invalid",
    "extension",
    "too-costly",
    "business-rule",
    "conflict",
    "transient",
    "lock-error",
    "no-store",
    "exception",
    "timeout",
    "incomplete",
    "throttled",
    "informational",
)
_SERVER_CODE = re.compile(r"\b[A-Z]{2,8}-\d{3,5}\b")


def to_outcome(severity: str, code: str, diagnostics: str, expression: str | None = None) -> dict:
    """An OperationOutcome of one issue. https://hl7.org/fhir/R4/operationoutcome.html"""
    issue: dict = {
        "severity": one_of(severity, SEVERITIES, "OperationOutcome.issue.severity"),
        "code": one_of(code, ISSUE_TYPES, "OperationOutcome.issue.code"),
        "diagnostics": diagnostics,
    }
    if expression:
        issue["expression"] = [expression]
    return {"resourceType": "OperationOutcome", "issue": [issue]}


def sentences(outcome: Any) -> list[str]:
    """One sentence an issue: severity, code, where, diagnostics.

    Diagnostics are the other system's words and may quote the resource: show them to an operator, never log them.
    """
    return [
        ": ".join(part for part in (_head(issue), as_text(issue.get("diagnostics"))) if part)
        for issue in _issues(outcome)
    ]


def causes(outcome: Any) -> list[str]:
    """The same without anything another system wrote freely: fit for a log line."""
    return [" ".join(part for part in (_head(issue), _server_code(issue)) if part) for issue in _issues(outcome)]


def _issues(outcome: Any) -> list[dict]:
    if as_dict(outcome).get("resourceType") != "OperationOutcome":
        return []
    return as_dicts(outcome.get("issue"))


def _head(issue: dict) -> str:
    severity = issue.get("severity") if issue.get("severity") in SEVERITIES else "error"
    code = issue.get("code") if issue.get("code") in ISSUE_TYPES else "unknown"
    where = ", ".join(_paths(issue))
    return f"{severity} {code} at {where}" if where else f"{severity} {code}"


def _paths(issue: dict) -> list[str]:
    # Some servers fill only the older `location`, some put whole sentences in there: paths have no spaces.
    for name in ("expression", "location"):
        paths = [
            path
            for path in as_list(issue.get(name))
            if isinstance(path, str) and re.fullmatch(r"[\w.\[\]()/@*:-]{1,120}", path)
        ]
        if paths:
            return paths
    return []


def _server_code(issue: dict) -> str:
    found = _SERVER_CODE.search(as_text(issue.get("diagnostics")) or "")
    return f"({found.group()})" if found else ""
