"""The migrations are one chain: each named after its number, following one other, and saying which code can run with it."""

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


def test_they_are_one_chain_that_ends_in_the_highest_number():
    modules = {path.name[:4]: loaded(path) for path in FILES}
    assert len(modules) == len(FILES), "two migrations have one number: the later one to land takes the next"
    followed = [each.down_revision for each in modules.values() if each.down_revision is not None]
    assert len(set(followed)) == len(followed) == len(FILES) - 1, "two migrations follow the same one"
    assert set(modules) - set(followed) == {max(modules)}


@pytest.mark.parametrize("path", FILES, ids=NAMES)
def test_it_is_called_by_its_number_and_says_which_code_can_run_with_it(path):
    module = loaded(path)
    assert module.revision == path.name[:4]
    assert getattr(module, "oldest_code", "0001") <= module.revision
