"""Places in the United States: ZIP codes as files write them, and states by their two letters."""

import re

ZIP_CODE = r"([0-9]{5})(?:[-\u2010-\u2013 ]?[0-9]{4})?"  # text programs make a dash of the hyphen of ZIP+4
STATES = {
    "AL": "Alabama",
    "AK": "Alaska",
    "AZ": "Arizona",
    "AR": "Arkansas",
    "CA": "California",
    "CO": "Colorado",
    "CT": "Connecticut",
    "DE": "Delaware",
    "DC": "District of Columbia",
    "FL": "Florida",
    "GA": "Georgia",
    "HI": "Hawaii",
    "ID": "Idaho",
    "IL": "Illinois",
    "IN": "Indiana",
    "IA": "Iowa",
    "KS": "Kansas",
    "KY": "Kentucky",
    "LA": "Louisiana",
    "ME": "Maine",
    "MD": "Maryland",
    "MA": "Massachusetts",
    "MI": "Michigan",
    "MN": "Minnesota",
    "MS": "Mississippi",
    "MO": "Missouri",
    "MT": "Montana",
    "NE": "Nebraska",
    "NV": "Nevada",
    "NH": "New Hampshire",
    "NJ": "New Jersey",
    "NM": "New Mexico",
    "NY": "New York",
    "NC": "North Carolina",
    "ND": "North Dakota",
    "OH": "Ohio",
    "OK": "Oklahoma",
    "OR": "Oregon",
    "PA": "Pennsylvania",
    "RI": "Rhode Island",
    "SC": "South Carolina",
    "SD": "South Dakota",
    "TN": "Tennessee",
    "TX": "Texas",
    "UT": "Utah",
    "VT": "Vermont",
    "VA": "Virginia",
    "WA": "Washington",
    "WV": "West Virginia",
    "WI": "Wisconsin",
    "WY": "Wyoming",
    "PR": "Puerto Rico",
    "GU": "Guam",
    "VI": "U.S. Virgin Islands",
    "AS": "American Samoa",
    "MP": "Northern Mariana Islands",
}
# Territories have country codes of their own; a state's two letters are another country's (DE is Germany).
_HOME = frozenset({"", "US", "USA", "UNITED STATES", "PR", "GU", "VI", "AS", "MP"})
_BY_NAME = {name.replace(".", "").casefold(): code for code, name in STATES.items()}


def zip_of(postal_code: str | None, country: str | None = None) -> str | None:
    """The five digits of a ZIP code written with five or nine, with or without the hyphen; None for another country's or none."""
    if postal_code is None or (country or "").strip().upper() not in _HOME:
        return None
    found = re.fullmatch(ZIP_CODE, postal_code.strip())
    return found[1] if found and found[1] != "00000" else None


def state_of(word: str | None) -> str | None:
    """The two letters of a state, given as these or by its name; None when it is none."""
    plain = " ".join((word or "").replace(".", "").split())
    return plain.upper() if plain.upper() in STATES else _BY_NAME.get(plain.casefold())
