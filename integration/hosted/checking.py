"""What is written here is built as R4 says: what nobody can read is refused, a bent rule is told and kept as a finding."""

import re
from typing import Any

from integration.hosted.outcomes import Refusal, outcome_of
from mappings.model.findings import Finding
from mappings.structure import StructureIssue, structure_issues

BROKEN_RULE = "hosted-breaks-a-rule"


def check(resource: dict[str, Any], path: str = "", *, strict: bool) -> list[StructureIssue]:
    """The rules a resource bends. Raises Refusal when nobody can read it as R4, or ``strict`` and it bends any."""
    issues = structure_issues(resource, path)
    errors = [each for each in issues if each.severity == "error"]
    if errors:
        raise _refusal(400, errors)
    if issues and strict:
        raise _refusal(422, issues)
    return issues


def outcome(warnings: list[StructureIssue]) -> dict[str, Any]:
    """What ``Prefer: return=OperationOutcome`` is answered with: every warning, or that there is none."""
    issues = [_issue(each) for each in warnings]
    return outcome_of(issues or [{"severity": "information", "code": "informational", "diagnostics": "Stored."}])


def finding_of(warning: StructureIssue, type_: str, id_: str) -> Finding:
    """For the operator: one for each place in a type, which names the newest resource that bends the rule there."""
    inside = warning.path.partition(".resource.")[2] if warning.path.startswith("Bundle.entry[") else ""
    place = re.sub(r"\[\d+\]", "", f"{type_}.{inside}" if inside else warning.path)
    return Finding(BROKEN_RULE, f"{type_}/{id_} was stored here and bends a rule of FHIR: {warning.message}", place)


def _refusal(status: int, issues: list[StructureIssue]) -> Refusal:
    first = issues[0]
    refusal = Refusal(status, first.code, first.message, expression=first.path)
    refusal.issues = [_issue(each) | {"severity": "error"} for each in issues]
    return refusal


def _issue(issue: StructureIssue) -> dict[str, Any]:
    return {
        "severity": issue.severity,
        "code": issue.code,
        "diagnostics": issue.message,
        "expression": [issue.path],
    }
