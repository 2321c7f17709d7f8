"""A SMART Health Link is written by the rules, read with care, and never quoted in an error."""

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mappings.health_link import (
    FHIR_JSON,
    SCHEME,
    Ask,
    File,
    LinkProblem,
    Payload,
    flags,
    host_of,
    is_jwe,
    label_problem,
    read_ask,
    read_link,
    read_manifest,
    read_recipient,
    stands_inside,
    to_manifest,
    write_link,
)

KEY = "rxTgYlOaKJPFtcEd0qcceN8wEU4p94SqAwIWQe6uX7Q"
TOKEN = "I91rhba3VsuGXGchcnr6VHlQFKxfE28kuZ0ssbEuxno"
URL = f"https://exchange.example.org/shl/{TOKEN}"
# The specification's own example.
EXAMPLE = (
    "shlink:/eyJ1cmwiOiJodHRwczovL2Voci5leGFtcGxlLm9yZy9xci9ZOXh3a1VkdG1OOXd3b0pvTjNmZkpJaFgyVUd2Q0wxSm5sUFZOTDNrRFdNL20iLCJmbGFn"
    "IjoiTFAiLCJrZXkiOiJyeFRnWWxPYUtKUEZ0Y0VkMHFjY2VOOHdFVTRwOTRTcUF3SVdRZTZ1WDdRIiwibGFiZWwiOiJCYWNrLXRvLXNjaG9vbCBpbW11bml6YXRp"
    "b25zIGZvciBPbGl2ZXIgQnJvd24ifQ"
)


def payload(**changed) -> Payload:
    return Payload(**{"url": URL, "key": KEY, "exp": 1796000000, "flag": "LP", "label": "Records", **changed})


def coded(**said) -> str:
    return SCHEME + base64.urlsafe_b64encode(json.dumps(said).encode()).decode().rstrip("=")


def test_the_example_of_the_specification_is_read():
    found = read_link(EXAMPLE)
    assert (found.key, found.flag, found.label) == (KEY, "LP", "Back-to-school immunizations for Oliver Brown")
    assert found.needs_passcode and not found.is_direct and host_of(found) == "ehr.example.org"


def test_it_is_minified_without_padding_and_says_its_version():
    link = write_link(payload())
    said = base64.urlsafe_b64decode(link.removeprefix(SCHEME) + "==").decode()
    assert said == json.dumps(
        {"url": URL, "key": KEY, "exp": 1796000000, "flag": "LP", "label": "Records", "v": 1}, separators=(",", ":")
    )
    assert (
        "=" not in link and write_link(payload(), "https://viewer.example.org#") == f"https://viewer.example.org#{link}"
    )


@given(
    st.builds(
        payload,
        exp=st.none() | st.integers(0, 2**53),
        flag=st.sampled_from(["", "L", "P", "U", "LP", "LU"]),
        label=st.text(st.characters(exclude_categories=("C", "Z")), max_size=80),
    ),
    st.sampled_from(["", "https://viewer.example.org", "https://viewer.example.org/see#"]),
    st.sampled_from(["", " ", "\n"]),
)
def test_what_is_written_is_read_again_wherever_it_was_pasted(made, viewer, around):
    link = write_link(made, viewer)
    assert read_link(f"{around}{link[:20]}{around}{link[20:]}{around}") == made


@pytest.mark.parametrize(
    "changed",
    [
        {"flag": "PL"},
        {"flag": "PU"},
        {"flag": "LL"},
        {"label": "x" * 81},
        {"label": "two\nlines"},
        {"key": KEY[:-1]},
        {"url": "https://exchange.example.org/shl/short"},
        {"url": f"https://{'x' * 60}.example.org/shl/{TOKEN}/{'y' * 20}"},
    ],
)
def test_a_link_that_breaks_a_rule_is_not_written(changed):
    with pytest.raises(LinkProblem) as caught:
        write_link(payload(**changed))
    assert KEY not in str(caught.value) and TOKEN not in str(caught.value)


def test_flags_stand_in_order_and_a_single_file_has_no_passcode():
    assert flags(is_long_term=True, has_passcode=True, is_direct=False) == "LP"
    assert flags(is_long_term=True, has_passcode=False, is_direct=True) == "LU"
    with pytest.raises(LinkProblem, match="choose one"):
        flags(is_long_term=False, has_passcode=True, is_direct=True)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no SMART Health Link"),
        ("https://example.org", "no SMART Health Link"),
        ("https://viewer.example.org/" + EXAMPLE, "no SMART Health Link"),
        (EXAMPLE[:-9] + "!!", "cut, or was changed"),
        (EXAMPLE[:90], "cut, or was changed"),
        (SCHEME, "cut, or was changed"),
        (SCHEME + "a" * 5000, "longer than any"),
        (coded(url=URL, key=KEY, v=2), "newer version"),
        (coded(url=URL, key="short"), "256 bits"),
        (coded(url=URL, key=KEY, flag="PU"), "at once"),
        (coded(url="file:///etc/passwd", key=KEY), "no address of a server"),
        (coded(url="https://a@b.example/x", key=KEY), "no address of a server"),
        (coded(url="https://b.example:0/x", key=KEY), "no address of a server"),
        (coded(url="https://b.example/" + "x" * 128, key=KEY), "no address of a server"),
        (coded(url=["x"], key=KEY), "cut, or was changed"),
    ],
)
def test_a_link_that_cannot_be_read_says_so_and_quotes_nothing(text, words):
    with pytest.raises(LinkProblem, match=words) as caught:
        read_link(text)
    assert KEY not in str(caught.value) and caught.value.__context__ is None


@given(st.text(max_size=200) | st.binary(max_size=200).map(lambda raw: SCHEME + base64.urlsafe_b64encode(raw).decode()))
def test_whatever_is_pasted_is_a_link_or_a_sentence(text):
    try:
        read_link(text)
    except LinkProblem as problem:
        assert str(problem).endswith(".")


def test_what_a_newer_writer_adds_is_ignored():
    found = read_link(coded(url=URL, key=KEY, flag="LX", _ours=1, extension=[], v=1))
    assert found.flag == "LX" and not found.needs_passcode


def test_no_log_holds_a_key():
    assert KEY not in repr(payload()) + str(payload()) + f"{payload()}"


@pytest.mark.parametrize(
    "body",
    [
        None,
        [],
        {},
        {"recipient": " \n"},
        {"recipient": 3},
        {"recipient": "x", "passcode": 1},
        {"recipient": "x", "embeddedLengthMax": "many"},
        {"recipient": "x", "embeddedLengthMax": True},
        {"recipient": "x", "embeddedLengthMax": -1},
    ],
)
def test_a_wrong_request_for_a_manifest_is_refused(body):
    with pytest.raises(LinkProblem):
        read_ask(body)


def test_a_request_for_a_manifest_is_read_and_its_words_are_one_short_line():
    assert read_ask({"recipient": " Dr. Bob\r\nX-Evil: 1 ", "passcode": "", "more": 1}) == Ask("Dr. Bob  X-Evil: 1")
    assert len(read_recipient("x" * 1000)) == 200
    assert read_ask({"recipient": "x", "embeddedLengthMax": 0}).embedded_length_max == 0


@given(st.integers(0, 10**7), st.none() | st.integers(0, 10**7), st.integers(0, 10**7))
def test_nothing_longer_than_was_asked_for_stands_inside(length, longest, unasked):
    inside = stands_inside(length, Ask("x", embedded_length_max=longest), unasked)
    assert inside == (length <= (unasked if longest is None else longest))


def test_a_manifest_is_read_again():
    files = [
        File(FHIR_JSON, embedded="a..b.c.d", status="can-change", last_updated="2026-06-01T09:00:00Z"),
        File(FHIR_JSON, location="https://exchange.example.org/shl/file/x"),
    ]
    made = to_manifest(files)
    assert all(each["fhirVersion"] == "4.0.1" for each in made["files"])
    assert [(each.embedded, each.location) for each in read_manifest(made)] == [
        (each.embedded, each.location) for each in files
    ]


@pytest.mark.parametrize(
    "body",
    [
        None,
        {},
        {"files": {}},
        {"files": []},
        {"files": [None]},
        {"files": [{"contentType": FHIR_JSON}]},
        {"files": [{"embedded": "x"}]},
        {"files": [{"contentType": FHIR_JSON, "location": "file:///etc/passwd"}]},
        {"files": [{"contentType": FHIR_JSON, "location": "https://x@y.example/"}]},
        {"files": [{"contentType": FHIR_JSON, "embedded": "x"}] * 201},
    ],
)
def test_a_manifest_that_lies_is_a_sentence(body):
    with pytest.raises(LinkProblem):
        read_manifest(body)


def test_labels_are_short_and_shown_and_a_jwe_has_five_parts():
    assert label_problem("Records") == "" and label_problem("x" * 81) and label_problem("a\u202eb")
    assert is_jwe("aa..bb.cc.dd") and not is_jwe("aa.kk.bb.cc.dd") and not is_jwe("{}")
