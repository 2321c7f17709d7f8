"""The table of questions names files that exist; CONTRIBUTING too."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize("page", ["docs/explanation/where.md", "CONTRIBUTING.md"])
def test_each_file_it_names_exists(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    named = re.findall(r"`((?:mappings|integration|jobs|second_opinion|tests|docs)/[\w./]+?)/?`", text)
    assert named and [name for name in named if not (ROOT / name).exists()] == []
