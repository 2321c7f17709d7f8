"""A site adds a profile by an entry point of a package of its own; one that cannot be used is named where it is used, and by a check."""

import sys
from pathlib import Path

import pytest

from integration.settings.added import added_roads
from integration.settings.config import load_config
from integration.settings.profiles import added_profiles
from integration.settings.remarks import remarks
from mappings.model.errors import ConfigError

CONFIG = """\
endpoints:
  clinic:
    base_url: https://ehr.example.org/fhir
    role: placer
    contact: IT
    profile: {word}
alerts: {{send_to: [{{name: ops, webhook: 'https://ops.example/hook'}}]}}
"""
RIGHT = """
from mappings.model.profiles import DocumentHabits, Profile

LANTERN = Profile(
    "lantern",
    "Lantern EHR",
    ("fhir-document", "{road}"),
    DocumentHabits(formats=("text/plain",), encounter="required"),
    {{"task": False, "max_page": 50}},
    records_by={{"Observation": ("category=laboratory",)}},
)
"""
ENTRY = "[second_opinion.profiles]\n{word} = site_profiles:{name}\n"


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Packages as pip leaves them."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def _install(module: str, entries: str, name: str = "site_profiles") -> None:
        (tmp_path / f"{name}.py").write_text(module)
        folder = tmp_path / f"{name}-1.0.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (folder / "entry_points.txt").write_text(entries)
        forget()

    yield _install
    forget()


def forget() -> None:
    for each in (added_roads, added_profiles):
        each.cache_clear()
    for name in [each for each in sys.modules if each.startswith("site_")]:
        del sys.modules[name]


def config(tmp_path: Path, word: str):
    path = tmp_path / "config.yaml"
    path.write_text(CONFIG.format(word=word))
    return load_config(path, {})


def refused(tmp_path: Path, word: str) -> str:
    with pytest.raises(ConfigError) as said:
        config(tmp_path, word)
    [mistake] = said.value.mistakes
    assert (mistake.line, mistake.path) == (6, "endpoints.clinic.profile")
    return mistake.message


def test_its_word_is_taken_with_its_defaults_quirks_and_roads(tmp_path, install):
    install(RIGHT.format(road="download"), ENTRY.format(word="lantern", name="LANTERN"))
    loaded = config(tmp_path, "lantern")
    clinic = loaded.endpoints["clinic"]
    assert clinic.road_names == ("fhir-document", "download") and clinic.habits.formats == ("text/plain",)
    assert clinic.overrides == {"task": False, "max_page": 50} and clinic.searches_for("Observation")
    assert list(remarks(loaded)) == []


def test_a_word_that_no_package_adds_is_refused_with_those_that_there_are(tmp_path, install):
    install(RIGHT.format(road="download"), ENTRY.format(word="lantern", name="LANTERN"))
    assert refused(tmp_path, "latern").startswith("is no profile; there are generic, hapi, medplum, epic")
    assert "lantern" in refused(tmp_path, "latern")


@pytest.mark.parametrize(
    ("module", "why"),
    [
        (
            "import not_installed_here\n",
            "cannot be imported (ModuleNotFoundError: No module named 'not_installed_here')",
        ),
        ("LANTERN = {'key': 'lantern'}\n", "it is a dict, and no Profile"),
        (RIGHT.format(road="pigeon"), "it names the road pigeon, and there is none"),
        (RIGHT.format(road="download").replace('"lantern"', '"lamp"'), "it calls itself lamp"),
        (RIGHT.format(road="download").replace('"task"', '"tasks"'), "the capability tasks decides nothing"),
        (RIGHT.format(road="download").replace("50", "True"), "the capability max_page has to be of type int"),
        (RIGHT.format(road="download").replace('"required"', '"perhaps"'), "document.encounter: "),
        (RIGHT.format(road="download").replace("category=laboratory", "laboratory"), "records_by is no mapping"),
    ],
    ids=[
        "not-imported",
        "no-profile",
        "no-road",
        "another-name",
        "no-capability",
        "wrong-type",
        "no-habit",
        "no-search",
    ],
)
def test_a_broken_one_is_named_where_it_is_used_and_by_a_check_where_it_is_not(tmp_path, install, module, why):
    install(module, ENTRY.format(word="lantern", name="LANTERN"))
    message = refused(tmp_path, "lantern")
    assert message.startswith("the profile lantern of site_profiles 1.0 cannot be used: ") and why in message
    [remark] = remarks(config(tmp_path, "generic"))
    assert message.startswith(remark)


def test_one_of_ours_is_not_replaced_and_that_is_said(tmp_path, install):
    install(RIGHT.format(road="download"), ENTRY.format(word="epic", name="LANTERN"))
    loaded = config(tmp_path, "epic")
    assert loaded.endpoints["clinic"].of_profile.name == "Epic"
    [remark] = remarks(loaded)
    assert "the profile epic of site_profiles 1.0 is not used" in remark


def test_one_that_two_packages_add_is_none(tmp_path, install):
    for name in ("site_profiles", "site_other"):
        install(RIGHT.format(road="download"), ENTRY.format(word="lantern", name="LANTERN"), name)
    assert "added more than once, by site_other 1.0 and site_profiles 1.0" in refused(tmp_path, "lantern")


def test_it_may_name_a_road_that_the_site_adds(tmp_path, install):
    road = "from integration.roads.download import Download\n\n\nclass Pigeon(Download):\n    name = 'pigeon'\n"
    install(
        RIGHT.format(road="pigeon") + road,
        ENTRY.format(word="lantern", name="LANTERN") + "[second_opinion.roads]\npigeon = site_profiles:Pigeon\n",
    )
    assert config(tmp_path, "lantern").endpoints["clinic"].road_names == ("fhir-document", "pigeon")


def test_a_broken_road_is_named_too(tmp_path, install):
    install("import not_installed_here\n", "[second_opinion.roads]\npigeon = site_profiles:Pigeon\n")
    [remark] = remarks(config(tmp_path, "generic"))
    assert remark.startswith(
        "the road pigeon of site_profiles 1.0 cannot be used: site_profiles:Pigeon cannot be imported"
    )
    path = tmp_path / "config.yaml"
    path.write_text(
        CONFIG.format(word="generic, roads: [pigeon]").replace("profile: generic, ", "profile: generic\n    ")
    )
    with pytest.raises(ConfigError) as said:
        load_config(path, {})
    assert remark in said.value.mistakes[0].message
