"""docs/how-to/connect-<vendor>.md: what to ask a vendor, what to write, what will be possible, how to try it.

The questions are the same everywhere; what is known of a vendor stands behind them. Roads and levels come from its profile.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from integration.roads.open import OURS
from mappings.model.profiles import PROFILES, Profile
from mappings.model.roads import LEVELS, ROADS, Level, RoadName

QUESTIONS = (
    "**Client ids**: one for test and one for production. Who maps the user in whose name we read and write?",
    "**Keys**: here are the two addresses of our public keys, one for each client id. They answer without sign-in and without redirect; "
    "the next key appears there a day before it signs.",
    "**What we may do**: read and search Patient, Practitioner, Encounter, ServiceRequest, Binary, and each type of `records.types` in "
    "config.yaml; file a document.",
    "**Where a report is filed**: under which note type, signed or as a draft, at which visit?",
    "**Size and formats**: the largest document, and which types of files.",
    "**Reading back**: may this client read and search the documents that it filed? Without that nobody knows that a report can be "
    "found, and a loop closes only on a person's word.",
    "**Limits**: how many requests a second, a day; when is maintenance?",
    "**Protected charts**: what does a background user see of break-the-glass patients and sensitive visits?",
    "**The sandbox**: when is it wiped, and which synthetic patients are in it?",
    "**What a clinician sees**: does a report come to somebody's inbox, or does it only stand in the chart?",
    "**The version** of the software, and when the next upgrade is.",
    "**Another way in**: an HL7 v2 interface for documents (MDM^T02), a Direct address, a fax number.",
)
HL7V2 = """hl7v2: {host: engine.clinic.example.org, port: 2575, sending_facility: EXCHANGE, receiving_application: EHR, receiving_facility: CLINIC}
"""
_NOT_READ = "A message of HL7 v2 is answered by the application (`accepted`), not read back: `closes_on` has to name that level."
_MAIN = (
    "This is the main way in: which interface takes MDM, by which facility codes, with which acknowledgment "
    "([over HL7 v2](connect-hl7v2.md))?"
)
SMART = "auth: {type: smart-backend-services, client_id: %s, keys: production%s}"


@dataclass(frozen=True)
class Vendor:
    """``settings``: lines of the endpoint in config.yaml; ``known``: what is known of a question, by its number."""

    title: str
    settings: str
    sandbox: str
    known: Mapping[int, str] = field(default_factory=dict)
    remarks: str = ""


VENDORS = {
    "epic": Vendor(
        "Epic",
        f"""base_url: https://epic.hospital.example.org/api/FHIR/R4
{SMART % ("3f0c2b1e-0000-4000-8000-000000000000", "")}
document: {{encounter_choice: requester}}      # requester, newest, or ask
limits: {{concurrency: 2, requests_per_second: 5, timeout_seconds: 60}}""",
        "A client id of its own at fhir.epic.com, with `keys new test`; the base address is "
        "`https://fhir.epic.com/interconnect-fhir-oauth/api/FHIR/R4`. A new client id, or another list of APIs, takes 30 to 60 minutes, "
        "up to two days: until then `invalid_client` is normal. It is wiped every Sunday evening (US Central).",
        {
            1: "A client id that belongs to no background user is refused as `unauthorized_client`.",
            2: "A key set address is demanded; each customer upgrades on its own date.",
            3: "By the numbers of their list: DocumentReference.Create (Clinical Notes), .Read and .Search; Binary.Read; Patient.Read and "
            ".Search; Encounter.Search; Practitioner.Search; ServiceRequest.Read and .Search; DiagnosticReport, Observation, "
            "MedicationRequest, AllergyIntolerance, Condition.",
            4: "A visit of the patient is demanded, a finished one will do; none can be created. `document.type` names their note type "
            "instead of LOINC 11488-4; `document.doc_status: preliminary` files a draft.",
            5: "Plain text only: a report that is a PDF goes as its words, and one whose words cannot be had goes another way.",
            6: "A read that is not registered is answered with 403 and nothing else.",
            7: "They publish no numbers and answer no 429; a day's ceiling says \"Please try again tomorrow\" and is waited for.",
        },
        "No order can be found by polling: requests are handed in on the pages or through the API, or by the consultant's side.",
    ),
    "oracle-health": Vendor(
        "Oracle Health (Cerner Millennium)",
        f"""base_url: https://fhir-ehr.cerner.com/r4/00000000-0000-4000-8000-000000000000
{SMART % ("exchange", ", scopes: [system/Patient.read, system/DocumentReference.read, system/DocumentReference.write]")}
document: {{encounter_choice: requester}}
limits: {{concurrency: 2, requests_per_second: 5}}""",
        "Register at code-console.cerner.com as a system application; the console gives the base address of the sandbox, whose tenant "
        "is part of the path. \"Tenant not valid or accessible\" with 403 means a wrong tenant, or one that has not allowed the application.",
        {
            1: "Each customer is a tenant and allows the application itself.",
            4: "One visit and the end of the service, with its time, are demanded.",
            5: "One document with its bytes inside: PDF, text, RTF, HTML or XML.",
            6: "Documents are found by patient, category, type and date, never by our identifier.",
        },
        "Write into `scopes` every type that is registered. No order can be found by polling: requests are handed in on the pages or "
        "through the API.",
    ),
    "athenahealth": Vendor(
        "athenahealth",
        f"""base_url: https://api.platform.athenahealth.com/fhir/r4
{SMART % ("0oa0000000000000000", ", scopes: [athena/service/Athenanet.MDP.*, system/Patient.read, system/Encounter.read]")}
athena: {{practice_id: 195900, department_id: 1, document_subclass: CONSULTNOTE}}
limits: {{concurrency: 2, requests_per_second: 5}}""",
        "`https://api.preview.platform.athenahealth.com/fhir/r4` with practice 195900, and a client id of their developer portal.",
        {
            1: "Does one token open both the FHIR side (`system/...`) and documents (`athena/service/Athenanet.MDP.*`)?",
            3: "And, of their own interface: add, list and read clinical documents. Each practice allows the application itself.",
            4: "The **practice id** and the **department id** in whose chart documents are filed, the **document subclass**, and the "
            "provider (`athena.provider_id`) whose inbox it waits in. No visit is named.",
            5: "PDF: a report that is text goes as a PDF of the same words. Each attachment is a document of its own, with the same "
            "reference in its internal note.",
            6: "The list needs the department; the original is compared byte by byte. Where only pictures of its pages are shown the "
            "level is `accepted`.",
            7: "Nothing is published that a machine reads; 429 is waited for.",
            10: "It waits for review in the practice's inbox, as their routing of the subclass says.",
        },
        "Over FHIR it is read only. Every filed document stays: one that replaces another says so in its note, and nobody can take one "
        "back by this interface, so a retracted report waits for a person who has it deleted there.",
    ),
    "meditech": Vendor(
        "Meditech",
        f"""base_url: https://fhir.meditech.example.org/r4
auth: {{type: client-secret, client_id: exchange, secret_env: MEDITECH_SECRET}}
{HL7V2}limits: {{concurrency: 2, requests_per_second: 5}}""",
        "The Greenfield workspace, whose address and synthetic patients come with the registration. It advertises "
        "`client_credentials` and refuses it (400 `unauthorized_client`): reading can then be tried in production only.",
        {
            1: "Ask in writing whether `client_credentials` is allowed in production.",
            6: _NOT_READ,
            12: _MAIN,
        },
        "Over FHIR it is read only.",
    ),
    "eclinicalworks": Vendor(
        "eClinicalWorks",
        f"""base_url: https://fhir.ecw.example.org/r4
{SMART % ("exchange", ", scopes: [system/Patient.read, system/Condition.read]")}
{HL7V2}limits: {{concurrency: 2, requests_per_second: 5}}""",
        "A practice of theirs for tests, given with the registration of the application.",
        {
            3: "Notes over FHIR are by contract (12.0.2 and later), as an HL7 v2 message inside the attachment: this version does not "
            "send that.",
            6: _NOT_READ,
            12: _MAIN,
        },
        "Over FHIR it is read only.",
    ),
    "nextgen": Vendor(
        "NextGen (Enterprise, Office)",
        f"""base_url: https://fhir.nextgen.example.org/r4
{SMART % ("exchange", ", scopes: [system/Patient.read, system/Condition.read]")}
{HL7V2}limits: {{concurrency: 2, requests_per_second: 5}}""",
        "The sandbox of their developer portal, with its own client id.",
        {6: _NOT_READ, 11: "Enterprise or Office: they are two servers.", 12: _MAIN},
        "Over FHIR it is read only.",
    ),
    "medplum": Vendor(
        "Medplum",
        """base_url: https://api.medplum.com/fhir/R4
auth: {type: client-secret, client_id: 00000000-0000-4000-8000-000000000000, secret_env: MEDPLUM_SECRET}""",
        "A project of your own at app.medplum.com, or their server in containers; a ClientApplication with an access policy.",
        {
            1: "A ClientApplication for each project.",
            3: "By the access policy of the ClientApplication: write it for the types above, and Task, Communication and "
            "DocumentReference to write.",
        },
    ),
    "hapi": Vendor(
        "HAPI FHIR",
        """base_url: https://fhir.practice.example.org/fhir
limits: {search_lag_seconds: 5}""",
        "A server of your own, in a container or by `make` as the tests do. The public one at hapi.fhir.org is everybody's: synthetic "
        "patients only, and what others do there is seen as theirs.",
        {
            1: "HAPI signs nobody in by itself: a proxy before it does (`auth`).",
            6: "It answers a repeated search from a cache for a minute; we ask it not to.",
        },
    ),
}  # fmt: skip


def connect_page(key: str) -> str:
    """docs/how-to/connect-KEY.md"""
    vendor, profile = VENDORS[key], PROFILES[key]
    return f"""# Connect {vendor.title}

The steps are those of [connect an EHR](connect-an-ehr.md); this page says what is particular. What we know of a vendor is published by
it or was met in its sandbox, and a site may differ: `second-opinion endpoints check` tries it. Nobody here can run its EHR.

## What to ask

{_questions(vendor)}

## What to write

```yaml
{config_of(key)}
```

## What will be possible

{_possible(profile)}

{_before(vendor.remarks)}What it demands of a document, and what it cannot, is in [vendors.md](../reference/vendors.md#profiles). Each delivery says on its page
by which road it went and what is known of it.

## How to try it

{vendor.sandbox}

```
second-opinion check config
second-opinion endpoints check clinic
second-opinion endpoints check clinic --write --patient Patient/ID-OF-THEIR-TEST-PATIENT
```
"""


def config_of(key: str) -> str:
    """The block of a page."""
    return "\n".join(
        [
            "endpoints:",
            "  clinic:",
            "    name: Name of the practice",
            "    role: placer",
            f"    profile: {key}",
            *(f"    {line}" for line in VENDORS[key].settings.split("\n")),
            "    identifier_system: https://clinic.example.org/fhir   # never changed afterwards",
            "    contact: Who to call, +1 555 0100",
        ]
    )


def _before(remarks: str) -> str:
    return f"{remarks} " if remarks else ""


def _questions(vendor: Vendor) -> str:
    lines = (
        f"{number}. {text}{f' {vendor.known[number]}' if number in vendor.known else ''}"
        for number, text in enumerate(QUESTIONS, 1)
    )
    return "\n".join(lines)


def _possible(profile: Profile) -> str:
    rows = [f"| {number} | {_road(RoadName(road))} |" for number, road in enumerate(profile.roads, 1)]
    return "\n".join(["| | A report goes as | The most that is known then |", "|---|---|---|", *rows])


def _road(road: RoadName) -> str:
    facts = ROADS[road]
    if road not in OURS:
        return f"`{road}`: {facts.words} | not in this version: the next one is tried"
    least = f", else `{Level.UNVERIFIABLE}`" if road == RoadName.FHIR_DOCUMENT else ""
    return f"`{road}`: {facts.words} | `{facts.best}`: {LEVELS[facts.best][0].lower()}{LEVELS[facts.best][1:]}{least}"
