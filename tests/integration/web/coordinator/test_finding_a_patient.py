"""Looking for a patient at servers that are not kind: nobody is shown who was not asked for, and nobody chooses but a person."""

import re
import time
from html import unescape

import pytest
from flask import request

from integration.live_reads import LiveReads, NotNow
from integration.store import drafts as store
from integration.store import operations
from tests.integration.web.coordinator.desk import Desk, condition, patient
from tests.servers.unkind_source import UnkindSource

pytestmark = pytest.mark.postgres
NUMBER, FAMILY, BORN = "patient.identifiers[0].value", "patient.name.family", "patient.birth_date"
SCRIPTS = (
    "Müller-Lüdenscheidt", "Παπαδοπούλου", "Иванова", "كَرِيم", "כהן", "田中", "김", "शर्मा", "ธนากร", "Հակոբյան", "Nguyễn", "O’Brien",
)  # fmt: skip


@pytest.fixture
def desk(tmp_path, database):
    made = Desk(tmp_path, database)
    yield made
    made.close()


@pytest.fixture
def unkind(tmp_path, database):
    """An EHR that is not kind, and the desk before it."""
    with UnkindSource() as source:
        made = Desk(tmp_path, database, clinic=source.address)
        made.source = source
        yield made
        made.close()


def found(desk, **typed) -> str:
    """What the page says after a search, in words."""
    draft = desk.begin()
    answer = desk.do(draft, "patient", "find", **typed)
    with desk.engine.connect() as conn:
        assert "patient" not in store.get(conn, draft.rpartition("/")[2]).content.picked, "nobody is chosen by itself"
    return unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", "", answer.text.partition("<main")[2])))


def numbered(*numbers: str) -> list[dict]:
    return [patient(each, id=f"p{at}") for at, each in enumerate(numbers)]


def test_a_server_that_ignores_the_number_shows_everybody_and_only_who_carries_it_is_shown(unkind):
    unkind.source._matches = lambda text, query: True
    unkind.source.put(*numbered("00123", "00124", "0123", "123"))
    said = found(unkind, **{NUMBER: "00123"})
    assert "One patient found" in said and "00124" not in said and "also answered with patients who do not fit" in said
    said = found(unkind, **{NUMBER: "00999"})
    assert "answered with other patients only" in said and "This is the patient" not in said
    [first, second] = unkind.audited("draft.patient-searched")
    assert first.detail == {"by": "number", "found": ["Patient/p0"]} and second.detail["found"] == []


def test_every_page_is_read_and_two_of_the_same_name_are_both_shown(unkind):
    unkind.source.page_size, unkind.source.repeats = 1, True
    unkind.source.put(*numbered("00123", "00124"))
    said = found(unkind, **{FAMILY: "SYNTHETIC TEST", BORN: "1960-01-01"})
    assert "2 patients found" in said and "00123" in said and "00124" in said
    unkind.source.next_base = "http://elsewhere.example.org/fhir"
    assert "cannot be read as a whole answer" in found(unkind, **{FAMILY: "Synthetic", BORN: "1960-01-01"})


def test_who_is_merged_or_out_of_use_is_shown_and_cannot_be_chosen_and_death_is_said(unkind):
    merged = patient("1", id="merged", link=[{"type": "replaced-by", "other": {"reference": "Patient/into"}}])
    unkind.source.put(
        merged,
        patient("1", id="unused", active=False),
        patient("1", id="late", deceasedDateTime="2026-02-03T04:05:06Z"),
    )
    nameless = {**patient("1", id="no-system"), "identifier": [{"value": "1"}]}
    unkind.source.put(nameless)
    said = found(unkind, **{NUMBER: "1"})
    assert "merged into another one" in said and "no longer in use" in said and "deceased 2026-02-03" in said
    assert "Its number says nobody who gave it" in said and said.count("This is the patient") == 1
    draft = unkind.begin()
    for refused, why in (("merged", "merged into another"), ("no-system", "says nobody who gave it"), ("nobody", "no longer there"), ("../x", "no longer there")):  # fmt: skip
        answer = unkind.do(draft, "patient", f"pick Patient/{refused}")
        assert answer.status_code == 200 and why in answer.text, refused
    assert unkind.do(draft, "patient", "pick Practitioner/1").status_code == 200
    assert unkind.do(draft, "patient", "pick Patient/late").status_code == 303


def test_names_in_any_script_are_found_and_no_name_stands_in_an_address(desk):
    asked = []
    desk.app.before_request(lambda: asked.append(request.full_path) or None)
    for at, family in enumerate(SCRIPTS):
        desk.put("clinic", patient(f"N{at}", family, birthDate=f"1970-01-{at + 1:02}"))
    del asked[:]
    for at, family in enumerate(SCRIPTS):
        said = found(desk, **{FAMILY: family, BORN: f"1970-01-{at + 1:02}"})
        assert "One patient found" in said and f"N{at}" in said, family
        assert "knows nobody like that" in found(desk, **{FAMILY: family, BORN: "1980-01-01"})
    assert any(each.startswith("/fhir/clinic/Patient/_search") for each in asked)
    assert not [each for each in asked if "family" in each or "birth" in each or any(name in each for name in SCRIPTS)]


def test_with_many_hits_nobody_is_shown(unkind):
    unkind.source.put(*(patient(str(at), id=f"p{at}") for at in range(500)))
    unkind.source.page_size = 50
    said = found(unkind, **{FAMILY: "Synthetic", BORN: "1960-01-01"})
    assert "More than 20 patients fit" in said and "This is the patient" not in said
    assert len([each for each in unkind.source.asked if each.startswith("/fhir/Patient?")]) == 1, "no more than needed"


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        ((503, b"", "text/plain"), "does not answer now"),
        ((403, b"", "text/plain"), "does not let us look"),
        ((401, b"", "text/plain"), "does not let us look"),
        ((200, b"<html>sign in</html>", "text/html"), "cannot be read as a whole answer"),
        ((200, b'{"resourceType": "Patient"}', "application/fhir+json"), "cannot be read as a whole answer"),
    ],
)
def test_a_server_that_cannot_be_asked_is_spoken_of_and_nothing_typed_is_lost(unkind, answer, says):
    unkind.source.also = lambda path, query: answer
    draft = unkind.begin()
    page = unkind.do(draft, "patient", "find", **{NUMBER: "00123"}).text
    assert says in page and "IT desk, +1 555 0100" in page and 'value="00123"' in page and "by hand" in page


def test_a_slow_server_holds_nobody_longer_than_the_deadline_and_few_look_at_once(unkind):
    unkind.source.also = lambda path, query: time.sleep(2)
    reads = LiveReads.of(unkind.config, unkind.engine, deadline_seconds=0.3)
    look = lambda server: list(server.search("Patient", {"identifier": "1"}))  # noqa: E731
    began = time.monotonic()
    causes = []
    for _ in range(4):
        with pytest.raises(NotNow) as error:
            reads.ask("clinic", look)
        causes.append(error.value.cause)
    assert causes == ["slow", "slow", "slow", "busy"] and time.monotonic() - began < 1.9
    reads.close()


def test_a_paused_endpoint_is_not_asked(unkind):
    with unkind.engine.begin() as conn:
        operations.pause(conn, "clinic", True, actor="ops", reason="maintenance")
    assert "is paused here" in found(unkind, **{NUMBER: "00123"})
    assert unkind.source.asked == []


def test_by_hand_at_a_practice_with_an_ehr_takes_the_issuer_from_its_patients(unkind):
    typed = {NUMBER: "00777", FAMILY: "Synthetic-Hand", BORN: "1950-05-05", "patient.name.given[0]": "Ada"}
    draft = unkind.begin()
    assert "not known who issues" in unkind.do(draft, "patient", "hand", **typed).text, "it shows no patient at all"
    unkind.source.put(*numbered("00123"))
    assert unkind.do(draft, "patient", "hand", **typed).status_code == 303
    with unkind.engine.connect() as conn:
        kept = store.get(conn, draft.rpartition("/")[2])
    assert kept.content.typed["patient.identifiers[0].system"] == "urn:test:mrn" and kept.chart is None
    other = patient("9", id="other")
    other["identifier"][0]["system"] = "urn:test:other"
    unkind.source.put(other)
    assert "not known who issues" in unkind.do(draft, "patient", "hand", **typed).text, "two issuers are none"


def test_what_the_chart_offers_is_read_again_when_it_is_chosen(unkind):
    unkind.source.search_ignores_patient = True
    mine, foreign = condition("Patient/p0", "mine", id="c1"), condition("Patient/p9", "somebody else's", id="c2")
    refuted = condition("Patient/p0", "refuted one", id="c3", verificationStatus={"coding": [{"system": "http://terminology.hl7.org/CodeSystem/condition-ver-status", "code": "refuted"}]})  # fmt: skip
    unkind.source.put(*numbered("00123"), mine, foreign, refuted)
    draft = unkind.begin()
    assert unkind.do(draft, "patient", "pick Patient/p0").status_code == 303
    page = unkind.get(f"{draft}/first")
    assert "mine" in page and "somebody else" not in page and "refuted one" not in page
    assert "no longer there" in unkind.do(draft, "first", "pick diagnosis Condition/c2").text
    unkind.source.delete("Condition/c1")
    assert "no longer there" in unkind.do(draft, "first", "pick diagnosis Condition/c1").text
    unkind.source.also = lambda path, query: (503, b"", "text/plain") if "Condition" in path else None
    page = unkind.get(f"{draft}/first")
    assert "does not answer now" in page and "In your own words" in page
