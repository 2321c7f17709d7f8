"""Rows of NPPES and their spelling, with plain values."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mappings.codes import SYSTEM_NUCC, SYSTEM_SNOMED
from mappings.directory.nppes import Columns, Reader, RowProblem
from mappings.directory.places import STATES, state_of, zip_of
from mappings.directory.spelling import spelled
from mappings.specialties import NUCC, NUCC_OF, OFFERED, SPECIALTIES, nucc_of, offered, snomed_of
from tests import directory_files as files


@pytest.mark.parametrize(
    ("stored", "shown"),
    [
        ("SMITH", "Smith"),
        ("O'BRIEN-MCDONALD III", "O'Brien-McDonald III"),
        ("DE LA CRUZ", "De La Cruz"),
        ("MACK", "Mack"),
        ("KING'S CLINIC OF THE NORTH LLC", "King's Clinic of the North LLC"),
        ("MUÑOZ", "Muñoz"),
        ("von Trapp", "von Trapp"),
        ("123 N MAIN ST NW", "123 N Main St NW"),
        (None, ""),
    ],
)
def test_capitals_are_shown_as_people_write_them(stored, shown):
    assert spelled(stored) == shown


@given(st.text(max_size=30))
def test_spelling_changes_no_letter_but_its_case(text):
    assert spelled(text).casefold() == text.casefold() or not text.isascii()
    assert spelled(spelled(text)) == spelled(text) or not text.isascii()


@given(st.from_regex(r"[0-9]{5}([- ]?[0-9]{4})?", fullmatch=True))
def test_a_zip_code_is_its_first_five_digits(text):
    assert zip_of(text) == (None if text[:5] == "00000" else text[:5])
    assert zip_of(text, "DE") is None and zip_of(text, "PR") == zip_of(text)


def test_states_by_letters_and_names():
    assert (
        state_of("ma") == state_of("Massachusetts") == "MA" and state_of("D.C.") == "DC" and state_of("Ontario") is None
    )
    assert all(state_of(name) == code for code, name in STATES.items())


@given(st.lists(st.text(max_size=12), min_size=len(files.HEADER), max_size=len(files.HEADER)))
@settings(max_examples=50, deadline=None)
def test_any_row_is_an_entry_an_organization_or_a_sentence(row):
    try:
        Reader(Columns.of(files.HEADER)).entry(row)
    except RowProblem as problem:
        assert str(problem).startswith("has ")


def test_every_specialty_of_ours_leads_there_and_back():
    for code, name in SPECIALTIES.items():
        assert nucc_of(code) == nucc_of(name) == NUCC_OF[code] and snomed_of(NUCC_OF[code][0]) == code
    assert all(code in NUCC for held in NUCC_OF.values() for code in held)
    assert nucc_of("207T00000X") == nucc_of("neurosurgery") == ("207T00000X",) and nucc_of("wizardry") == ()


def test_a_form_offers_each_specialty_once_in_the_system_that_has_it():
    assert list(OFFERED.values()) == sorted(set(SPECIALTIES.values()) | set(NUCC.values()))
    assert offered("394579002") == {"system": SYSTEM_SNOMED, "code": "394579002", "display": "Cardiology"}
    assert offered("207RI0008X") == {"system": SYSTEM_NUCC, "code": "207RI0008X", "display": "Hepatology"}
    assert all(nucc_of(code) for code in OFFERED), "whoever is chosen is found in the directory"
