"""A report of several attachments: by every road all of it goes, or the road says that it cannot; never the first one alone.

By athenahealth's own interface: test_athena_document.py. The whole loop over FHIR: tests/jobs/steps/test_reports.py.
"""

import base64

import pytest

from integration.packets.text_pdf import pdf_of_text
from integration.roads.download import Download
from integration.roads.fhir_document import FhirDocument
from integration.roads.road import Impossible, ReadBack, Taken
from mappings.document_reference import attachments, inline_bytes
from tests.integration.roads.attempts import TEXT, document, way_to
from tests.servers.unkind import Unkind
from tests.servers.vendors.charts import load
from tests.servers.vendors.epic import Epic

PDF = (pdf_of_text("The table:\nLVEF 45 %\n", "Table"), "application/pdf")
WORDS = (TEXT.encode(), "text/plain; charset=utf-8")
SCAN = (b"%PDF-1.4 a picture", "application/pdf")


def contents(resource) -> list[bytes]:
    return [inline_bytes(each.attachment) for each in attachments(dict(resource))]


def test_over_fhir_each_is_a_content_of_one_document():
    with Unkind(inner=False) as server:
        road = FhirDocument(way_to(server.url))
        ready = road.prepare(document("Patient/p1", PDF, WORDS, SCAN))
        taken = road.send(ready)
        [there] = [each for each in server.store.values() if each["resourceType"] == "DocumentReference"]
        assert contents(there) == [PDF[0], WORDS[0], SCAN[0]] and isinstance(taken, Taken)
        assert road.read_back(ready, taken.reference) == ReadBack(same=True, version=taken.version)
        del server.store[taken.reference]["content"][1]
        assert not road.read_back(ready, taken.reference).same, "one that is lost there is seen"


@pytest.mark.parametrize(
    ("vendor", "profile"), [(Epic, "epic")]
)  # of one that takes PDF each goes: tests/jobs/test_report_documents.py
def test_where_one_content_is_kept_all_words_go_in_one_text(vendor, profile):
    with vendor() as there:
        patient, visit = load(there)
        road = FhirDocument(way_to(there.url, profile))
        ready = road.prepare(document(patient, PDF, WORDS, encounter=visit))
        taken = road.send(ready)
        [standing] = there.ours_of(patient)
        text = standing.data.decode()
        assert all(line in text for line in ("LVEF 45 %", *TEXT.split("\n"), "SOE ref R-77-1")), text
        assert text.index("(1 of 2)") < text.index("LVEF") < text.index("(2 of 2)") < text.index(TEXT.split("\n")[0])
        assert road.read_back(ready, taken.reference).same


@pytest.mark.parametrize(
    ("vendor", "profile"), [(Epic, "epic")]
)  # of one that takes PDF each goes: tests/jobs/test_report_documents.py
def test_where_one_content_is_kept_and_the_words_of_one_cannot_be_had_nothing_goes(vendor, profile):
    with vendor() as there:
        patient, visit = load(there)
        refused = FhirDocument(way_to(there.url, profile)).prepare(document(patient, WORDS, SCAN, encounter=visit))
        assert isinstance(refused, Impossible) and "document 2" in refused.message
        assert there.ours_of(patient) == []


def test_who_carries_it_carries_all_of_it():
    item = document("Patient/p1", PDF, WORDS, SCAN)
    ready = Download(way_to("https://ehr.example.org/fhir")).prepare(item)
    assert contents(ready.resource) == [PDF[0], WORDS[0], SCAN[0]]
    assert base64.b64encode(SCAN[0]) in ready.body
