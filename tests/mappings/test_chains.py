"""Orders that are based on one another: the earlier first, and a chain without a first one is known."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mappings.order import in_a_loop, in_line

names = st.sampled_from("abcdef")
chains = st.dictionaries(names, st.lists(names, max_size=3).map(tuple))


@pytest.mark.parametrize(
    ("based_on", "loop"),
    [
        ({"a": (), "b": ("a",), "c": ("b",)}, set()),
        ({"a": ("a",)}, {"a"}),
        ({"a": ("b",), "b": ("a",), "c": ("a",)}, {"a", "b"}),
        ({"a": ("elsewhere",)}, set()),
    ],
)
def test_a_loop_is_known(based_on, loop):
    assert in_a_loop(based_on) == loop


@given(chains)
def test_whatever_is_in_no_loop_comes_after_what_it_is_based_on(based_on):
    line, loop = in_line(based_on), in_a_loop(based_on)
    assert sorted(line) == sorted(set(based_on) - loop)
    for each in line:
        before = [one for one in based_on[each] if one in line]
        assert all(line.index(one) < line.index(each) for one in before)
