"""Checklists from YAML: those that are shipped, and a site's own files laid over them; every mistake with file and line."""

import hashlib
from collections.abc import Iterable, Mapping
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError

from integration.settings.mistakes import nearest, to_mistakes, validation_problems
from integration.settings.parts import Section
from integration.settings.yaml_lines import At, Document, Problem, read
from mappings.model.checklist import Catalog, Checklist, Condition, Images, Kind, Matcher, Need, Part, Rule, Source
from mappings.model.errors import ConfigError, Mistake

SHIPPED = ("kinds.yaml", "lists.yaml")
_Words = Annotated[tuple[str, ...], Field(strict=False)]
_Loinc = Annotated[tuple[Annotated[str, Field(pattern=r"^\d{1,7}-\d$")], ...], Field(strict=False)]
_Icd10 = Annotated[
    tuple[
        Annotated[str, Field(pattern=r"^[A-Z]\d[0-9A-Z](\.[0-9A-Z]{1,4})?(-[A-Z]\d[0-9A-Z](\.[0-9A-Z]{1,4})?)?$")], ...
    ],
    Field(strict=False),
]
_Nucc = Annotated[tuple[Annotated[str, Field(pattern=r"^[0-9A-Z]{9}X$")], ...], Field(strict=False)]


class _Matcher(Section):
    type: str = Field(pattern=r"^[A-Z][A-Za-z]+$", description="FHIR resource type.", examples=["DiagnosticReport"])
    loinc: _Loinc = ()
    categories: _Words = ()
    modalities: _Words = ()
    words: _Words = ()
    has: _Words = ()
    content_types: _Words = ()
    icd10: _Icd10 = ()


_Matchers = Annotated[tuple[_Matcher, ...], Field(strict=False)]


class _Part(Section):
    name: str
    loinc: _Loinc = ()


_Parts = Annotated[tuple[_Part, ...], Field(strict=False)]


class _Kind(Section):
    label: str
    plain: str
    plain_es: str = ""
    matchers: _Matchers = ()
    words: _Words = ()
    images: _Matchers = ()
    panel: _Loinc = ()
    parts: _Parts = ()
    weak: _Matchers = ()
    weak_reason: str = ""
    events: _Matchers = ()
    event: str = ""
    by_courier: bool = False
    is_disc: bool = False
    ask: str = ""
    lead_days: int = Field(5, ge=0, le=400, description="Business days from asking until it is there.")


class _Condition(Section):
    question: str
    icd10: _Icd10 = ()
    not_icd10: _Icd10 = ()
    below_age: int | None = Field(None, ge=1, le=120)


class _Source(Section):
    what: str
    url: str


class _Rule(Section):
    """Fields that are not given are those of the rule it is laid over."""

    kind: str
    need: str | None = None
    months: int | None = Field(None, ge=1, le=1200)
    images: bool | Literal["required", "report_only", "either"] | None = None
    all: bool | None = None
    min_count: int | None = Field(None, ge=1, le=100)
    parts: _Parts | None = None
    body: _Words | None = None
    unless: str | None = None
    note: str | None = None
    sources: _Words | None = None
    basis: str | None = Field(None, pattern="^ours$")
    remove: bool = Field(False, description="Take the rule out of the list it is laid over.")


class _List(Section):
    title: str | None = None
    extends: str | None = None
    nucc: _Nucc | None = None
    icd10: _Icd10 | None = None
    red_flags: _Words | None = None
    items: Annotated[tuple[_Rule, ...], Field(strict=False)] = ()


class ChecklistFile(Section):
    """One file of checklists."""

    version: str | None = None
    sources: Mapping[str, _Source] = Field(default_factory=dict)
    kinds: Mapping[str, _Kind] = Field(default_factory=dict)
    conditions: Mapping[str, _Condition] = Field(default_factory=dict)
    checklists: Mapping[str, _List] = Field(default_factory=dict)


class _Read:
    """A file, and what is wrong with it so far."""

    def __init__(self, name: str, data: bytes):
        self.name, self.data = name, data
        self.document: Document = read(data)
        self.problems: list[Problem] = list(self.document.problems)
        self.content = ChecklistFile()
        if not self.problems:
            try:
                self.content = ChecklistFile.model_validate(self.document.value or {})
            except ValidationError as error:
                self.problems += validation_problems(error, self.document, model=ChecklistFile)

    def problem(self, at: At, message: str) -> None:
        self.problems.append(Problem(at, self.document.line_of(at), message))

    def mistakes(self) -> list[Mistake]:
        return to_mistakes(self.problems, model=ChecklistFile, file=self.name)


@lru_cache(maxsize=8)
def load_catalog(paths: tuple[Path, ...] = ()) -> Catalog:
    """The shipped checklists with the files of ``paths`` laid over them, in order; read once, as config.yaml is.

    Raises ConfigError with every mistake.
    """
    shipped = resources.files("mappings.checklists") / "shipped"
    files = [_Read(name, (shipped / name).read_bytes()) for name in SHIPPED]
    files += [_of_path(path) for path in paths]
    catalog = _catalog(files)
    mistakes = [mistake for file in files for mistake in file.mistakes()]
    if mistakes or catalog is None:
        raise ConfigError(mistakes)
    return catalog


def _of_path(path: Path) -> _Read:
    try:
        return _Read(str(path), path.read_bytes())
    except OSError as error:
        raise ConfigError([Mistake(str(path), None, "", f"cannot be read ({error.strerror})")]) from error


def _catalog(files: list[_Read]) -> Catalog | None:
    kinds = {key: _kind(key, each) for file in files for key, each in file.content.kinds.items()}
    conditions = {
        key: Condition(key, **each.model_dump()) for file in files for key, each in file.content.conditions.items()
    }
    sources = {key: Source(each.what, each.url) for file in files for key, each in file.content.sources.items()}
    lists = _laid_over(files)
    for file in files:
        _check(file, kinds, conditions, sources, lists)
    if any(file.problems for file in files):
        return None
    checklists = {key: _checklist(key, lists, files) for key in lists}
    if any(file.problems for file in files):
        return None
    digest = hashlib.sha256(b"\0".join(file.data for file in files)).hexdigest()
    version = next((file.content.version for file in reversed(files) if file.content.version), "")
    return Catalog(version, digest, kinds, conditions, checklists, sources)


def _kind(key: str, each: _Kind) -> Kind:
    values = each.model_dump(exclude={"matchers", "images", "weak", "events", "parts", "panel"})
    return Kind(
        key,
        **values,
        matchers=_matchers(each.matchers),
        images=_matchers(each.images),
        weak=_matchers(each.weak),
        events=_matchers(each.events),
        parts=_parts(each.parts),
        panel=frozenset(each.panel),
    )


def _matchers(found: Iterable[_Matcher]) -> tuple[Matcher, ...]:
    return tuple(
        Matcher(
            each.type,
            frozenset(each.loinc),
            frozenset(each.categories),
            frozenset(each.modalities),
            each.words,
            each.has,
            each.content_types,
            each.icd10,
        )
        for each in found
    )


def _parts(found: Iterable[_Part]) -> tuple[Part, ...]:
    return tuple(Part(each.name, frozenset(each.loinc)) for each in found)


def _laid_over(files: list[_Read]) -> dict[str, _List]:
    """Each list with the files that follow laid over it, field by field; its rules by kind."""
    lists: dict[str, _List] = {}
    for file in files:
        for key, each in file.content.checklists.items():
            below = lists.get(key)
            if below is None:
                lists[key] = each
                continue
            named = {name: getattr(each, name) for name in each.model_fields_set if name != "items"}
            lists[key] = below.model_copy(update={**named, "items": _over(below.items, each.items)})
    return lists


def _over(below: Iterable[_Rule], above: Iterable[_Rule]) -> tuple[_Rule, ...]:
    """Rules by kind: what the upper one names replaces what the lower one says, new ones follow, removed ones go."""
    rules = {rule.kind: rule for rule in below}
    for rule in above:
        named = {name: getattr(rule, name) for name in rule.model_fields_set}
        rules[rule.kind] = rules[rule.kind].model_copy(update=named) if rule.kind in rules else rule
    return tuple(rules.values())


def _check(file: _Read, kinds: Mapping, conditions: Mapping, sources: Mapping, lists: Mapping) -> None:
    """What one word of the file means must be known: kinds, conditions, sources, lists."""
    needs = {*(each.value for each in Need), *conditions}
    for key, each in file.content.checklists.items():
        at: At = ("checklists", key)
        _known(file, (*at, "extends"), each.extends, lists, "checklist")
        first: dict[str, int] = {}
        for number, rule in enumerate(each.items):
            place = (*at, "items", number)
            if first.setdefault(rule.kind, number) != number:
                line = file.document.line_of((*at, "items", first[rule.kind]))
                file.problem((*place, "kind"), f"is listed twice (first on line {line}): keep one")
            _known(file, (*place, "kind"), rule.kind, kinds, "kind of record")
            _known(file, (*place, "need"), rule.need, needs, "need or condition")
            _known(file, (*place, "unless"), rule.unless, conditions, "condition")
            for index, source in enumerate(rule.sources or ()):
                _known(file, (*place, "sources", index), source, sources, "source")
            if not rule.sources and rule.basis is None and not rule.remove and rule.need is not None:
                file.problem(place, "cites no source: name one under `sources`, or say `basis: ours`")


def _known(file: _Read, at: At, word: str | None, known: Iterable[str], what: str) -> None:
    if word is not None and word not in known:
        file.problem(at, f"is no {what} of these files{nearest(word, known)}")


def _checklist(key: str, lists: Mapping[str, _List], files: list[_Read]) -> Checklist:
    names = _chain(key, lists)
    if names[-1] in names[:-1]:
        _say_circle(key, names, files)
        return Checklist(key, "", ())
    chain = [lists[each] for each in names]
    rules: tuple[_Rule, ...] = ()
    for each in reversed(chain):
        rules = _over(rules, each.items)
    own = chain[0]
    return Checklist(
        key,
        own.title or key,
        tuple(_rule(rule) for rule in rules if not rule.remove),
        frozenset(own.nucc or ()),
        own.icd10 or (),
        own.extends,
        own.red_flags or (),
    )


def _chain(key: str, lists: Mapping[str, _List]) -> list[str]:
    """The list, what it extends, and so on; in a circle the one that closes it stands at the end once more."""
    names = [key]
    while (above := lists[names[-1]].extends) is not None:
        names.append(above)
        if above in names[:-1]:
            break
    return names


def _say_circle(key: str, names: list[str], files: list[_Read]) -> None:
    """At the lines that make it: not where a list only leads to it, nor at a shipped one where a file of the site closes it."""
    if names[-1] != key:
        return
    said = {each: _last_that_extends(each, files) for each in names[:-1]}
    if files.index(said[key]) < len(SHIPPED) <= max(map(files.index, said.values())):
        return
    said[key].problem(("checklists", key, "extends"), f"extends itself: {' → '.join(names)}")


def _last_that_extends(key: str, files: list[_Read]) -> _Read:
    """The file whose word on what a list extends counts."""
    return next(
        each
        for each in reversed(files)
        if key in each.content.checklists and "extends" in each.content.checklists[key].model_fields_set
    )


def _rule(rule: _Rule) -> Rule:
    given: dict[str, Any] = rule.model_dump(exclude={"parts", "remove", "images"}, exclude_none=True)
    return Rule(**{"need": Need.REQUIRED.value, **given}, parts=_parts(rule.parts or ()), images=_images(rule.images))


def _images(said: bool | str | None) -> Images:
    """``true`` and ``false`` are the short words for required and report_only."""
    if isinstance(said, str):
        return Images(said)
    return Images.REQUIRED if said else Images.REPORT_ONLY
