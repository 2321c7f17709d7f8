"""An EHR that behaves as Epic's does: a note is a POST of plain text to an encounter, and everything else is refused or ignored.

Sources in the tests beside it (test_epic.py), a line for each habit.
"""

import base64
import html
import uuid
from collections.abc import Iterable

from tests.servers.vendors.matching import match
from tests.servers.vendors.messages import Asked, Kind, Told, issue, outcome
from tests.servers.vendors.vendor import Vendor

READ, SEARCH, CREATE, UPDATE = "read", "search-type", "create", "update"
_BY_PATIENT = ("patient", "subject", "_id", "_count")
# Documented parameters are evaluated; those after `_id` in the CapabilityStatement have no documentation and change nothing.
KINDS = {
    "AllergyIntolerance": Kind((CREATE, READ, SEARCH), ("patient", "_id", "_count"), ("identifier", "code", "date")),
    "Binary": Kind((READ, SEARCH), ("_id", "_count")),
    "CarePlan": Kind((READ, SEARCH), ("category", *_BY_PATIENT), ("identifier", "date")),
    "Communication": Kind((CREATE, READ, SEARCH), ("category", "encounter", *_BY_PATIENT), ("identifier",)),
    "Condition": Kind((CREATE, READ, SEARCH), ("category", "code", "encounter", *_BY_PATIENT), ("identifier",)),
    "DiagnosticReport": Kind(
        (READ, SEARCH, UPDATE), ("category", "code", "date", "identifier", *_BY_PATIENT), ("encounter",)
    ),
    "DocumentReference": Kind(
        (CREATE, READ, SEARCH, UPDATE),
        (
            "author",
            "category",
            "date",
            "docstatus",
            "encounter",
            "period",
            "status",
            "type",
            "_lastupdated",
            *_BY_PATIENT,
        ),
        ("contenttype", "custodian", "description", "identifier", "related", "relatesto"),
    ),
    "Encounter": Kind(
        (READ, SEARCH), ("class", "date", "identifier", *_BY_PATIENT), ("practitioner", "status", "type")
    ),
    "ImagingStudy": Kind((READ, SEARCH), _BY_PATIENT, ("identifier",)),
    "MedicationRequest": Kind((READ, SEARCH), ("status", *_BY_PATIENT), ("identifier",)),
    "Observation": Kind(
        (CREATE, READ, SEARCH, UPDATE), ("category", "code", "date", "focus", *_BY_PATIENT), ("identifier", "encounter")
    ),
    "Patient": Kind(
        (CREATE, READ, SEARCH),
        ("birthdate", "family", "gender", "given", "identifier", "name", "_id", "_count"),
        ("active",),
    ),
    "Practitioner": Kind((READ, SEARCH), ("family", "given", "identifier", "name", "_id", "_count"), ("active",)),
    "ServiceRequest": Kind(
        (CREATE, READ, SEARCH, UPDATE),
        ("category", "code", "encounter", "identifier", "requester", "status", *_BY_PATIENT),
        ("intent", "performer", "priority", "replaces"),
    ),
    "Task": Kind(
        (READ, SEARCH, UPDATE), ("code", "encounter", "status", *_BY_PATIENT), ("focus", "identifier", "owner")
    ),
}
# What is on the client: APIs are registered one by one, reads apart from creates.
REGISTERED = frozenset(
    f"{kind}.{can}" for kind in KINDS if kind not in ("Task", "Communication", "CarePlan") for can in (READ, SEARCH)
) | {"DocumentReference.create", "Patient.create", "Patient.$match"}
REFUSED_TYPES = ("18842-5", "34105-7", "69730-0")  # discharge summaries, patient instructions
FILED = ("status", "docStatus", "type", "subject", "date", "context")  # the rest of a note is not kept
OBSERVATIONS = ("laboratory", "vital-signs", "social-history", "core-characteristics", "smartdata", "survey")
NEEDS_PATIENT = ("AllergyIntolerance", "Condition", "DocumentReference", "Encounter", "MedicationRequest", "CarePlan")
BACKGROUND_USER = {"reference": "Practitioner/background", "display": "User Interconnect"}
CLINICAL_NOTE = {
    "system": "http://hl7.org/fhir/us/core/CodeSystem/us-core-documentreference-category",
    "code": "clinical-note",
}


class Epic(Vendor):
    """``registered``: the APIs on the client; ``ceiling``: how many requests about documents a day it answers; ``restricted``:
    patients behind break-the-glass; ``shows_notes_as``: in which content types a note is told, its own words or those that
    Epic's own notes have."""

    base_path = "/interconnect-fhir-oauth/api/FHIR/R4"
    token_path = "/interconnect-fhir-oauth/oauth2/token"
    cursor = "sessionID"
    software = ("Epic", "May 2026")
    kinds = KINDS

    def __init__(self, keys=None, *, shows_notes_as: tuple[str, ...] = ("text/html", "text/rtf"), **kwargs):
        super().__init__(keys, **kwargs)
        self.registered = set(REGISTERED)
        self.restricted: set[str] = set()
        self.shows_notes_as = shows_notes_as
        self.ceiling: int | None = None
        self.asked_today = 0

    def unregister_reads(self) -> None:
        """The client may create notes and not see them."""
        self.registered -= {f"{kind}.{can}" for kind in ("DocumentReference", "Binary") for can in (READ, SEARCH)}

    def new_day(self) -> None:
        self.asked_today = 0

    def expire_sessions(self) -> None:
        """What was found is kept for a while only."""
        self.sessions.clear()

    def scope(self) -> str:
        words = {READ: "read", SEARCH: "read", CREATE: "write", UPDATE: "write", "$match": "read"}
        granted = {f"system/{kind}.{words[can]}" for kind, _, can in (each.partition(".") for each in self.registered)}
        return " ".join(sorted(granted))

    def new_id(self, kind: str) -> str:
        return f"e{base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip('=').replace('_', '.')}3"

    def refusal(self, kind: str, interaction: str, asked: Asked) -> Told | None:
        if f"{kind}.{interaction}" not in self.registered:
            return Told(403)
        if kind in ("DocumentReference", "Binary") and self.ceiling is not None:
            self.asked_today += 1
            if self.asked_today > self.ceiling:
                return _fatal(400, "throttled", "4135", "Please try again tomorrow")
        about = self._about(kind, asked)
        if about & self.restricted:
            return _fatal(
                403, "security", "4130", "Break-the-Glass security does not authorize you to access the patient"
            )
        return None

    def _about(self, kind: str, asked: Asked) -> set[str]:
        """Patients that a request names, or whose resource it reads."""
        key = "/".join(asked.parts[:2])
        named = {f"Patient/{value.rpartition('/')[2]}" for name, value in asked.query if name in ("patient", "subject")}
        there = self.store.get(key, {})
        return named | ({key} if kind == "Patient" else {str(there.get("subject", {}).get("reference"))})

    def not_offered(self, kind: str, interaction: str) -> Told:
        return Told(405 if kind in self.kinds else 404, _outcome("fatal", "not-supported", "59177", "Not supported"))

    def not_there(self, key: str) -> Told:
        return _fatal(404, "not-found", "4102", "Invalid FHIR ID provided")

    def gone_session(self) -> Told:
        return _fatal(400, "expired", "4113", "Session ID for cached search results has expired.")

    def search_problem(self, kind: str, params: list[tuple[str, str]]) -> Told | None:
        names = {name.partition(":")[0] for name, _ in params}
        if not names:
            return _fatal(400, "required", "4110", "No parameters are provided in the search request")
        if kind in NEEDS_PATIENT and not names & {"patient", "subject", "_id", "encounter"}:
            return _fatal(400, "required", "4111", "Required search parameter missing from request")
        if kind == "ServiceRequest" and not names & {"patient", "subject", "_id", "identifier", "requester"}:
            return _fatal(400, "required", "4111", "Required search parameter missing from request")
        if kind == "Observation" and not names & {"category", "code", "_id"}:
            return _fatal(400, "required", "59108", "Must have either code or category.")
        if (
            kind == "Observation"
            and dict(params).get("category", OBSERVATIONS[0]).rpartition("|")[2] not in OBSERVATIONS
        ):
            return _fatal(400, "value", "59111", "Required category invalid", "category")
        if kind == "CarePlan" and not names & {"category", "_id"}:
            return _fatal(400, "required", "59108", "This resource requires a category for searching.")
        found = [each for each in self.of(kind) if self._shows(each, kind, params)]
        if kind == "Patient" and len(found) > 100:
            return _fatal(400, "too-costly", "4127", "Additional data may exist")
        return None

    def searched(self, kind: str, params: list[tuple[str, str]]) -> list[tuple[str, str]]:
        by_id = [each for each in params if each[0] == "_id"]
        return by_id or super().searched(kind, params)  # beside _id all others are ignored

    def remarks(self, kind: str, params: list[tuple[str, str]], found: int) -> list[dict]:
        known = {name.lower() for name in self.kinds[kind].search}
        ignored = [name for name, _ in params if name.partition(":")[0].lower() not in known]
        said = [_issue("warning", "4122", f"An unknown query parameter was supplied: {name}") for name in ignored]
        return said + ([] if found else [_issue("warning", "4101", "Resource request returns no results")])

    def operation(self, kind: str, name: str, asked: Asked) -> Told:
        if (kind, name) != ("Patient", "$match"):
            return self.not_offered(kind, name)
        return match(asked.body, self.of("Patient"), self.url)

    def create(self, kind: str, resource: dict, asked: Asked) -> Told:
        """``If-None-Exist`` is not looked at."""
        if kind == "Patient":
            return self._create_patient(resource, asked)
        if kind != "DocumentReference":
            return self._create_other(kind, resource, asked)
        refused = self._note_problem(resource)
        if refused is not None:
            return refused
        first = resource["content"][0]["attachment"]
        note = {"resourceType": "DocumentReference", **{name: resource[name] for name in FILED if name in resource}}
        sent = base64.b64decode(first["data"])
        made = self._keep(
            note
            | {
                "category": [{"coding": [CLINICAL_NOTE]}],
                "author": resource.get("author") or [BACKGROUND_USER],
                "identifier": [{"system": "urn:oid:1.2.840.114350.1.13.0.1.7.2.727879", "value": str(len(self.store))}],
                "content": list(self._shown(sent)),
            }
        )
        made.setdefault("date", made["meta"]["lastUpdated"])
        self.written[f"DocumentReference/{made['id']}"] = sent
        return self.created(made, asked)

    def _note_problem(self, note: dict) -> Told | None:
        codes = {each.get("code") for each in note.get("type", {}).get("coding", ())}
        attachment = (note.get("content") or [{}])[0].get("attachment", {})
        subject = note.get("subject", {}).get("reference", "")
        if subject not in self.store:
            return _fatal(400, "not-found", "59144", "Invalid subject received", "subject")
        if note.get("status") != "current":
            return _fatal(400, "value", "59111", "Required status invalid", "status")
        if note.get("docStatus") not in ("final", "preliminary"):
            return _fatal(400, "value", "59111", "Required docStatus invalid", "docStatus")
        if not codes or codes & set(REFUSED_TYPES):
            return _fatal(400, "value", "59111", "Required type invalid", "type")
        if attachment.get("contentType", "").partition(";")[0].strip() != "text/plain" or not attachment.get("data"):
            return _fatal(400, "value", "59111", "Required contentType invalid", "content[0]/attachment/contentType")
        if not self._is_encounter_of(subject, note):
            return _fatal(400, "business-rule", "59159", "Valid encounter required", "context/encounter")
        return None

    def _is_encounter_of(self, subject: str, note: dict) -> bool:
        named = [each.get("reference", "") for each in note.get("context", {}).get("encounter", ())]
        there = [self.store.get(each, {}) for each in named]
        return len(named) == 1 and all(each.get("subject", {}).get("reference") == subject for each in there)

    def _shown(self, sent: bytes) -> Iterable[dict]:
        """A note is told by addresses, in the content types that it has there."""
        text = sent.decode("utf-8", "replace")
        as_kept = {"text/html": _html(text), "text/rtf": _rtf(text), "text/plain": sent}
        for content_type in self.shows_notes_as:
            place = self.keep_bytes(as_kept[content_type], content_type)
            yield {"attachment": {"contentType": content_type, "url": place}}

    def _create_patient(self, resource: dict, asked: Asked) -> Told:
        """Match or create; what an organization demands is its own."""
        wanted = {(each.get("system"), each.get("value")) for each in resource.get("identifier", ())}
        if not any("ssn" in str(system) for system, _ in wanted):
            return _fatal(400, "required", "59108", "A required element is missing.", "identifier (ssn)")
        for there in self.of("Patient"):
            if wanted & {(each.get("system"), each.get("value")) for each in there.get("identifier", ())}:
                return self.created(there, asked)
        return self.created(self._keep(resource), asked)

    def _create_other(self, kind: str, resource: dict, asked: Asked) -> Told:
        same = [
            each
            for each in self.of(kind)
            if each.get("code") == resource.get("code")
            and (each.get("patient") or each.get("subject")) == (resource.get("patient") or resource.get("subject"))
        ]
        if same and kind in ("AllergyIntolerance", "Observation"):
            return _fatal(400, "duplicate", "59141", "An attempt was made to create a duplicate record.")
        return self.created(self._keep(resource), asked)

    def update(self, key: str, resource: dict, asked: Asked) -> Told:
        return self.created(self._keep({**resource, "id": key.split("/")[1]}), asked)

    def created(self, resource: dict, asked: Asked) -> Told:
        place = {"Location": f"{resource['resourceType']}/{resource['id']}"}
        return Told(201, self.as_told(resource) if asked.prefers("representation") else None, place)

    def as_told(self, resource: dict) -> dict:
        return {name: value for name, value in resource.items() if name != "meta"}  # no versionId, no ETag

    def described(self, kind: str, can: Kind) -> dict:
        never = ("readHistory", "updateCreate", "conditionalCreate", "conditionalUpdate")
        match_operation = {"name": "match", "definition": "http://hl7.org/fhir/OperationDefinition/Patient-match"}
        documented = [
            {"name": name, "type": "token", "documentation": f"Search by {name}."}
            for name in sorted(can.search, key=lambda name: name.startswith("_"))
        ]
        return {
            "type": kind,
            "interaction": [{"code": each} for each in can.can],
            **dict.fromkeys(never, False),
            "conditionalRead": "not-supported",
            "conditionalDelete": "not-supported",
            "searchInclude": ["*"],
            "searchRevInclude": ["Provenance:target"],
            "searchParam": documented + [{"name": name, "type": "token"} for name in can.listed],
            **({"operation": [match_operation]} if kind == "Patient" else {}),
        }

    def statement(self) -> dict:
        said = super().statement()
        del said["rest"][0]["interaction"]
        return said | {"experimental": True, "copyright": "Copyright Epic 1979-2026", "format": ["xml", "json"]}


def _html(text: str) -> bytes:
    lines = (
        f"<div><span>{html.escape(line).replace('  ', ' &#160;') or '&#160;'}</span></div>" for line in text.split("\n")
    )
    return f'<div class="fmtConv">{"".join(lines)}</div>'.encode()


def _rtf(text: str) -> bytes:
    escaped = "".join(
        f"\\{each}"
        if each in "\\{}"
        else each
        if ord(each) < 128
        else f"\\u{ord(each) - (65536 if ord(each) > 32767 else 0)}?"
        for each in text
    ).replace("\n", "\\par\n")
    return f"{{\\rtf1\\ansi\\deff0{{\\fonttbl{{\\f0 Courier New;}}}}\n{escaped}}}".encode("ascii", "replace")


def _issue(severity: str, number: str, words: str) -> dict:
    return issue(severity, "processing", words, vendor_code=number)


def _outcome(severity: str, code: str, number: str, words: str, at: str = "") -> dict:
    return outcome(severity, code, words, vendor_code=number, at=at)


def _fatal(status: int, code: str, number: str, words: str, at: str = "") -> Told:
    return Told(status, _outcome("fatal", code, number, words, at))
