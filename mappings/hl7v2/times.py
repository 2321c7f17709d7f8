"""Times as HL7 v2 writes them: as exact as they were said, with their zone. https://www.hl7.eu/HL7v2x/v251/std251/ch02a.html (TS)"""

import re
from datetime import datetime

from mappings.times import as_date_time

_PARTS = re.compile(r"(\d{4})-?(\d{2})?-?(\d{2})?(?:T(\d{2}):(\d{2}):(\d{2})(?:\.(\d+))?(Z|[+-]\d{2}:\d{2}))?")

_WRITTEN = re.compile(
    r"(\d{4})(?:(\d{2})(?:(\d{2})(?:(\d{2})(?:(\d{2})(?:(\d{2})(?:\.(\d{1,4}))?)?)?([+-]\d{4})?)?)?)?"
)


def to_time(value: object) -> str:
    """``20260601100000+0000`` of a FHIR date, dateTime or instant; empty for what is none."""
    found = _PARTS.fullmatch(as_date_time(value) or "")
    if found is None:
        return ""
    *parts, fraction, zone = found.groups()
    made = "".join(each or "" for each in parts) + (f".{fraction[:4]}" if fraction else "")
    return made + ("" if zone is None else "+0000" if zone == "Z" else zone.replace(":", ""))


def from_time(value: str) -> str | None:
    """A FHIR date or dateTime of ``20260601100000+0000``; None for what is none. A time without a zone says its day."""
    found = _WRITTEN.fullmatch(value.strip())
    if found is None:
        return None
    year, month, day, hour, minute, second, fraction, zone = found.groups()
    date = "-".join(each for each in (year, month, day) if each)
    if hour is None or zone is None:
        return as_date_time(date)
    time = f"{hour}:{minute or '00'}:{second or '00'}" + (f".{fraction}" if fraction else "")
    return as_date_time(f"{date}T{time}{zone[:3]}:{zone[3:]}")


def stamp(at: datetime) -> str:
    """An aware time, to the second."""
    return at.strftime("%Y%m%d%H%M%S%z")
