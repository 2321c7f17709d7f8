"""Whose chart it is: what another request left in the links never decides for this one."""

import pytest

from integration.store import operations
from tests.jobs.exchange import a_request, load_chart, patient
from tests.servers.lying import LyingProxy

pytestmark = pytest.mark.postgres
MRN = "urn:test:mrn"


def asks(exchange, key, *numbers, given="Ada", family="Synthetic-Test", birth_date="1960-01-01"):
    """A request in these words, done as far as it goes."""
    said = {
        "identifiers": [{"system": MRN if "-" not in each else "urn:test:other", "value": each} for each in numbers],
        "name": {"family": family, "given": [given]},
        "birth_date": birth_date,
    }
    request_id = exchange.submit(a_request(key=key, patient=said))
    exchange.drain()
    return request_id


def link(exchange, request_id, endpoint, resource):
    with exchange.engine.begin() as conn:
        operations.link_patient(conn, request_id, endpoint, f"Patient/{resource['id']}", actor="test", reason="phoned")
    exchange.drain()


def is_verified(exchange, request_id):
    return exchange.view(request_id)["records"] == "verified"


def test_a_mistyped_number_never_takes_the_chart_another_request_was_linked_to(exchange):
    load_chart(exchange, observations=1)
    assert is_verified(exchange, asks(exchange, "ada", "M1"))
    bob = asks(exchange, "bob", "M1", given="Bob", family="Other", birth_date="1970-02-02")
    assert exchange.parked(bob) == ["patient-name-differs"] and exchange.view(bob)["gathered"] == 0


def test_a_link_saves_the_search(make_exchange):
    exchange = make_exchange(before={"alice": LyingProxy})
    load_chart(exchange, observations=1)
    asks(exchange, "first", "M1")
    log = exchange.proxies["alice"].log
    del log[:]
    assert is_verified(exchange, asks(exchange, "second", "M1", given="ADA"))
    assert not [path for _, path in log if "Patient?" in path and "identifier=" in path]


def test_numbers_linked_to_two_patients_wait_for_a_person(exchange):
    load_chart(exchange, observations=1)
    exchange.put(
        "alice",
        patient(
            identifier=[{"system": "urn:test:other", "value": "N-2"}], name=[{"family": "Other", "given": ["Eve"]}]
        ),
    )
    assert is_verified(exchange, asks(exchange, "ada", "M1"))
    assert is_verified(exchange, asks(exchange, "eve", "N-2", given="Eve", family="Other"))
    both = asks(exchange, "both", "M1", "N-2")
    assert exchange.parked(both) == ["patient-several"]


def test_what_a_person_linked_stands_for_these_words_and_is_compared_for_others(exchange):
    chart = load_chart(exchange, observations=1)
    married = asks(exchange, "married", "M1", family="Married")
    assert exchange.parked(married) == ["patient-name-differs"]
    link(exchange, married, "alice", chart["patient"])
    exchange.watch()
    assert is_verified(exchange, married) and exchange.parked(married) == []
    assert is_verified(exchange, asks(exchange, "again", "M1", family="Married")), "the same words"
    other = asks(exchange, "other", "M1", family="Stranger")
    assert exchange.parked(other) == ["patient-name-differs"]
    assert is_verified(exchange, asks(exchange, "ada", "M1")), "who is surely meant needs no person"


def test_a_person_at_the_fulfiller_speaks_for_one_patient_and_not_for_the_number(make_exchange):
    exchange = make_exchange(patients="match")
    chart = load_chart(exchange, observations=1)
    there = exchange.put("bob", patient(identifier=[{"system": "urn:bob", "value": "1"}]))
    ada = asks(exchange, "ada", "M1")
    link(exchange, ada, "bob", there)
    assert is_verified(exchange, ada)
    eve = exchange.put(
        "alice", patient(identifier=[{"system": MRN, "value": "M7"}], name=[{"family": "Other", "given": ["Eve"]}])
    )
    mistyped = asks(exchange, "eve", "M1", given="Eve", family="Other")
    link(exchange, mistyped, "alice", eve)
    assert exchange.parked(mistyped) == ["patient-no-shared-identifier"], "Ada's link at Bob's is not Eve's"
    exchange.watch()
    assert exchange.parked(ada) == [], "and Eve's at Alice's is not Ada's"
    assert {each["subject"]["reference"] for each in exchange.find("bob", "Observation")} == {f"Patient/{there['id']}"}
    assert chart


def test_a_person_who_links_anew_is_followed_and_what_was_sent_is_told(exchange):
    chart = load_chart(exchange, observations=1)
    ada = asks(exchange, "ada", "M1")
    there = exchange.put("bob", patient())
    link(exchange, ada, "bob", there)
    exchange.change("alice", chart["observation-0"], valueQuantity={"value": 2, "unit": "g/dL"})
    exchange.watch()
    [observation] = exchange.find("bob", "Observation")
    assert observation["subject"] == {"reference": f"Patient/{there['id']}"} and "patient-relinked" in exchange.causes()
