"""What is typed is read with a sentence for each mistake; who does not say is shown apart; pages follow each other without a gap."""

import pytest
from sqlalchemy import text

from integration.views.directory import in_groups, open_points
from tests import directory_files as files
from tests.integration.directory.conftest import TODAY

pytestmark = pytest.mark.postgres
PLACE = "Provider Business Practice Location Address"


def at(number, zip, family="SMITH", **said):
    return files.row(
        number,
        **{"Provider Last Name (Legal Name)": family, f"{PLACE} Postal Code": zip, f"{PLACE} State Name": "", **said},
    )


def set_(directory, number, **values):
    with directory.engine.begin() as conn:
        names = ", ".join(f"{name} = :{name}" for name in values)
        conn.execute(
            text(f"UPDATE directory_entries SET {names} WHERE npi = :npi"), {**values, "npi": files.npi(number)}
        )


def groups(directory, **typed):
    return {name: [each.entry.family for each in found] for name, found in in_groups(directory.search(**typed))}


@pytest.fixture
def four(directory):
    directory.load(
        at(1, "98101", "NEAR"),
        at(2, "98109", "NEXT", **{"Provider Sex Code": "M", "Healthcare Provider Taxonomy Code_1": "207T00000X"}),
        at(3, "02115", "FAR"),
        at(4, "", "NOWHERE", **{"Provider Sex Code": "U"}),
    )
    return directory


def test_nearest_first_and_who_has_no_known_place_apart(four):
    found = four.search(zip="98101", within=25)
    assert [(each.entry.family, each.miles is None) for each in found.found] == [
        ("NEAR", False),
        ("NEXT", False),
        ("NOWHERE", True),
    ]
    assert found.found[0].miles == 0 and 0.5 < found.found[1].miles < 5
    assert groups(four, zip="98101-1234") == {"stated": ["NEAR", "NEXT"], "no-place": ["NOWHERE"]}
    assert four.names(zip="98101", within=25, stated_only="yes") == ["NEAR", "NEXT"]


def test_a_known_distance_is_right(four):
    [found] = four.search(zip="10016", name="far", within=500, stated_only="yes").found
    assert 180 < found.miles < 195  # New York to Boston


def test_unknown_is_not_stated_and_never_no(four):
    assert groups(four, gender="female") == {"stated": ["FAR", "NEAR"], "not-stated": ["NOWHERE"]}
    assert groups(four, gender="male", specialty="Neurosurgery") == {"stated": ["NEXT"]}
    assert groups(four, second_opinions="yes") == {"not-stated": ["FAR", "NEAR", "NEXT", "NOWHERE"]}
    set_(four, 1, second_opinions=True)
    set_(four, 2, second_opinions=False)
    assert groups(four, second_opinions="yes") == {"stated": ["NEAR"], "not-stated": ["FAR", "NOWHERE"]}
    results = four.search(second_opinions="yes", gender="female", licensed_in="OR")
    assert open_points(results.found[0].entry, results.query) == ["second opinions", "a license in Oregon"]


def test_a_license_elsewhere_is_no_word_on_this_state(four):
    assert groups(four, licensed_in="Washington", name="near") == {"stated": ["NEAR"]}
    assert groups(four, licensed_in="ma", name="near") == {"not-stated": ["NEAR"]}


def test_languages_by_their_primary_subtag_and_chinese_with_what_it_is(four):
    for number, tags, spoken in ((1, ["es-MX"], ["es"]), (2, ["zh"], ["zh"]), (3, ["yue"], ["yue"])):
        set_(four, number, languages=tags, spoken=spoken)
    assert groups(four, language="Spanish") == {"stated": ["NEAR"], "not-stated": ["NOWHERE"]}
    for same in ("es-AR", "es-419", "ES", "SPANISH", "es-", "Español"):
        assert groups(four, language=same)["stated"] == ["NEAR"]
    assert groups(four, language="zh-Hant-TW")["stated"] == ["FAR", "NEXT"]
    assert groups(four, language="zh")["stated"] == ["FAR", "NEXT"]
    assert groups(four, language="Cantonese") == {"stated": ["FAR"], "not-stated": ["NEXT", "NOWHERE"]}
    assert "may or may not speak Cantonese" in four.search(language="yue").notes[0]
    assert "several languages" in four.search(language="Chinese").notes[0]
    set_(four, 4, languages=["ase"], spoken=["ase"])
    assert groups(four, language="American Sign Language") == {"stated": ["NOWHERE"]}


def test_a_language_nobody_states_says_so(four):
    found = four.search(language="tlh", stated_only="yes")
    assert found.why_none == "Nobody in the directory states Klingon, and those who state no language are left out."
    assert "is no language that is known here" in four.search(language="Elvish").wrong["language"]


@pytest.mark.parametrize(
    ("typed", "field", "says"),
    [
        ({"zip": "9810"}, "zip", "'9810' is no ZIP code: it has five digits"),
        ({"zip": "V6B 1A1"}, "zip", "is no ZIP code"),
        ({"zip": "00012"}, "zip", "no ZIP code of a place that we know begins with 000"),
        ({"zip": "09001"}, "zip", "military address abroad"),
        ({"within": "0"}, "within", "whole miles from 1 to 500"),
        ({"within": "ten"}, "within", "is no distance"),
        ({"name": " - , "}, "name", "has no letter"),
        ({"gender": "f"}, "gender", "say female, male or other"),
        ({"licensed_in": "Ontario"}, "licensed_in", "is no state"),
        ({"specialty": "wizardry"}, "specialty", "is no specialty that is known here"),
        ({"reached_by": "pigeon"}, "reached_by", "say one of endpoint, fhir, direct"),
        ({"after": "1_2"}, "after", "search again"),
    ],
)
def test_what_cannot_be_searched_by_is_a_sentence(directory, typed, field, says):
    assert says in directory.search(**typed).wrong[field]


def test_an_unknown_zip_code_says_so_and_goes_on_by_its_first_three_digits(four):
    found = four.search(zip="98100")
    assert found.notes == (
        "There is no ZIP code 98100 that we know: distances are from the middle of all that begin with 981.",
    )
    assert {each.entry.family for each in found.found} >= {"NEAR", "NEXT"}


def test_never_an_empty_list_without_the_reason(directory):
    assert directory.search(name="smith").why_none.startswith("The directory is empty")
    directory.load(at(1, "98101"))
    assert directory.search(zip="02115", within=5).why_none.startswith("Nobody within 5 miles of 02115 fits")
    assert directory.search(name="nobody").why_none == "Nobody in the directory fits. Leave something out."


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        ("smi", True),
        ("Smith, Ana", True),
        ("smith ana", True),
        ("Ana SMITH", True),
        ("smith, b", False),
        ("ith", False),
        ("100%", False),
    ],
)
def test_names(directory, typed, found):
    directory.load(at(1, "98101"))
    assert directory.names(name=typed) == (["SMITH"] if found else [])


def test_names_with_accents_and_apostrophes(directory):
    directory.load(at(1, "98101", "MUÑOZ"), at(2, "98101", "O'BRIEN"), at(3, "98101", "DE LA CRUZ"))
    assert directory.names(name="Munoz") == ["MUÑOZ"]
    assert directory.names(name="obrien") == ["O'BRIEN"]
    assert directory.names(name="Ana de la Cruz") == ["DE LA CRUZ"]


@pytest.mark.parametrize(
    "typed", [{}, {"zip": "98101", "within": "500", "gender": "female"}, {"specialty": "394593009"}]
)
def test_pages_follow_each_other_without_a_gap_or_a_double(directory, typed):
    directory.load(*files.people(400))
    seen, after = [], ""
    for _ in range(100):
        page = directory.search(**typed, after=after)
        seen += [each.entry.id for each in page.found]
        after = page.next or ""
        if not after:
            break
    assert len(seen) == len(set(seen)) > 25
    with directory.engine.connect() as conn:
        if not typed:
            assert len(seen) == conn.execute(text("SELECT count(*) FROM directory_entries")).scalar_one()


def test_who_is_gone_is_not_found(directory):
    directory.load(files.row(1), files.row(2))
    directory.load(files.deactivated(1), name="npidata_pfile_20261109-20261115.csv")
    assert [each.entry.npi for each in directory.search(name="smith").found] == [files.npi(2)]


def test_the_age_of_the_file_is_said(directory):
    directory.load(files.row(1))
    assert directory.search(name="smith").ages == {"nppes": "NPPES, file of 2026-11-08"}
    directory.load(files.row(1), name="x.csv", day=TODAY.replace(month=6), fewer=True)
    assert directory.search(name="smith").ages == {"nppes": "NPPES, file of 2026-11-08"}


def test_codes_of_nucc_that_are_not_ours(directory):
    directory.load(files.row(1, **{"Healthcare Provider Taxonomy Code_1": "2083X0100X"}))
    assert "specialty" in directory.search(specialty="Occupational").wrong
    directory.load(
        ["2083X0100X", "Physicians", "Preventive Medicine", "Occupational Medicine", "Occupational Medicine Physician"],
        header=["Code", "Grouping", "Classification", "Specialization", "Display Name"],
        name="nucc_taxonomy_261.csv",
    )
    found = directory.search(specialty="occupational medicine")
    assert found.specialties == {"2083X0100X": "Occupational Medicine Physician"}
    assert directory.names(specialty="2083X0100X") == ["SMITH"]


MANY = """
    INSERT INTO directory_entries (source, source_id, file_on, family, given, name_key, spoken, specialties, lat, lon, state_now)
    SELECT 'x', n::text, '2026-11-08', 'A', 'B', 'a b', CASE WHEN n % 4 = 0 THEN ARRAY['es'] END, ARRAY['S' || n % 20],
      47 + n % 100 / 100.0, -122 - n % 89 / 100.0, 'active'
    FROM generate_series(1, 20000) n"""
TO_BE_COMBINED = """
    EXPLAIN SELECT id FROM directory_entries WHERE state_now = 'active' AND lat BETWEEN 47.1 AND 47.14 AND lon BETWEEN -122.9 AND -122.1
      AND spoken && ARRAY['es'] AND specialties && ARRAY['S0']"""


def test_a_language_and_a_place_are_looked_up_together(engine):
    """Two partial indexes of one condition are never combined: then every row of the place would be read from the table."""
    with engine.begin() as conn:
        conn.execute(text(MANY))
        conn.execute(text("ANALYZE directory_entries"))
        conn.execute(text("SET LOCAL enable_seqscan = off"))
        plan = "\n".join(conn.execute(text(TO_BE_COMBINED)).scalars())
    assert "BitmapAnd" in plan and "directory_entries_spoken" in plan and "directory_entries_place" in plan, plan
