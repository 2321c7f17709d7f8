"""Whose chart it is: what another request left in the links never decides for this one."""

import pytest
from sqlalchemy import text

from integration.store import operations, patient_links
from tests.jobs.exchange import a_request, http, load_chart, patient
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


def link(exchange, request_id, endpoint, resource, **more):
    with exchange.engine.begin() as conn:
        operations.link_patient(
            conn, request_id, endpoint, f"Patient/{resource['id']}", actor="test", reason="called", **more
        )
    exchange.drain()


def is_verified(exchange, request_id):
    return exchange.view(request_id)["records"] == "verified"


def at_bob(exchange, resource):
    return exchange.find("bob", resource["resourceType"], identifier=f"urn:test:alice|{name_of(resource)}")


def name_of(resource):
    return f"{resource['resourceType']}/{resource['id']}"


def new_result(exchange, chart):
    subject = {"reference": name_of(chart["patient"])}
    return exchange.put(
        "alice", {"resourceType": "Observation", "status": "final", "code": {"text": "new"}, "subject": subject}
    )


def test_a_mistyped_number_never_takes_the_chart_another_request_was_linked_to(exchange):
    load_chart(exchange, observations=1)
    assert is_verified(exchange, asks(exchange, "ada", "M1"))
    bob = asks(exchange, "bob", "M1", given="Bob", family="Other", birth_date="1970-02-02")
    assert exchange.parked(bob) == ["patient-name-differs"] and exchange.view(bob)["gathered"] == 0


def test_no_number_of_a_patient_is_kept_in_the_links(exchange):
    load_chart(exchange, observations=1)
    assert is_verified(exchange, asks(exchange, "ada", "M1"))
    with exchange.engine.connect() as conn:
        assert "M1" not in set(conn.execute(text("SELECT value FROM links")).scalars())


def test_numbers_of_two_patients_wait_for_a_person(exchange):
    load_chart(exchange, observations=1)
    exchange.put(
        "alice",
        patient(
            identifier=[{"system": "urn:test:other", "value": "N-2"}], name=[{"family": "Other", "given": ["Eve"]}]
        ),
    )
    both = asks(exchange, "both", "M1", "N-2")
    assert exchange.parked(both) == ["patient-several"]


def test_what_a_person_linked_holds_for_that_request_and_no_other(exchange):
    chart = load_chart(exchange, observations=1)
    married = asks(exchange, "married", "M1", family="Married")
    assert exchange.parked(married) == ["patient-name-differs"]
    link(exchange, married, "alice", chart["patient"])
    assert exchange.parked(married) == ["patient-name-differs"], "a second word is wanted for what differs"
    link(exchange, married, "alice", chart["patient"], confirmed=True)
    exchange.watch()
    assert is_verified(exchange, married) and exchange.parked(married) == []
    assert "patient-linked-by-hand" in exchange.causes()
    again = asks(exchange, "again", "M1", family="Married")
    assert exchange.parked(again) == ["patient-name-differs"], "the same words, another request: asked anew"
    assert is_verified(exchange, asks(exchange, "ada", "M1")), "who is surely meant needs no person"
    assert "patient-linked-before" in exchange.causes(), "and it is said that a person had linked them"


def test_a_person_at_the_fulfiller_speaks_for_one_request(make_exchange):
    exchange = make_exchange(patients="match")
    load_chart(exchange, observations=1)
    there = exchange.put("bob", patient(identifier=[{"system": "urn:bob", "value": "1"}]))
    ada = asks(exchange, "ada", "M1")
    assert exchange.parked(ada) == ["patient-none"]
    link(exchange, ada, "bob", there, confirmed=True)
    assert is_verified(exchange, ada)
    second = asks(exchange, "second", "M1")
    assert exchange.parked(second) == ["patient-no-shared-identifier"]
    link(exchange, second, "bob", there, confirmed=True)
    assert is_verified(exchange, second)
    assert {each["subject"]["reference"] for each in exchange.find("bob", "Observation")} == {name_of(there)}


def test_a_person_who_links_anew_is_followed_and_what_was_sent_is_told(exchange):
    chart = load_chart(exchange, observations=1)
    ada = asks(exchange, "ada", "M1")
    there = exchange.put("bob", patient())
    link(exchange, ada, "bob", there)
    exchange.change("alice", chart["observation-0"], valueQuantity={"value": 2, "unit": "g/dL"})
    exchange.watch()
    [observation] = exchange.find("bob", "Observation")
    assert observation["subject"] == {"reference": name_of(there)} and "patient-relinked" in exchange.causes()


def by_number(exchange, *numbers, **fields):
    said = {"identifiers": [{"system": system, "value": value} for system, value in numbers or [(MRN, "M1")]]}
    request_id = exchange.submit(a_request(patient=said, **fields))
    exchange.drain()
    return request_id


def test_a_number_alone_finds_the_one_patient_who_has_it(exchange):
    load_chart(exchange, observations=1)
    assert is_verified(exchange, by_number(exchange))


TYPED = patient()["identifier"][0]


@pytest.mark.parametrize(
    ("there", "why"),
    [
        (patient(identifier=[{**TYPED, "use": "old"}, {**TYPED, "value": "M9"}]), "patient-identifier-differs"),
        (patient(identifier=[{**TYPED, "use": "old"}]), "patient-no-shared-identifier"),
        (patient(active=False), "patient-inactive"),
        (
            patient(link=[{"other": {"identifier": {"system": "x", "value": "y"}}, "type": "replaced-by"}]),
            "patient-replaced",
        ),
        (patient(identifier=[{"system": MRN, "value": "M1"}]), "patient-no-shared-identifier"),
    ],
    ids=["old number of another", "old number", "out of use", "merged away", "a number of no known kind"],
)
@pytest.mark.every
def test_a_number_alone_never_takes_a_chart_that_matching_would_not_take(exchange, there, why):
    exchange.put("alice", there)
    assert exchange.parked(by_number(exchange)) == [why]


def test_a_second_number_that_contradicts_waits_for_a_person(exchange):
    exchange.put("alice", patient(identifier=[TYPED, {"system": "urn:ssn", "value": "111"}]))
    assert exchange.parked(by_number(exchange, (MRN, "M1"), ("urn:ssn", "999"))) == ["patient-identifier-differs"]


def test_twins_with_one_policy_number_are_never_one(make_exchange):
    exchange = make_exchange(patients="match")
    policy = {"system": "urn:insurer", "value": "P1"}
    exchange.put("alice", patient(identifier=[TYPED, policy], name=[{"family": "Synthetic-Test", "given": ["Ada"]}]))
    twin = exchange.put("bob", patient(identifier=[policy], name=[{"family": "Synthetic-Test"}]))
    assert exchange.parked(asks(exchange, "ada", "M1")) == ["patient-no-shared-identifier"]
    assert exchange.find("bob", "Observation", patient=twin["id"]) == []


def merge(exchange, where, old):
    """As an EHR does: the old record is retired and points to the surviving one."""
    survivor = exchange.put(
        where, patient(identifier=[{"system": "urn:bob:mrn", "value": "B1"}, TYPED], link=[replaces(old)])
    )
    gone = {"other": {"reference": name_of(survivor)}, "type": "replaced-by"}
    exchange.change(where, old, active=False, link=[gone])
    return survivor


def replaces(old):
    return {"other": {"reference": name_of(old)}, "type": "replaces"}


def change_birth_date(exchange, where, there):
    exchange.change(where, there, birthDate="1999-09-09", name=[{"family": "Stranger", "given": ["Zoe"]}])


def deactivate(exchange, where, there):
    exchange.change(where, there, active=False)


def delete(exchange, where, there):
    with exchange.engine.begin() as conn:  # the hosted endpoint deletes nothing by itself
        for table in ("hosted_index", "hosted_versions", "hosted_resources"):
            conn.execute(
                text(f"DELETE FROM {table} WHERE practice = :where AND id = :id"), dict(where=where, id=there["id"])
            )


def merge_into(exchange, where, there):
    """Another record was merged into this one: whose else the chart holds now nobody here knows."""
    exchange.change(where, there, link=[{"other": {"reference": "Patient/other"}, "type": "replaces"}])


def see_also(exchange, where, there):
    exchange.change(where, there, link=[{"other": {"reference": "Patient/other"}, "type": "seealso"}])


HAPPENED = {
    "patient-replaced": merge,
    "patient-name-differs": change_birth_date,
    "patient-inactive": deactivate,
    "patient-gone": delete,
    "patient-merged": merge_into,
}


@pytest.mark.parametrize(("why", "happens"), HAPPENED.items())
@pytest.mark.every
def test_what_happened_to_the_patient_at_the_fulfiller_is_seen_before_the_next_packet(make_exchange, why, happens):
    exchange = make_exchange(patients="match")
    chart = load_chart(exchange, observations=1)
    there = exchange.put("bob", patient())
    first = asks(exchange, "ada", "M1")
    assert is_verified(exchange, first)
    happens(exchange, "bob", there)
    added = new_result(exchange, chart)
    exchange.watch()
    assert exchange.parked(first) == [why] and at_bob(exchange, added) == [], "a delta of the same request"


@pytest.mark.parametrize(("why", "happens"), [*HAPPENED.items()][:2])
@pytest.mark.every
def test_what_happened_to_the_patient_at_the_source_is_seen_before_the_next_packet(exchange, why, happens):
    chart = load_chart(exchange, observations=1)
    first = asks(exchange, "ada", "M1")
    assert is_verified(exchange, first)
    added = new_result(exchange, chart)
    happens(exchange, "alice", chart["patient"])
    exchange.watch()
    assert exchange.parked(first) == [why] and at_bob(exchange, added) == []


@pytest.mark.parametrize(("why", "happens"), [*HAPPENED.items()][:2])
def test_a_report_is_not_returned_into_a_chart_that_is_not_the_patients_any_more(exchange, why, happens):
    chart = load_chart(exchange, observations=1)
    first = asks(exchange, "ada", "M1")
    exchange.answer()
    happens(exchange, "alice", chart["patient"])
    exchange.watch()
    assert why in exchange.parked(first)
    assert not [each for each in exchange.find("alice", "DocumentReference") if each.get("docStatus") == "final"]


@pytest.mark.long
def test_a_cancellation_is_told_whatever_became_of_the_patient_and_says_so(make_exchange):
    exchange = make_exchange(patients="match")
    load_chart(exchange, observations=1)
    there = exchange.put("bob", patient())
    first = asks(exchange, "ada", "M1")
    merge(exchange, "bob", there)
    with exchange.engine.begin() as conn:
        operations.cancel(conn, first, actor="test", reason="the patient changed their mind")
    exchange.drain()
    assert exchange.find("bob", "Task")[0]["status"] == "cancelled" and "patient-replaced" in exchange.causes()


@pytest.mark.long
def test_a_correction_of_the_name_at_the_source_travels_to_the_patient_we_created(exchange):
    chart = load_chart(exchange, observations=1)
    first = by_number(exchange)
    assert is_verified(exchange, first)
    exchange.change("alice", chart["patient"], telecom=[{"system": "phone", "value": "555-0100"}])
    exchange.watch()
    assert exchange.parked(first) == [] and exchange.find("bob", "Patient")[0]["telecom"]


def test_a_link_by_hand_asks_again_when_who_is_there_changed(make_exchange):
    exchange = make_exchange(patients="match")
    chart = load_chart(exchange, observations=1)
    there = exchange.put("bob", patient(identifier=[{"system": "urn:bob", "value": "1"}]))
    ada = asks(exchange, "ada", "M1")
    link(exchange, ada, "bob", there, confirmed=True)
    added = new_result(exchange, chart)
    change_birth_date(exchange, "bob", there)
    exchange.watch()
    assert at_bob(exchange, added) == [] and exchange.parked(ada)[0].startswith("patient-")
    link(exchange, ada, "bob", {"id": there["id"]}, confirmed=True)
    assert is_verified(exchange, ada) and at_bob(exchange, added)


@pytest.mark.parametrize(
    "elements",
    [{"active": False}, {"link": [{"other": {"reference": "Patient/x"}, "type": "replaced-by"}]}],
    ids=["inactive", "replaced"],
)
def test_no_second_word_opens_a_record_that_is_out_of_use(make_exchange, elements):
    exchange = make_exchange(patients="match")
    load_chart(exchange, observations=1)
    there = exchange.put("bob", patient(**elements))
    ada = asks(exchange, "ada", "M1")
    link(exchange, ada, "bob", there, confirmed=True)
    assert exchange.parked(ada) == [f"patient-{'inactive' if 'active' in elements else 'replaced'}"]
    assert exchange.find("bob", "Observation") == []


def test_who_is_not_there_is_never_the_patient(make_exchange):
    exchange = make_exchange(patients="match")
    chart = load_chart(exchange, observations=1)
    ada = asks(exchange, "ada", "M1")
    link(exchange, ada, "bob", {"id": "nobody"}, confirmed=True)
    assert exchange.parked(ada) == ["patient-gone"]
    link(exchange, ada, "bob", chart["patient"], confirmed=True)
    assert exchange.parked(ada) == ["patient-gone"], "the placer's own id"


@pytest.mark.parametrize(
    "reference",
    ["Practitioner/1", "Patient/", "http://elsewhere.example/Patient/1", "Patient/1/_history/2", "Patient/a b", "17"],
)
def test_what_is_no_patient_of_the_endpoint_is_refused_with_a_sentence(exchange, reference):
    request_id = exchange.submit(a_request())
    with (
        exchange.engine.begin() as conn,
        pytest.raises(operations.NotPossible, match="give the patient as Patient/<id>"),
    ):
        operations.link_patient(conn, request_id, "bob", reference, actor="test", reason="called")


@pytest.mark.long
def test_a_link_can_be_undone_and_says_what_went_there(make_exchange):
    exchange = make_exchange(patients="match")
    chart = load_chart(exchange, observations=2)
    stranger = exchange.put("bob", patient(identifier=[{"system": "urn:bob", "value": "1"}]))
    ada = asks(exchange, "ada", "M1")
    link(exchange, ada, "bob", stranger, confirmed=True)
    assert is_verified(exchange, ada)
    with exchange.engine.begin() as conn:
        undone = operations.unlink_patient(conn, ada, "bob", actor="test", reason="the wrong one")
    assert undone.reference == name_of(stranger) and undone.sent["Observation"] == 2 and undone.sent["Task"] == 1
    added = new_result(exchange, chart)
    exchange.watch()
    assert at_bob(exchange, added) == [] and exchange.parked(ada) == ["patient-none"]
    assert "patient-unlinked" in exchange.causes()
    with exchange.engine.begin() as conn, pytest.raises(operations.NotPossible, match="no patient at bob is linked"):
        operations.unlink_patient(conn, ada, "bob", actor="test", reason="again")


@pytest.mark.long
def test_what_a_person_decides_on_is_kept_beside_the_step(make_exchange):
    exchange = make_exchange(patients="match")
    load_chart(exchange, observations=1)
    there = exchange.put("bob", patient(identifier=[{"system": "urn:bob", "value": "1"}]))
    ada = asks(exchange, "ada", "M1")
    with exchange.engine.connect() as conn:
        [candidate] = patient_links.candidates(conn, ada, "bob")
    assert (candidate.reference, candidate.why) == (name_of(there), "no-shared-identifier")


def ignoring(parameter):
    """A server that ignores a search parameter for patients and answers with all it has."""

    def before(url):
        def tell(method, path, answer):
            if method == "GET" and f"/Patient?{parameter}=" in path:
                everybody = http.get(f"{url}/Patient", timeout=10)
                return everybody.status_code, [("Content-Type", "application/fhir+json")], everybody.content
            return answer

        return LyingProxy(url, tell=tell)

    return before


def test_a_server_that_answers_a_search_with_somebody_else_is_not_believed(make_exchange):
    exchange = make_exchange(before={"bob": ignoring("identifier")})
    chart = load_chart(exchange, observations=1)
    exchange.put("bob", patient(identifier=[{"system": "urn:bob", "value": "1"}], name=[{"family": "Stranger"}]))
    ada = asks(exchange, "ada", "M1")
    assert exchange.parked(ada) == ["patient-search-ignored"] and "search-ignored" in exchange.causes()
    assert len(exchange.find("bob", "Patient")) == 1 and chart


def test_a_patient_without_birth_date_is_not_created_beside_a_namesake(exchange):
    exchange.put("alice", {name: value for name, value in patient().items() if name != "birthDate"})
    exchange.put("bob", patient(identifier=[{"system": "urn:bob", "value": "1"}]))
    assert exchange.parked(by_number(exchange)) == ["patient-similar"]
    assert len(exchange.find("bob", "Patient")) == 1


@pytest.mark.long
def test_a_patient_without_birth_date_whose_name_nobody_has_is_created(exchange):
    chart = load_chart(exchange, observations=1)
    exchange.change("alice", {key: value for key, value in chart["patient"].items() if key != "birthDate"})
    exchange.put("bob", patient(identifier=[{"system": "urn:bob", "value": "1"}], name=[{"family": "Other"}]))
    first = by_number(exchange)
    assert is_verified(exchange, first) and len(exchange.find("bob", "Patient")) == 2
    added = new_result(exchange, chart)
    exchange.watch()
    assert at_bob(exchange, added), "what neither side knows is no doubt about the one we created"
    assert is_verified(exchange, by_number(exchange, key="k2"))


def test_a_patient_whom_the_server_retires_while_it_creates_them_gets_no_records(make_exchange):
    def retire(method, path, answer):
        return (
            answer[0],
            answer[1],
            answer[2].replace(b'"resourceType":"Patient"', b'"resourceType":"Patient","active":false'),
        )

    exchange = make_exchange(before={"bob": lambda url: LyingProxy(url, tell=retire)})
    load_chart(exchange, observations=1)
    assert exchange.parked(asks(exchange, "ada", "M1")) == ["patient-inactive"]
    assert exchange.find("bob", "Observation") == []
