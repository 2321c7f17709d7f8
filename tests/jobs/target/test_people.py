"""Clinicians and places that a fulfiller holds several times stop nobody's records."""

import pytest

from tests.jobs.exchange import a_request, load_chart

pytestmark = pytest.mark.postgres
NPI = {"system": "http://hl7.org/fhir/sid/us-npi", "value": "1234567893"}


def doubled(exchange, *identifiers, **more):
    """The same doctor twice at Bob's."""
    doctor = {"resourceType": "Practitioner", "identifier": [*identifiers], "name": [{"family": "ALICE"}], **more}
    return [exchange.put("bob", doctor), exchange.put("bob", doctor)]


def used(exchange) -> set[str]:
    return {each["performer"][0]["reference"] for each in exchange.find("bob", "Observation")}


def verified(exchange, key="k1") -> bool:
    request_id = exchange.submit(a_request(key=key))
    exchange.drain()
    return exchange.view(request_id)["records"] == "verified" and exchange.parked(request_id) == []


def test_a_doctor_doubled_under_our_identifier_is_chosen_once_and_told(exchange):
    chart = load_chart(exchange, observations=1)
    ours = {"system": "urn:test:alice", "value": f"Practitioner/{chart['practitioner']['id']}"}
    doubles = doubled(exchange, ours, name=chart["practitioner"]["name"])
    assert verified(exchange) and "duplicate-at-target" in exchange.causes()
    first = used(exchange)
    assert len(first) == 1 and first <= {f"Practitioner/{each['id']}" for each in doubles}
    assert verified(exchange, "k2") and used(exchange) == first


def test_a_doctor_doubled_under_one_npi_is_not_made_a_third_time(exchange):
    chart = load_chart(exchange, observations=1)
    exchange.change("alice", chart["practitioner"], identifier=[NPI])
    doubles = doubled(exchange, NPI)
    exchange.change("bob", doubles[0], active=False)
    assert verified(exchange) and "duplicate-at-target" in exchange.causes()
    assert used(exchange) == {f"Practitioner/{doubles[1]['id']}"}, "the one in use"


def test_an_npi_of_somebody_else_is_not_believed(exchange):
    chart = load_chart(exchange, observations=1)
    exchange.change("alice", chart["practitioner"], identifier=[NPI])
    [other, _] = doubled(exchange, NPI, name=[{"family": "Other"}])
    assert verified(exchange) and "npi-unsure" in exchange.causes()
    assert f"Practitioner/{other['id']}" not in used(exchange)
