"""Checklists of a site laid over the shipped ones: field by field, and every mistake with its line."""

from pathlib import Path

import pytest

from integration.settings.checklist_files import load_catalog
from integration.settings.config import load_config
from mappings.model.errors import ConfigError


def overlay(tmp_path: Path, text: str):
    path = tmp_path / "ours.yaml"
    path.write_text(text)
    load_catalog.cache_clear()
    return load_catalog((path,))


def rule(catalog, checklist: str, kind: str):
    return next((each for each in catalog.checklists[checklist].rules if each.kind == kind), None)


def test_the_shipped_lists_are_whole():
    catalog = load_catalog()
    assert len(catalog.checklists) == 19 and catalog.version
    used = {rule.kind for each in catalog.checklists.values() for rule in each.rules}
    assert used == set(catalog.kinds)
    assert all(rule.sources or rule.basis == "ours" for each in catalog.checklists.values() for rule in each.rules)
    named = {source for each in catalog.checklists.values() for rule in each.rules for source in rule.sources}
    assert named == set(catalog.sources)


def check_digit(code: str) -> bool:
    """https://loinc.org/kb/check-digit/: Luhn's."""
    number, _, digit = code.partition("-")
    doubled = [int(each) * (2 if place % 2 == 0 else 1) for place, each in enumerate(reversed(number))]
    return (10 - sum(value if value < 10 else value - 9 for value in doubled) % 10) % 10 == int(digit)


def test_every_loinc_code_has_its_check_digit():
    codes = {
        code
        for kind in load_catalog().kinds.values()
        for each in (*kind.matchers, *kind.parts, *kind.images, *kind.weak, *kind.events)
        for code in getattr(each, "loinc", ())
    }
    assert len(codes) > 60 and not [code for code in codes if not check_digit(code)]


def test_a_rule_takes_what_its_parent_says_and_a_sites_file_only_what_it_names(tmp_path):
    catalog = load_catalog()
    assert rule(catalog, "breast", "glass-slides").sources == ("S35",)
    assert rule(catalog, "lung", "pathology-report").all is True  # of oncology
    ours = overlay(
        tmp_path,
        "checklists:\n  oncology:\n    items:\n      - {kind: labs-cbc, months: 2}\n"
        "      - {kind: staging, need: if_available, basis: ours}\n      - {kind: blocks, remove: true}\n",
    )
    assert rule(ours, "lung", "labs-cbc").months == 2 and rule(ours, "lung", "labs-cbc").sources == ("S01", "S10")
    assert rule(ours, "breast", "staging").need == "if_available" and rule(ours, "breast", "blocks") is None
    assert ours.sha256 != catalog.sha256


@pytest.mark.parametrize(
    "text, line, says",
    [
        ("checklists:\n  ours:\n    extends: onkology\n", 3, "did you mean `oncology`?"),
        (
            "checklists:\n  ours:\n    items:\n      - {kind: biopsie, need: required, basis: ours}\n",
            4,
            "no kind of record",
        ),
        (
            "checklists:\n  ours:\n    items:\n      - {kind: blocks, need: sometimes, basis: ours}\n",
            4,
            "no need or condition",
        ),
        ("checklists:\n  ours:\n    items:\n      - {kind: blocks, need: required}\n", 4, "cites no source"),
        ("checklists:\n  ours:\n    items:\n      - {kind: blocks, need: required, sources: [S99]}\n", 4, "no source"),
        (
            "checklists:\n  ours:\n    items:\n      - {kind: blocks, need: required, months: 0, basis: ours}\n",
            4,
            "months",
        ),
        (
            "kinds:\n  x:\n    label: X\n    plain: X\n    matchers:\n      - {type: Observation, loinc: [718]}\n",
            6,
            "loinc",
        ),
        ("checklists:\n  a: {extends: b}\n  b: {extends: a}\n", 2, "extends itself"),
        ("checklists:\n  ours: {extends: ours}\n", 2, "extends itself: ours → ours"),
        (
            "checklists:\n  ours:\n    extends: general\n    items:\n      - {kind: blocks, months: 2, basis: ours}\n"
            "      - {kind: blocks, months: 3, basis: ours}\n",
            6,
            "is listed twice (first on line 5): keep one",
        ),
        ("checklists:\n  a: {icd10: [cancer]}\n", 2, "icd10"),
        ("checklist:\n  a: {}\n", 1, "did you mean"),
    ],
)
def test_a_mistake_is_said_with_its_line(tmp_path, text, line, says):
    with pytest.raises(ConfigError) as caught:
        overlay(tmp_path, text)
    assert [mistake for mistake in caught.value.mistakes if mistake.line == line and says in str(mistake)]


def test_a_circle_through_shipped_lists_is_said_once_at_the_line_of_the_site_that_closes_it(tmp_path):
    with pytest.raises(ConfigError) as caught:
        overlay(tmp_path, "checklists:\n  mine: {extends: breast}\n  general: {extends: breast}\n")
    [mistake] = caught.value.mistakes
    assert mistake.line == 3 and "extends itself: general → breast → oncology → general" in str(mistake)
    assert "lists.yaml" not in str(mistake).replace(str(tmp_path), "")


def test_config_names_its_own_files_and_lists(tmp_path):
    (tmp_path / "lists.yaml").write_text("checklists:\n  ours: {title: Ours, extends: general}\n")
    config = tmp_path / "config.yaml"
    config.write_text(
        "checklists: [lists.yaml]\nendpoints:\n  a: {base_url: 'https://a.example.org/fhir', role: fulfiller, name: A, "
        "identifier_system: 'urn:test:a', checklist: ours}\n"
    )
    read = load_config(config, {})
    assert load_catalog(read.checklists).checklists["ours"].title == "Ours"
    config.write_text(config.read_text().replace("checklist: ours", "checklist: our"))
    with pytest.raises(ConfigError, match="did you mean `ours`"):
        load_config(config, {})


def test_a_consultants_own_file_is_read_and_its_mistakes_said(tmp_path):
    (tmp_path / "theirs.yaml").write_text("checklists:\n  general:\n    items:\n      - {kind: photoz, basis: ours}\n")
    config = tmp_path / "config.yaml"
    config.write_text(
        "endpoints:\n  a: {base_url: 'https://a.example.org/fhir', role: fulfiller, name: A, identifier_system: 'urn:test:a', "
        "checklists: [theirs.yaml]}\n"
    )
    with pytest.raises(ConfigError) as caught:
        load_config(config, {})
    told = "\n".join(map(str, caught.value.mistakes))
    assert "theirs.yaml:4" in told and "did you mean `photos`" in told
    config.write_text(config.read_text().replace("checklists: [theirs.yaml]", "images: sometimes"))
    with pytest.raises(ConfigError, match="endpoints.a.images"):
        load_config(config, {})
