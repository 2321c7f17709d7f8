"""Times as FHIR writes them: meta.lastUpdated, and the span of time a search value such as ``2024-05`` stands for.

https://hl7.org/fhir/R4/datatypes.html#instant
"""

import calendar
import re
from datetime import UTC, datetime, timedelta, timezone

_VALUE = re.compile(r"(\d{4})(?:-(\d\d)(?:-(\d\d)(?:T(\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?(Z|[+-]\d\d:\d\d)?)?)?)?")


def to_instant(moment: datetime) -> str:
    """``2024-05-01T08:00:00.123Z``."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03}Z"


def span_of(value: str) -> tuple[datetime, datetime]:
    """The first moment ``value`` covers and the first it no longer does; ValueError when it is no time.

    Without a zone it is read as UTC. A ``+`` that was sent unescaped arrives as a space.
    """
    match = _VALUE.fullmatch(value.replace(" ", "+"))
    if match is None:
        raise ValueError("not a FHIR date or time")
    month, day, hour, minute, second = (int(part) if part else None for part in match.groups()[1:6])
    micros = int((match[7] or "0")[:6].ljust(6, "0"))
    start = datetime(int(match[1]), month or 1, day or 1, hour or 0, minute or 0, second or 0, micros, _zone(match[8]))
    return start, start + _length(start, month, day, hour, second, match[7])


def _length(
    start: datetime, month: int | None, day: int | None, hour: int | None, second: int | None, fraction: str | None
) -> timedelta:
    if fraction:
        return timedelta(seconds=10.0 ** -min(len(fraction), 6))
    if hour is not None:
        return timedelta(seconds=1) if second is not None else timedelta(minutes=1)
    if day:
        return timedelta(days=1)
    if month:
        return timedelta(days=calendar.monthrange(start.year, month)[1])
    return timedelta(days=366 if calendar.isleap(start.year) else 365)


def _zone(text: str | None) -> timezone:
    if not text or text == "Z":
        return UTC
    sign = -1 if text[0] == "-" else 1
    return timezone(sign * timedelta(hours=int(text[1:3]), minutes=int(text[4:])))
