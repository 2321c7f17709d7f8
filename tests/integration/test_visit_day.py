"""Which day is the visit: one answer for the checklist, suitability and coverage."""

from datetime import UTC, date, datetime
from types import SimpleNamespace

import pytest

from integration import visit_day

TODAY, WANTED, VISIT = date(2026, 11, 30), date(2026, 12, 10), date(2026, 12, 15)
APPOINTMENT = SimpleNamespace(day=VISIT, is_booked=True, start_at=datetime(2026, 12, 15, 16, tzinfo=UTC))
CANCELED = SimpleNamespace(day=VISIT, is_booked=False)


@pytest.mark.parametrize(
    ("wanted", "booked", "known", "judged", "why"),
    [
        (WANTED, APPOINTMENT, VISIT, VISIT, visit_day.BOOKED),
        (WANTED, CANCELED, WANTED, WANTED, visit_day.WANTED),
        (None, CANCELED, None, TODAY, visit_day.TODAY),
        (date(2026, 11, 1), None, date(2026, 11, 1), TODAY, visit_day.TODAY),  # a wanted day that is over
        (None, None, None, TODAY, visit_day.TODAY),
    ],
)
def test_the_day_of_the_visit(wanted, booked, known, judged, why):
    content = SimpleNamespace(wanted_by=wanted)
    assert visit_day.known_day(content, booked) == known
    assert visit_day.judged_day(content, booked, TODAY) == (judged, why)


def test_a_visit_that_is_over_is_still_the_day_of_the_visit():
    assert visit_day.judged_day(SimpleNamespace(wanted_by=None), APPOINTMENT, date(2027, 1, 1)) == (
        VISIT,
        visit_day.BOOKED,
    )
