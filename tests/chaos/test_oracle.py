"""The oracle sees what it is there to see: each kind of harm, in plain values."""

from dataclasses import replace

import pytest

from tests.chaos.corrections import Record, observation
from tests.chaos.oracle import OURS, Standing, Summary

SYSTEM = "urn:chaos:hillside"
RECORDS = [
    Record("Observation/a", 1, 0, edits=1),
    Record("Observation/b", 1, 1),
    Record("Observation/c", 2, 0, gone=True),
]


def copy(record: Record, *, patient: str = "", **elements) -> dict:
    made = observation(patient or f"Patient/there-{record.number}", record.number, record.index, record.edits)
    if record.gone:
        made["status"] = "entered-in-error"
    return made | {"id": record.source[-1], "identifier": [{"system": SYSTEM, "value": record.source}]} | elements


def asks(number: int, question: str) -> dict:
    return {
        "identifier": [{"system": OURS, "value": f"ServiceRequest/r{number}"}],
        "subject": {"reference": f"Patient/there-{number}"},
        "reasonCode": [{"text": question}],
    }


def summary(version: int, text: str, *, number: int = 1, is_current: bool = True) -> Summary:
    return Summary(
        f"DocumentReference/r{number}-p{version}-rendition", version, f"Patient/there-{number}", is_current, text
    )


def standing(**parts) -> Standing:
    """All as it should be, but for ``parts``."""
    right = Standing(
        SYSTEM,
        {"Patient/there-1": {"M1"}, "Patient/there-2": {"M2"}},
        [copy(each) for each in RECORDS],
        [asks(1, "Now?")],
        [
            summary(1, "rec1x0e0z rec1x1e0z"),
            summary(2, "rec1x0e1z"),
            summary(1, "rec2x0e0z", number=2),
            summary(2, "Observation/c:itssourcesaysnowthatitisaboutanotherpatient", number=2),
        ],
    )
    return replace(right, **parts)


def wrong(there: Standing) -> list[str]:
    return [
        *there.stale_records(RECORDS),
        *there.stale_documents(RECORDS),
        *there.stale_questions({1: ["Now?"]}),
        *there.doubled(),
        *there.misfiled(RECORDS),
        *there.uninvited({7}),
    ]


def test_what_is_right_is_not_complained_of():
    assert wrong(standing()) == []


@pytest.mark.parametrize(
    "observations",
    [
        pytest.param([copy(replace(RECORDS[0], edits=0)), *map(copy, RECORDS[1:])], id="the words of before"),
        pytest.param([copy(each) for each in RECORDS[1:]], id="lost"),
        pytest.param(
            [copy(RECORDS[0]), copy(RECORDS[0], note=[]), *map(copy, RECORDS[1:])], id="a copy that lacks them"
        ),
        pytest.param([*map(copy, RECORDS[:2]), copy(RECORDS[2], status="final")], id="filed anew and not marked"),
        pytest.param([copy(RECORDS[0]), copy(RECORDS[1], patient="Patient/there-2"), copy(RECORDS[2])], id="misfiled"),
        pytest.param([*map(copy, RECORDS), copy(Record("Observation/u", 7, 0))], id="a chart nobody asked for"),
    ],
)
def test_a_wrong_record_is_seen(observations):
    assert wrong(standing(observations=observations)) != []


@pytest.mark.parametrize(
    "documents",
    [
        pytest.param([summary(1, "rec1x0e0z rec1x1e0z")], id="no correction"),
        pytest.param([summary(1, "rec1x0e1z"), summary(2, "rec1x0e0z rec1x1e0z")], id="an older one in the newest"),
        pytest.param(
            [summary(1, "rec1x0e0z rec1x1e0z"), summary(2, "rec1x0e0z"), summary(3, "rec1x0e1z")], id="not superseded"
        ),
        pytest.param(
            [summary(1, "rec1x0e0z rec1x1e0z"), summary(2, "rec1x0e1z", is_current=False)], id="superseded by none"
        ),
        pytest.param([summary(1, "rec1x0e0z rec1x1e0z"), *2 * [summary(2, "rec1x0e1z")]], id="twice"),
        pytest.param([summary(1, "rec1x0e0z rec1x1e0z rec2x0e0z"), summary(2, "rec1x0e1z")], id="of another patient"),
        pytest.param(
            [summary(1, "rec1x0e0z rec1x1e0z"), summary(2, "rec1x0e1z rec7x0e0z")], id="a chart nobody asked for"
        ),
    ],
)
def test_a_wrong_summary_is_seen(documents):
    others = [each for each in standing().documents if "/r2-" in each.name]
    assert wrong(standing(documents=[*documents, *others])) != []


@pytest.mark.parametrize("asked", [[], [asks(1, "Then?")], [asks(1, "Now?"), asks(1, "Now?")]])
def test_a_question_of_before_or_asked_twice_is_seen(asked):
    assert wrong(standing(asked=asked)) == ["M1"]


def test_a_patient_in_two_places_is_seen():
    twice = {"Patient/there-1": {"M1"}, "Patient/there-2": {"M2"}, "Patient/other": {"M1"}}
    assert standing(patients=twice).doubled() == ["M1"]
