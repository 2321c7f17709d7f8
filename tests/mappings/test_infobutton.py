"""What a health library is asked, and what is read of its answer, whatever shape it has."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mappings.infobutton import askable, is_safe, read_answer, to_query
from mappings.model.errors import MappingError
from mappings.model.request import Code

ICD = Code(system="http://hl7.org/fhir/sid/icd-10-cm", code="S83.511A", display="Pía Núñez's knee")
LOCAL = Code(system="urn:local", code="1")


def test_the_code_alone_is_sent():
    assert to_query(ICD, "es") == {
        "mainSearchCriteria.v.cs": "2.16.840.1.113883.6.90",
        "mainSearchCriteria.v.c": "S83.511A",
        "informationRecipient.languageCode.c": "es",
        "knowledgeResponseType": "application/json",
    }


def test_only_a_code_of_a_system_that_libraries_know_is_asked_for():
    snomed = Code(system="http://snomed.info/sct", code="239725005")
    assert askable((LOCAL, ICD, snomed)) == ICD and askable((snomed,)) == snomed
    assert askable((LOCAL,)) is None and askable(()) is None
    assert askable((ICD.model_copy(update={"code": "S83 Pía"}),)) is None


@pytest.mark.parametrize(
    "href", ["javascript:x", "http://a.example", "https://", "https://a@b.example", "https://a b", "//a.example", ""]
)
def test_only_https_addresses_are_led_to(href):
    assert not is_safe(href)
    answer = {"feed": {"entry": [{"title": {"_value": "x"}, "link": [{"href": href}]}]}}
    assert read_answer(answer) == []


_ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda one: st.lists(one, max_size=3) | st.dictionaries(st.sampled_from(["feed", "entry", "title", "_value", "link", "href", "summary"]), one, max_size=4),
    max_leaves=12,
)  # fmt: skip


@given(_ANY)
def test_an_answer_of_any_shape_is_read_or_refused(body):
    try:
        assert all(each.title and is_safe(each.href) for each in read_answer(body))
    except MappingError:
        pass
