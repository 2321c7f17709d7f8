"""The tables of types and parameters against the official R4 JSON schema; times."""

import json
import os
import zipfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from integration.hosted.instants import span_of, to_instant
from integration.hosted.parameters import OF_TYPE
from integration.hosted.resource_types import ELEMENTS

ALL_WHERE_PRESENT = {"masterIdentifier", "identifier", "status", "patient", "subject", "basedOn"}


@pytest.mark.skipif(
    not os.environ.get("SECOND_OPINION_DATA"),
    reason="SECOND_OPINION_DATA is not set (a folder with the R4 JSON schema)",
)
def test_types_and_elements_are_those_of_r4():
    with zipfile.ZipFile(Path(os.environ["SECOND_OPINION_DATA"], "r4-schema", "fhir.schema.json.zip")) as archive:
        schema = json.loads(archive.read(archive.namelist()[0]))
    assert set(ELEMENTS) == set(schema["discriminator"]["mapping"])
    for type_, elements in ELEMENTS.items():
        of_schema = set(schema["definitions"][type_]["properties"])
        assert elements <= of_schema, type_
        assert of_schema & ALL_WHERE_PRESENT <= elements, type_


def test_each_type_has_the_parameters_its_elements_allow():
    assert set(OF_TYPE["Binary"]) == set()
    assert set(OF_TYPE["Practitioner"]) == {"identifier", "family", "given", "name"}
    assert {"family", "given", "name", "birthdate", "gender", "identifier"} == set(OF_TYPE["Patient"])
    assert "related" in OF_TYPE["DocumentReference"] and "related" not in OF_TYPE["Task"]


@pytest.mark.parametrize(
    "value, start, length",
    [
        ("2024", datetime(2024, 1, 1, tzinfo=UTC), timedelta(days=366)),
        ("2023-12", datetime(2023, 12, 1, tzinfo=UTC), timedelta(days=31)),
        ("2024-02-29", datetime(2024, 2, 29, tzinfo=UTC), timedelta(days=1)),
        ("2024-02-29T23:30+02:00", datetime(2024, 2, 29, 21, 30, tzinfo=UTC), timedelta(minutes=1)),
        ("2024-02-29T23:30:10Z", datetime(2024, 2, 29, 23, 30, 10, tzinfo=UTC), timedelta(seconds=1)),
        (
            "2024-02-29T23:30:10.5-01:00",
            datetime(2024, 3, 1, 0, 30, 10, 500000, tzinfo=UTC),
            timedelta(milliseconds=100),
        ),
        ("2024-02-29T23:30:10.123Z", datetime(2024, 2, 29, 23, 30, 10, 123000, tzinfo=UTC), timedelta(milliseconds=1)),
    ],
)
def test_a_time_stands_for_its_span(value, start, length):
    assert span_of(value) == (start, start + length)


@pytest.mark.parametrize("value", ["", "24", "2024-1", "2024-02-30", "2024-02-29T25:00Z", "2024-02-29T10Z", "now"])
def test_what_is_no_time_is_refused(value):
    with pytest.raises(ValueError):
        span_of(value)


def test_an_instant_has_milliseconds_and_is_utc():
    moment = datetime.fromisoformat("2024-05-01T10:00:00.007+02:00")
    assert to_instant(moment) == "2024-05-01T08:00:00.007Z"
