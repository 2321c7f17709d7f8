"""The package of examples/added-by-a-site as pip leaves it: its words are taken, and a report goes by its road."""

import json
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from integration.roads.open import road_for
from integration.roads.road import Absent, CannotTell, Impossible, NotAllowed, Taken, There
from integration.settings.added import added_roads
from integration.settings.profiles import added_profiles
from mappings.model.roads import Level
from tests.integration.roads.attempts import document, way_to

ROOT = Path(__file__).parents[3]
PACKAGE = ROOT / "examples/added-by-a-site"
PAGE = ROOT / "docs/how-to/connect-another.md"
HERE = {"url": "https://ehr.example.org/fhir", "profile": "harbor"}


def install(to: Path) -> None:
    """What pip makes of its pyproject.toml, without asking a registry."""
    project = tomllib.loads((PACKAGE / "pyproject.toml").read_text())
    for module in project["tool"]["setuptools"]["py-modules"]:
        shutil.copy(PACKAGE / f"{module}.py", to)
    name, version = project["project"]["name"], project["project"]["version"]
    folder = to / f"{name.replace('-', '_')}-{version}.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    groups = project["project"]["entry-points"].items()
    lines = [
        line for group, all_of in groups for line in (f"[{group}]", *(f"{word} = {at}" for word, at in all_of.items()))
    ]
    (folder / "entry_points.txt").write_text("\n".join(lines) + "\n")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The importer's folder, with the package installed."""
    site, folder = tmp_path / "site", tmp_path / "import"
    site.mkdir(), folder.mkdir(), (folder / "done").mkdir()
    install(site)
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.setenv("HARBOR_IMPORT_FOLDER", str(folder))
    forget()
    yield folder
    forget()


def forget() -> None:
    added_roads.cache_clear(), added_profiles.cache_clear()
    sys.modules.pop("harbor_exchange", None)


def road():
    made = road_for(way_to(**HERE), "import-folder")
    assert made is not None and made.can() is None
    return made


def test_a_report_goes_by_its_road_once_and_through_the_gate(folder):
    by = road()
    ready = by.prepare(document("Patient/p1"))
    assert isinstance(by.look_up(ready, by.way.attempt.now), Absent)
    assert by.send(ready) == Taken("SOE-ref-R-77-1.json", Level.UNVERIFIABLE)
    assert [each.name for each in folder.iterdir() if each.is_file()] == ["SOE-ref-R-77-1.json"]
    assert (folder / "SOE-ref-R-77-1.json").read_bytes() == ready.body
    [going] = by.way.attempt.asked
    assert (going.kind, going.items) == ("import-folder", ("DocumentReference/R-77-report-1",))
    assert by.send(ready) == There("SOE-ref-R-77-1.json"), "a file is never replaced"
    assert isinstance(by.read_back(ready, "SOE-ref-R-77-1.json"), NotAllowed)


def test_what_the_importer_took_is_found_and_another_file_is_in_doubt(folder):
    by = road()
    ready = by.prepare(document("Patient/p1"))
    by.send(ready)
    (folder / "SOE-ref-R-77-1.json").rename(folder / "done/SOE-ref-R-77-1.json")
    assert by.look_up(ready, by.way.attempt.now) == There("SOE-ref-R-77-1.json")
    (folder / "done/SOE-ref-R-77-1.json").write_text("{}")
    assert isinstance(by.look_up(ready, by.way.attempt.now), CannotTell)


def test_without_its_folder_the_next_road_is_tried(folder, monkeypatch):
    monkeypatch.setenv("HARBOR_IMPORT_FOLDER", str(folder / "gone"))
    made = road_for(way_to(**HERE), "import-folder")
    assert made is not None and isinstance(made.can(), Impossible)


def test_the_page_shows_what_is_in_the_package_and_its_configuration_is_right(folder, tmp_path):
    page = PAGE.read_text()
    for part in ("[project.entry-points.", "HARBOR = Profile("):
        shown = page[page.index(part) : page.index("```", page.index(part))].strip()
        assert any(shown in each.read_text() for each in PACKAGE.iterdir() if each.is_file()), part
    block = page[page.index("```yaml") + 7 :].partition("```")[0]
    config = tmp_path / "config.yaml"
    config.write_text(block)
    told = subprocess.run(
        [sys.executable, "-m", "second_opinion", "--config", str(config), "check", "config"],
        env={**os.environ, "PYTHONPATH": f"{tmp_path / 'site'}:{ROOT}"},
        cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert told.returncode == 0, told.stdout + told.stderr
    alone = subprocess.run(
        [sys.executable, "-m", "second_opinion", "--config", str(config), "check", "config", "--json"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert alone.returncode != 0 and "is no profile; there are generic" in alone.stdout + alone.stderr, "not installed"
    assert "import-folder" not in json.dumps(alone.stdout)
