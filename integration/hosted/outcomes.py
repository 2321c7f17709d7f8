"""How the hosted endpoint says no: a status code and an OperationOutcome whose sentence names the next step.

https://hl7.org/fhir/R4/operationoutcome.html
"""

import re
from typing import Any

from integration import fhir_json

_NAME = re.compile(r"[A-Za-z_][A-Za-z_:.-]{0,40}", re.ASCII)


class Refusal(Exception):
    """A request is answered with an OperationOutcome.

    ``code`` is from http://hl7.org/fhir/issue-type; ``expression`` a FHIRPath into the body that was sent.
    No message holds a value of a resource or of a search.
    """

    def __init__(
        self,
        status: int,
        code: str,
        diagnostics: str,
        *,
        expression: str | None = None,
        headers: dict[str, str] | None = None,
    ):
        self.status = status
        self.code = code
        self.diagnostics = diagnostics
        self.expression = expression
        self.headers = headers or {}
        self.issues: list[dict[str, Any]] = []  # when there are several
        super().__init__(diagnostics)

    def outcome(self) -> bytes:
        """The OperationOutcome to send."""
        issue: dict = {"severity": "error", "code": self.code, "diagnostics": self.diagnostics}
        if self.expression:
            issue["expression"] = [self.expression]
        return fhir_json.dumps(outcome_of(self.issues or [issue]))


def outcome_of(issues: list[dict[str, Any]]) -> dict[str, Any]:
    """An OperationOutcome."""
    return {"resourceType": "OperationOutcome", "issue": issues}


def bad_request(diagnostics: str, *, code: str = "invalid", expression: str | None = None) -> Refusal:
    """400: what was sent cannot be understood."""
    return Refusal(400, code, diagnostics, expression=expression)


def not_found(type_: str, id_: str) -> Refusal:
    """404: no such resource here."""
    return Refusal(404, "not-found", f"A {type_} with this id is not known here.")


def shown(name: str) -> str:
    """A name somebody sent, when it looks like a name: anything else may be a value, and is not repeated."""
    return name if _NAME.fullmatch(name) else "?"
