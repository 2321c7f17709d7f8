"""Scopes are read as SMART writes them, in both versions; what is not evaluated here is refused in a sentence without a value."""

import pytest

from integration.hosted.scopes import Scope, ScopeRefused, granted, read_scopes
from integration.store.clients import without_searches


def words(asked: str, registered: str) -> str:
    return " ".join(map(str, granted(read_scopes(asked), read_scopes(registered))))


@pytest.mark.parametrize(
    ("text", "type_", "may"),
    [
        ("system/Observation.rs", "Observation", "rs"),
        ("system/*.cruds", "*", "cruds"),
        ("system/Task.c", "Task", "c"),
        ("system/Task.read", "Task", "rs"),
        ("system/Task.write", "Task", "cud"),
        ("system/*.*", "*", "cruds"),
    ],
)
def test_a_scope_is_a_type_and_what_may_be_done(text, type_, may):
    assert read_scopes(text) == [Scope(type_, may)]
    assert str(read_scopes(text)[0]) == text


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "Name 1 to 100 scopes"),
        ("system/Task.r  system/Task.s", "no scope of a machine"),
        ("x" * 9000, "8000 characters"),
        (" ".join(["system/Task.r"] * 101), "Name 1 to 100"),
        ("patient/Observation.rs", "Scope patient/Observation.rs is no scope of a machine"),
        ("user/*.cruds", "no scope of a machine"),
        ("openid", "no scope of a machine"),
        ("system/Observation", "no scope of a machine"),
        ("system/Observation.", "no scope of a machine"),
        ("system/Observation.dus", "not letters of cruds in that order"),
        ("system/Observation.rr", "not letters"),
        ("system/Observation.reads", "not letters"),
        ("system/Observations.rs", "Did you mean Observation?"),
        ("system/observation.rs", "not a resource type"),
        ("system/Observation.rs?", "its search is not evaluated here"),
        ("system/Observation.rs?category", "the search parameter 'category' is not evaluated here. For Observation there"),
        ("system/Observation.rs?category=laboratory", "the search parameter 'category' is not evaluated here"),
        ("system/Observation.rs?status:not=final", "'status:not' is not evaluated here"),
        ("system/Observation.rs?patient.birthdate=1990", "'patient.birthdate' is not evaluated here"),
        ("system/Observation.rs?_count=5", "'_count' is not evaluated"),
        ("system/Observation.rs?_page=x", "'_page' is not evaluated"),
        ("system/Observation.rs?_format=json", "'_format' is not evaluated"),
        ("system/Observation.rs?status=", "has no value"),
        ("system/Observation.rs?_lastUpdated=yesterday", "'_lastUpdated' takes"),
        ("system/*.rs?status=final", "a search needs a resource type"),
        ("system/Patient.rs?name=Jos\u00e9", "A scope is no scope"),
        ('system/Patient.rs?name="Canary"', "A scope is no scope"),
    ],
)  # fmt: skip
def test_what_cannot_be_had_here_is_refused_in_a_sentence(text, said):
    with pytest.raises(ScopeRefused) as refused:
        read_scopes(text)
    if said.startswith("A scope"):
        assert "no scope of a machine" in str(refused.value)
    else:
        assert said in str(refused.value)
    assert "Canary" not in str(refused.value) and "1990" not in str(refused.value)


@pytest.mark.parametrize(
    "search",
    ["status=final", "identifier=urn:x|1", "patient=Patient/1", "_id=a,b", "_lastUpdated=ge2026", "status=final&patient=Patient/1"],
)  # fmt: skip
def test_a_search_of_what_is_evaluated_is_taken(search):
    [scope] = read_scopes(f"system/Observation.rs?{search}")
    assert (scope.search, without_searches([str(scope)])) == (search, ["system/Observation.rs"])
    assert scope.query("https://x").has_criteria


@pytest.mark.parametrize(
    ("asked", "registered", "given"),
    [
        ("system/Task.rs", "system/Task.rs", "system/Task.rs"),
        ("system/Task.rs", "system/*.cruds", "system/Task.rs"),
        ("system/*.rs", "system/Task.cru system/Patient.rs", "system/Task.r system/Patient.rs"),
        ("system/Task.cruds", "system/Task.r", "system/Task.r"),
        ("system/Task.read", "system/Task.rs", "system/Task.read"),
        ("system/Task.read", "system/Task.r", "system/Task.r"),
        ("system/*.read system/*.write", "system/*.*", "system/*.read system/*.write"),
        ("system/Task.c", "system/Task.rs", ""),
        ("system/Task.rs", "system/Patient.rs", ""),
        ("system/Task.rs", "system/Task.rs?status=requested", "system/Task.rs?status=requested"),
        ("system/Task.rs?status=requested", "system/Task.rs", "system/Task.rs?status=requested"),
        ("system/Task.rs?status=requested", "system/Task.rs?status=requested", "system/Task.rs?status=requested"),
        (
            "system/Task.rs?status=requested",
            "system/Task.r?patient=Patient/1",
            "system/Task.r?status=requested&patient=Patient/1",
        ),
        ("system/*.rs", "system/Task.rs system/*.s", "system/Task.rs system/*.s"),
        ("system/*.rs", "system/*.s system/*.rs", "system/*.rs"),
        ("system/Task.r system/Task.rs", "system/*.cruds", "system/Task.rs"),
    ],
)
def test_what_is_granted_lies_within_both(asked, registered, given):
    assert words(asked, registered) == given


def test_a_grant_that_no_token_could_bear_is_refused_at_once():
    asked = " ".join(f"system/Task.rs?_id={number}" for number in range(50))
    registered = " ".join(f"system/Task.rs?patient={number}" for number in range(50))
    with pytest.raises(ScopeRefused, match="ask for fewer at a time"):
        words(asked, registered)
