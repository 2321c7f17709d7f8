"""How the hosted endpoint says no: a status code and an OperationOutcome whose sentence names the next step.

https://hl7.org/fhir/R4/operationoutcome.html
"""

from integration import fhir_json


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
        super().__init__(diagnostics)

    def outcome(self) -> bytes:
        """The OperationOutcome to send."""
        issue: dict = {"severity": "error", "code": self.code, "diagnostics": self.diagnostics}
        if self.expression:
            issue["expression"] = [self.expression]
        return fhir_json.dumps({"resourceType": "OperationOutcome", "issue": [issue]})


def bad_request(diagnostics: str, *, code: str = "invalid", expression: str | None = None) -> Refusal:
    """400: what was sent cannot be understood."""
    return Refusal(400, code, diagnostics, expression=expression)


def not_found(type_: str, id_: str) -> Refusal:
    """404: no such resource here."""
    return Refusal(404, "not-found", f"{type_}/{shown(id_)} is not known here.")


def shown(name: str) -> str:
    """A name somebody sent, short enough to repeat."""
    return name if len(name) <= 64 else name[:61] + "..."
