"""Specialties by their codes, SNOMED CT and NUCC, with the words that pages show: an order's own words may hold anything.

NUCC's definitions are under licence: the codes here have words of our own, and a site loads the rest from NUCC's own file.
Each NUCC code here was looked up in the code list that CMS read from nucc.org (github.com/DSACMS/npd_nucc_slurp) and means there
what it is called here.
"""

from collections.abc import Mapping

from mappings.codes import SYSTEM_NUCC, SYSTEM_SNOMED
from mappings.names import fold

# https://hl7.org/fhir/R4/valueset-c80-practice-codes.html, those that give second opinions most
SPECIALTIES = {
    "394593009": "Medical oncology",
    "394803006": "Clinical hematology",
    "394579002": "Cardiology",
    "394591006": "Neurology",
    "394610002": "Neurosurgery",
    "394801008": "Trauma and orthopedics",
    "394609007": "General surgery",
    "394584008": "Gastroenterology",
    "394612005": "Urology",
    "394585009": "Obstetrics and gynecology",
    "394589003": "Nephrology",
    "394583002": "Endocrinology",
    "418112009": "Pulmonary medicine",
    "394582007": "Dermatology",
    "394594003": "Ophthalmology",
    "394587001": "Psychiatry",
    "394914008": "Radiology",
    "394915009": "General pathology",
}

# Physicians by what they do, https://nucc.org/index.php/code-sets-mainmenu-41/provider-taxonomy-mainmenu-40
NUCC = {
    "207RX0202X": "Medical oncology",
    "207RH0003X": "Hematology and oncology",
    "207RH0000X": "Hematology",
    "2085R0001X": "Radiation oncology",
    "2086X0206X": "Surgical oncology",
    "207VX0201X": "Gynecologic oncology",
    "2080P0207X": "Hematology and oncology of children",
    "207RC0000X": "Cardiology",
    "207RI0011X": "Interventional cardiology",
    "207RC0001X": "Cardiac electrophysiology",
    "207RA0001X": "Heart failure and transplant cardiology",
    "2080P0202X": "Cardiology of children",
    "208G00000X": "Thoracic and heart surgery",
    "2086S0129X": "Vascular surgery",
    "2084N0400X": "Neurology",
    "2084N0402X": "Neurology of children",
    "2084V0102X": "Vascular neurology",
    "2084E0001X": "Epilepsy",
    "207T00000X": "Neurosurgery",
    "207X00000X": "Orthopedic surgery",
    "207XS0117X": "Orthopedic surgery of the spine",
    "207XS0114X": "Joint replacement",
    "207XX0005X": "Orthopedic sports medicine",
    "207XX0801X": "Orthopedic trauma",
    "207XS0106X": "Orthopedic surgery of the hand",
    "207XX0004X": "Orthopedic surgery of foot and ankle",
    "207XP3100X": "Orthopedic surgery of children",
    "208600000X": "General surgery",
    "208C00000X": "Colon and rectal surgery",
    "204F00000X": "Transplant surgery",
    "208200000X": "Plastic surgery",
    "207RG0100X": "Gastroenterology",
    "207RI0008X": "Hepatology",
    "207RT0003X": "Transplant hepatology",
    "208800000X": "Urology",
    "2088P0231X": "Urology of children",
    "207V00000X": "Obstetrics and gynecology",
    "207VG0400X": "Gynecology",
    "207VX0000X": "Obstetrics",
    "207VM0101X": "Maternal and fetal medicine",
    "207VE0102X": "Reproductive endocrinology",
    "207RN0300X": "Nephrology",
    "207RE0101X": "Endocrinology",
    "207RP1001X": "Pulmonary medicine",
    "207RC0200X": "Critical care",
    "207RR0500X": "Rheumatology",
    "207RI0200X": "Infectious disease",
    "207RG0300X": "Geriatric medicine",
    "207N00000X": "Dermatology",
    "207ND0101X": "Mohs surgery",
    "207W00000X": "Ophthalmology",
    "207WX0107X": "Retina",
    "207Y00000X": "Ear, nose and throat",
    "2084P0800X": "Psychiatry",
    "2084P0804X": "Psychiatry of children and adolescents",
    "2085R0202X": "Diagnostic radiology",
    "2085N0700X": "Neuroradiology",
    "2085R0204X": "Interventional radiology",
    "207U00000X": "Nuclear medicine",
    "207ZP0102X": "Anatomic and clinical pathology",
    "207ZP0101X": "Anatomic pathology",
    "207ZC0500X": "Cytopathology",
    "207ZH0000X": "Hematopathology",
    "207ZN0500X": "Neuropathology",
    "207SG0201X": "Clinical genetics",
    "207K00000X": "Allergy and immunology",
    "208100000X": "Physical medicine and rehabilitation",
    "208VP0000X": "Pain medicine",
    "207LP2900X": "Pain medicine (anesthesiology)",
    "208000000X": "Pediatrics",
    "207R00000X": "Internal medicine",
    "207Q00000X": "Family medicine",
    "208D00000X": "General practice",
}

# A SNOMED CT specialty holds these NUCC ones, the one that is the same first.
NUCC_OF: dict[str, tuple[str, ...]] = {
    "394593009": ("207RX0202X", "207RH0003X", "2080P0207X", "207VX0201X"),
    "394803006": ("207RH0000X", "207RH0003X", "2080P0207X"),
    "394579002": ("207RC0000X", "207RI0011X", "207RC0001X", "207RA0001X", "2080P0202X"),
    "394591006": ("2084N0400X", "2084N0402X", "2084V0102X", "2084E0001X"),
    "394610002": ("207T00000X",),
    "394801008": (
        "207X00000X",
        "207XS0117X",
        "207XS0114X",
        "207XX0005X",
        "207XX0801X",
        "207XS0106X",
        "207XX0004X",
        "207XP3100X",
    ),
    "394609007": ("208600000X", "2086X0206X", "2086S0129X"),
    "394584008": ("207RG0100X", "207RI0008X", "207RT0003X"),
    "394612005": ("208800000X", "2088P0231X"),
    "394585009": ("207V00000X", "207VG0400X", "207VX0000X", "207VM0101X", "207VX0201X", "207VE0102X"),
    "394589003": ("207RN0300X",),
    "394583002": ("207RE0101X",),
    "418112009": ("207RP1001X",),
    "394582007": ("207N00000X", "207ND0101X"),
    "394594003": ("207W00000X", "207WX0107X"),
    "394587001": ("2084P0800X", "2084P0804X"),
    "394914008": ("2085R0202X", "2085N0700X", "2085R0204X"),
    "394915009": ("207ZP0102X", "207ZP0101X", "207ZC0500X", "207ZH0000X", "207ZN0500X"),
}

# What forms offer, by name: of one that both systems have, SNOMED CT's, which an order carries.
OFFERED = dict(
    sorted(
        {**{code: words for code, words in NUCC.items() if words not in SPECIALTIES.values()}, **SPECIALTIES}.items(),
        key=lambda each: each[1],
    )
)

_NOTHING: Mapping[str, str] = {}
_BY_NAME: dict[str, tuple[str, ...]] = {fold(words): (code,) for code, words in NUCC.items()}
_BY_NAME |= {fold(words): NUCC_OF[code] for code, words in SPECIALTIES.items()}


# Groupings of NUCC's file whose people are asked for opinions; it lists hospitals, suppliers and students too.
GROUPINGS = (
    "Allopathic & Osteopathic Physicians",
    "Behavioral Health & Social Service Providers",
    "Dental Providers",
    "Eye and Vision Services Providers",
    "Podiatric Medicine & Surgery Service Providers",
)


def with_loaded(loaded: Mapping[str, str]) -> dict[str, str]:
    """What forms offer, by name, with NUCC's codes that a site loaded and that have no name of ours."""
    more = {code: words for code, words in loaded.items() if code not in NUCC and words not in OFFERED.values()}
    return dict(sorted({**OFFERED, **more}.items(), key=lambda each: each[1])) if more else OFFERED


def offered(code: str, loaded: Mapping[str, str] = _NOTHING) -> dict[str, str | None]:
    """A specialty that a form offers, as a request says it; of a code that none offers the name is not known.

    ``loaded``: names of NUCC's codes that a site loaded.
    """
    is_nucc = code in NUCC or code in loaded
    words = OFFERED.get(code) or loaded.get(code)
    return {"system": SYSTEM_NUCC if is_nucc else SYSTEM_SNOMED, "code": code, "display": words}


def nucc_of(word: str) -> tuple[str, ...]:
    """NUCC codes for a code of either system or for one of the names above; empty when it is none of them."""
    if word in NUCC:
        return (word,)
    return NUCC_OF.get(word) or _BY_NAME.get(fold(word), ())


def snomed_of(nucc: str) -> str | None:
    """The SNOMED CT specialty that is, or holds, a NUCC one; None when none of ours does."""
    same = next((code for code, held in NUCC_OF.items() if held[0] == nucc), None)
    return same or next((code for code, held in NUCC_OF.items() if nucc in held), None)
