"""A site's referral or order as a request: as it says, by its places; what cannot be read is refused by segment and field."""

from dataclasses import replace
from datetime import UTC, datetime

import hl7
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mappings.hl7v2.acknowledgment import read_acknowledgment, to_acknowledgment
from mappings.hl7v2.order import Site, read_order, to_request
from mappings.hl7v2.reading import Refused, header_of, read_message
from mappings.model.request import SecondOpinionRequest, unknown_parts
from mappings.service_request import is_second_opinion
from tests.mappings.hl7v2.orders import OMG, ORM, REF, message

SITE = Site("HILLSIDE", "P", "urn:hill:orders", {"HILL": "urn:hill:mrn"}, {"L": "urn:hill:codes"})


def request_of(text: str, site: Site = SITE) -> SecondOpinionRequest:
    return to_request(read_order(read_message(message(text)), site), placer="alice", fulfiller="bob")


def test_a_referral_is_a_request():
    found = request_of(REF)
    assert found.key == "alice:order/urn:hill:orders|R-1" and found.service_request is None
    assert found.placer_order is not None and found.placer_order.value == "R-1"
    assert found.patient.identifiers[0].token() == "urn:hill:mrn|M1" and str(found.patient.birth_date) == "1960-01-01"
    assert found.patient.name is not None and (found.patient.name.family, found.patient.name.given) == (
        "Synthetic1",
        ("Ada",),
    )
    assert found.requester is not None and found.requester.identifiers[0].value == "1234567893"
    assert found.consultant is not None and found.consultant.name is not None and found.consultant.name.family == "Bob"
    assert found.question == "Is surgery needed?\nOr can it wait?" and found.priority == "asap"
    assert found.first_opinion is not None and found.first_opinion.diagnosis.text == "Colon cancer"
    assert found.first_opinion.diagnosis.codes[0].code == "C18.7" and str(found.first_opinion.given_on) == "2026-05-01"
    assert found.first_opinion.doctor is not None and unknown_parts(found) == ()


@pytest.mark.parametrize("text", [ORM, OMG])
def test_an_order_of_a_service_that_means_second_opinion_is_one(text):
    order = read_order(read_message(message(text)), SITE)
    assert is_second_opinion(order.resource, ["urn:hill:codes|2ND-OP"]) and not is_second_opinion(order.resource)
    found = request_of(text)
    assert (
        found.question == "Is surgery needed?"
        and found.requester is not None
        and found.authored_at == "2026-06-01T10:00:00+02:00"
    )
    assert str(found.wanted_by) == "2026-07-01" and "the first opinion" in unknown_parts(found)


def test_the_name_of_a_code_is_no_question():
    assert request_of(REF.replace("NTE|1||Is surgery needed?~Or can it wait?", "NTE|1||")).question is None


def test_a_cancellation_names_its_order_and_nothing_else():
    order = read_order(read_message(message(ORM.replace("ORC|NW", "ORC|CA"))), SITE)
    assert (order.asks, order.number) == ("cancel", {"system": "urn:hill:orders", "value": "A-1"})


@pytest.mark.parametrize(
    ("old", "new", "place", "code"),
    [
        ("M1^^^HILL^MR", "M1^^^ELSEWHERE^MR", "PID-3", "101"),
        ("PID|", "ZID|", "PID", "101"),
        ("A-1|", "|", "ORC-2", "101"),
        ("ORC|NW", "ORC|XO", "ORC-1", "103"),
        ("ORC|NW", "ORC|", "ORC-1", "101"),
        ("|19600101|", "|1960013|", "PID-7", "102"),
        ("|19600101|F", "|19600101|X", "PID-8", "103"),
        ("^^^^20260701^R", "^^^^20260701^S", "ORC-7", "103"),
        ("^^^^20260701^R", "^^^^20260701^Q", "ORC-7", "103"),
        ("^^^^20260701^R", "^^^^20260731T^R", "ORC-7", "102"),
        ("|HILLSIDE|", "|MALLORY|", "MSH-4", "103"),
        ("|P|2.5.1", "|T|2.5.1", "MSH-11", "202"),
        ("ORM^O01", "ADT^A01", "MSH-9", "200"),
        ("ORM^O01", "ORM^O02", "MSH-9", "201"),
        ("OBR|1", "OBR|2|A-2\rOBR|1", "OBR", "102"),
    ],
)
def test_what_cannot_be_read_is_named_by_segment_and_field(old, new, place, code):
    assert old in ORM
    with pytest.raises(Refused) as caught:
        request_of(ORM.replace(old, new))
    assert (caught.value.place, caught.value.code) == (place, code)
    assert "Synthetic" not in str(caught.value)


@pytest.mark.parametrize(
    "words", ["Кириллица", "ελληνικά", "中文病历 𠮷", "שלום", "नमस्ते", "ไทย", "한국어", "日本語", "العربية", "señor"]
)
def test_names_of_every_script_are_read(words):
    name = request_of(ORM.replace("Synthetic1", words)).patient.name
    assert name is not None and name.family == words


def test_another_character_set_is_read_as_that_and_bytes_that_are_not_it_are_refused():
    russian = ORM.replace("Synthetic1", "Кириллица").replace("|2.5.1", "|2.5.1||||||8859/5")
    found = read_order(read_message(russian.encode("iso8859-5")), SITE)
    assert found.included["Patient/order"]["name"][0]["family"] == "Кириллица"
    for wrong in (
        ORM.replace("Synthetic1", "señor").encode("latin-1"),
        message(ORM.replace("|2.5.1", "|2.5.1||||||KLINGON")),
    ):
        with pytest.raises(Refused) as caught:
            read_message(wrong)
        assert caught.value.place == "MSH-18"


def test_an_answer_is_read_by_whoever_asked():
    made = to_acknowledgment(
        header_of(message(ORM)),
        "AE",
        at=datetime(2026, 6, 1, tzinfo=UTC),
        control_id="X1",
        place="PID-3",
        error="101",
        words="no",
    )
    found = read_acknowledgment(made)
    assert found is not None and (found.words, found.control_id) == ("AE (PID-3 101)", "C-1")
    assert hl7.parse(made.decode()).extract_field("MSH", 1, 6) == "HILLSIDE"
    older = ORM.replace("|2.5.1", "|2.3")
    made = to_acknowledgment(
        header_of(message(older)),
        "AE",
        at=datetime(2026, 6, 1, tzinfo=UTC),
        control_id="X1",
        place="PID-3",
        error="101",
        words="no",
    )
    found = read_acknowledgment(made)
    assert found is not None and found.words == "AE (PID-3 101)"


def test_nothing_of_a_message_is_logged(caplog):
    request_of(ORM.replace("Synthetic1", "Synthetic\\Zq\\1"))
    assert caplog.records == []


@settings(max_examples=300, deadline=None)
@given(
    data=st.binary(max_size=120)
    | st.text(alphabet="ABCORPIDNTEG|^~\\&\r19\u00e9", max_size=120).map(lambda text: message(ORM + text))
    | st.tuples(st.integers(0, len(ORM)), st.integers(0, len(ORM))).map(
        lambda cut: message(ORM[: cut[0]] + ORM[cut[1] :])
    )
)
def test_whatever_comes_it_is_read_or_refused(data):
    header_of(data)
    try:
        order = read_order(read_message(data), replace(SITE))
    except Refused as refused:
        assert refused.code.isdecimal() and refused.place
    else:
        assert order.number["value"]
