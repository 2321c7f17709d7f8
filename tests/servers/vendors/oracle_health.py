"""An EHR that behaves as Oracle Health's Millennium does. Sources in test_oracle_health.py, a line for each habit."""

import base64
import uuid

from tests.servers.vendors.messages import Asked, Kind, Told, issue, outcome
from tests.servers.vendors.searching import is_prefixed
from tests.servers.vendors.vendor import Vendor

READ, SEARCH, CREATE, UPDATE = "read", "search-type", "create", "update"
TENANT = "ec2458f2-1e24-41c8-b71b-0e701af7583d"
_BY_PATIENT = ("_id", "patient", "subject", "_lastUpdated", "_count")
KINDS = {
    "AllergyIntolerance": Kind((READ, SEARCH, CREATE, UPDATE), ("_id", "patient", "_lastUpdated")),
    "Binary": Kind((READ,)),
    "Communication": Kind((READ, SEARCH, CREATE), ("_id", "category", "received", "recipient")),
    "Condition": Kind((READ, SEARCH, CREATE, UPDATE), ("encounter", "category", *_BY_PATIENT[:-1])),
    "DiagnosticReport": Kind((READ, SEARCH, CREATE), ("category", "code", "date", *_BY_PATIENT)),
    "DocumentReference": Kind(
        (READ, SEARCH, CREATE, UPDATE),
        ("_id", "patient", "encounter", "period", "_count", "type", "category", "date", "_lastUpdated"),
    ),
    "Encounter": Kind((READ, SEARCH, CREATE), ("status", "date", "identifier", *_BY_PATIENT)),
    "MedicationRequest": Kind((READ, SEARCH, CREATE), ("status", "_id", "patient", "_lastUpdated", "_count")),
    "Observation": Kind((READ, SEARCH, CREATE, UPDATE), ("category", "code", "date", *_BY_PATIENT)),
    "Organization": Kind((READ, SEARCH, CREATE), ("_id", "identifier", "name", "_count")),
    "Patient": Kind(
        (READ, SEARCH, CREATE), ("_id", "identifier", "name", "given", "family", "birthdate", "gender", "_count")
    ),
    "Practitioner": Kind((READ, SEARCH, CREATE), ("_id", "identifier", "given", "family", "name", "_count")),
    "ServiceRequest": Kind((READ, SEARCH), ("code", *_BY_PATIENT)),
}
CONTENT_TYPES = (
    "application/pdf",
    "text/plain",
    "text/richtext",
    "text/rtf",
    "text/html",
    "application/xml",
    "application/xhtml+xml",
)
# Fields that a create takes; others are ignored: also ours that identifies it.
FILED = ("status", "docStatus", "type", "category", "subject", "date", "author", "description", "custodian", "context")


class OracleHealth(Vendor):
    """``unsupported``: what becomes of elements that it does not know, "ignored" or "refused": the two pages of its own
    documentation differ; ``doubles_over_pages``: a resource comes on two pages, as one that changes while it is read."""

    base_path = f"/r4/{TENANT}"
    token_path = f"/tenants/{TENANT}/protocols/oauth2/profiles/smart-v1/token"
    cursor = "-pageContext"
    software = None
    kinds = KINDS
    system_interactions = ("batch",)

    def __init__(self, keys=None, *, unsupported: str = "ignored", doubles_over_pages: bool = True, **kwargs):
        super().__init__(keys, **kwargs)
        self.unsupported, self.doubles_over_pages = unsupported, doubles_over_pages

    def scope(self) -> str:
        return " ".join(f"system/{kind}.{verb}" for kind in KINDS for verb in ("read", "write"))

    def new_id(self, kind: str) -> str:
        number = uuid.uuid4().int % 10**9
        return f"XR-{number}" if kind == "Binary" else str(number)

    def elsewhere(self, asked: Asked) -> Told | None:
        if asked.parts[:1] == ("r4",):
            return Told(403, outcome("error", "forbidden", "Tenant not valid or accessible"))
        return None

    def not_offered(self, kind: str, interaction: str) -> Told:
        status = 404 if kind not in self.kinds or interaction != UPDATE else 405
        return Told(status, outcome("error", "not-found", "Resource not found"))

    def search_problem(self, kind: str, params: list[tuple[str, str]]) -> Told | None:
        names = [name.partition(":")[0] for name, _ in params]
        unknown = set(names) - set(self.kinds[kind].search) - {"_revinclude", "_count"}
        if unknown or not params:
            return _refused(f"No supported search parameters provided: {', '.join(sorted(unknown))}")
        enough = {"_id", "patient", "subject", "identifier", "recipient"}
        if kind not in ("Patient", "Practitioner", "Organization") and not enough & set(names):
            return _refused("either the '_id' parameter or the 'patient' parameter must be set")
        if len({"date", "period", "_lastUpdated"} & set(names)) > 1:
            return _refused("date, period and _lastUpdated are mutually exclusive")
        return next((each for name in set(names) if (each := _date_problem(kind, name, params))), None)

    def pages(self, found: list[dict]) -> list[list[dict]]:
        """The last entry of a page comes again at the head of the next one."""
        pages = super().pages(found)
        if not self.doubles_over_pages:
            return pages
        return [pages[0], *([before[-1], *page] for before, page in zip(pages, pages[1:], strict=False))]

    def system(self, asked: Asked) -> Told:
        return Told(400, outcome("error", "not-supported", "only batch is supported"))

    def create(self, kind: str, resource: dict, asked: Asked) -> Told:
        """No ``If-None-Exist``: a second POST is a second resource."""
        if "modifierExtension" in resource:
            return Told(422, outcome("error", "extension", "body contained modifier extensions"))
        if "implicitRules" in resource:
            return Told(422, outcome("error", "not-supported", "body contained implicit rules"))
        if kind != "DocumentReference":
            return self.created(self._keep(resource), asked)
        refused = self._document_problem(resource)
        return refused or self._file(resource, asked)

    def _document_problem(self, document: dict) -> Told | None:
        context, content = document.get("context", {}), document.get("content", [])
        attachment = content[0].get("attachment", {}) if content else {}
        content_type, _, charset = attachment.get("contentType", "").partition(";")
        unknown = set(document) - set(FILED) - {"resourceType", "content", "text", "meta"}
        problems = (
            (self.unsupported == "refused" and unknown, "business-rule", "/f:DocumentReference"),
            (document.get("status") != "current", "value", "/f:DocumentReference/f:status"),
            (document.get("docStatus") not in ("final", "amended"), "value", "/f:DocumentReference/f:docStatus"),
            (not document.get("type"), "required", "/f:DocumentReference/f:type"),
            (
                document.get("subject", {}).get("reference") not in self.store,
                "required",
                "/f:DocumentReference/f:subject",
            ),
            (len(content) != 1, "business-rule", "/f:DocumentReference/f:content"),
            (not attachment.get("data"), "required", "/f:DocumentReference/f:content/f:attachment/f:data"),
            (
                content_type.strip() not in CONTENT_TYPES,
                "value",
                "/f:DocumentReference/f:content/f:attachment/f:contentType",
            ),
            (
                content_type.startswith("text/") and "charset" not in charset,
                "value",
                "/f:DocumentReference/f:content/f:attachment/f:contentType",
            ),
            (
                "T" not in context.get("period", {}).get("end", ""),
                "required",
                "/f:DocumentReference/f:context/f:period/f:end",
            ),
            (any("T" not in each for each in _dates(document)), "value", "/f:DocumentReference/f:date"),
            (not self._is_encounter_of(document), "required", "/f:DocumentReference/f:context/f:encounter"),
            (not self._knows_authors(document), "value", "/f:DocumentReference/f:author"),
        )
        wrong = [
            {**issue("error", code, "not as it has to be"), "location": [place]} for bad, code, place in problems if bad
        ]
        return Told(422, {"resourceType": "OperationOutcome", "issue": wrong}) if wrong else None

    def _is_encounter_of(self, document: dict) -> bool:
        named = [each.get("reference", "") for each in document.get("context", {}).get("encounter", ())]
        there = [self.store.get(each, {}) for each in named]
        return len(named) == 1 and there[0].get("subject") == document["subject"] if document.get("subject") else False

    def _knows_authors(self, document: dict) -> bool:
        """An author is a Practitioner of its own."""
        return all(each.get("reference", "") in self.store for each in document.get("author", ()))

    def _file(self, document: dict, asked: Asked) -> Told:
        attachment = document["content"][0]["attachment"]
        sent = base64.b64decode(attachment["data"])
        place = self.keep_bytes(sent, attachment["contentType"])
        kept = {name: attachment[name] for name in ("contentType", "title", "creation") if name in attachment}
        context = {name: document["context"][name] for name in ("encounter", "period")}
        made = self._keep(
            {"resourceType": "DocumentReference", **{name: document[name] for name in FILED if name in document}}
            | {"context": context, "content": [{"attachment": {**kept, "url": f"{self.url}/{place}"}}]}
        )
        made["identifier"] = [{"system": "https://fhir.cerner.com/ceuuid", "value": str(uuid.uuid4())}]
        made.setdefault("date", made["meta"]["lastUpdated"])
        self.written[f"DocumentReference/{made['id']}"] = sent
        return self.created(made, asked)

    def created(self, resource: dict, asked: Asked) -> Told:
        place = f"{self.url}/{resource['resourceType']}/{resource['id']}"
        return Told(201, None, {"Location": place, "ETag": f'W/"{resource["meta"]["versionId"]}"'})

    def update(self, key: str, resource: dict, asked: Asked) -> Told:
        there, version = self.store.get(key), asked.headers.get("if-match", "").strip('W/"')
        if there is None:
            return self.not_there(key)
        if not version:
            return Told(412, outcome("error", "required", "If-Match is missing"))
        if version != there["meta"]["versionId"]:
            return Told(409, outcome("error", "conflict", "update with out-of-date version"))
        kept = {name: resource[name] for name in FILED if name in resource}
        made = self._keep({**there, **kept})
        return Told(200, None, {"ETag": f'W/"{made["meta"]["versionId"]}"'})

    def read(self, key: str, asked: Asked) -> Told:
        accepted = asked.headers.get("accept", "*/*")
        if key in self.bytes and not any(each in accepted for each in ("*/*", "fhir+json", self.bytes[key][1])):
            return Told(406)
        told = super().read(key, asked)
        there = self.store.get(key)
        return Told(told.status, told.body, {"ETag": f'W/"{there["meta"]["versionId"]}"'}) if there else told


def _refused(words: str) -> Told:
    return Told(400, outcome("error", "required", words))


def _date_problem(kind: str, name: str, params: list[tuple[str, str]]) -> Told | None:
    given = [value for each, value in params if each == name]
    if name == "period" and sorted(each[:2] for each in given) != ["ge", "lt"]:
        return _refused("period must be provided twice, once with ge and once with lt")
    if name == "_lastUpdated" and kind != "ServiceRequest" and len(given) == 1 and is_prefixed(given[0]):
        return _refused("_lastUpdated may be provided once without a prefix, or twice as a closed range")
    if name == "date" and len(given) == 2 and not all("T" in each for each in given):
        return _refused("two dates must include a time")
    return None


def _dates(document: dict) -> list[str]:
    period = document.get("context", {}).get("period", {})
    return [each for each in (document.get("date"), period.get("start"), period.get("end")) if each]
