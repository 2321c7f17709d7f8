"""What a receiver answers is read by its codes; its words, which may hold the patient, are never repeated."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mappings.hl7v2.acknowledgment import Answer, read_acknowledgment

MSH = "MSH|^~\\&|EHR|HILLSIDE|SOE|EX|20260601||ACK^T02|1|P|2.5.1\r"


def read(*lines: str):
    return read_acknowledgment((MSH + "\r".join(lines) + "\r").encode())


@pytest.mark.parametrize(
    ("code", "answer"),
    [("AA", Answer.ACCEPTED), ("CA", Answer.COMMITTED), *((each, Answer.REFUSED) for each in ("AE", "AR", "CE", "CR"))],
)
def test_each_code_says_one_thing(code, answer):
    found = read(f"MSA|{code}|C1|Ada Synthetic1")
    assert found is not None and (found.answer, found.control_id) == (answer, "C1")
    assert "Ada" not in found.words


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("ERR||PID^1^3|204^Unknown key^HL70357|E||||Ada is not here", "AE (PID-3 204)"),
        ("ERR|PID^1^5^101&Required field missing&HL70357", "AE (PID-5 101)"),
        ("ERR||^^Ada|Ada Synthetic1 unknown", "AE"),
        ("ERR", "AE"),
    ],
)
def test_an_error_is_told_by_place_and_code(line, words):
    found = read("MSA|AE|C1", line)
    assert found is not None and found.words == words


@pytest.mark.parametrize(
    "data",
    [b"", b"\r\r", b"MSH", b"HTTP/1.1 200 OK\r\n\r\n", b"MSH|^~\\&|A\r", b"MSH|^~\\&|A\rMSA\r", b"MSH|^~\\&|A\rMSA|AA\r",
     b"MSH|^~\\&|A\rMSA|OK|C1\r", b"MSA|AA|C1\r", b"\xff\xfe\x00"],
)  # fmt: skip
def test_what_is_none_is_none(data):
    assert read_acknowledgment(data) is None


def test_line_ends_of_other_systems_are_read():
    assert read_acknowledgment(MSH.replace("\r", "\n").encode() + b"MSA|AA|C1\n") is not None


@settings(max_examples=200, deadline=None)
@given(
    data=st.binary(max_size=200)
    | st.text(alphabet="MSHA|^~\\&\rER1", max_size=80).map(lambda text: f"MSH|^~\\&|{text}".encode())
)
def test_whatever_comes_it_is_read_or_it_is_none(data):
    read_acknowledgment(data)
