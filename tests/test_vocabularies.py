"""Words that steps, errors, filters and pages share are declared once: this reads the source for any other."""

import ast
import re
from collections.abc import Iterator
from typing import get_args

import pytest

from integration.settings.roads import LevelWord
from jobs.engine import JOBS
from mappings.model.causes import CAUSES, WAYS, Way, cause_named
from mappings.model.profiles import PROFILES
from mappings.model.roads import LEVELS, ROADS, Level, RoadName
from mappings.model.steps import KINDS, StepKind
from tests.reference_pages import commands, sources

ERRORS = {"NeedsPerson", "TransferError", "TemporaryError", "PermanentError", "UnknownOutcome", "NotFound"}
WRITERS = {"postpone", "put_back", "park", "give_up", "record_attempt", "_put_back"}  # store a step's cause
NOT_OF_STEPS = {"stopped", "findings-not-stored", "exchanges-not-stored"}  # of an exchange, or a finding
MADE_OF_PARTS = {"http-": "http-4xx", "patient-": "patient-none"}  # beginning of an f-string -> a member of the family


def _calls() -> Iterator[tuple[str, ast.Call, str]]:
    for path, tree in sources():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call):
                yield path, node, getattr(node.func, "id", getattr(node.func, "attr", ""))


def _given_causes() -> Iterator[tuple[str, ast.expr]]:
    """Every expression that is handed to an error, or to what stores a step's cause, as its cause."""
    for path, node, name in _calls():
        if name in ERRORS | WRITERS:
            yield from ((path, each.value) for each in node.keywords if each.arg == "cause")
        if name == "NeedsPerson" and node.args:
            yield path, node.args[0]
    for path, tree in sources():
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                yield from ((path, each.value) for each in node.body if _names_cause(each))


def _names_cause(node: ast.stmt) -> bool:
    return isinstance(node, ast.Assign) and any(getattr(each, "id", "") == "cause" for each in node.targets)


def _words(value: ast.expr) -> Iterator[str]:
    for node in ast.walk(value):
        if isinstance(node, ast.JoinedStr):
            start = node.values[0].value if isinstance(node.values[0], ast.Constant) else ""
            yield MADE_OF_PARTS.get(start, start)
            return
        if (
            isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and re.fullmatch("[a-z]+(-[a-z0-9]+)*", node.value)
        ):
            yield node.value


def test_errors_and_steps_name_only_causes_that_are_declared() -> None:
    wrong = [(path, word) for path, value in _given_causes() for word in _words(value) if word not in CAUSES]
    wrong = [(path, word) for path, word in wrong if word not in NOT_OF_STEPS]
    assert wrong == [], "declare the cause in mappings/model/causes.py: what happened, what to do, which ways on"


def test_every_declared_cause_is_used_somewhere() -> None:
    text = "\n".join(ast.unparse(tree) for path, tree in sources() if path != "mappings/model/causes.py")
    idle = [word for word in CAUSES if not re.match("http-|patient-", word) and f"'{word}'" not in text]
    assert idle == [], "nothing raises these causes: remove them from mappings/model/causes.py"


# where a doubt is named by its word without "patient-"
PATIENT_DOUBTS = ("mappings/patient.py", "mappings/patient_link.py", "jobs/patients.py")


def test_every_doubt_about_a_patient_has_a_cause_and_every_such_cause_a_doubt() -> None:
    source = "\n".join(ast.unparse(tree) for path, tree in sources() if path in PATIENT_DOUBTS)
    for word in CAUSES:
        if word.startswith("patient-") and word not in ("patient-similar",):
            assert f"'{word.removeprefix('patient-')}'" in source or f"'{word}'" in _everything(), word


def _everything() -> str:
    return "\n".join(ast.unparse(tree) for path, tree in sources() if path != "mappings/model/causes.py")


@pytest.mark.parametrize("word", CAUSES)
def test_each_cause_says_what_happened_what_to_do_and_has_a_way_on(word: str) -> None:
    cause = CAUSES[word]
    for sentence in (cause.happened, cause.to_do):
        assert re.fullmatch(r"[A-Z].*[.]", sentence), sentence
        assert "second-opinion " not in sentence, "a button stands beside it: name the button"
    assert cause.ways and len(set(cause.ways)) == len(cause.ways)
    assert any(WAYS[way].action for way in cause.ways), "nothing on the page leads on"
    assert (cause.first is Way.RETRY) <= cause.retry_helps, "Retry stands first only where the same again can succeed"


@pytest.mark.parametrize("way", Way)
def test_each_way_on_is_a_button_and_a_command_that_exist(way: Way) -> None:
    from integration.web.access.roles import NEEDS
    from integration.web.operations.actions import ACTIONS

    known = {words.removeprefix("second-opinion ") for words, _ in commands()}
    assert WAYS[way].command in known, f"no command {WAYS[way].command}"
    assert WAYS[way].action is None or WAYS[way].action in {*ACTIONS, *NEEDS}, f"no page action {WAYS[way].action}"


@pytest.mark.parametrize("word", [None, "", "new-in-the-next-version", "http-418", "http-5", "RuntimeError"])
def test_a_cause_nobody_declared_is_shown_and_breaks_nothing(word: str | None) -> None:
    found = cause_named(word)
    assert found.word == (word or "") and found.ways


def test_a_status_without_a_row_of_its_own_has_the_words_of_its_hundred() -> None:
    assert cause_named("http-418").happened == CAUSES["http-4xx"].happened
    assert cause_named("http-507").happened == CAUSES["http-5xx"].happened


def test_steps_are_made_only_of_kinds_that_are_declared_and_follow_the_table() -> None:
    """Each literal `NextStep("kind", ...)` in the module of a job is among what follows some step of that module."""
    of_module: dict[str, set[str]] = {}
    for kind, job in JOBS.items():
        of_module.setdefault(job.__module__.replace(".", "/") + ".py", set()).add(kind)
    for path, node, name in _calls():
        kinds = [each.value for each in node.args[:2] if isinstance(each, ast.Constant) and each.value in KINDS]
        if name == "NextStep" and node.args and isinstance(node.args[0], ast.Constant):
            assert node.args[0].value in KINDS, f"{path}: {node.args[0].value} is no kind of step"
            if path in of_module:
                follows = {following for kind in of_module[path] for following in KINDS[StepKind(kind)].follows}
                assert set(kinds) <= follows, (
                    f"{path} makes {kinds}: mappings/model/steps.py does not say that it follows"
                )


def test_config_knows_each_profile_road_and_level() -> None:
    assert set(RoadName) == set(ROADS)
    assert set(get_args(LevelWord)) == set(Level) == set(LEVELS)
    assert all(set(profile.roads) <= set(RoadName) for profile in PROFILES.values())
