"""The road by athenahealth's own interface to a server that behaves as it does: real HTTP, and what stands there is counted."""

import base64
import io
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from pypdf import PdfReader

from integration.roads.athena_document import AthenaDocument
from integration.roads.road import Absent, CannotTell, Impossible, NotAllowed, ReadBack, Taken, There
from mappings.model.errors import NeedsPerson, PermanentError, TemporaryError, UnknownOutcome
from mappings.model.roads import Level
from tests.integration.roads.attempts import TEXT, document, way_to
from tests.servers.vendors.athena import PRACTICE, Athena
from tests.servers.vendors.charts import load

PDF, OTHER = (b"%PDF-1.4 synthetic", "application/pdf"), (b"%PDF-1.4 another", "application/pdf")
HERE = {"practice_id": PRACTICE, "department_id": "1"}
BEGUN = datetime.now(UTC) - timedelta(minutes=1)


@pytest.fixture
def athena():
    with Athena() as started:
        yield started


def road_to(athena, **settings) -> AthenaDocument:
    return AthenaDocument(way_to(athena.url, "athenahealth", athena={**HERE, **settings}))


def prepared(athena, *contents, patient="", **more):
    """A road and what it would send to a patient."""
    patient, road = patient or load(athena)[0], road_to(athena)
    return road, road.prepare(document(patient, *(contents or (PDF,)), **more)), patient


def place(patient: str) -> str:
    return patient.rpartition("E-")[2]


def put(athena, patient, data=PDF[0], note="", created=None):
    """A document that somebody else filed."""
    number = max(athena.clinical, default=100) + 1
    said = created or f"{datetime.now(UTC):%m/%d/%Y}"
    athena.clinical[number] = dict(
        departmentid="1", documentsubclass="CONSULTNOTE", internalnote=note, patientid=place(patient), data=data, createddate=said
    )  # fmt: skip
    athena.changed_at[f"clinicaldocument/{number}"] = float("-inf")


def test_a_pdf_is_filed_in_the_department_and_read_back(athena):
    road, ready, patient = prepared(athena)
    taken = road.send(ready)
    [there] = athena.ours_of(patient)
    assert taken == Taken(there.reference, Level.ACCEPTED, receipt={"status": "200"}) and there.data == PDF[0]
    form = {
        name: there.resource[name] for name in ("departmentid", "documentsubclass", "internalnote", "observationdate")
    }
    assert form == {
        "departmentid": "1",
        "documentsubclass": "CONSULTNOTE",
        "internalnote": "Second opinion consult report by Lakeside Cardiology, SOE ref R-77-1",
        "observationdate": "06/01/2026",
    }
    assert road.read_back(ready, taken.reference) == ReadBack(same=True) and road.way.attempt.found == []


def test_text_goes_as_a_pdf_of_the_same_words(athena):
    road, ready, patient = prepared(athena, (TEXT.encode(), "text/plain; charset=utf-8"))
    taken = road.send(ready)
    [there] = athena.ours_of(patient)
    words = PdfReader(io.BytesIO(there.data)).pages[0].extract_text()
    assert all(line in words for line in (*TEXT.split("\n"), "SOE ref R-77-1", "From: Lakeside Cardiology"))
    assert road.read_back(ready, taken.reference) == ReadBack(same=True)
    assert road.prepare(ready.item).body == ready.body, "the same text gives the same bytes"


def test_letters_that_the_pdf_cannot_show_go_by_another_road(athena):
    _, refused, _ = prepared(athena, ("We agree: 手術".encode(), "text/plain; charset=utf-8"))
    assert (
        isinstance(refused, Impossible) and refused.cause == "report-no-shape" and "2 of its letters" in refused.message
    )


def test_each_of_several_attachments_is_a_document_with_the_same_reference(athena):
    road, ready, patient = prepared(athena, PDF, OTHER, (TEXT.encode(), "text/plain"))
    taken = road.send(ready)
    assert [each.data for each in athena.ours_of(patient)][:2] == [PDF[0], OTHER[0]]
    notes = [each.resource["internalnote"].partition(", ")[2] for each in athena.ours_of(patient)]
    assert notes == [f"SOE ref R-77-1 ({number} of 3)" for number in (1, 2, 3)]
    assert taken.reference == "clinicaldocument/9001,9002,9003"
    assert road.read_back(ready, taken.reference) == ReadBack(same=True)
    assert road.look_up(ready, BEGUN) == There(taken.reference)


@pytest.mark.parametrize("same", [True, False], ids=["same-bytes", "other-bytes"])
def test_of_several_only_those_that_are_missing_are_sent_after_a_lost_answer(athena, same):
    road, ready, patient = prepared(athena, PDF, PDF if same else OTHER)
    athena.faults.swallow = 1
    with pytest.raises(UnknownOutcome):
        road.send(ready)
    assert len(athena.ours_of(patient)) == 1 and isinstance(road.look_up(ready, BEGUN), Absent)
    assert road_to(athena).send(ready).reference == "clinicaldocument/9001,9002"
    assert len(athena.ours_of(patient)) == 2


def test_a_part_that_is_refused_after_another_was_taken_is_for_a_person(athena):
    road, ready, patient = prepared(athena, PDF, OTHER)
    athena.faults.swallow = 1
    with pytest.raises(UnknownOutcome):
        road.send(ready)
    athena.fails_with_200 = 1
    with pytest.raises(NeedsPerson) as asked:
        road.send(ready)
    assert asked.value.cause == "sent-perhaps" and "clinicaldocument/9001" in str(asked.value)


def test_what_was_sent_is_found_by_its_reference_and_bytes_after_a_lost_answer(athena):
    road, ready, patient = prepared(athena)
    athena.faults.swallow = 1
    with pytest.raises(UnknownOutcome):
        road.send(ready)
    [there] = athena.ours_of(patient)
    assert road.look_up(ready, BEGUN) == There(there.reference)


def test_what_was_cut_off_is_absent(athena):
    road, ready, patient = prepared(athena)
    athena.faults.cut = 1
    with pytest.raises(UnknownOutcome):
        road.send(ready)
    assert isinstance(road.look_up(ready, BEGUN), Absent) and athena.ours_of(patient) == []


def test_what_is_not_listed_yet_is_absent_for_now(athena):
    road, ready, _ = prepared(athena)
    athena.lag = 60
    road.send(ready)
    assert isinstance(road.look_up(ready, BEGUN), Absent), "jobs/target/sending.py waits for search_lag_seconds"


@pytest.mark.parametrize("listed", [True, False], ids=["listed-too", "not-listed"])
def test_another_patients_document_is_never_ours(athena, listed):
    road, ready, patient = prepared(athena)
    athena.lists_everybody = listed
    put(athena, load(athena, 2)[0], note="SOE ref R-77-1")
    assert isinstance(road.look_up(ready, BEGUN), Absent)
    road.send(ready)
    [there] = athena.ours_of(patient)
    assert road.look_up(ready, BEGUN) == There(there.reference)


@pytest.mark.parametrize(
    "note",
    ["", "SOE ref R-77-11", "SOE ref R-7", "SOE ref R-77-2; replaces SOE ref R-77-1", "SOE ref R-77-1 (1 of 2)"],
)
def test_a_document_that_names_something_else_is_not_ours(athena, note):
    road, ready, patient = prepared(athena)
    put(athena, patient, OTHER[0], note)
    answer = road.look_up(ready, BEGUN)
    assert isinstance(answer, CannotTell if note.endswith("2)") else Absent), answer


def test_the_same_bytes_without_our_reference_are_for_a_person(athena):
    road, ready, patient = prepared(athena)
    put(athena, patient)
    told = road.look_up(ready, BEGUN)
    assert isinstance(told, CannotTell) and told.search_for == "SOE ref R-77-1"
    athena.clinical.clear()
    put(athena, patient, created="01/02/2020")
    assert isinstance(road.look_up(ready, BEGUN), Absent), "long before the send"


def test_our_reference_over_other_bytes_is_for_a_person(athena):
    road, ready, patient = prepared(athena)
    put(athena, patient, OTHER[0], "SOE ref R-77-1")
    assert isinstance(road.look_up(ready, BEGUN), CannotTell)


def test_a_note_to_which_the_people_there_added_is_still_ours(athena):
    road, ready, patient = prepared(athena)
    taken = road.send(ready)
    athena.clinical[9001]["internalnote"] += " Dr. Example will call. See also SOE ref R-80-1."
    assert road.look_up(ready, BEGUN) == There(taken.reference)
    assert road.read_back(ready, taken.reference) == ReadBack(same=True)


def test_two_of_ours_are_for_a_person(athena):
    road, ready, _ = prepared(athena)
    road.send(ready), road.send(ready)
    with pytest.raises(NeedsPerson) as asked:
        road.look_up(ready, BEGUN)
    assert asked.value.cause == "duplicate-at-target"


@pytest.mark.parametrize("ignores", [True, False], ids=["ignores-offset", "takes-offset"])
def test_a_list_of_several_pages(athena, ignores):
    """One that begins anew each time proves no absence, and is not read for ever."""
    road, ready, patient = prepared(athena)
    for number in range(5):
        put(athena, patient, b"%PDF-1.4 " + bytes([65 + number]), created="01/02/2020")
    athena.page, athena.ignores_offset = 2, ignores
    assert isinstance(road.look_up(ready, BEGUN), CannotTell if ignores else Absent)
    road.send(ready)
    assert isinstance(road.look_up(ready, BEGUN), CannotTell if ignores else There)


def test_numbers_may_be_text(athena):
    athena.says_numbers_as_text = True
    road, ready, _ = prepared(athena)
    taken = road.send(ready)
    assert taken.reference == "clinicaldocument/9001" and road.look_up(ready, BEGUN) == There(taken.reference)


def test_200_that_says_it_failed_was_not_taken(athena):
    athena.fails_with_200 = 1
    road, ready, patient = prepared(athena)
    assert isinstance(road.send(ready), Impossible) and athena.ours_of(patient) == []


@pytest.mark.parametrize(
    "body", [{}, {"success": True}, {"clinicaldocumentid": 7, "success": False}, {"clinicaldocumentid": "x"}]
)
def test_200_that_does_not_say_what_it_is_called_is_unknown(athena, body):
    road, ready, _ = prepared(athena)
    athena.faults.refuse.append((200, body))
    with pytest.raises(UnknownOutcome):
        road.send(ready)


def test_changed_bytes_or_a_lost_reference_are_not_what_was_sent(athena):
    for change in ({"data": OTHER[0]}, {"internalnote": ""}):
        road, ready, _ = prepared(athena)
        taken = road.send(ready)
        athena.clinical[int(taken.reference.partition("/")[2])].update(change)
        assert road.read_back(ready, taken.reference) == ReadBack(same=False)
        assert [each.severity for each in road.way.attempt.found] == ["error"]


def test_pictures_of_its_pages_cannot_be_compared(athena):
    athena.shows_original = False
    road, ready, _ = prepared(athena)
    taken = road.send(ready)
    assert isinstance(road.read_back(ready, taken.reference), NotAllowed)
    assert road.look_up(ready, BEGUN) == There(taken.reference), "it carries our reference"


def test_what_is_not_there_yet_is_read_later(athena):
    road, ready, _ = prepared(athena)
    assert road.read_back(ready, "clinicaldocument/4711") is None


def test_a_department_that_does_not_exist_is_said_with_its_key(athena):
    patient, _ = load(athena)
    road = road_to(athena, department_id="404")
    with pytest.raises(PermanentError, match="department_id, document_subclass") as said:
        road.send(road.prepare(document(patient, PDF)))
    assert said.value.status_code == 400 and "E-" not in str(said.value)


def test_a_patient_of_another_practice_goes_by_another_road(athena):
    patient, _ = load(athena)
    road = road_to(athena, practice_id="7")
    assert isinstance(road.prepare(document(patient, PDF)), Impossible)
    for strange in ("Patient/1", f"Patient/a-{PRACTICE}.E-1/x", f"Patient/a-{PRACTICE}.E-"):
        assert isinstance(road_to(athena).prepare(document(strange, PDF)), Impossible)


def test_a_patient_that_is_not_there_goes_by_another_road(athena):
    _, ready, _ = prepared(athena, patient=f"Patient/a-{PRACTICE}.E-1")
    refused = road_to(athena).send(ready)
    assert isinstance(refused, Impossible) and refused.cause == "road-not-offered"


def test_too_much_at_once_waits(athena):
    road, ready, _ = prepared(athena)
    athena.faults.refuse.append((429, {"error": "Too many requests"}))
    with pytest.raises(TemporaryError):
        road.send(ready)


def test_without_practice_and_department_it_cannot_be_used(athena):
    assert isinstance(AthenaDocument(way_to(athena.url, "athenahealth")).can(), Impossible)
    assert road_to(athena).can() is None


def test_nothing_is_taken_back_by_this_road(athena):
    road, ready, _ = prepared(athena)
    assert isinstance(road.prepare(replace(ready.item, retracts=True)), Impossible)


def test_what_replaces_an_earlier_one_says_so(athena):
    road, ready, patient = prepared(athena, revision=2, replaces="clinicaldocument/9000")
    road.send(ready)
    assert athena.ours_of(patient)[0].resource["internalnote"].endswith("SOE ref R-77-2; replaces SOE ref R-77-1")


def test_the_gate_is_asked_with_what_leaves(athena):
    road, ready, patient = prepared(athena)
    asked = []

    def gate(going):
        asked.append(going)
        raise NeedsPerson("patient-not-linked", "kept")

    attempt = road.way.attempt
    attempt._server = attempt._server.observed(lambda *_: None, gate)
    with pytest.raises(NeedsPerson):
        road.send(ready)
    [going] = asked
    assert (going.kind, going.items) == ("clinicaldocument", ("DocumentReference/R-77-report-1",))
    assert going.size > len(base64.b64encode(PDF[0])) and athena.ours_of(patient) == []
