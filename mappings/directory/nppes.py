"""Rows of the NPPES files as entries: the registry of all US providers, read by the names of its columns.

https://download.cms.gov/nppes/NPI_Files.html (readme and code values inside). It holds no language, no insurer and no word on second opinions.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from mappings.directory.entry import Entry
from mappings.directory.places import STATES, zip_of
from mappings.practitioner import npi_is_valid

NPI, ENTITY = "NPI", "Entity Type Code"
PERSON = "1"
FAMILY, GIVEN, MIDDLE = "Provider Last Name (Legal Name)", "Provider First Name", "Provider Middle Name"
SUFFIX, CREDENTIALS = "Provider Name Suffix Text", "Provider Credential Text"
GENDER = ("Provider Sex Code", "Provider Gender Code")  # renamed in 2025
_PLACE = "Provider Business Practice Location Address "  # never the mailing address: patients would go there
LINE, LINE_2 = (f"Provider {which} Line Business Practice Location Address" for which in ("First", "Second"))
CITY, STATE, POSTAL = f"{_PLACE}City Name", f"{_PLACE}State Name", f"{_PLACE}Postal Code"
COUNTRY, PHONE = f"{_PLACE}Country Code (If outside U.S.)", f"{_PLACE}Telephone Number"
UPDATED, DEACTIVATED, REACTIVATED = "Last Update Date", "NPI Deactivation Date", "NPI Reactivation Date"
TAXONOMIES = range(1, 16)
CODE, SWITCH, LICENSE_STATE = (
    "Healthcare Provider Taxonomy Code_{}",
    "Healthcare Provider Primary Taxonomy Switch_{}",
    "Provider License Number State Code_{}",
)
NEEDED = (NPI, ENTITY, FAMILY, GIVEN, LINE, CITY, STATE, POSTAL, UPDATED, DEACTIVATED, CODE.format(1), SWITCH.format(1))
_GENDERS = {"M": "male", "F": "female", "X": "other"}  # U: undisclosed
_NOTHING = frozenset({"", "<UNAVAIL>", "NULL"})


class RowProblem(ValueError):
    """Why a row cannot be an entry, as the end of a sentence that begins with its line."""


@dataclass(frozen=True)
class Columns:
    """Where each column stands in this file; -1: this file has none of that name."""

    at: Mapping[str, int]
    width: int

    @classmethod
    def of(cls, header: Sequence[str]) -> "Columns":
        """Read from the first line of a file."""
        return cls({name.strip().lstrip("\ufeff"): place for place, name in enumerate(header)}, len(header))

    def missing(self, needed: Sequence[str]) -> list[str]:
        """Those that are not there."""
        return [name for name in needed if name not in self.at]

    def places(self, pattern: str) -> tuple[int, ...]:
        """Of the fifteen taxonomies; those that are there, in order."""
        return tuple(self.at.get(pattern.format(n), -1) for n in TAXONOMIES)


class Reader:
    """Makes entries of the rows of one file."""

    def __init__(self, columns: Columns):
        at = columns.at
        self._text = {name: at.get(name, -1) for name in (NPI, ENTITY, FAMILY, GIVEN, MIDDLE, SUFFIX, CREDENTIALS)}
        self._text |= {name: at.get(name, -1) for name in (LINE, LINE_2, CITY, STATE, POSTAL, COUNTRY, PHONE)}
        self._text |= {name: at.get(name, -1) for name in (UPDATED, DEACTIVATED, REACTIVATED)}
        self._gender = next((at[name] for name in GENDER if name in at), -1)
        self._taxonomies = tuple(zip(columns.places(CODE), columns.places(SWITCH), strict=True))
        self._licenses = columns.places(LICENSE_STATE)

    def entry(self, row: Sequence[str]) -> Entry | None:
        """The person of a row; None for an organization. Raises RowProblem."""
        npi = self._said(row, NPI) or ""
        if not npi_is_valid(npi):
            raise RowProblem("has an NPI that is not ten digits with the right check digit")
        ended = day(self._said(row, DEACTIVATED), DEACTIVATED)
        again = day(self._said(row, REACTIVATED), REACTIVATED)
        active = ended is None or (again is not None and again >= ended)
        kind = self._said(row, ENTITY)
        if not active and kind in (None, PERSON):
            return Entry(npi, npi, active=False, ended_on=ended)
        if kind != PERSON:
            return None
        return self._person(row, npi)

    def _person(self, row: Sequence[str], npi: str) -> Entry:
        family = self._said(row, FAMILY)
        if family is None:
            raise RowProblem("has no last name")
        country, postal = self._said(row, COUNTRY), self._said(row, POSTAL)
        codes = self._codes(row)
        return Entry(
            npi,
            npi,
            family=family,
            given=" ".join(filter(None, (self._said(row, GIVEN), self._said(row, MIDDLE)))),
            credentials=", ".join(filter(None, (self._said(row, SUFFIX), self._said(row, CREDENTIALS)))) or None,
            gender=_GENDERS.get(row[self._gender].strip()) if self._gender >= 0 else None,
            specialties=codes or None,
            line=", ".join(filter(None, (self._said(row, LINE), self._said(row, LINE_2)))) or None,
            city=self._said(row, CITY),
            state=self._said(row, STATE),
            postal_code=postal,
            zip=zip_of(postal, country),
            country=country,
            phone=self._said(row, PHONE),
            licensed_in=self._states(row) or None,
            updated_on=day(self._said(row, UPDATED), UPDATED),
        )

    def _said(self, row: Sequence[str], name: str) -> str | None:
        place = self._text[name]
        text = row[place].strip() if place >= 0 else ""
        return None if text in _NOTHING else text

    def _codes(self, row: Sequence[str]) -> tuple[str, ...]:
        """The primary one first; X says that none of them is."""
        found = [
            (row[switch].strip() != "Y" if switch >= 0 else True, number, row[code].strip())
            for number, (code, switch) in enumerate(self._taxonomies)
            if code >= 0 and row[code].strip()
        ]
        return tuple(dict.fromkeys(code for _, _, code in sorted(found)))

    def _states(self, row: Sequence[str]) -> tuple[str, ...]:
        said = (row[place].strip() for place in self._licenses if place >= 0)
        return tuple(dict.fromkeys(state for state in said if state in STATES))


def day(text: str | None, column: str) -> date | None:
    """``11/08/2026``, or as ISO writes it. Raises RowProblem."""
    if text is None:
        return None
    try:
        if "/" not in text:
            return date.fromisoformat(text)
        month, of_month, year = text.split("/")
        return date(int(year), int(month), int(of_month))
    except ValueError:
        raise RowProblem(f"has no date such as 11/08/2026 in {column!r}") from None
