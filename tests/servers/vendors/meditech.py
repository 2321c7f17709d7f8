"""An EHR that behaves as Meditech's does: to read, messages apart; and no machine gets a token. Sources in test_meditech.py."""

import uuid

from tests.servers.vendors.messages import Asked, Kind, Told, outcome
from tests.servers.vendors.vendor import Vendor

READ = ("read", "search-type")
_BY_PATIENT = ("patient", "_id", "_count", "continue")
KINDS = {
    "AllergyIntolerance": Kind(READ, _BY_PATIENT),
    "Binary": Kind(("read",)),
    "Communication": Kind((*READ, "create"), ("recipient", "sender", "sent", "subject", *_BY_PATIENT)),
    "Condition": Kind(READ, ("category", "code", *_BY_PATIENT)),
    "DiagnosticReport": Kind(READ, ("category", "code", "date", *_BY_PATIENT)),
    "DocumentReference": Kind(
        READ, ("type", "period", "status", "encounter", "category", "date", "_id", "patient", "continue")
    ),
    "Encounter": Kind(READ, ("date", "class", "type", "status", "identifier", *_BY_PATIENT)),
    "MedicationRequest": Kind(READ, ("status", *_BY_PATIENT)),
    "Observation": Kind(READ, ("category", "code", "date", *_BY_PATIENT)),
    "Patient": Kind(READ, ("identifier", "name", "birthdate", "gender", "family", "_id", "_count", "continue")),
    "Practitioner": Kind(READ, ("family", "given", "name", "identifier", "_id", "_count", "continue")),
    "ServiceRequest": Kind(READ, ("code", "encounter", "status", *_BY_PATIENT)),
    "Task": Kind(("read",)),
}


class Meditech(Vendor):
    """Discovery names ``client_credentials``; the token address refuses it to whoever signed in rightly, until
    ``allow_grant`` says that the site has approved it."""

    base_path = "/v2/uscore/STU6"
    token_path = "/oauth/token"
    cursor = "continue"
    software = ("Interoperability Services: US Core STU6 FHIR R4", "2.0.0")
    kinds = KINDS

    def __init__(self, keys=None, **kwargs):
        super().__init__(keys, **kwargs)
        if self.sign_in:
            self.sign_in.may_use_grant = False

    def allow_grant(self) -> None:
        """The site approved system-level access."""
        if self.sign_in:
            self.sign_in.may_use_grant = True

    def not_offered(self, kind: str, interaction: str) -> Told:
        return Told(404 if kind not in self.kinds else 405, outcome("error", "not-supported", "not supported"))

    def search_problem(self, kind: str, params: list[tuple[str, str]]) -> Told | None:
        names = {name.partition(":")[0] for name, _ in params}
        if kind not in ("Patient", "Practitioner") and not names & {"patient", "_id", "subject"}:
            return Told(400, outcome("error", "required", "patient is required"))
        return None

    def create(self, kind: str, resource: dict, asked: Asked) -> Told:
        made = self._keep(resource)
        place = f"{self.url}/{kind}/{made['id']}"
        return Told(201, None, {"Location": place, "mtrestapi-requestid": uuid.uuid4().hex})
