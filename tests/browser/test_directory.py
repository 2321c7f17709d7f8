"""Finding a doctor in a real browser at phone and desk width, with axe: search, what is not stated, a profile, a correction."""

import pytest

from integration.directory.loading import Wanted, load
from tests import directory_files as files
from tests.browser.test_pages import is_too_wide, picture, serious_problems

pytestmark = [pytest.mark.browser, pytest.mark.postgres]


def test_a_coordinator_finds_a_doctor_and_corrects_what_is_said_of_her(page, site, tmp_path):
    rows = [
        files.row(1, **{"Provider Last Name (Legal Name)": "O'BRIEN"}),
        files.row(2, **{"Provider Last Name (Legal Name)": "MCDONALD", "Provider Sex Code": "U"}),
    ]
    path = files.write(tmp_path / "npidata_pfile_20050523-20261108.csv", rows)
    load(site.engine, path, Wanted(), actor="test", progress=lambda done, total: None)
    page.goto(f"{site.address}/directory")
    page.get_by_label("ZIP code").fill("9810")
    page.get_by_role("button", name="Search").click()
    page.get_by_text("is no ZIP code").wait_for()
    assert not serious_problems(page) and not is_too_wide(page)
    page.get_by_label("ZIP code").fill("98101")
    page.get_by_label("Specialty").fill("Medical oncology")
    page.get_by_label("Gender").select_option("female")
    page.get_by_role("button", name="Search").click()
    page.get_by_role("heading", name="Do not state everything that you asked for").wait_for()
    assert not serious_problems(page) and not is_too_wide(page)
    picture(page, "directory")
    page.get_by_role("link", name="Ana O'Brien").click()
    page.get_by_role("heading", name="Ana O'Brien").wait_for()
    assert not serious_problems(page) and not is_too_wide(page)
    picture(page, "directory-entry")
    page.get_by_role("link", name="Correct this entry").click()
    page.get_by_label("Languages").fill("Spanish, Cantonese")
    page.get_by_label("Accepts second opinions").select_option("yes")
    page.get_by_label("Reason").fill("asked her office")
    assert not serious_problems(page) and not is_too_wide(page)
    picture(page, "directory-correct")
    page.get_by_role("button", name="Keep").click()
    page.get_by_text("The entry is corrected.").wait_for()
    assert page.get_by_text("Cantonese (a Chinese language)").count() == 1
