"""JSON is read as JSON, and means what the same text means as YAML."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from integration.settings import yaml_lines
from integration.settings.yaml_lines import read

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=12)
    | st.sampled_from(["2024-02-30", "yes", "~", "1e3", "x: y", "# no", "\u2028", "\U0001f600", "\x01"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=12,
)


def said(document, places):
    return (
        document.value,
        [(each.at, each.message) for each in document.problems],
        [document.line_of(at) for at in places],
    )


@given(st.dictionaries(st.text(max_size=6), values, max_size=4), st.booleans(), st.sampled_from([None, 2]))
@settings(deadline=None)
def test_json_means_what_it_means_as_yaml_with_the_same_lines(value, ascii_only, indent):
    data = json.dumps(value, ensure_ascii=ascii_only, indent=indent).encode("utf-8", "surrogatepass")
    text = yaml_lines._text(data)
    if isinstance(text, str):
        as_yaml = yaml_lines._as_yaml(text)
        assert said(read(data), as_yaml.lines) == said(as_yaml, as_yaml.lines)


@pytest.mark.parametrize(
    "text",
    [
        '{"a": 1, "a": 2}',
        '{"a": NaN}',
        '{"a": "\\ud800"}',
        '{"a": "\\u0001"}',
        "{a: 1}",
        '{"a": 1}}',
        "{" * 40,
        '{"a":' * 40,
    ],
)
def test_what_is_odd_is_said_as_before(text):
    as_yaml = yaml_lines._as_yaml(text)
    found = read(text.encode())
    assert said(found, as_yaml.lines) == said(as_yaml, as_yaml.lines)


def test_what_a_program_sends_is_not_read_as_yaml(monkeypatch):
    monkeypatch.setattr(yaml_lines, "_as_yaml", lambda text: pytest.fail("it was read as YAML"))
    assert read(json.dumps({"key": "k", "parts": [1, True, None, 0.5]}).encode()).value["parts"] == [1, True, None, 0.5]
