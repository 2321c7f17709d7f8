"""A server that takes a document, does not say where, and does not let us look: what was written is in doubt, never absent."""

from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from integration.roads.fhir_document import FhirDocument
from integration.roads.road import Prepared
from jobs.target.sending import _wrote_nothing
from mappings.model.errors import UnknownOutcome
from tests.integration.roads.attempts import document, way_to

STATEMENT = b"""{"resourceType": "CapabilityStatement", "fhirVersion": "4.0.1", "rest": [{"mode": "server", "resource": [
    {"type": "DocumentReference", "interaction": [{"code": "create"}], "conditionalCreate": true}]}]}"""


class Silent(BaseHTTPRequestHandler):
    """201 and nothing else; searches end as ``looking`` says."""

    looking = 403

    def log_message(self, *args: object) -> None:
        """Quiet."""

    def do_GET(self) -> None:
        is_statement = self.path.partition("?")[0].endswith("metadata")
        self._answer(200 if is_statement else self.looking, STATEMENT if is_statement else b"")

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self._answer(201, b"")

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        if status == 429:
            self.send_header("Retry-After", "1")
        self.send_header("Content-Type", "application/fhir+json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.mark.parametrize("looking", [403, 429, 500])
def test_what_was_taken_without_a_word_is_in_doubt(looking):
    handler = type("Handler", (Silent,), {"looking": looking})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        road = FhirDocument(way_to(f"http://127.0.0.1:{server.server_port}/fhir"))
        made = road.prepare(document("Patient/1"))
        assert isinstance(made, Prepared)
        with pytest.raises(UnknownOutcome) as caught:
            road.send(made)
        server.shutdown()
    assert caught.value.cause == "not-found-after-write"
    assert not _wrote_nothing(caught.value), "it would be sent a second time"
