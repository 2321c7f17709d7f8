"""Files of NPPES: all of one or nothing, whatever is wrong with it, and the same directory in whatever order they come."""

import codecs
import csv
import gzip
import threading
import time
from datetime import date
from itertools import permutations

import pytest
from sqlalchemy import text

from integration.directory.loading import Wanted, load
from integration.store import directory as store
from integration.store.operations import NotPossible
from mappings.model.errors import FileError
from tests import directory_files as files
from tests.integration.directory.conftest import WEEK, WHOLE

pytestmark = pytest.mark.postgres
row = files.row
PLACE = "Provider Business Practice Location Address"


def rows_of(directory):
    with directory.engine.connect() as conn:
        return conn.execute(
            text("SELECT npi, family, state_now, ended_on, file_on FROM directory_entries ORDER BY npi")
        ).all()


def test_it_reads_a_person_by_the_names_of_the_columns(directory):
    done = directory.load(
        row(
            1,
            **{
                "Provider Last Name (Legal Name)": "O'BRIEN",
                "Provider Name Suffix Text": "III",
                "Provider Middle Name": "ROSE",
                "Healthcare Provider Taxonomy Code_1": "207R00000X",
                "Healthcare Provider Primary Taxonomy Switch_1": "N",
                "Healthcare Provider Taxonomy Code_2": "207RX0202X",
                "Healthcare Provider Primary Taxonomy Switch_2": "Y",
                "Provider License Number State Code_2": "OR",
            },
        ),
        files.organization(2),
        files.deactivated(3),
    )
    assert [(each.rows, each.added, each.left_out) for each in done] == [(2, 1, 0)]
    found = directory.row(1)
    assert (found.family, found.given, found.gender) == ("O'BRIEN", "ANA ROSE", "female")
    assert found.credentials == "III, M.D."
    assert (found.city, found.zip, found.postal_code) == (
        "SEATTLE",
        "98101",
        "981010001",
    )  # and not the mailing address
    assert found.specialties == ["207RX0202X", "207R00000X"]
    assert found.licensed_in == ["WA", "OR"] and found.position == "zip"
    assert found.languages is None and found.second_opinions is None and found.accepting is None
    assert found.file_on == date(2026, 11, 8)


@pytest.mark.parametrize(
    ("postal", "country", "zip", "position"),
    [
        ("98101", "US", "98101", "zip"),
        ("98101-0001", "", "98101", "zip"),
        ("981990000", "US", "98199", "zip"),
        ("98100", "US", "98100", "zip3"),
        ("V6B1A1", "CA", None, None),
        ("12345", "DE", None, None),
        ("", "US", None, None),
        ("00000", "US", None, None),
    ],
)
def test_it_places_whoever_can_be_placed(directory, postal, country, zip, position):
    directory.load(row(1, **{f"{PLACE} Postal Code": postal, f"{PLACE} Country Code (If outside U.S.)": country}))
    found = directory.row(1)
    assert (found.zip, found.position) == (zip, position)
    assert (found.lat is None) == (position is None)


def test_it_knows_the_column_of_gender_by_both_of_its_names(directory):
    header = ["Provider Gender Code" if name == "Provider Sex Code" else name for name in files.HEADER]
    directory.load(row(1), row(2, **{"Provider Sex Code": "U"}), row(3, **{"Provider Sex Code": "M"}), header=header)
    assert [directory.row(number).gender for number in (1, 2, 3)] == ["female", None, "male"]


def test_it_reads_a_zip_file_and_rows_in_two_encodings(directory, tmp_path):
    rows = [
        row(1, **{"Provider Last Name (Legal Name)": "MUÑOZ"}),
        row(2, **{"Provider Last Name (Legal Name)": "PEÑA"}),
    ]
    plain = files.write(tmp_path / "made.csv", rows).read_bytes()
    mixed = b"\n".join(
        line.decode().encode("cp1252") if "PEÑA" in line.decode() else line for line in plain.split(b"\n")
    )
    (tmp_path / "made.csv").write_bytes(mixed)
    with (tmp_path / "made.csv").open(encoding="latin-1", newline="") as file:
        assert len(list(csv.reader(file))) == 3
    load(directory.engine, tmp_path / "made.csv", Wanted(day=date(2026, 11, 8)), actor="t", progress=lambda a, b: None)
    assert [directory.row(number).family for number in (1, 2)] == ["MUÑOZ", "PEÑA"]
    directory.load(row(3), name=WHOLE.replace(".csv", ".zip"), whole=False, fewer=True)
    assert directory.row(3).state_now == "active" and directory.row(1).state_now == "gone"


@pytest.mark.long
def test_ten_thousand_rows_shaped_like_the_registry(directory):
    began = time.monotonic()
    [done] = directory.load(*files.people(10_000))
    assert (done.added, done.left_out) == (8_500, 0)
    assert time.monotonic() - began < 30  # 100,000 in a minute on a quiet machine: make bench ARGS="--only directory"
    with directory.engine.connect() as conn:
        count = conn.execute(text("SELECT count(*) FROM directory_entries WHERE lat IS NULL")).scalar_one()
    assert count == 0


# --- what is wrong with a file -------------------------------------------------------------------------------------


def refused(directory, *rows, name=WHOLE, **more) -> str:
    before = rows_of(directory)
    with pytest.raises((FileError, NotPossible)) as error:
        directory.load(*rows, name=name, **more)
    assert rows_of(directory) == before  # nothing half-loaded
    return str(error.value)


def test_a_file_that_was_cut_changes_nothing(directory, tmp_path):
    directory.load(row(1))
    whole = files.write(tmp_path / "cut.csv", [row(number) for number in range(2, 50)]).read_bytes()
    for keep, says in ((len(whole) * 2 // 3, ""), (len(whole) - 3, "cut"), (len(whole) // 2 + 1, "")):
        path = tmp_path / WEEK
        path.write_bytes(whole[:keep])
        with pytest.raises(FileError, match="cut") as error:
            load(directory.engine, path, Wanted(), actor="t", progress=lambda a, b: None)
        assert f"{WEEK}:" in str(error.value) and says in str(error.value)
    assert [each.npi for each in rows_of(directory)] == [files.npi(1)]


def test_a_zip_that_was_cut_changes_nothing(directory, tmp_path):
    path = files.write(tmp_path / WHOLE.replace(".csv", ".zip"), [row(number) for number in range(1, 500)])
    data = bytearray(path.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 200] = bytes(200)
    path.write_bytes(data)
    with pytest.raises(FileError, match="cut|CSV|columns"):
        load(directory.engine, path, Wanted(), actor="t", progress=lambda a, b: None)
    assert rows_of(directory) == []


def test_a_file_of_people_without_the_column_that_tells_them_deactivates_nobody(directory):
    directory.load(row(1))
    for other in ("ENTITY TYPE CODE", "Entity Type"):
        header = [other if name == "Entity Type Code" else name for name in files.HEADER]
        assert "1: has no column 'Entity Type Code', which a file of kind nppes has" in refused(
            directory, row(1), row(2), header=header, name=WEEK
        )


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        (lambda whole: whole.decode().encode("utf-16"), "1: is in UTF-16: another program saved it anew"),
        (gzip.compress, "is packed with gzip: unpack it first"),
        (
            lambda whole: whole.replace(b",", b";"),
            "1: is no CSV with commas here (',' expected after '\"'): another program",
        ),
        (
            lambda whole: whole.replace(b"\r", b"").replace(b"\n", b"\r"),
            "another program saved it anew; fetch it again",
        ),
    ],
)
def test_a_file_that_another_program_saved_says_so(directory, tmp_path, changed, says):
    path = tmp_path / WEEK
    path.write_bytes(changed(quoted(tmp_path, row(1), row(2))))
    with pytest.raises(FileError) as error:
        load(directory.engine, path, Wanted(), actor="t", progress=lambda a, b: None)
    assert says in str(error.value) and "universal-newline" not in str(error.value)


def test_a_mark_of_utf_8_before_a_quoted_header_and_a_line_end_in_an_address_are_read(directory, tmp_path):
    path, told = tmp_path / WEEK, row(1)
    told[files.HEADER.index("Provider First Line Business Practice Location Address")] = "12 Main St\nSuite 4"
    path.write_bytes(codecs.BOM_UTF8 + quoted(tmp_path, told, row(2)))
    load(directory.engine, path, Wanted(), actor="t", progress=lambda a, b: None)
    assert [each.npi for each in rows_of(directory)] == [files.npi(1), files.npi(2)]
    with directory.engine.connect() as conn:
        lines = conn.execute(text("SELECT line FROM directory_entries ORDER BY npi")).scalars().all()
    assert "Suite 4" in lines[0]


def quoted(folder, *rows) -> bytes:
    """As the registry writes it: every value in quotes."""
    with (folder / "made.csv").open("w", newline="") as file:
        csv.writer(file, quoting=csv.QUOTE_ALL, lineterminator="\n").writerows([files.HEADER, *rows])
    return (folder / "made.csv").read_bytes()


def test_another_file_is_refused_with_a_sentence(directory):
    assert "1: is no file that is known here" in refused(directory, ["1", "2"], header=["A", "B"])
    missing = [name for name in files.HEADER if name != "Last Update Date"]
    assert "has no column 'Last Update Date'" in refused(directory, row(1)[:-1], header=missing)
    assert "pl_pfile" in refused(
        directory, ["1", "x"], header=["NPI", "Provider Secondary Practice Location Address- Address Line 1"]
    )
    assert "--date" in refused(directory, row(1), name="renamed.csv")


def test_rows_that_cannot_be_are_left_out_and_said_with_their_line(directory):
    bad = row(3)
    bad[0] = "1234567890"
    [done] = directory.load(row(1), row(2), bad, row(4, **{"Last Update Date": "2026/99"}))
    assert (done.added, done.left_out) == (2, 2)
    assert done.notes[0] == "line 4 has an NPI that is not ten digits with the right check digit: left out"
    assert done.notes[1].startswith("line 5 has no date such as 11/08/2026 in 'Last Update Date'")


def test_a_file_of_which_many_rows_cannot_be_is_refused(directory):
    bad = [["9" * 10, *row(1)[1:]] for _ in range(20)]
    words = refused(directory, *bad, *(row(number) for number in range(1, 50)))
    assert "20 rows cannot be read, so that none is: nothing was changed" in words and f"{WHOLE}:2: has an NPI" in words


def test_of_one_npi_on_two_lines_the_last_counts_and_it_is_said(directory):
    [done] = directory.load(row(1), row(2), row(1, **{"Provider Last Name (Legal Name)": "LATER"}))
    assert directory.row(1).family == "LATER"
    assert done.notes == (f"lines 2, 4 are of one, {files.npi(1)}: the last counts",)


def test_a_whole_file_that_holds_far_fewer_is_refused_until_somebody_says_so(directory):
    directory.load(*(row(number) for number in range(1, 21)))
    later = WHOLE.replace("20261108", "20261208")
    assert "lacks 17 of the 20 people that nppes had" in refused(directory, row(1), row(2), row(3), name=later)
    [done] = directory.load(row(1), row(2), row(3), name=later, fewer=True)
    assert done.ended == 17


# --- one file after the other --------------------------------------------------------------------------------------


def test_a_week_changes_what_it_holds_and_nothing_else(directory):
    directory.load(row(1), row(2), row(3))
    [done] = directory.load(
        row(2, **{"Provider Last Name (Legal Name)": "MARRIED"}), files.deactivated(3), row(4), name=WEEK
    )
    assert (done.added, done.changed, done.ended) == (1, 1, 1)
    assert [(each.family, each.state_now) for each in rows_of(directory)] == [
        ("SMITH", "active"),
        ("MARRIED", "active"),
        ("SMITH", "deactivated"),
        ("SMITH", "active"),
    ]
    assert directory.row(3).ended_on == date(2026, 2, 3)


def test_who_was_deactivated_and_comes_back_is_active(directory):
    directory.load(row(1), files.deactivated(2))
    directory.load(files.deactivated(1), name=WEEK)
    again = {"NPI Deactivation Date": "02/03/2026", "NPI Reactivation Date": "11/16/2026"}
    directory.load(row(1, **again), name="npidata_pfile_20261116-20261122.csv")
    assert (directory.row(1).state_now, directory.row(1).ended_on) == ("active", None)
    assert directory.row(2) is None  # who was never seen is not made up


def test_the_monthly_list_of_deactivated_npis(directory):
    directory.load(row(1), row(2))
    [done] = directory.load(
        [files.npi(2), "11/10/2026"],
        [files.npi(9), "11/10/2026"],
        name="NPPES Deactivated NPI Report 20261110.csv",
        header=["NPI", "NPPES Deactivation Date"],
    )
    assert done.ended == 1 and directory.row(2).ended_on == date(2026, 11, 10)


@pytest.mark.long
def test_the_directory_is_the_same_in_whatever_order_files_come(directory):
    third = "npidata_pfile_20261116-20261122.csv"
    history = [
        ((row(1), row(2), row(3), row(4)), WHOLE),
        ((row(2, **{"Provider Last Name (Legal Name)": "B"}), files.deactivated(3)), WEEK),
        ((row(2, **{"Provider Last Name (Legal Name)": "C"}), row(5)), third),
    ]
    outcomes = set()
    for order in permutations(history):
        with directory.engine.begin() as conn:
            conn.execute(text("TRUNCATE directory_entries, directory_loads CASCADE"))
        for rows, name in [*order, *order]:
            directory.load(*rows, name=name, fewer=True)
        outcomes.add(tuple((each.npi, each.family, each.state_now) for each in rows_of(directory)))
    assert len(outcomes) == 1
    assert [each[1:] for each in outcomes.pop()] == [
        ("SMITH", "active"),
        ("C", "active"),
        ("SMITH", "deactivated"),
        ("SMITH", "active"),
        ("SMITH", "active"),
    ]


def test_addresses_come_from_a_file_of_their_own_and_stay(directory):
    directory.load(row(1), row(2))
    header = ["NPI", "Endpoint Type", "Endpoint Type Description", "Endpoint"]
    [done] = directory.load(
        [files.npi(1), "FHIR", "FHIR URL", "https://ehr.example.org/FHIR/DSTU2/"],
        [files.npi(1), "FHIR", "FHIR URL", "https://ehr.example.org/FHIR/R4/"],
        [files.npi(1), "DIRECT", "Direct", "ana.smith@direct.example.org"],
        [files.npi(2), "CONNECT", "CONNECT URL", "none"],
        [files.npi(2), "FHIR", "FHIR URL", "https:/broken.example.org"],
        name="endpoint_pfile_20050523-20261108.csv",
        header=header,
    )
    directory.load(row(1, **{"Provider Last Name (Legal Name)": "MARRIED"}), name=WEEK)
    found = directory.row(1)
    assert done.changed == 1 and found.family == "MARRIED"
    assert (found.fhir_address, found.direct_address) == (
        "https://ehr.example.org/FHIR/R4/",
        "ana.smith@direct.example.org",
    )
    assert directory.row(2).fhir_address is None


def test_one_file_at_a_time_and_searching_goes_on(directory):
    directory.load(row(1))
    inside, leave = threading.Event(), threading.Event()

    def slow():
        with store.staging(directory.engine):
            inside.set()
            leave.wait(10)

    other = threading.Thread(target=slow)
    other.start()
    inside.wait(10)
    try:
        assert "another file" in refused(directory, row(2), name=WEEK)
        assert directory.names(name="smith") == ["SMITH"]
    finally:
        leave.set()
        other.join()
    directory.load(row(2), name=WEEK)
    assert directory.row(2) is not None
