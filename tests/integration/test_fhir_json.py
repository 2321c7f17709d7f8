"""FHIR JSON in and out, digit by digit."""

import hashlib
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from integration.fhir_json import TooDeep, dumps, loads


@pytest.mark.parametrize("number", ["1.10", "0.0", "-0.00", "1.0E+2", "100", "0.1234567890123456789012345", "1E-10"])
def test_it_keeps_every_digit_of_a_number(number):
    text = f'{{"valueQuantity":{{"value":{number}}}}}'.encode()
    assert dumps(loads(text)) == text


def test_it_reads_decimals_as_decimal_and_never_as_float():
    read = loads('{"a": 1.10, "b": 2, "c": 1e3}')
    assert (type(read["a"]), type(read["b"]), type(read["c"])) == (Decimal, int, Decimal)


@pytest.mark.parametrize("bad", ['{"id":"1","id":"2"}', "[NaN]", "[Infinity]", '{"a":1', "", "<html>", b"\xff\xfe{}"])
def test_it_refuses_what_is_not_one_meaning(bad):
    with pytest.raises(ValueError):
        loads(bad)


def test_a_duplicate_key_deep_inside_is_refused_too():
    with pytest.raises(ValueError, match="twice"):
        loads('{"a":[{"b":{"c":1,"c":1}}]}')


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), Decimal("NaN")])
def test_it_writes_no_number_that_is_not_json(bad):
    with pytest.raises(ValueError):
        dumps({"value": bad})


def test_it_writes_utf_8_compactly_and_reads_a_byte_order_mark():
    assert dumps({"text": "Müller ≥ 3 µg", "n": [1, 2]}) == '{"text":"Müller ≥ 3 µg","n":[1,2]}'.encode()
    assert loads(b'\xef\xbb\xbf{"a":1}') == {"a": 1}


def test_the_same_resource_has_the_same_bytes():
    assert hashlib.sha256(dumps({"a": Decimal("1.10")})).digest() == hashlib.sha256(b'{"a":1.10}').digest()


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text()
    | st.decimals(allow_nan=False, allow_infinity=False).filter(lambda value: "." in str(value) or "E" in str(value)),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(json_values)
def test_what_is_written_reads_back_the_same(value):
    assert str(loads(dumps(value))) == str(value)


def nested(levels: int, inside: str = '""') -> str:
    return '{"a":[' * (levels // 2) + inside + "]}" * (levels // 2)


@pytest.mark.parametrize("opening, closing", [('{"a":', "}"), ("[", "]"), ('{"a":[', "]}"), ('[[{"[}":', "}]]")])
def test_what_is_nested_too_deep_is_refused_to_the_level(opening, closing):
    levels = sum(opening.count(each) for each in "{[") - (1 if "}" in opening else 0)
    for deep in (60, 120):
        whole = opening * (deep // levels) + "1" + closing * (deep // levels)
        loads(whole, max_depth=deep)
        with pytest.raises(TooDeep):
            loads(whole.encode(), max_depth=deep - 1)


@pytest.mark.parametrize("text", ["[" * 700, "]}" * 700, '{"' * 700, "{[" * 400 + "]}" * 400, r"\"[[[" * 300])
def test_brackets_in_a_text_are_no_levels(text):
    resource = {"resourceType": "Basic", "note": text}
    assert loads(dumps([resource])) == [resource]


def test_a_depth_that_no_walk_survives_is_refused_before_anything_walks_into_it():
    with pytest.raises(TooDeep):
        loads(nested(100_000))
