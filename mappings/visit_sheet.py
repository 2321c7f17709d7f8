"""The page that a patient takes along to the visit: no diagnosis on it, nothing that was not said."""

import textwrap
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from mappings.medications import What, Word

WIDTH = 80


@dataclass(frozen=True)
class Medicine:
    """One line: what it is called, how it is taken in somebody's words, and whether it is taken."""

    name: str
    dosage: str
    is_taken: bool = True


@dataclass(frozen=True)
class Sheet:
    """What stands on the page: (title, lines) of each section."""

    heading: str
    sections: tuple[tuple[str, tuple[str, ...]], ...]


def medicines(entries: Iterable[tuple[str, str, str]], said: dict[str, Word]) -> list[Medicine]:
    """Of (key, name, dosage) of what the chart has now, with what was said of each, and what is taken beside them."""
    made = []
    for key, name, dosage in entries:
        word = said.get(key)
        if word is None:
            made.append(Medicine(name, dosage))
        else:
            made.append(Medicine(name, word.words or dosage, word.what is not What.NOT_TAKING))
    return made + [Medicine(each.words, "") for each in said.values() if each.what is What.ALSO]


def as_text(sheet: Sheet, lines_of_page: int, continued: str) -> str:
    """Lines of at most 80 columns; where they need more than a page, each but the last ends by saying so."""
    lines = list(_lines(sheet))
    if len(lines) <= lines_of_page:
        return "\n".join(lines)
    room, made = lines_of_page - 1, []
    for first in range(0, len(lines), room):
        part = lines[first : first + room]
        is_last = first + room >= len(lines)
        made += part if is_last else [*part, f"({continued})"]
    return "\n".join(made)


def _lines(sheet: Sheet) -> Iterator[str]:
    yield sheet.heading
    yield "=" * min(WIDTH, len(sheet.heading))
    for title, texts in sheet.sections:
        yield ""
        yield title.upper()
        for text in texts:
            for line in text.splitlines() or [""]:
                wrapped = textwrap.wrap(line, WIDTH - 2, subsequent_indent="  ", break_long_words=True)
                yield from wrapped or [""]
