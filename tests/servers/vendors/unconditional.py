"""A FHIR server that takes every type and keeps all of it, and knows neither conditions nor a search by identifier.

It says nothing of that: ``If-None-Exist`` is not looked at, ``identifier`` is listed and changes nothing, so a second POST is a
second resource and a look-up by identifier answers with everybody's. Many small servers are like this; Epic and Oracle Health
are in both habits (test_epic.py, test_oracle_health.py), but take no Task.
"""

import base64
import copy
from typing import ClassVar

from tests.servers.vendors.messages import Asked, Kind, Told, outcome
from tests.servers.vendors.vendor import Vendor

_ALL = ("read", "search-type", "create", "update")
_BY_PATIENT = ("patient", "subject", "_id", "_count", "code", "category", "date", "name", "family", "birthdate")
_TYPES = (
    "AllergyIntolerance",
    "Binary",
    "Communication",
    "Condition",
    "DiagnosticReport",
    "DocumentReference",
    "Encounter",
    "Observation",
    "Organization",
    "Patient",
    "Practitioner",
    "ServiceRequest",
    "Task",
)


class Unconditional(Vendor):
    """``refuses``: types that no search and no read shows us, as a client without that permission sees it;
    ``keeps_identifiers`` False: an identifier that it is given is not kept; ``refuses_identifiers``: a search by one is a 400."""

    software = ("Unconditional", "1")
    kinds: ClassVar[dict[str, Kind]] = {each: Kind(_ALL, _BY_PATIENT, ("identifier",)) for each in _TYPES} | {
        "Patient": Kind(_ALL, (*_BY_PATIENT, "identifier"))  # else nobody could be found at all
    }

    def __init__(self, *, keeps_identifiers: bool = True, refuses_identifiers: bool = False, **kwargs):
        super().__init__(**kwargs)
        self.keeps_identifiers, self.refuses_identifiers = keeps_identifiers, refuses_identifiers
        self.refuses: set[str] = set()

    def refusal(self, kind: str, interaction: str, asked: Asked) -> Told | None:
        if kind in self.refuses and interaction in ("search-type", "read"):
            return Told(403, outcome("error", "forbidden", "not on this client"))
        return None

    def search_problem(self, kind: str, params: list[tuple[str, str]]) -> Told | None:
        if self.refuses_identifiers and kind != "Patient" and "identifier" in dict(params):
            return Told(400, outcome("error", "not-supported", "unknown parameter: identifier"))
        return None

    def create(self, kind: str, resource: dict, asked: Asked) -> Told:
        kept = copy.deepcopy(resource)
        if not self.keeps_identifiers:
            kept.pop("identifier", None)
        made = self._keep(kept)
        if kind == "DocumentReference":
            sent = base64.b64decode(resource["content"][0]["attachment"]["data"])
            self.written[f"{kind}/{made['id']}"] = sent
        return self.created(made, asked)

    def update(self, key: str, resource: dict, asked: Asked) -> Told:
        there, version = self.store.get(key), asked.headers.get("if-match", "").strip('W/"')
        if there is None:
            return self.not_there(key)
        if version and version != there["meta"]["versionId"]:
            return Told(412, outcome("error", "conflict", "another version"))
        made = self._keep(copy.deepcopy(resource))
        return Told(200, made, {"ETag": f'W/"{made["meta"]["versionId"]}"'})
