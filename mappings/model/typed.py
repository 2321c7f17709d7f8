"""What people type into a form: a line of words, a day, a number; each with the sentence that says what is wrong with it."""

from datetime import date, datetime


def line_problem(value: str, most: int) -> str:
    """Empty when it is one line of at most ``most`` characters that can be shown."""
    if len(value) > most:
        return f"has {len(value)} characters; at most {most} are kept"
    return "" if value.isprintable() else "holds a character that cannot be shown, or a line break: write one line"


def read_day(value: str, *, earliest: date | None = None, latest: date | None = None) -> tuple[date | None, str]:
    """The day, or None and why; empty is None and no mistake."""
    if not value.strip():
        return None, ""
    try:
        day = date.fromisoformat(value.strip())
    except ValueError:
        return None, "is no day, such as 2026-05-01"
    if earliest is not None and day < earliest:
        return None, f"is before {earliest}"
    if latest is not None and day > latest:
        return None, f"is after {latest}"
    return day, ""


def read_number(value: str, *, most: int) -> tuple[int | None, str]:
    """The whole number from 0 to ``most``, or None and why; empty is None and no mistake."""
    text = value.strip()
    if not text:
        return None, ""
    if not (text.isascii() and text.isdigit()) or len(text) > 9:
        return None, f"is no whole number from 0 to {most}"
    number = int(text)
    return (number, "") if number <= most else (None, f"is more than {most}")


def came_second(actor: str, word: str, at: datetime) -> str:
    """For whoever said something of a history that had gone on since they looked."""
    return (
        f"{actor} said {word.replace('-', ' ')} at {at:%Y-%m-%d %H:%M} UTC, after you opened this page; nothing of yours was kept: "
        "look, and say it again if it still holds"
    )
