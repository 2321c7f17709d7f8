"""The consulting provider of the demo, played by a script that speaks FHIR R4 over HTTP only.

NOT a clinician and NOT for real use: it accepts every open Task and answers with the same invented report.
    python -m second_opinion.demo.consultant --base http://127.0.0.1:8080/fhir/hillcrest [--once] [--timeout 60]
"""

import argparse
import base64
import hashlib
import io
import os
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from urllib.parse import quote, urljoin, urlsplit

import requests

TIMEOUT_SECONDS = 30
TOKEN_VARIABLE = "DEMO_TOKEN"  # of the practice, where its FHIR server asks for one
FHIR_JSON = "application/fhir+json"
LOINC = "http://loinc.org"
NOTE_CATEGORY = "http://hl7.org/fhir/us/core/CodeSystem/us-core-documentreference-category"
BSER = "http://hl7.org/fhir/us/bser/CodeSystem/TaskBusinessStatusCS"
BUSINESS_STATUS = {"accepted": ("3.0", "Accepted"), "completed": ("7.0", "Fulfillment Completed")}
REPORT_IDS = "https://hillcrest-cancer-center.example/ids/report"
AUTHOR = {
    "resourceType": "Practitioner",
    "id": "author",
    "identifier": [{"system": "http://hl7.org/fhir/sid/us-npi", "value": "2987654326"}],
    "name": [{"family": "Synthetic-Brontë", "given": ["Håkan"], "prefix": ["Dr."]}],
}
RECORD_TYPES = ("DocumentReference", "Observation", "Condition", "MedicationRequest", "DiagnosticReport")


class Changed(Exception):
    """Somebody else changed the Task; it is left alone."""


class Server:
    """One FHIR server, as little of it as the script needs."""

    def __init__(self, base_url: str, session: requests.Session | None = None):
        self.base = base_url.rstrip("/") + "/"
        self.session = session or requests.Session()
        self.session.trust_env = False
        if token := os.environ.get(TOKEN_VARIABLE):
            self.session.headers["Authorization"] = f"Bearer {token}"

    def call(self, method: str, url: str, body: dict | None = None, **headers: str) -> requests.Response:
        """Send one request; 409 and 412 mean that the resource changed."""
        kinds = {"Accept": FHIR_JSON} | ({"Content-Type": FHIR_JSON} if body is not None else {})
        answer = self.session.request(
            method,
            urljoin(self.base, url),
            json=body,
            timeout=TIMEOUT_SECONDS,
            headers=kinds | {key.replace("_", "-"): value for key, value in headers.items()},
        )
        if answer.status_code in (409, 412):
            raise Changed(url)
        answer.raise_for_status()
        return answer

    def read(self, reference: str) -> dict:
        """The resource behind ``Type/id`` or an absolute URL of this server."""
        return self.call("GET", reference).json()

    def search(self, query: str) -> list[dict]:
        """Every match on every page."""
        found: list[dict] = []
        url: str | None = query
        while url:
            page = self.call("GET", url).json()
            found += [
                entry["resource"]
                for entry in page.get("entry", ())
                if entry.get("search", {}).get("mode", "match") == "match"
            ]
            url = self._next(page)
        return found

    def _next(self, page: dict) -> str | None:
        link = next((link["url"] for link in page.get("link", ()) if link["relation"] == "next"), None)
        if link and urlsplit(urljoin(self.base, link)).netloc != urlsplit(self.base).netloc:
            raise ValueError("the next page is on another server")
        return link


def act(base_url: str, *, session: requests.Session | None = None, on_event: Callable[[str], object] = print) -> int:
    """Answer every requested Task once; how many were completed."""
    server = Server(base_url, session)
    done = 0
    for task in server.search("Task?status=requested"):
        try:
            answer(server, task, on_event)
            done += 1
        except Changed:
            on_event(f"Task/{task['id']}: changed by somebody else, left alone")
    return done


def answer(server: Server, task: dict, on_event: Callable[[str], object] = print) -> None:
    """Accept, start, read, write the report, complete: what a consultant's system does with one Task."""
    name = f"Task/{task['id']}"
    task = move(server, task, "accepted")
    on_event(f"{name}: accepted")
    task = move(server, task, "in-progress")
    order = server.read(task["focus"]["reference"])
    records = read_records(server, task)
    on_event(f"{name}: in-progress, {len(records)} records read")
    report = write_report(server, task, order, records)
    on_event(f"{name}: report written, {report}")
    task["output"] = [
        *task.get("output", ()),
        {
            "type": {"coding": [{"system": LOINC, "code": "11488-4", "display": "Consult note"}]},
            "valueReference": {"reference": report},
        },
    ]
    move(server, task, "completed")
    on_event(f"{name}: completed")


def move(server: Server, task: dict, status: str) -> dict:
    """Write the Task's new status, only if nobody changed it meanwhile; the Task as it is then."""
    changed = {key: value for key, value in task.items() if key != "businessStatus"} | {
        "status": status,
        "lastModified": now(),
    }
    if status in BUSINESS_STATUS:
        code, display = BUSINESS_STATUS[status]
        changed["businessStatus"] = {"coding": [{"system": BSER, "code": code, "display": display}]}
    path = f"Task/{task['id']}"
    server.call("PUT", path, changed, If_Match=f'W/"{task["meta"]["versionId"]}"')
    return server.read(path)


def read_records(server: Server, task: dict) -> list[dict]:
    """What came with the Task and what else the server holds of the patient."""
    records = [
        server.read(item["valueReference"]["reference"])
        for item in task.get("input", ())
        if item.get("valueReference", {}).get("reference")
    ]
    patient = task["for"]["reference"].rsplit("/", 1)[-1]
    for kind in RECORD_TYPES:
        try:
            records += server.search(f"{kind}?patient={quote(patient)}")
        except requests.HTTPError as error:  # a server need not hold every type
            if error.response is None or error.response.status_code not in (400, 404):
                raise
    return list({(record["resourceType"], record["id"]): record for record in records}.values())


def write_report(server: Server, task: dict, order: dict, records: list[dict]) -> str:
    """Store the consult report as a DocumentReference, once per Task; its ``Type/id``."""
    number = f"CONSULT-{task['id']}"
    document = consult_report(number, task, make_pdf(report_lines(order, records)))
    answered = server.call(
        "POST", "DocumentReference", document, If_None_Exist="identifier=" + quote(f"{REPORT_IDS}|{number}", safe="")
    )
    if answered.headers.get("Location"):
        path = urlsplit(answered.headers["Location"]).path.split("/_history/")[0].split("/")
        return "/".join(path[-2:])
    return f"DocumentReference/{answered.json()['id']}"


def consult_report(number: str, task: dict, pdf: bytes) -> dict:
    """The report as US Core writes a note (https://hl7.org/fhir/R4/documentreference.html)."""
    return {
        "resourceType": "DocumentReference",
        "contained": [AUTHOR],
        "identifier": [{"system": REPORT_IDS, "value": number}],
        "status": "current",
        "docStatus": "final",
        "type": {"coding": [{"system": LOINC, "code": "11488-4", "display": "Consult note"}], "text": "Second opinion"},
        "category": [{"coding": [{"system": NOTE_CATEGORY, "code": "clinical-note", "display": "Clinical Note"}]}],
        "subject": task["for"],
        "date": now(),
        "author": [{"reference": "#author"}],
        "content": [
            {
                "attachment": {
                    "contentType": "application/pdf",
                    "title": "Second opinion, consult report",
                    "creation": now(),
                    "size": len(pdf),
                    "hash": base64.b64encode(hashlib.sha1(pdf).digest()).decode(),
                    "data": base64.b64encode(pdf).decode(),
                }
            }
        ],
        "context": {"period": {"end": now()}, "related": [task["focus"]]},
    }


def report_lines(order: dict, records: list[dict]) -> list[str]:
    """The invented opinion."""
    asked = next((reason["text"] for reason in order.get("reasonCode", ()) if reason.get("text")), "not stated")
    return [
        "Written by the demo script consultant.py. Synthetic, not medical advice.",
        "",
        "Question as received:",
        *wrapped(asked),
        "",
        f"Records read: {len(records)}",
        "",
        "Opinion: I agree with the diagnosis and the stage.",
        "For pT3 pN1 disease three months of CAPOX are a reasonable alternative to six months of FOLFOX;",
        "I would discuss neuropathy (about 3 % against 15 %) with the patient and let her choose.",
        "",
        "Dr. H. Synthetic-Brontë, medical oncology",
    ]


def wrapped(text: str, width: int = 95) -> list[str]:
    """Lines short enough for the page."""
    lines = [""]
    for word in text.split():
        lines[-1:] = [f"{lines[-1]} {word}".strip()] if len(lines[-1]) + len(word) < width else [lines[-1], word]
    return lines


def make_pdf(lines: list[str]) -> bytes:
    """One plain page."""
    from reportlab.pdfgen.canvas import Canvas

    out = io.BytesIO()
    canvas = Canvas(out, lang="en")
    canvas.setTitle("Second opinion, consult report")
    canvas.setFont("Helvetica-Bold", 14)
    canvas.drawString(56, 780, "Second opinion, consult report")
    canvas.setFont("Helvetica", 10)
    for number, line in enumerate(lines):
        canvas.drawString(56, 750 - 15 * number, line)
    canvas.save()
    return out.getvalue()


def now() -> str:
    """This instant, in UTC."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def main() -> int:
    """Poll until stopped, until --timeout, or once."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--base", required=True, help="the consulting provider's FHIR R4 base URL")
    options.add_argument("--once", action="store_true", help="stop after the first Task answered")
    options.add_argument("--timeout", type=float, default=None, metavar="S", help="stop after S seconds")
    options.add_argument("--every", type=float, default=2.0, metavar="S", help="seconds between polls")
    args = options.parse_args()
    started = time.monotonic()
    while True:
        done = act(args.base, on_event=lambda text: print(text, flush=True))
        if args.once and done:
            return 0
        if args.timeout is not None and time.monotonic() - started > args.timeout:
            return 1 if args.once else 0
        time.sleep(args.every)


if __name__ == "__main__":
    sys.exit(main())
