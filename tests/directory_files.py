"""Synthetic files shaped like those of NPPES: 330 columns, nine digits of ZIP, fifteen taxonomies, capitals, deactivated rows."""

import csv
import random
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from mappings.practitioner import npi_is_valid
from mappings.specialties import NUCC

_PLACE = "Provider Business Practice Location Address"
_MAIL = "Provider Business Mailing Address"
_ADDRESS = (
    "City Name",
    "State Name",
    "Postal Code",
    "Country Code (If outside U.S.)",
    "Telephone Number",
    "Fax Number",
)
HEADER = [
    "NPI",
    "Entity Type Code",
    "Replacement NPI",
    "Employer Identification Number (EIN)",
    "Provider Organization Name (Legal Business Name)",
    "Provider Last Name (Legal Name)",
    "Provider First Name",
    "Provider Middle Name",
    "Provider Name Prefix Text",
    "Provider Name Suffix Text",
    "Provider Credential Text",
    *(
        f"Provider Other {each}"
        for each in ("Organization Name", "Organization Name Type Code", "Last Name", "First Name")
    ),
    *(f"Provider Other {each}" for each in ("Middle Name", "Name Prefix Text", "Name Suffix Text", "Credential Text")),
    "Provider Other Last Name Type Code",
    "Provider First Line Business Mailing Address",
    "Provider Second Line Business Mailing Address",
    *(f"{_MAIL} {each}" for each in _ADDRESS),
    "Provider First Line Business Practice Location Address",
    "Provider Second Line Business Practice Location Address",
    *(f"{_PLACE} {each}" for each in _ADDRESS),
    "Provider Enumeration Date",
    "Last Update Date",
    "NPI Deactivation Reason Code",
    "NPI Deactivation Date",
    "NPI Reactivation Date",
    "Provider Sex Code",
    *(f"Authorized Official {each}" for each in ("Last Name", "First Name", "Middle Name", "Title or Position")),
    "Authorized Official Telephone Number",
    *(
        f"{each}_{n}"
        for n in range(1, 16)
        for each in (
            "Healthcare Provider Taxonomy Code",
            "Provider License Number",
            "Provider License Number State Code",
            "Healthcare Provider Primary Taxonomy Switch",
        )
    ),
    *(f"Other Provider Identifier{each}_{n}" for n in range(1, 51) for each in ("", " Type Code", " State", " Issuer")),
    "Is Sole Proprietor",
    "Is Organization Subpart",
    *(f"Parent Organization {each}" for each in ("LBN", "TIN")),
    *(f"Authorized Official {each}" for each in ("Name Prefix Text", "Name Suffix Text", "Credential Text")),
    *(f"Healthcare Provider Taxonomy Group_{n}" for n in range(1, 16)),
    "Certification Date",
]
_AT = {name: place for place, name in enumerate(HEADER)}
_FAMILIES = ("SMITH", "O'BRIEN", "MCDONALD", "GARCIA-LOPEZ", "DE LA CRUZ", "NGUYEN", "PATEL", "MUÑOZ", "JOHNSON", "LEE")
_GIVEN = ("ANA", "JOHN", "MARIA", "WEI", "PRIYA", "JAMES", "LINH", "CARLOS", "RUTH", "AHMED")
_SOUNDS = ("BA", "KO", "RI", "TEN", "MAR", "SOL", "VA", "LIN", "DOR", "PEK", "HUS", "JAN", "WIC", "FER", "GOL", "ZU")
PLACES = (
    ("SEATTLE", "WA", "98101"),
    ("BOSTON", "MA", "02115"),
    ("NEW YORK", "NY", "10016"),
    ("HOUSTON", "TX", "77030"),
    ("ROCHESTER", "MN", "55905"),
    ("WHITTIER", "CA", "90602"),
    ("GRAND RAPIDS", "MI", "49506"),
    ("MIAMI", "FL", "33136"),
)


def npi(number: int) -> str:
    """The ``number``-th NPI that has its check digit."""
    stem = f"1{number:08d}"
    return next(stem + str(digit) for digit in range(10) if npi_is_valid(stem + str(digit)))


def row(number: int, **said: str) -> list[str]:
    """A person of the registry; ``said`` by the names of the columns, with _ for a blank where that helps nobody: see `HEADER`."""
    values = {
        "NPI": npi(number),
        "Entity Type Code": "1",
        "Provider Last Name (Legal Name)": "SMITH",
        "Provider First Name": "ANA",
        "Provider Credential Text": "M.D.",
        "Provider First Line Business Mailing Address": "PO BOX 1",
        f"{_MAIL} City Name": "ELSEWHERE",
        f"{_MAIL} State Name": "AK",
        f"{_MAIL} Postal Code": "995010001",
        "Provider First Line Business Practice Location Address": "1 MAIN ST",
        f"{_PLACE} City Name": "SEATTLE",
        f"{_PLACE} State Name": "WA",
        f"{_PLACE} Postal Code": "981010001",
        f"{_PLACE} Country Code (If outside U.S.)": "US",
        f"{_PLACE} Telephone Number": "2065550100",
        "Provider Enumeration Date": "05/23/2006",
        "Last Update Date": "03/01/2026",
        "Provider Sex Code": "F",
        "Healthcare Provider Taxonomy Code_1": "207RX0202X",
        "Healthcare Provider Primary Taxonomy Switch_1": "Y",
        "Provider License Number_1": "MD1",
        "Provider License Number State Code_1": "WA",
        "Is Sole Proprietor": "N",
        **said,
    }
    made = [""] * len(HEADER)
    for name, value in values.items():
        made[_AT[name]] = value
    return made


def deactivated(number: int, day: str = "02/03/2026") -> list[str]:
    """As the registry writes who is no longer in it: the NPI and the day, and nothing else."""
    made = [""] * len(HEADER)
    made[_AT["NPI"]], made[_AT["NPI Deactivation Date"]] = npi(number), day
    return made


def organization(number: int) -> list[str]:
    """A provider that is no person."""
    made = row(number)
    for name in ("Provider Last Name (Legal Name)", "Provider First Name", "Provider Sex Code"):
        made[_AT[name]] = ""
    made[_AT["Entity Type Code"]], made[_AT["Provider Organization Name (Legal Business Name)"]] = "2", "CLINIC LLC"
    return made


def people(many: int, *, seed: int = 1, places: Sequence[tuple[str, str, str]] = PLACES) -> Iterator[list[str]]:
    """So many rows as the registry has them: every eighth an organization, every fortieth deactivated, names and places of all kinds."""
    chance = random.Random(seed)
    codes = list(NUCC)
    for number in range(1, many + 1):
        if number % 8 == 0:
            yield organization(number)
        elif number % 40 == 1:
            yield deactivated(number)
        else:
            yield _person(number, chance, codes, places)


def _person(number: int, chance: random.Random, codes: list[str], places: Sequence[tuple[str, str, str]]) -> list[str]:
    city, state, zip = chance.choice(places)
    family = chance.choice(_FAMILIES) if number % 5 == 0 else "".join(chance.choices(_SOUNDS, k=3))
    made = row(
        number,
        **{
            "Provider Last Name (Legal Name)": family,
            "Provider First Name": chance.choice(_GIVEN) if number % 3 else "".join(chance.choices(_SOUNDS, k=2)),
            "Provider Middle Name": chance.choice(("", "A", "ROSE", "")),
            "Provider Sex Code": chance.choice("MFMFMFU"),
            f"{_PLACE} City Name": city,
            f"{_PLACE} State Name": state,
            f"{_PLACE} Postal Code": zip + ("" if number % 7 == 0 else f"{chance.randrange(10_000):04d}"),
        },
    )
    for place in range(1, chance.choice((1, 1, 1, 2, 3, 15)) + 1):
        made[_AT[f"Healthcare Provider Taxonomy Code_{place}"]] = chance.choice(codes)
        made[_AT[f"Healthcare Provider Primary Taxonomy Switch_{place}"]] = (
            "X" if number % 11 == 0 else "Y" if place == 1 else "N"
        )
        made[_AT[f"Provider License Number State Code_{place}"]] = state if place % 2 else chance.choice(places)[1]
    return made


def write(path: Path, rows: Iterator[list[str]] | Sequence[list[str]], header: Sequence[str] = HEADER) -> Path:
    """A CSV file with every value in quotes, as the registry writes it; packed when its name ends in .zip."""
    plain = path.with_suffix(".csv")
    with plain.open("w", newline="", encoding="utf-8") as file:
        out = csv.writer(file, quoting=csv.QUOTE_ALL, lineterminator="\n")
        out.writerow(header)
        out.writerows(rows)
    if path.suffix != ".zip":
        return plain
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as packed:
        packed.write(plain, plain.name)
    plain.unlink()
    return path
