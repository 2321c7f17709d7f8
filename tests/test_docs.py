"""Keeps docs/reference true: pages are generated from the models they describe, and this fails when they are old.

`python -m tests.test_docs --write` writes them anew.
"""

import re
import sys
import tomllib
from collections.abc import Callable, Iterator
from datetime import date, datetime
from functools import partial
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import pytest
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from integration.settings.config import ENVIRONMENT, Config, load_config
from integration.settings.mistakes import fields_of, kinds, shown_example, shown_value
from integration.settings.remarks import remarks
from mappings.model.capabilities import QUIRKS
from mappings.model.profiles import PROFILES
from mappings.model.request import SecondOpinionRequest
from tests.reference_api import api_page
from tests.reference_checklists import page as checklists_page
from tests.reference_connect import VENDORS, connect_page
from tests.reference_pages import cli_page, commands, errors_page, lawful_page, states_page
from tests.reference_vendors import vendors_page

ROOT = Path(__file__).parent.parent
REWRITE = "python -m tests.test_docs --write"
_WORDS = {
    str: "text",
    int: "whole number",
    float: "number",
    bool: "true or false",
    date: "date",
    datetime: "time",
    Path: "path",
}


def config_page() -> str:
    """docs/reference/config.md"""
    environment = "\n".join(f"| `{name}` | {meaning} |" for name, meaning in ENVIRONMENT.items())
    capabilities = "\n".join(f"| `{each.name}` | {each.decides} |" for each in QUIRKS.values())
    return f"""{_generated("integration/settings/model.py")}
# config.yaml

A commented one to begin with, which works as it stands: [config.yaml](../../config.yaml). `second-opinion check config` reads
yours and lists every mistake at once, with file, line and a right value. The file is UTF-8 YAML (JSON is YAML too)
without anchors, aliases and tags. Relative file names are relative to the file. Times are UTC, durations in the unit
their name ends in.

Secrets never stand in the file: it names a file or an environment variable that holds them.

## Environment

| Variable | Meaning |
|---|---|
{environment}

Any other variable that begins with `SECOND_OPINION_` is a mistake, except those that a key ending in `_env` names.

{_sections(Config, "Top level")}
## Capabilities

`capabilities` of an endpoint overrides what its `/metadata` says. `max_page` is a whole number, the others are true or
false.

| Name | What it decides |
|---|---|
{capabilities}

## Checked across keys

- `base_url: hosted:<practice>` names a practice under `hosted`; it becomes
  `http://<web.host>:<web.port>/fhir/<practice>`.
- `default_fulfiller` stands at a placer and names another endpoint whose role is fulfiller or both.
- Two endpoints do not have the same `base_url` in the same role, and two servers not the same `identifier_system`.
- `url` and `url_file` of `database` are not both given; exactly one of `private_key_file` and `private_key_env` is.
- A file or variable named for a secret exists.
- `email` of a recipient needs `alerts.smtp`; `rules` of a recipient names rules of [alerts](../how-to/alerts.md#what-raises-an-alarm).
"""


def request_page() -> str:
    """docs/reference/request.md"""
    return f"""{_generated("mappings/model/request.py")}
# Request file

What `second-opinion submit FILE` and `second-opinion map FILE` read: one second opinion request as UTF-8 YAML or JSON.
Three to begin with: [oncology](../../examples/oncology-request.yaml),
[spine surgery](../../examples/spine-surgery-request.yaml), [cardiology](../../examples/cardiology-request.yaml); and a
[third opinion](../../examples/third-opinion-request.yaml) in the case of the first of them.
All mistakes are listed at once, with line and path and never with the value: requests hold patient data.

Numbers of patients and codes are text: put them in quotes when they are only digits, or leading zeros would be lost.

{_sections(SecondOpinionRequest, "Top level")}
## Checked across keys

- `placer` and `fulfiller` are two endpoints of config.yaml, each in its role.
- A `specialty` or a `consultant` is named.
- A person has an identifier or a name; so has an organization.
- `records.types` are FHIR R4 types that belong to a patient's record.
"""


PAGES = {
    "config.md": config_page,
    "request.md": request_page,
    "cli.md": lambda: _from("the commands in second_opinion/", cli_page),
    "states.md": lambda: _from("mappings/model/states.py and delivery.py", states_page),
    "errors.md": lambda: _from("the errors and causes in the code", errors_page),
    "lawful.md": lambda: _from("mappings/lawful.py", lawful_page),
    "vendors.md": lambda: _from("mappings/model/profiles.py", vendors_page),
    "checklists.md": lambda: _from("tests/mappings/checklists/labelled.py", checklists_page),
    "api.md": lambda: _from("the routes in integration/web/api/", api_page),
}
CONNECT = {f"connect-{key}.md": partial(connect_page, key) for key in VENDORS}
TEXTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


def _from(source: str, page: Callable[[], str]) -> str:
    return f"{_generated(source)}\n{page()}"


def _generated(source: str) -> str:
    return f"<!-- Generated from {source} by `{REWRITE}`: change it there. -->"


def _sections(model: type, title: str) -> str:
    return "\n".join(_section(kind, title if kind is model else kind.__name__) for kind in _models(model))


def _models(model: type) -> list[type]:
    """The model and those inside it, each once, as they are first met."""
    found = [model]
    for parent in found:
        for info in fields_of(parent).values():
            found += [kind for kind in _leaves(info.annotation) if fields_of(kind) and kind not in found]
    return list(dict.fromkeys(found))


def _leaves(annotation: Any) -> Iterator[Any]:
    for kind in kinds(annotation):
        if get_origin(kind) in (None, Literal):
            yield kind
        else:
            yield from (leaf for argument in get_args(kind) if argument is not ... for leaf in _leaves(argument))


def _section(model: type, title: str) -> str:
    rows = "\n".join(_row(name, info) for name, info in fields_of(model).items())
    return (
        f"## {title}\n\n{_first_sentences(model)}\n\n| Key | Value | Default | Meaning | Example |\n"
        f"|---|---|---|---|---|\n{rows}\n"
    )


def _first_sentences(model: type) -> str:
    return (model.__doc__ or "").strip().split("\n\n")[0]


def _row(name: str, info: FieldInfo) -> str:
    example = f"`{shown_example(info)}`" if info.examples else ""
    cells = (f"`{name}`", _type(info.annotation) + _bounds(info), _default(info), info.description or "", example)
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _type(annotation: Any) -> str:
    return " or ".join(dict.fromkeys(_one_type(kind) for kind in kinds(annotation)))


def _one_type(kind: Any) -> str:
    arguments = get_args(kind)
    if get_origin(kind) is Literal:
        return ", ".join(f"`{value}`" for value in arguments)
    if get_origin(kind) is tuple:
        return f"list: {_type(arguments[0])}"
    if len(arguments) == 2:
        return f"map of names to {_type(arguments[1])}"
    return _WORDS.get(kind) or f"[{kind.__name__}](#{kind.__name__.lower()})"


def _default(info: FieldInfo) -> str:
    if info.is_required():
        return "required"
    default = info.default
    if default in (PydanticUndefined, None) or default == () or fields_of(type(default)):
        return ""
    if isinstance(default, Path):
        default = str(default)
    return f"`{shown_value(list(default) if isinstance(default, tuple) else default)}`"


def _bounds(info: FieldInfo) -> str:
    words = {"gt": "more than", "ge": "at least", "le": "at most"}
    told = [
        f"{words[name]} {shown_value(getattr(bound, name))}"
        for bound in info.metadata
        for name in words
        if hasattr(bound, name)
    ]
    return ", " + ", ".join(told) if told else ""


@pytest.mark.parametrize("name", PAGES)
def test_it_has_current_reference_pages(name: str) -> None:
    page = ROOT / "docs" / "reference" / name
    assert page.is_file() and page.read_text(encoding="utf-8") == PAGES[name](), f"{name} is old: run {REWRITE}"


@pytest.mark.parametrize("name", CONNECT)
def test_it_has_current_pages_of_vendors(name: str) -> None:
    page = ROOT / "docs" / "how-to" / name
    assert page.is_file() and page.read_text(encoding="utf-8") == CONNECT[name](), f"{name} is old: run {REWRITE}"


@pytest.mark.parametrize("name", CONNECT)
def test_what_a_vendors_page_says_to_write_is_right(name: str, tmp_path: Path) -> None:
    block = (ROOT / "docs" / "how-to" / name).read_text(encoding="utf-8").partition("```yaml\n")[2].partition("```")[0]
    path = tmp_path / "config.yaml"
    path.write_text(block, encoding="utf-8")
    config = load_config(path, {"MEDITECH_SECRET": "x", "MEDPLUM_SECRET": "x"})
    assert f"connect-{config.endpoints['clinic'].profile}.md" == name
    assert not [each for each in remarks(config) if "endpoints." in each]


def test_every_profile_has_its_page_and_every_page_is_listed() -> None:
    assert set(VENDORS) == set(PROFILES) - {"generic"}
    listed = (ROOT / "README.md").read_text(encoding="utf-8") + (ROOT / "docs/how-to/connect-an-ehr.md").read_text()
    assert all(f"{name})" in listed for name in CONNECT)


@pytest.mark.parametrize("model", [Config, SecondOpinionRequest])
def test_it_describes_every_key_and_gives_an_example_of_every_plain_one(model: type) -> None:
    for kind in _models(model):
        for name, info in fields_of(kind).items():
            where = f"{kind.__name__}.{name}"
            assert info.description, f"{where} has no description: Field(description=...) says what it is for"
            plain = not any(fields_of(leaf) for leaf in _leaves(info.annotation))
            assert info.examples or not plain, f"{where} has no example: Field(examples=[...]) shows a right value"


def test_every_config_key_is_on_its_page() -> None:
    page = config_page()
    for kind in _models(Config):
        missing = [name for name in fields_of(kind) if f"| `{name}` |" not in page]
        assert not missing, f"docs/reference/config.md does not name {missing} of {kind.__name__}: run {REWRITE}"


def test_every_command_is_on_its_page_and_says_what_it_does() -> None:
    page = (ROOT / "docs" / "reference" / "cli.md").read_text(encoding="utf-8")
    for words, command in commands():
        assert f"`{words}" in page, f"docs/reference/cli.md does not know {words}: run {REWRITE}"
        assert command.help, f"{words} has no help text: its docstring says what it does"


@pytest.mark.parametrize("text", TEXTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_its_links_lead_somewhere(text: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", text.read_text(encoding="utf-8")):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        place = (text.parent / name).resolve() if name else text
        assert place.exists(), f"{text.name} links to {target}, which does not exist"
        assert not anchor or anchor in _anchors(place), f"{text.name} links to {target}, and there is no such heading"


def _anchors(place: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", place.read_text(encoding="utf-8"), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("text", TEXTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_it_names_only_commands_targets_and_variables_that_exist(text: Path) -> None:
    code = "\n".join(re.findall(r"```.*?```|`[^`\n]+`", text.read_text(encoding="utf-8"), re.S))
    known = {words for words, _ in commands()}
    for words in re.findall(r"(?m)(?:^|`|bin/)second-opinion(?: --\w[\w-]* \S+)*((?: [a-z][a-z-]*){1,3})", code):
        named = [f"second-opinion{''.join(f' {each}' for each in words.split()[:count])}" for count in (1, 2, 3)]
        assert known.intersection(named), f"{text.name} names the command {named[1]!r}, which does not exist"
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M))
    for target in re.findall(r"`make ([a-z-]+)|^make ([a-z-]+)", code, re.M):
        assert set(target) & targets, f"{text.name} names make {''.join(target)}, and the Makefile has no such target"
    for variable in re.findall(r"SECOND_OPINION_[A-Z_]+", code):
        assert variable in ENVIRONMENT or variable.endswith("_"), f"{text.name} names {variable}, which is no setting"


def test_every_dependency_is_explained() -> None:
    page = (ROOT / "docs" / "explanation" / "dependencies.md").read_text(encoding="utf-8")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for wanted in [
        *project["dependencies"],
        *(each for extra in project["optional-dependencies"].values() for each in extra),
    ]:
        name = re.match(r"[\w.-]+", wanted)[0]
        assert f"| `{name}` |" in page, f"docs/explanation/dependencies.md does not say why {name} is here"


def _write() -> None:
    for name, page in PAGES.items():
        (ROOT / "docs" / "reference" / name).write_text(page(), encoding="utf-8")
    for name, page in CONNECT.items():
        (ROOT / "docs" / "how-to" / name).write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    if sys.argv[1:] != ["--write"]:
        sys.exit(f"usage: {REWRITE}")
    _write()
