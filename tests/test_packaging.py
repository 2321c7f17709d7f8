"""What is installed is what was chosen: the lock files hold every dependency with hashes, and name no registry."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
LOCKS = {
    "requirements.lock": [*PROJECT["dependencies"], *EXTRAS["tracing"]],
    "requirements-test.lock": [*PROJECT["dependencies"], *EXTRAS["tracing"], *EXTRAS["test"]],
}


def locked(name: str) -> dict[str, str]:
    """``{package: version}``."""
    text = (ROOT / name).read_text(encoding="utf-8")
    return {
        found[1].lower(): found[2] for found in re.finditer(r"^([\w.-]+)(?:\[[\w,-]+\])?==(\S+)", text, re.MULTILINE)
    }


@pytest.mark.parametrize("name", LOCKS)
def test_each_dependency_is_locked_at_a_version_that_the_project_asks_for(name):
    found = locked(name)
    for line in LOCKS[name]:
        wanted = Requirement(line)
        version = found.get(canonicalize_name(wanted.name))
        assert version and wanted.specifier.contains(version), f"{name} does not hold {line}: run make lock"


@pytest.mark.parametrize("name", LOCKS)
def test_each_locked_package_has_hashes_and_no_address(name):
    text = (ROOT / name).read_text(encoding="utf-8")
    assert "://" not in text and "index" not in text
    packages = re.split(r"^(?=[\w.-]+(?:\[[\w,-]+\])?==)", text, flags=re.MULTILINE)[1:]
    assert packages and all("--hash=sha256:" in each for each in packages)


def test_tests_run_with_what_is_shipped():
    tested = locked("requirements-test.lock")
    assert all(tested.get(name) == version for name, version in locked("requirements.lock").items())
