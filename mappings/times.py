"""Times as R4 takes them: what another system wrote is passed on when it is one, and left out when it is none.

https://hl7.org/fhir/R4/datatypes.html#dateTime  "The time 24:00 may not be used", and a time has a zone.
"""

import re
from datetime import UTC, date, datetime

INSTANT = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?(Z|[+-]\d{2}:\d{2})")
_DATE = re.compile(r"(\d{4})(-\d{2})?(-\d{2})?")


def as_instant(value: object) -> str | None:
    """The text when it is an instant that exists (date, time and zone), else None."""
    text = value.strip() if isinstance(value, str) else ""
    if not INSTANT.fullmatch(text):
        return None
    try:
        datetime.fromisoformat(re.sub(r"\.\d+", "", text))
    except ValueError:
        return None
    return text


def in_utc(value: object) -> datetime | None:
    """The instant that a text is, in UTC; None when it is none."""
    text = as_instant(value)
    try:
        return None if text is None else datetime.fromisoformat(text).astimezone(UTC)
    except OverflowError:  # the first or last day there is, in another zone
        return None


def as_date_time(value: object) -> str | None:
    """The text when it is a dateTime: an instant, a date, a month or a year; else None."""
    text = value.strip() if isinstance(value, str) else ""
    found = _DATE.fullmatch(text)
    if found is None:
        return as_instant(text)
    year, month, day = found.groups()
    try:
        date(int(year), int((month or "-01")[1:]), int((day or "-01")[1:]))
    except ValueError:
        return None
    return text
