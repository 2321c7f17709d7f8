"""A limited consent on our own pages and in a link: what is consented is shown, what is not is nowhere, and the page says which kinds."""

import base64
import io
import json
import re
import zipfile
from html import unescape

import pytest
from pypdf import PdfReader
from sqlalchemy.exc import ProgrammingError

from integration.health_links import making
from integration.health_links.making import Wanted
from integration.health_links.serving import NotThere, manifest
from integration.store import audit, consents, deliveries, leaving
from integration.store.roles import Role
from integration.views.texts import t
from integration.visit_reading import House
from mappings.health_link import Ask
from mappings.model.consent import LEFT_HOME, RecordKind, TypedConsent
from mappings.model.delivery import DeliveryKind
from mappings.model.leaving import CARRIES, Going, Reason
from mappings.model.packet import ManifestItem
from tests.integration.health_links.reader import opened, payload_of
from tests.integration.web.access.guarded import Guarded
from tests.integration.web.access.test_scope import MORE

pytestmark = pytest.mark.postgres
LABEL = {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "PSY"}
CANARY = {
    RecordKind.NOTES: "Notaharz",
    RecordKind.RESULTS: "Resultol",
    RecordKind.IMAGES: "Bildmark",
    RecordKind.MEDICATIONS: "Medizorin",
    RecordKind.HISTORY: "Vorgeschehn",
    RecordKind.OTHER: "Sonstwas",
    RecordKind.SENSITIVE: "Heimlichkeit",
}
SOURCE = {
    RecordKind.NOTES: "DocumentReference/d1",
    RecordKind.RESULTS: "Observation/o1",
    RecordKind.IMAGES: "ImagingStudy/i1",
    RecordKind.MEDICATIONS: "MedicationRequest/m1",
    RecordKind.HISTORY: "Condition/c1",
    RecordKind.OTHER: "Basic/b1",
    RecordKind.SENSITIVE: "Condition/s1",
}
PATIENT = {"resourceType": "Patient", "id": "p", "name": [{"family": "Nunez"}]}


def chart() -> list[dict]:
    """One record of each kind, each with its canary."""
    of = {"subject": {"reference": "Patient/p"}}

    def named(kind: RecordKind) -> dict:
        return {"text": CANARY[kind]}

    note = {"contentType": "text/plain", "url": "Binary/note"}
    return [
        PATIENT,
        {"resourceType": "DocumentReference", "id": "d1", "status": "current", "type": named(RecordKind.NOTES),
         "content": [{"attachment": note}], **of},
        {"resourceType": "Observation", "id": "o1", "status": "final", "code": named(RecordKind.RESULTS),
         "effectiveDateTime": "2026-01-01", "valueString": CANARY[RecordKind.RESULTS], **of},
        {"resourceType": "ImagingStudy", "id": "i1", "status": "available", "description": CANARY[RecordKind.IMAGES], **of},
        {"resourceType": "MedicationRequest", "id": "m1", "status": "active", "intent": "order",
         "medicationCodeableConcept": named(RecordKind.MEDICATIONS), **of},
        {"resourceType": "Condition", "id": "c1", "code": named(RecordKind.HISTORY), **of},
        {"resourceType": "Basic", "id": "b1", "code": named(RecordKind.OTHER), **of},
        {"resourceType": "Condition", "id": "s1", "meta": {"security": [LABEL]}, "code": named(RecordKind.SENSITIVE), **of},
    ]  # fmt: skip


class Case(Guarded):
    """Dr Alice's request to Mercy Hospital, with a packet that has one record of each kind."""

    def __init__(self, folder, database):
        super().__init__(folder, database, MORE)
        self.id = self.request("limited-key")
        self.house = House(self.engine, self.payloads, self.config)
        self.bytes_of = f"the words of {CANARY[RecordKind.NOTES]}".encode()
        place = f"{SOURCE[RecordKind.NOTES]}#DocumentReference.content[0].attachment"
        of = dict(kind="attachment", content_type="text/plain", of=place)
        note = ManifestItem(
            source="Binary/note", size=len(self.bytes_of), sha256=self.payloads.put(self.bytes_of), **of
        )
        self.packet(self.id, *chart(), items=(note,))

    def say(self, *, without: set[RecordKind], said: str = "given") -> int:
        with self.engine.begin() as conn:
            stands = consents.newest(conn, self.id)
            kinds = tuple(each for each in RecordKind if each not in without)
            typed = TypedConsent(
                said, str(stands.id) if stands else "", kinds, ("alice", "mercy"), "", "in-person", "the patient"
            )
            return consents.record(conn, self.id, typed, actor="ann", hosted=frozenset()).row.id

    def as_consultant(self):
        return self.as_(Role.CONSULTANT, name="cora", practices=("mercy",))

    def token_of(self) -> str:
        return re.search(r'name="token" value="([^"]+)"', self.get(f"/requests/{self.id}/packet")).group(1)

    def post(self, path: str, item: str = "", status: int = 200):
        data = {"token": self.token_of(), "reason": "tested", "item": item}
        answer = self.client.post(f"/requests/{self.id}/packet/{path}", data=data)
        assert answer.status_code == status, answer.text[:500]
        return answer

    def carried(self, link: str, passcode: str | None = None) -> str:
        """Everything that a reader of a link gets, as text."""
        found = manifest(self.house, payload_of(link)["url"].rpartition("/")[2], Ask("Dr. Bob", passcode), "https://x")
        files = [json.loads(opened(each["embedded"], payload_of(link)["key"])[2]) for each in found["files"]]
        texts = [json.dumps(each) for each in files]
        for each in files[1:]:
            for content in each["content"]:
                data = base64.b64decode(content["attachment"]["data"])
                pdf = content["attachment"]["contentType"] == "application/pdf"
                texts.append(
                    "".join(page.extract_text() for page in PdfReader(io.BytesIO(data)).pages) if pdf else data.decode()
                )
        return " ".join(" ".join(texts).split())


@pytest.fixture
def case(tmp_path, database) -> Case:
    return Case(tmp_path, database)


def unzipped(data: bytes) -> str:
    texts = []
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        for name in archive.namelist():
            inside = archive.read(name)
            if name.endswith(".pdf"):
                inside = "".join(page.extract_text() for page in PdfReader(io.BytesIO(inside)).pages).encode()
            texts.append(name + inside.decode("utf-8", "replace"))
    return "".join(texts)


def test_what_is_left_out_is_on_no_page_and_in_no_link_and_what_is_not_is_there(case):
    case.as_consultant()
    for kind in RecordKind:
        case.say(without={kind})
        check(case, kind)


def check(case, kind):
    link = making.make(case.house, case.id, Wanted(is_theirs=True), "https://x.example", actor="ann")
    whole = "/requests/{}/read/list/{}"
    lists = ("conditions", "allergies", "medications", "flagged", "results", "documents", "imaging", "other")
    shown = {
        "key facts": unescape(case.get(f"/requests/{case.id}/read")),
        "lists": "".join(unescape(case.get(whole.format(case.id, each))) for each in lists),
        "manifest": unescape(case.get(f"/requests/{case.id}/packet")),
        "read": unescape(case.post("read").text),
        "zip": unzipped(case.post("download").data),
        "medications": unescape(case.get(f"/requests/{case.id}/medications")),
        "checklist": unescape(case.get(f"/requests/{case.id}/checklist")),
        "api key facts": case.get(f"/api/requests/{case.id}/key-facts"),
        "api medications": case.get(f"/api/requests/{case.id}/medications"),
        "api checklist": case.get(f"/api/requests/{case.id}/checklist"),
        "link": case.carried(link.link, link.passcode),
    }
    for where, text in shown.items():
        assert CANARY[kind] not in text and f"{SOURCE[kind]}<" not in text and f'{SOURCE[kind]}"' not in text, where
    also = {RecordKind.SENSITIVE} if kind is RecordKind.HISTORY else set()  # the sensitive record is a Condition
    for other in set(RecordKind) - {kind} - also:
        for where in ("read", "zip", "api key facts", "link"):
            assert CANARY[other] in shown[where], (where, other)
        assert CANARY[other] in shown["key facts"] + shown["lists"], other
    words = t(f"consent.kind.{kind}")
    for where in ("key facts", "lists", "manifest", "medications", "checklist"):
        assert f"Left out here: {words}" in shown[where], where
    for where in ("zip", "link"):
        assert LEFT_HOME[kind] in shown[where] and "whether there are any is not said" in shown[where], where
    for where in ("api key facts", "api medications", "api checklist"):
        assert json.loads(shown[where])["left_out"] == [kind.value]
    packet = f"{case.id}-packet-1"
    case.get(f"/requests/{case.id}/read/element?of={SOURCE[kind]}", 404)
    case.post("look", f"{packet} {SOURCE[kind]}", 404)
    other = RecordKind.HISTORY if kind is not RecordKind.HISTORY else RecordKind.OTHER
    assert CANARY[other] in case.get(f"/requests/{case.id}/read/element?of={SOURCE[other]}")
    document = f"/requests/{case.id}/read/document/bytes?of={SOURCE[RecordKind.NOTES]}&at=content[0].attachment"
    answer = case.client.get(document)
    assert (answer.status_code, case.bytes_of in answer.data) == (
        (404, False) if kind is RecordKind.NOTES else (200, True)
    )


def test_the_patients_own_practice_reads_all_of_it_and_each_reads_what_was_made_for_them(case):
    case.say(without={RecordKind.RESULTS})
    case.as_consultant()
    assert CANARY[RecordKind.RESULTS] not in case.get(f"/requests/{case.id}/read")
    case.as_(Role.COORDINATOR, name="carl", practices=("alice",))
    page = case.get(f"/requests/{case.id}/read")
    assert CANARY[RecordKind.RESULTS] in page + case.get(f"/requests/{case.id}/read/list/results")
    assert "Left out here" not in page
    case.say(without=set())
    assert case.enter(case.app.test_client(), "cora").status_code == 303
    case.client = case.app.test_client()
    case.enter(case.client, "cora")
    assert CANARY[RecordKind.RESULTS] in case.get(f"/requests/{case.id}/read/list/results")


def test_the_packets_page_names_what_stayed_for_the_practice_that_asks_and_for_nobody_else(case):
    case.say(without={RecordKind.RESULTS, RecordKind.SENSITIVE})
    stayed = {RecordKind.RESULTS: "of a kind that the patient left out", RecordKind.SENSITIVE: "would tell of a record"}
    with case.engine.begin() as conn:
        packet_id = f"{case.id}-packet-1"
        sent = deliveries.create(
            conn, case.id, "mercy", DeliveryKind.RECORDS, packet_id=packet_id, sources=SOURCE.values()
        )
        deliveries.note_consent(conn, sent, consents.newest(conn, case.id).id)
        marks = [dict(source=SOURCE[kind], status="waived") for kind in stayed]
        deliveries.mark_items(conn, sent, marks)
    case.as_(Role.COORDINATOR, name="carl", practices=("alice",))
    page = unescape(case.get(f"/requests/{case.id}/packet"))
    assert "Stays with you by the patient's consent: 2 records" in page
    for kind, why in stayed.items():
        assert re.search(f"<li>.*{SOURCE[kind]}.*{why}", page), kind
    case.client = case.app.test_client()
    case.as_consultant()
    page = unescape(case.get(f"/requests/{case.id}/packet"))
    assert "Stays with you" not in page and not any(SOURCE[kind] in page for kind in stayed)


def test_a_link_holds_what_the_patient_shares_now_or_opens_nothing(case):
    fixed = making.make(case.house, case.id, Wanted(is_theirs=True), "https://x.example", actor="ann")
    later = making.make(
        case.house, case.id, Wanted(is_theirs=True, is_long_term=True), "https://x.example", actor="ann"
    )
    case.say(without={RecordKind.MEDICATIONS})
    listed = making.listed(case.house, case.id, actor="ann")
    assert listed.too_much == {fixed.row.id, later.row.id} and listed.left_out == (RecordKind.MEDICATIONS,)
    with pytest.raises(NotThere):
        case.carried(fixed.link, fixed.passcode)
    [kept] = case.audited("data.kept")
    assert kept.reason == "carried-by-patient: consent-changed" and kept.subject == "health-link"
    made_anew = case.carried(later.link, later.passcode)
    assert CANARY[RecordKind.MEDICATIONS] not in made_anew and CANARY[RecordKind.HISTORY] in made_anew
    assert '"code": "withheld"' in made_anew
    assert making.listed(case.house, case.id, actor="ann").too_much == {fixed.row.id}
    case.say(without=set())
    assert CANARY[RecordKind.MEDICATIONS] in case.carried(later.link, later.passcode)
    assert CANARY[RecordKind.MEDICATIONS] in case.carried(fixed.link, fixed.passcode)


def test_a_row_that_something_leaves_is_refused_to_code_that_does_not_ask_for_consent(case):
    """As a worker of an older version would write it during an upgrade."""
    detail = {"kind": "Bundle", "items": [], "count": 0, "bytes": 1}

    def write(reason: Reason) -> None:
        with case.engine.begin() as conn:
            audit.record(conn, "exchange", "data.leaves", case.id, subject="mercy", reason=str(reason), detail=detail)

    for reason in Reason:
        write(reason)
    case.say(without={RecordKind.NOTES})
    for reason in set(Reason) - CARRIES:
        write(reason)
    for reason in CARRIES:
        with pytest.raises(ProgrammingError, match="before the consent that stands was asked"):
            write(reason)
        with case.engine.begin() as conn:
            going = Going("Bundle", (), 1)
            leaving.record(conn, case.id, "mercy", reason, going, leaving.LEAVES, actor="exchange", about={})
