"""What a rendition is made of: plain values that a page or a PDF lays out."""

from dataclasses import dataclass

from mappings.model.findings import Finding

NOT_STATED = "not stated"


@dataclass(frozen=True)
class AttachedText:
    """The words of one attachment (text/plain), found again in the manifest by its SHA-256 (hex)."""

    sha256: str
    text: str


@dataclass(frozen=True)
class Correction:
    """This packet corrects earlier ones: which correction it is, since when, and what of it the reader has already."""

    number: int
    earlier_gathered_at: str
    known: frozenset[str]  # sources that an earlier packet carried: what is here replaces that


@dataclass(frozen=True)
class Text:
    """A longer text shown over the full width: a conclusion, a note, a narrative."""

    title: str
    text: str


@dataclass(frozen=True)
class Column:
    """One column; ``share`` is its part of the width in percent, ``elements`` the FHIR elements it shows."""

    title: str
    share: int
    elements: tuple[str, ...] = ()


@dataclass(frozen=True)
class Row:
    """One record: a cell for each column, then what no column shows.

    ``source`` is ``Type/id`` where it came from, ``codes`` the codes of its name, ``details`` every other element.
    """

    source: str
    cells: tuple[str, ...]
    codes: str = ""
    texts: tuple[Text, ...] = ()
    details: str = ""
    mark: str = ""  # what a reader has to know of it first: corrected, new, could not be shown


@dataclass(frozen=True)
class Section:
    """A table of records of one kind."""

    key: str
    title: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    note: str = ""


@dataclass(frozen=True)
class Rendition:
    """The whole document. Every resource of the manifest is one row of one section; ``originals`` lists attachments."""

    title: str
    language: str
    patient: str  # one line that identifies the patient, for every page
    facts: tuple[tuple[str, str], ...]  # the cover: label, value
    questions: tuple[str, ...]
    sections: tuple[Section, ...]
    originals: Section
    findings: tuple[Finding, ...] = ()
    unshown: tuple[str, ...] = ()  # sources of records that could not be shown: they have to be sent as they came

    @property
    def index(self) -> tuple[tuple[str, int], ...]:
        """Each section's title and how many records it holds."""
        return tuple((section.title, len(section.rows)) for section in self.sections)

    @property
    def resource_count(self) -> int:
        """How many resources are shown: as many as the manifest has."""
        return sum(count for _, count in self.index)
