"""The migrations are one chain: each named after its number, following the one before it, and saying which code can run with it."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

import integration

FILES = sorted((Path(integration.__file__).parent / "migrations" / "versions").glob("0*.py"))
NAMES = [path.name for path in FILES]


def loaded(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_each_follows_the_one_before_it():
    numbers = [path.name[:4] for path in FILES]
    assert len(set(numbers)) == len(numbers), "two migrations have one number: the later one to land takes the next"
    assert [loaded(path).down_revision for path in FILES] == [None, *numbers[:-1]]


@pytest.mark.parametrize("path", FILES, ids=NAMES)
def test_it_is_called_by_its_number_and_says_which_code_can_run_with_it(path):
    module = loaded(path)
    assert module.revision == path.name[:4]
    assert getattr(module, "oldest_code", "0001") <= module.revision
