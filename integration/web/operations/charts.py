"""Small charts as numbers for SVG: bars and a sparkline; every page that shows one has the table beside it."""

from collections.abc import Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 720, 160


@dataclass(frozen=True)
class Bar:
    """One bar with what it says when pointed at."""

    x: float
    y: float
    width: float
    height: float
    label: str
    part: float = 0.0  # height of the filled part (closed of all)


def bars(values: list[float | None], labels: list[str], parts: list[float] | None = None) -> list[Bar]:
    """Bars over the whole width, the highest as high as the chart."""
    highest, room = max([value or 0 for value in values] or [0]) or 1, WIDTH / max(1, len(values))
    width = max(1.0, room * 0.8)
    made = []
    for index, value in enumerate(values):
        height = (value or 0) / highest * HEIGHT
        part = (parts[index] if parts else 0) / highest * HEIGHT
        made.append(
            Bar(
                round(index * room + (room - width) / 2, 2),
                round(HEIGHT - height, 2),
                round(width, 2),
                round(height, 2),
                labels[index],
                round(part, 2),
            )
        )
    return made


def sparkline(values: Sequence[int], width: int = 120, height: int = 24) -> str:
    """The points of a polyline."""
    highest, step = max(values) or 1, width / max(1, len(values) - 1)
    return " ".join(
        f"{index * step:.1f},{height - 1 - value / highest * (height - 2):.1f}" for index, value in enumerate(values)
    )
