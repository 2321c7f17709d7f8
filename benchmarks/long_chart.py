"""A FHIR server with one long chart, and one large document where asked: a program of its own, so that only ours is measured.

``python -m benchmarks.long_chart PORT RECORDS ATTACHMENT_BYTES``; nothing of a chart is in its memory.
"""

import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

KINDS = ("Patient", "Practitioner", "Encounter", "Observation", "DocumentReference")
EVERY = 20  # results of one visit
BLOCK = bytes(range(256)) * 256


def resource(kind: str, number: int, size: int) -> dict:
    """One record of the chart, always the same."""
    subject = {"reference": "Patient/p1"}
    made: dict = {"resourceType": kind, "id": f"{kind[0].lower()}{number}", "meta": {"versionId": "1"}}
    if kind == "Patient":
        mrn = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": "MR"}]}
        made |= {"identifier": [{"system": "urn:test:mrn", "value": "M1", "type": mrn}], "gender": "female"}
        return made | {"id": "p1", "name": [{"family": "Synthetic-Test", "given": ["Ada"]}], "birthDate": "1960-01-01"}
    if kind == "Practitioner":
        return made | {"name": [{"family": f"Synthetic-{number}", "given": ["Eve"]}]}
    if kind == "Encounter":
        status = {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"}
        who = [{"individual": {"reference": f"Practitioner/p{number % 5}"}}]
        return made | {"status": "finished", "class": status, "subject": subject, "participant": who}
    if kind == "DocumentReference":
        attachment = {"contentType": "application/pdf", "url": "Binary/b1", "size": size}
        return made | {
            "status": "current",
            "subject": subject,
            "type": {"text": "scan"},
            "content": [{"attachment": attachment}],
        }
    code = {"coding": [{"system": "http://loinc.org", "code": "718-7", "display": "Hemoglobin"}], "text": "Hemoglobin"}
    value = {"value": 10 + number % 50, "unit": "g/dL", "system": "http://unitsofmeasure.org", "code": "g/dL"}
    return made | {
        "status": "final",
        "code": code,
        "subject": subject,
        "encounter": {"reference": f"Encounter/e{number // EVERY}"},
        "effectiveDateTime": f"2024-01-{1 + number % 28:02d}T08:00:00Z",
        "valueQuantity": value,
        "note": [{"text": f"synthetic result {number}; " + "nothing remarkable was seen. " * 12}],
    }


class Chart(BaseHTTPRequestHandler):
    """Answers reads, searches with pages, and the document block by block."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    records, attachment = 0, 0

    def do_GET(self) -> None:
        """One answer."""
        parts, query = urlsplit(self.path).path.removeprefix("/fhir/").split("/"), parse_qs(urlsplit(self.path).query)
        if parts == ["metadata"]:
            self._json(self._statement())
        elif parts == ["Binary", "b1"]:
            self._binary()
        elif len(parts) == 2 and parts[0] in KINDS:
            self._json(resource(parts[0], int(parts[1][1:]), self.attachment))
        elif parts[0] in KINDS:
            self._json(self._page(parts[0], query))
        else:
            self._json({"resourceType": "Bundle", "type": "searchset", "total": 0})

    def _count(self, kind: str) -> int:
        visits = -(-self.records // EVERY)
        documents = int(self.attachment > 0)
        return {"Patient": 1, "Encounter": visits, "Observation": self.records, "DocumentReference": documents}.get(
            kind, 0
        )

    def _page(self, kind: str, query: dict) -> dict:
        count, start, total = int(query["_count"][0]), int(query.get("_at", ["0"])[0]), self._count(kind)
        end = min(start + count, total)
        page = {"resourceType": "Bundle", "type": "searchset", "total": total}
        page["entry"] = [{"resource": resource(kind, number, self.attachment)} for number in range(start, end)]
        if end < total:
            page["link"] = [{"relation": "next", "url": f"{kind}?_count={count}&_at={end}"}]
        return page

    def _statement(self) -> dict:
        can = [{"code": "read"}, {"code": "search-type"}]
        names = [{"name": name, "type": "reference"} for name in ("patient", "identifier", "_id", "_lastUpdated")]
        kinds = [{"type": kind, "interaction": can, "searchParam": names} for kind in KINDS]
        return {
            "resourceType": "CapabilityStatement",
            "status": "active",
            "fhirVersion": "4.0.1",
            "format": ["json"],
            "kind": "instance",
            "date": "2024-01-01",
            "rest": [{"mode": "server", "resource": kinds}],
        }

    def _json(self, body: dict) -> None:
        data = json.dumps(body).encode()
        self._begin("application/fhir+json", len(data))
        self.wfile.write(data)

    def _binary(self) -> None:
        self._begin("application/pdf", self.attachment)
        for at in range(0, self.attachment, len(BLOCK)):
            self.wfile.write(BLOCK[: min(len(BLOCK), self.attachment - at)])

    def _begin(self, content_type: str, size: int) -> None:
        self.send_response(200)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(size))
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing."""


if __name__ == "__main__":
    port, Chart.records, Chart.attachment = map(int, sys.argv[1:4])
    ThreadingHTTPServer(("127.0.0.1", port), Chart).serve_forever()
