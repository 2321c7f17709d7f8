"""Where the points of a course stand in a small picture: numbers only; nothing between two results is invented but a straight line."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from mappings.reading.model import Point, Trend

WIDTH, HEIGHT, EDGE = 320, 96, 6


@dataclass(frozen=True, slots=True)
class Dot:
    """One result; ``low`` and ``high``: where its own range ends, None where it states no such end in its unit."""

    point: Point
    x: float
    y: float
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class Plot:
    """A course; ``lowest`` and ``highest``: the digits at the bottom and the top, ``begins`` and ``ends`` the dates."""

    dots: tuple[Dot, ...]
    line: str
    lowest: str
    highest: str
    begins: str
    ends: str


def plot(trend: Trend) -> Plot:
    """The picture of a course of at least one number."""
    told = [each for point in trend.points for each in (point.number, point.low, point.high) if each]
    values = sorted(told, key=Decimal)
    times = [_time(point) for point in trend.points]
    low, high = Decimal(values[0]), Decimal(values[-1])

    def y(number: str) -> float | None:
        return round(HEIGHT - EDGE - _share(Decimal(number), low, high) * (HEIGHT - 2 * EDGE), 1) if number else None

    dots = tuple(
        Dot(each, _x(at, times), y(each.number) or 0.0, y(each.low), y(each.high))
        for each, at in zip(trend.points, times, strict=True)
    )
    line = " ".join(f"{dot.x},{dot.y}" for dot in dots)
    return Plot(dots, line, values[0], values[-1], trend.points[0].dated[:10], trend.points[-1].dated[:10])


def _x(at: float, times: list[float]) -> float:
    first, last = min(times), max(times)
    share = (at - first) / (last - first) if last > first else 0.5
    return round(EDGE + share * (WIDTH - 2 * EDGE), 1)


def _share(number: Decimal, low: Decimal, high: Decimal) -> float:
    return float((number - low) / (high - low)) if high > low else 0.5


def _time(point: Point) -> float:
    """Days; a time without a zone does not exist in FHIR."""
    at = datetime.fromisoformat(point.dated)
    ahead = at.utcoffset()
    return at.toordinal() + (at.hour * 60 + at.minute) / 1440 - (ahead.total_seconds() / 86400 if ahead else 0)
