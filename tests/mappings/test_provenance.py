"""The Exchange as transmitter, never as author."""

import pytest

from mappings import codes
from mappings.model.errors import MappingError
from mappings.provenance import to_provenance


def made(**more):
    return to_provenance(
        targets=["Condition/1", "Media/2"], recorded="2026-06-02T08:00:00Z", exchange_name="Exchange", **more
    )


def test_it_names_every_target_and_us_as_the_only_agent():
    provenance = made()
    assert [each["reference"] for each in provenance["target"]] == ["Condition/1", "Media/2"]
    assert [codes.has_code(each["type"], codes.TRANSMITTER) for each in provenance["agent"]] == [True]
    assert "onBehalfOf" not in provenance["agent"][0]


def test_it_says_on_whose_behalf_when_told():
    agent = made(on_behalf_of_display="Harbour Primary Care")["agent"][0]
    assert agent["onBehalfOf"] == {"display": "Harbour Primary Care"}


def test_sources_on_another_server_are_named_by_reference_or_identifier():
    assert made(sources=["Condition/9"])["entity"] == [{"role": "source", "what": {"reference": "Condition/9"}}]


def test_without_a_target_there_is_none():
    with pytest.raises(MappingError, match="Provenance.target"):
        to_provenance(targets=[], recorded="2026-06-02T08:00:00Z", exchange_name="Exchange")
