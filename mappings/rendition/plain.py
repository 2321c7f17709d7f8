"""A rendition, or some rows of it, as plain text: every reader's own fonts and direction of writing show it."""

from collections.abc import Iterable, Iterator, Set

from mappings.rendition.model import Rendition, Row, Section

COVER = "cover"
OTHER = "Words in other letters"  # what this is called beside the document that cannot show them


def as_text(rendition: Rendition, only: Set[str] | None = None) -> str:
    """The rows whose source is in ``only``, and the cover when that is: label and words, line by line. None: all of it."""
    return "\n".join(_lines(rendition, only)) + "\n"


def _lines(rendition: Rendition, only: Set[str] | None) -> Iterator[str]:
    yield from (rendition.title if only is None else f"{OTHER}: {rendition.title}", rendition.patient, "")
    if only is None or COVER in only:
        yield from (f"{name}: {value}" for name, value in rendition.facts)
        yield from (f"The patient asks: {question}" for question in rendition.questions)
        yield ""
    for section in (*rendition.sections, rendition.originals):
        yield from _section(section, [row for row in section.rows if only is None or row.source in only])


def _section(section: Section, rows: Iterable[Row]) -> Iterator[str]:
    for number, row in enumerate(rows):
        if number == 0:
            yield from (section.title.upper(), "")
        yield from ([row.mark] if row.mark else [])
        yield from (f"{column.title}: {cell}" for column, cell in zip(section.columns, row.cells, strict=True))
        yield from (f"{text.title}: {text.text}" for text in row.texts)
        yield from (part for part in (row.codes, row.details) if part)
        yield from (f"source {row.source}", "")
