"""The course of results: one unit in each, what is no number is never drawn as one."""

from decimal import Decimal

import pytest

from mappings.reading.plot import HEIGHT, WIDTH, plot
from mappings.reading.results import is_flagged, measured, trends
from mappings.rendition.words import Words
from tests.mappings.reading.chart_factory import UCUM, coded, flag, result

RANGE = [
    {
        "low": {"value": 12, "unit": "g/dL", "system": UCUM, "code": "g/dL"},
        "high": {"value": 16, "unit": "g/dL", "system": UCUM, "code": "g/dL"},
    }
]


def course(*results: dict) -> list:
    return trends(each for one in results for each in measured(one, Words({})))


def grams(value: object, unit: str) -> dict:
    return {"value": value, "unit": unit, "system": UCUM, "code": unit}


def test_units_are_never_mixed():
    made = course(
        result(1, grams(12, "g/dL")), result(2, grams(13, "g/dL"), "2026-02-01"),
        result(3, grams(120, "g/L"), "2026-03-01"), result(4, grams(130, "g/L"), "2026-04-01"),
    )  # fmt: skip
    assert {each.unit: [point.number for point in each.points] for each in made} == {
        "g/dL": ["12", "13"],
        "g/L": ["120", "130"],
    }


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"valueQuantity": {**grams(5, "g/dL"), "comparator": "<"}}, "comparator"),
        ({"valueQuantity": None, "valueString": "hemolyzed"}, "no-number"),
        ({"effectiveDateTime": "2026"}, "date"),
        ({"effectiveDateTime": None}, "undated"),
        ({"valueQuantity": grams(True, "g/dL")}, "no-number"),
    ],
)
def test_what_is_no_number_on_a_day_stands_beside_the_picture_in_its_own_words(changed, why):
    odd = result(3, 14, "2026-03-01", **changed)
    unit = "" if "valueString" in odd else "g/dL"
    made = course(result(1, grams(12, unit)), result(2, grams(13, unit), "2026-02-01"), odd)
    [trend] = made
    assert [each.number for each in trend.points] == ["12", "13"]
    [beside] = trend.unplotted
    assert beside.why == why and beside.source == "Observation/o3"
    assert beside.value.words in ("<5 g/dL", "hemolyzed", "14 g/dL", "true g/dL")


def test_flags_and_ranges_are_those_that_were_sent_and_a_number_outside_its_range_is_told():
    made = course(
        result(1, 11, referenceRange=RANGE), result(2, 13, "2026-02-01", referenceRange=RANGE, interpretation=flag("N"))
    )
    [trend] = made
    assert [(each.flags, each.low, each.high, each.outside) for each in trend.points] == [
        ("", "12", "16", True),
        ("N", "12", "16", False),
    ]
    assert is_flagged(result(1, 11, referenceRange=RANGE)) and not is_flagged(result(1, 13, referenceRange=RANGE))
    assert is_flagged(result(1, 13, interpretation=flag("H"))) and not is_flagged(
        result(1, 13, interpretation=flag("N"))
    )


@pytest.mark.parametrize(
    "ranges",
    [
        [{"high": {"value": 16, "unit": "mmol/L"}}],  # another unit
        [*RANGE, {**RANGE[0], "appliesTo": [{"text": "pregnant"}]}],  # which of them holds, nobody can tell
        [{"text": "12 to 16"}],
    ],
)
def test_a_range_that_may_not_be_of_this_number_is_not_compared(ranges):
    assert not is_flagged(result(1, 99, referenceRange=ranges))


def test_components_have_courses_of_their_own():
    def pressure(number: int, day: str, upper: int) -> dict:
        part = {"code": coded("8480-6", "Systolic"), "valueQuantity": grams(upper, "mm[Hg]")}
        return result(number, 1, day, valueQuantity=None, component=[part], code=coded("85354-9", "Blood pressure"))

    [trend] = course(pressure(1, "2026-01-01", 120), pressure(2, "2026-02-01", 150))
    assert trend.name == "Blood pressure: Systolic" and trend.points[0].at == "component[0].valueQuantity"


def test_a_picture_holds_every_point_inside_it_whatever_the_numbers():
    made = course(
        result(1, Decimal("-1E+400")), result(2, Decimal("1E+400"), "2026-01-01T10:00:00+14:00"),
        result(3, 0, "2026-01-01T10:00:00Z"), result(4, Decimal("0.0000001"), "1900-01-01"),
    )  # fmt: skip
    drawn = plot(made[0])
    assert len(drawn.dots) == 4
    assert all(0 <= dot.x <= WIDTH and 0 <= dot.y <= HEIGHT for dot in drawn.dots)
    assert plot(course(result(1, 5), result(2, 5))[0]).dots[0].x == WIDTH / 2


def test_only_the_newest_of_a_long_course_stand_on_the_page_and_it_says_how_many_do_not():
    [trend] = course(*(result(number, number, f"2{number:03}-01-01") for number in range(50)))
    assert len(trend.points) == 40 and trend.earlier == 10 and trend.points[-1].number == "49"
