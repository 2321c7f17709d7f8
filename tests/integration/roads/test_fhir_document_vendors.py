"""The road over FHIR to servers that behave as Epic's and Oracle Health's do: real HTTP, and what stands there is counted."""

import base64
from datetime import UTC, datetime, timedelta

import pytest

from integration.roads.fhir_document import FhirDocument
from integration.roads.road import Absent, CannotTell, Impossible, NotAllowed, ReadBack, Taken, There
from mappings.model.errors import NeedsPerson, PermanentError, TemporaryError, UnknownOutcome
from tests.integration.roads.attempts import TEXT, document, way_to
from tests.servers.vendors.athena import Athena
from tests.servers.vendors.charts import attachment, load, note
from tests.servers.vendors.epic import Epic
from tests.servers.vendors.messages import outcome
from tests.servers.vendors.oracle_health import OracleHealth

PDF = (b"%PDF-1.4 synthetic", "application/pdf")


@pytest.fixture
def epic():
    with Epic() as started:
        yield started


@pytest.fixture
def oracle():
    with OracleHealth() as started:
        yield started


def road_to(vendor, profile, **more) -> FhirDocument:
    return FhirDocument(way_to(vendor.url, profile, **more))


def prepared(vendor, profile="epic", *contents, number=1, **more):
    """A road and what it would send to a patient with a visit."""
    patient, visit = load(vendor, number)
    road = road_to(vendor, profile)
    return road, road.prepare(document(patient, *contents, encounter=visit, **more)), patient


BEGUN = datetime.now(UTC) - timedelta(minutes=1)


def test_epic_takes_it_as_text_and_it_is_read_back(epic):
    road, ready, patient = prepared(epic)
    taken = road.send(ready)
    [there] = epic.ours_of(patient)
    assert isinstance(taken, Taken) and taken.reference == there.reference
    assert "SOE ref R-77-1" in there.data.decode().split("\n") and TEXT.split("\n")[1] in there.data.decode()
    read = road.read_back(ready, taken.reference)
    assert isinstance(read, ReadBack) and read.same, road.way.attempt.found
    assert "verify-notation" in road.way.attempt.causes, "it is shown as HTML"


def test_oracle_takes_the_pdf_and_it_is_read_back(oracle):
    road, ready, patient = prepared(oracle, "oracle-health", PDF)
    taken = road.send(ready)
    [there] = oracle.ours_of(patient)
    assert there.data == PDF[0] and there.resource["description"].endswith("SOE ref R-77-1")
    read = road.read_back(ready, taken.reference)
    assert isinstance(read, ReadBack) and read.same, road.way.attempt.found


@pytest.mark.parametrize("unsupported", ["ignored", "refused"])
def test_oracle_gets_nothing_that_it_does_not_know(unsupported):
    with OracleHealth(unsupported=unsupported) as oracle:
        road, ready, patient = prepared(oracle, "oracle-health")
        assert isinstance(road.send(ready), Taken)


@pytest.mark.parametrize(("vendor", "profile"), [(Epic, "epic"), (OracleHealth, "oracle-health")])
def test_a_note_whose_answer_was_lost_is_found_by_what_it_says(vendor, profile):
    with vendor() as there:
        road, ready, patient = prepared(there, profile)
        there.faults.swallow = 1
        with pytest.raises(UnknownOutcome):
            road.send(ready)
        [standing] = there.ours_of(patient)
        assert road.look_up(ready, BEGUN) == There(standing.reference, None if vendor is Epic else "1")
        assert len(there.ours_of(patient)) == 1


@pytest.mark.parametrize(("vendor", "profile"), [(Epic, "epic"), (OracleHealth, "oracle-health")])
def test_a_note_that_was_cut_off_is_absent(vendor, profile):
    with vendor() as there:
        road, ready, patient = prepared(there, profile)
        there.faults.cut = 1
        with pytest.raises(UnknownOutcome):
            road.send(ready)
        assert isinstance(road.look_up(ready, BEGUN), Absent)


def test_somebody_elses_note_is_not_ours(epic):
    road, ready, patient = prepared(epic)
    other, visit = load(epic, 2)
    epic.put(note(patient, None, "We disagree."))
    FhirDocument(road.way).send(road.prepare(document(other, encounter=visit)))
    assert isinstance(road.look_up(ready, BEGUN), Absent), "the same words in another chart"
    real = epic.searched
    epic.searched = lambda kind, params: [each for each in real(kind, params) if each[0] != "patient"]
    assert isinstance(road.look_up(ready, BEGUN), Absent), "and where the search ignores whose they are"


def test_two_of_ours_are_for_a_person(epic):
    road, ready, _ = prepared(epic)
    road.send(ready), road.send(ready)
    with pytest.raises(NeedsPerson) as asked:
        road.look_up(ready, BEGUN)
    assert asked.value.cause == "duplicate-at-target"


@pytest.mark.parametrize("doubles", [True, False])
def test_one_note_on_two_pages_is_one(doubles):
    with OracleHealth(page=1, doubles_over_pages=doubles) as oracle:
        road, ready, patient = prepared(oracle, "oracle-health")
        oracle.put(note(patient, None, "other"))
        reference = road.send(ready).reference
        oracle.put(note(patient, None, "another"))
        assert road.look_up(ready, BEGUN) == There(reference, "1")


def test_a_search_that_was_forgotten_begins_again():
    with Epic(page=1) as epic:
        road, ready, patient = prepared(epic)
        epic.put(note(patient, None, "other", date="2026-06-02T10:00:00Z"))
        reference = road.send(ready).reference
        real, gone = epic._page, []

        def once(kind, token, *rest):
            if kind == "DocumentReference" and not rest and not gone:
                gone.append(token)
                return epic.gone_session()
            return real(kind, token, *rest)

        epic._page = once
        assert road.look_up(ready, BEGUN) == There(reference, None) and gone


def test_a_note_that_somebody_changed_is_neither_ours_nor_absent(epic):
    road, ready, patient = prepared(epic)
    text = ready.resource["content"][0]["attachment"]
    changed = base64.b64decode(text["data"]).decode().replace("Stop", "Continue")
    epic.put({**note(patient, None, date="2026-06-02T10:00:00Z"), "content": [attachment(changed.encode())]})
    told = road.look_up(ready, BEGUN)
    assert isinstance(told, CannotTell) and told.search_for == "SOE ref R-77-1"


def test_an_ehr_that_shows_only_rtf_cannot_be_compared():
    with Epic(shows_notes_as=("text/rtf",)) as epic:
        road, ready, _ = prepared(epic)
        taken = road.send(ready)
        assert isinstance(road.look_up(ready, BEGUN), CannotTell)
        assert road.read_back(ready, taken.reference) == ReadBack(same=False)


def test_windows_line_ends_are_said_and_do_not_decide():
    with Epic(shows_notes_as=("text/plain",)) as epic:
        road, ready, patient = prepared(epic)
        taken = road.send(ready)
        for key, (data, kind) in list(epic.bytes.items()):
            epic.bytes[key] = (data.replace(b"\n", b"\r\n"), kind)
        read = road.read_back(ready, taken.reference)
        assert read.same and "verify-notation" in road.way.attempt.causes
        for key, (data, kind) in list(epic.bytes.items()):
            epic.bytes[key] = (data.replace(b"Stop warfarin", b"Stop"), kind)
        assert not road.read_back(ready, taken.reference).same


def test_where_reading_is_not_registered_nobody_can_tell(epic):
    road, ready, _ = prepared(epic)
    epic.unregister_reads()
    taken = road.send(ready)
    told = road.look_up(ready, BEGUN)
    assert isinstance(told, CannotTell) and told.search_for == "SOE ref R-77-1" and "403" in told.message
    assert isinstance(road.read_back(ready, taken.reference), NotAllowed)


def test_where_the_bytes_may_not_be_read_nobody_can_tell(epic):
    road, ready, _ = prepared(epic)
    road.send(ready)
    epic.registered -= {"Binary.read", "Binary.search-type"}
    assert isinstance(road.look_up(ready, BEGUN), CannotTell)


def test_a_search_that_does_not_say_what_it_looked_for_proves_nothing(epic):
    road, ready, _ = prepared(epic)
    real = epic._page
    epic._page = lambda kind, token, *rest: real(kind, token)
    assert isinstance(road.look_up(ready, BEGUN), CannotTell)


def test_a_draft_that_is_not_found_may_be_hidden(epic):
    patient, visit = load(epic)
    road = road_to(epic, "epic", document={"doc_status": "preliminary"})
    ready = road.prepare(document(patient, encounter=visit))
    assert ready.resource["docStatus"] == "preliminary"
    assert isinstance(road.look_up(ready, BEGUN), CannotTell)


def test_the_same_pdf_of_an_earlier_revision_is_that_one(oracle):
    road, first, patient = prepared(oracle, "oracle-health", PDF)
    earlier = road.send(first).reference
    visit = first.resource["context"]["encounter"][0]["reference"]
    second = road.prepare(document(patient, PDF, revision=2, replaces=earlier, encounter=visit))
    assert isinstance(road.look_up(second, BEGUN), Absent)
    assert isinstance(road.look_up(road.prepare(document(patient, PDF, revision=2, encounter=visit)), BEGUN), Absent)


def test_the_daily_ceiling_waits_for_hours(epic):
    road, ready, _ = prepared(epic)
    epic.ceiling = 0
    for ask in (lambda: road.send(ready), lambda: road.look_up(ready, BEGUN)):
        with pytest.raises(TemporaryError) as waits:
            ask()
        assert waits.value.cause == "daily-ceiling" and waits.value.retry_after_seconds >= 3600


def test_break_the_glass_is_for_a_person(epic):
    road, ready, patient = prepared(epic)
    epic.restricted.add(patient)
    with pytest.raises(PermanentError) as said:
        road.prepare(ready.item)
    assert said.value.cause == "break-the-glass"
    assert isinstance(road.look_up(ready, BEGUN), CannotTell)


def test_a_pdf_whose_words_cannot_be_had_goes_by_another_road(epic):
    road, refused, patient = prepared(epic, "epic", PDF)
    assert isinstance(refused, Impossible) and refused.cause == "report-no-text"
    assert epic.ours_of(patient) == []


def test_a_shape_that_is_refused_goes_by_another_road(epic):
    patient, visit = load(epic)
    road = road_to(epic, "epic", document={"formats": ["application/pdf"]})
    refused = road.send(road.prepare(document(patient, PDF, encounter=visit)))
    assert isinstance(refused, Impossible) and refused.cause == "report-no-shape"


def test_an_ehr_that_takes_no_document_goes_by_another_road():
    with Athena() as athena:
        patient, _ = load(athena)
        road = road_to(athena, "generic", capabilities={"conditional_create": True})
        refused = road.send(road.prepare(document(patient)))
        assert isinstance(refused, Impossible) and refused.cause == "road-not-offered"


def test_what_the_ehr_says_is_there_already_is_looked_for(oracle):
    road, ready, patient = prepared(oracle, "oracle-health")
    reference = road.send(ready).reference
    oracle.faults.refuse.append((400, outcome("fatal", "duplicate", "duplicate", vendor_code="59189")))
    assert road.send(ready) == There(reference, "1")


def test_the_ledger_gets_the_same_bytes_each_time(epic):
    patient, visit = load(epic)
    road = road_to(epic, "epic")
    one, other = (road.prepare(document(patient, encounter=visit)) for _ in range(2))
    assert one.body == other.body and road.restore(one.item, one.body, None).resource == one.resource
