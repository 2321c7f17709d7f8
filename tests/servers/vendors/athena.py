"""An EHR that behaves as athenahealth's does: FHIR to read, and a form of its own for a document. Sources in test_athena.py."""

import base64
import binascii
import itertools
from datetime import UTC, datetime

from tests.servers.vendors.messages import Asked, Kind, Standing, Told, outcome
from tests.servers.vendors.vendor import Vendor

READ = ("read", "search-type")
PRACTICE, DEPARTMENTS = "195900", ("1", "21")
_TENANCY = ("ah-practice", "ah-department", "_security", "cursor")
_BY_PATIENT = ("patient", "_id", "_count")
KINDS = {
    "AllergyIntolerance": Kind(READ, _BY_PATIENT, _TENANCY),
    "Binary": Kind(("read",)),
    "Condition": Kind(READ, ("category", "code", *_BY_PATIENT), _TENANCY),
    "DiagnosticReport": Kind(READ, ("category", "code", "date", *_BY_PATIENT), _TENANCY),
    "DocumentReference": Kind(READ, ("category", "date", "period", "status", "type", *_BY_PATIENT), _TENANCY),
    "Encounter": Kind(READ, ("date", *_BY_PATIENT), _TENANCY),
    "MedicationRequest": Kind(READ, ("status", *_BY_PATIENT), _TENANCY),
    "Observation": Kind(READ, ("category", "code", "date", *_BY_PATIENT), _TENANCY),
    "Organization": Kind(READ, ("name", "_id"), _TENANCY),
    "Patient": Kind(READ, ("birthdate", "family", "gender", "given", "identifier", "name", "_id", "_count"), _TENANCY),
    "Practitioner": Kind(READ, ("identifier", "name", "_id"), _TENANCY),
    "ServiceRequest": Kind(READ, ("code", "status", *_BY_PATIENT), _TENANCY),
}
SUBCLASSES = ("CLINICALDOCUMENT", "ADMISSIONDISCHARGE", "CONSULTNOTE", "MENTALHEALTH", "OPERATIVENOTE", "URGENTCARE")


class Athena(Vendor):
    """``v1`` is the other interface, by practice. A patient's number there is the digits after ``E-`` of its FHIR id.

    ``takes_text``: a document may also be text; the documentation recommends PDF, because nothing else is accepted now.
    ``fails_with_200``: the next so many documents are not taken, and the answer is 200 all the same; ``ignores_offset``: the
    list begins anew each time; ``lists_everybody``: it shows the practice's other patients too; ``shows_original``: false
    where a document is shown as pictures of its pages only; ``says_numbers_as_text``: ids in quotation marks.
    """

    base_path = "/fhir/r4"
    token_path = "/oauth2/v1/token"
    cursor = "cursor"
    software = ("athenahealth FHIR Server", "2.0.0")
    kinds = KINDS

    fails_with_200 = 0
    ignores_offset = lists_everybody = says_numbers_as_text = False
    shows_original = True

    def __init__(self, keys=None, *, takes_text: bool = False, **kwargs):
        super().__init__(keys, **kwargs)
        self.v1 = f"{self.origin}/v1/{PRACTICE}"
        self.takes_text = takes_text
        self.clinical: dict[int, dict] = {}  # by clinicaldocumentid
        self._numbers, self._people = itertools.count(9001), itertools.count(857)

    def scope(self) -> str:
        return "athena/service/Athenanet.MDP.* system/DocumentReference.read system/Patient.read"

    def new_id(self, kind: str) -> str:
        if kind == "Patient":
            return f"a-{PRACTICE}.E-{next(self._people)}"
        return f"a-{PRACTICE}.{kind[:3].lower()}-{super().new_id(kind)[:8]}"

    def put(self, resource: dict) -> dict:
        made = super().put(resource)
        if made["resourceType"] == "Patient":
            own = {"system": "https://fhir.athena.io/sid/ah-patient", "value": made["id"]}
            made["identifier"] = [*[each for each in made.get("identifier", ()) if each != own], own]
        return made

    def documents_of(self, patient: str) -> list[Standing]:
        number = patient.rpartition("E-")[2]
        of_v1 = [
            Standing(f"clinicaldocument/{key}", each["data"], True, each)
            for key, each in self.clinical.items()
            if each["patientid"] == number
        ]
        return super().documents_of(patient) + of_v1

    def not_offered(self, kind: str, interaction: str) -> Told:
        return Told(404 if kind not in self.kinds else 405, outcome("error", "not-supported", "not supported"))

    def search_problem(self, kind: str, params: list[tuple[str, str]]) -> Told | None:
        names = {name for name, _ in params}
        if kind not in ("Patient", "Practitioner", "Organization") and not names & {"patient", "_id"}:
            return Told(400, outcome("error", "required", "patient or _id is required"))
        if kind == "Patient" and not names - {"ah-practice", "_count"}:
            return Told(400, outcome("error", "required", "a parameter is required"))
        practice = dict(params).get("ah-practice")
        if practice is not None and not practice.endswith(f"-{PRACTICE}"):
            return Told(403, outcome("error", "forbidden", "no such practice"))
        return None

    def elsewhere(self, asked: Asked) -> Told | None:
        if asked.parts[:1] != ("v1",):
            return None
        if self.sign_in and not self.sign_in.opens(asked.headers.get("authorization", "")):
            return _plain(401, {"error": "invalid_token"})
        match asked.parts[1:]:
            case (practice, *_) if practice != PRACTICE:
                return _plain(404, {"error": "The practice ID provided does not exist."})
            case (_, "patients", number, "documents", "clinicaldocument", *rest):
                return self._documents(number, rest, asked)
        return None

    def _documents(self, number: str, rest: list[str], asked: Asked) -> Told:
        if not any(each["id"].endswith(f".E-{number}") for each in self.of("Patient")):
            return _plain(404, {"error": "The specified patient does not exist in that department."})
        if asked.method == "POST" and not rest:
            refused = self.faults.refusal()
            return Told(*refused, content_type="application/json") if refused else self._add(number, dict(asked.form))
        if asked.method == "GET":
            return self._show(number, rest, dict(asked.query))
        return _plain(405, {"error": "Method not allowed"})

    def _add(self, number: str, form: dict[str, str]) -> Told:
        """Every POST is another document."""
        missing = [name for name in ("departmentid", "documentsubclass") if not form.get(name)]
        if missing:
            return _plain(400, {"error": "Additional fields are required.", "missingfields": missing})
        if form["departmentid"] not in DEPARTMENTS:
            return _plain(400, {"error": "The department ID is invalid."})
        if form["documentsubclass"] not in SUBCLASSES:
            return _plain(400, {"error": "The document subclass is invalid."})
        try:
            data = base64.b64decode(form.get("attachmentcontents", ""), validate=True)
        except binascii.Error:
            return _plain(400, {"error": "The attachment is not base64."})
        if not (data.startswith(b"%PDF") or (self.takes_text and data)):
            return _plain(400, {"error": "The attachment is not a supported file type."})
        if self.fails_with_200:
            self.fails_with_200 -= 1
            return _plain(200, {"success": False, "errormessage": "The document could not be added."})
        made = next(self._numbers)
        self.clinical[made] = {
            **form,
            "patientid": number,
            "data": data,
            "createddate": f"{datetime.now(UTC):%m/%d/%Y}",
        }
        self.changed_at[f"clinicaldocument/{made}"] = self.now()
        return _plain(200, {"clinicaldocumentid": self._told(made), "success": True})

    def _show(self, number: str, rest: list[str], query: dict[str, str]) -> Told:
        mine = {key: each for key, each in self.clinical.items() if each["patientid"] == number}
        if not rest:
            return self._listed(self.clinical if self.lists_everybody else mine, query)
        there = mine.get(int(rest[0])) if rest[0].isdigit() else None
        if there is None:
            return _plain(404, {"error": "The document ID is invalid."})
        if rest[1:2] == ["originaldocument"]:
            return Told(200, there["data"], content_type=_kind_of(there["data"]))
        return _plain(200, [self._shown(int(rest[0]), there)])

    def _listed(self, mine: dict[int, dict], query: dict[str, str]) -> Told:
        if not query.get("departmentid"):
            return _plain(400, {"error": "Additional fields are required.", "missingfields": ["departmentid"]})
        shown = [
            self._shown(key, each)
            for key, each in mine.items()
            if each["departmentid"] == query["departmentid"]
            and self.now() - self.changed_at[f"clinicaldocument/{key}"] >= self.lag
        ]
        start = 0 if self.ignores_offset else int(query.get("offset", 0))
        size = min(int(query.get("limit", self.page)), self.page)
        following = (
            {"next": f"/v1/{PRACTICE}/patients/documents?offset={start + size}"} if start + size < len(shown) else {}
        )
        return _plain(200, {"clinicaldocuments": shown[start : start + size], "totalcount": len(shown), **following})

    def _shown(self, key: int, document: dict) -> dict:
        place = f"/v1/{PRACTICE}/patients/{document['patientid']}/documents/clinicaldocument/{key}"
        told = ("departmentid", "documentsubclass", "internalnote", "observationdate", "providerid", "createddate")
        shown = {"originaldocument": {"contenttype": _kind_of(document["data"]), "href": f"{place}/originaldocument"}}
        pictures = {
            "pages": [{"contenttype": "image/png", "href": f"{place}/pages/1", "pageid": "1", "pageordering": 1}]
        }
        return {
            "clinicaldocumentid": self._told(key),
            "documentclass": "CLINICALDOCUMENT",
            "status": "REVIEW",
            **{name: document[name] for name in told if name in document},
            **({"patientid": self._told(int(document["patientid"]))} if self.lists_everybody else {}),
            **(shown if self.shows_original else pictures),
        }

    def _told(self, number: int) -> int | str:
        return str(number) if self.says_numbers_as_text else number


def _kind_of(data: bytes) -> str:
    return "application/pdf" if data.startswith(b"%PDF") else "text/plain"


def _plain(status: int, body: dict | list) -> Told:
    return Told(status, body, content_type="application/json")
