"""Chunks in dependency order, and transactions and single creates that are harmless to send twice."""

import copy
import time
import uuid

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mappings.bundle import (
    EntryResult,
    break_cycles,
    draft,
    if_none_exist,
    key_of,
    plan,
    read_response,
    urn_of,
    with_urns,
)
from mappings.compare import compare
from mappings.model.errors import MappingError
from mappings.references import find_references, targets_of
from tests.mappings.graph_helpers import (
    BASE,
    NAMES,
    SYSTEM,
    at_target,
    chart,
    cycle,
    for_update,
    needs_data,
    resource,
    transaction,
)


def keys(resources: list[dict]) -> list[str]:
    return [key_of(each) for each in resources]


# Order


def assert_in_dependency_order(chunks: list[list[dict]]) -> None:
    known = {key for chunk in chunks for key in keys(chunk)}
    there: set[str] = set()
    for chunk in chunks:
        there.update(keys(chunk))
        for each in chunk:
            assert set(targets_of(each)) & known <= there


@needs_data
@pytest.mark.parametrize("name", NAMES)
def test_real_charts_go_in_chunks_of_a_hundred_in_dependency_order(name):
    resources = chart(name)
    chunks = plan(resources, chunk_size=100)
    assert_in_dependency_order(chunks)
    assert [len(chunk) for chunk in chunks[:-1]] == [100] * (len(chunks) - 1)
    assert sorted(keys(resources)) == sorted(key for chunk in chunks for key in keys(chunk))
    assert chunks == plan(resources, chunk_size=100)


@needs_data
@pytest.mark.parametrize("name", NAMES)
def test_a_real_chart_arrives_with_every_reference_resolved(name):
    links: dict[str, str] = {}
    stored: list[tuple[dict, dict]] = []
    findings: list = []
    for number, chunk in enumerate(plan(chart(name), chunk_size=100)):
        bundle = transaction(chunk, links=links, identifier_system=SYSTEM, findings=findings)
        assert_urns_are_inside(bundle)
        links.update({key: f"{key.split('/')[0]}/{number}-{place}" for place, key in enumerate(keys(chunk))})
        known = with_urns(links, SYSTEM)
        stored += [(each["resource"], at_target(each["resource"], known)) for each in bundle["entry"]]
    assert findings == []
    assert {target for _, read in stored for target in targets_of(read)} <= set(links.values())
    assert [difference for sent, read in stored for difference in compare(sent, read, links=known)] == []


@needs_data
def test_a_chart_of_four_hundred_is_planned_written_and_compared_in_no_time():
    resources = chart("Loyd")
    patient = next(f"Patient/{each['id']}" for each in resources if each["resourceType"] == "Patient")
    started = time.process_time()
    bundles = [
        transaction(chunk, links={patient: patient}, identifier_system=SYSTEM)
        for chunk in plan(resources, chunk_size=100)
    ]
    for entry in (entry for bundle in bundles for entry in bundle["entry"]):
        compare(entry["resource"], entry["resource"], links={})
    assert len(resources) == 399
    assert time.process_time() - started < 0.5  # 0.05 s on a quiet core


def assert_urns_are_inside(bundle: dict) -> None:
    inside = {entry["fullUrl"] for entry in bundle["entry"]}
    used = {
        found.reference.get("reference", "")
        for entry in bundle["entry"]
        for found in find_references(entry["resource"])
    }
    assert {reference for reference in used if reference.startswith("urn:")} <= inside


graphs = st.integers(1, 25).flatmap(
    lambda count: st.lists(st.lists(st.integers(0, count - 1), max_size=4), min_size=count, max_size=count)
)


def from_graph(needs: list[list[int]]) -> list[dict]:
    return [
        resource("Basic", str(number), [f"Basic/{target}" for target in targets])
        for number, targets in enumerate(needs)
    ]


def reachable(needs: list[list[int]], start: int) -> set[int]:
    seen, todo = set(), [start]
    while todo:
        for target in needs[todo.pop()]:
            if target not in seen:
                seen.add(target)
                todo.append(target)
    return seen


@settings(max_examples=150, deadline=None)
@given(graphs, st.integers(1, 8))
def test_any_graph_goes_in_dependency_order_and_no_cycle_is_split(needs, chunk_size):
    chunks = plan(from_graph(needs), chunk_size=chunk_size)
    assert_in_dependency_order(chunks)
    chunk_of = {int(each["id"]): place for place, chunk in enumerate(chunks) for each in chunk}
    assert sorted(chunk_of) == list(range(len(needs)))
    reach = [reachable(needs, number) for number in range(len(needs))]
    for one, other in ((a, b) for a in range(len(needs)) for b in reach[a] if a in reach[b]):
        assert chunk_of[one] == chunk_of[other]
    for chunk in chunks:  # only one whole cycle may be larger
        first = int(chunk[0]["id"])
        assert len(chunk) <= chunk_size or {int(each["id"]) for each in chunk} == reach[first] & {
            other for other in range(len(needs)) if first in reach[other]
        }


@settings(max_examples=150, deadline=None)
@given(graphs)
def test_any_cycle_can_be_broken_for_single_creates(needs):
    resources = from_graph(needs)
    order = break_cycles(resources)
    assert sorted(keys(order.resources)) == sorted(keys(resources))
    later = {(key_of(each.resource), each.target) for each in order.later}
    there: set[str] = set()
    for each in order.resources:
        for target in targets_of(each):
            assert (target in there) != ((key_of(each), target) in later)
        there.add(key_of(each))


def test_a_cycle_larger_than_the_chunk_stays_whole():
    assert [keys(chunk) for chunk in plan(cycle(), chunk_size=2)] == [
        ["Patient/p"],
        ["Encounter/e", "Condition/c1", "Condition/c2"],
    ]


def test_a_long_chain_needs_no_recursion():
    chain = [resource("Basic", str(number), [f"Basic/{number + 1}"]) for number in range(5000)]
    chunks = plan(chain, chunk_size=1000)
    assert [len(chunk) for chunk in chunks] == [1000] * 5
    assert chunks[0][0]["id"] == "4999"
    assert break_cycles(chain).later == []


def test_chunks_keep_below_the_bytes_too():
    resources = [resource("Basic", str(number)) for number in range(5)]
    sizes = {"0": 40, "1": 40, "2": 40, "3": 500, "4": 10}
    chunks = plan(resources, chunk_size=10, max_bytes=100, size_of=lambda each: sizes[each["id"]])
    assert [[each["id"] for each in chunk] for chunk in chunks] == [["0", "1"], ["2"], ["3"], ["4"]]


def test_binaries_come_before_the_documents_that_point_to_them():
    document = {"resourceType": "DocumentReference", "id": "d", "content": [{"attachment": {"url": "Binary/b"}}]}
    chunks = plan([document, {"resourceType": "Binary", "id": "b"}], chunk_size=1)
    assert [keys(chunk) for chunk in chunks] == [["Binary/b"], ["DocumentReference/d"]]


def test_absolute_references_of_the_source_count():
    chunks = plan([resource("Basic", "1", [f"{BASE}/Basic/2"]), resource("Basic", "2")], chunk_size=1, source_base=BASE)
    assert [keys(chunk) for chunk in chunks] == [["Basic/2"], ["Basic/1"]]


def test_the_same_resource_twice_is_an_error():
    twice = [resource("Basic", "1"), resource("Basic", "1")]
    for attempt in (
        lambda: plan(twice, chunk_size=5),
        lambda: break_cycles(twice),
    ):
        with pytest.raises(MappingError, match="twice"):
            attempt()


def test_a_resource_without_an_id_is_an_error():
    with pytest.raises(MappingError, match="Basic.id"):
        plan([{"resourceType": "Basic"}], chunk_size=5)


# Transactions


def send(*chunk: dict, **how) -> dict:
    return transaction(list(chunk), **({"links": {}, "identifier_system": SYSTEM} | how))


def test_an_entry_is_a_conditional_create_of_the_resource_as_received():
    source = {
        "resourceType": "Observation",
        "id": "o",
        "text": {"status": "generated", "div": "<div>x</div>"},
        "meta": {"versionId": "3", "lastUpdated": "2026-01-01T00:00:00Z", "profile": ["p"], "tag": [{"code": "t"}]},
        "extension": [{"url": "u", "valueString": "v"}],
        "identifier": [{"value": "own"}],
        "status": "final",
    }
    before = copy.deepcopy(source)
    bundle = send(source, source_base=BASE)
    assert source == before
    assert (bundle["resourceType"], bundle["type"]) == ("Bundle", "transaction")
    assert bundle["entry"] == [
        {
            "fullUrl": urn_of(SYSTEM, "Observation/o"),
            "resource": {
                "resourceType": "Observation",
                "meta": {"profile": ["p"], "tag": [{"code": "t"}], "source": f"{BASE}/Observation/o"},
                "text": source["text"],
                "extension": source["extension"],
                "identifier": [{"value": "own"}, {"system": SYSTEM, "value": "Observation/o"}],
                "status": "final",
            },
            "request": {"method": "POST", "url": "Observation", "ifNoneExist": f"identifier={SYSTEM}|Observation/o"},
        }
    ]


def test_the_urn_of_a_resource_is_always_the_same_uuid():
    assert urn_of(SYSTEM, "Patient/1") == urn_of(SYSTEM, "Patient/1") != urn_of(SYSTEM + "2", "Patient/1")
    assert uuid.UUID(urn_of(SYSTEM, "Patient/1").removeprefix("urn:uuid:")).version == 5


def test_meta_source_is_set_only_if_absent():
    source = resource("Basic", "1") | {"meta": {"source": "https://first.example", "versionId": "1"}}
    assert send(source, source_base=BASE)["entry"][0]["resource"]["meta"] == {"source": "https://first.example"}
    assert "meta" not in send(resource("Basic", "1") | {"meta": {"versionId": "1"}})["entry"][0]["resource"]


def test_references_go_to_the_chunk_then_to_links_then_by_policy():
    source = resource("Basic", "1", ["Basic/2", "Basic/3", "Basic/4", "https://other.example/fhir/Basic/5"])
    findings: list = []
    links = {"Basic/2": "Basic/old", "Basic/3": "Basic/30"}
    bundle = send(source, resource("Basic", "2"), links=links, findings=findings)
    written = [found.reference for found in find_references(bundle["entry"][0]["resource"])]
    assert written == [
        {"reference": urn_of(SYSTEM, "Basic/2")},
        {"reference": "Basic/30"},
        {"type": "Basic", "identifier": {"system": SYSTEM, "value": "Basic/4"}},
        {"type": "Basic", "identifier": {"system": "urn:ietf:rfc:3986", "value": "https://other.example/fhir/Basic/5"}},
    ]
    assert [(finding.path, finding.cause) for finding in findings] == [
        ("Basic/1#extension[2].valueReference", "reference.logical"),
        ("Basic/1#extension[3].valueReference", "reference.elsewhere"),
    ]


@pytest.mark.parametrize(
    "missing",
    [
        {"resourceType": "Observation", "id": "1", "subject": {"reference": "Patient/2"}},
        {"resourceType": "Coverage", "id": "1", "beneficiary": {"reference": "https://inner.example/Patient/2"}},
        {"resourceType": "Task", "id": "1", "for": {"reference": "urn:uuid:2"}},
        {"resourceType": "Account", "id": "1", "subject": [{"reference": "Patient/2"}]},
        {"resourceType": "Consent", "id": "1", "patient": {"reference": "Patient?identifier=a|2"}},
        {"resourceType": "Device", "id": "1", "patient": {"reference": 5, "type": "Patient"}},
        {"resourceType": "Media", "id": "1", "content": {"url": "Binary/2"}},
    ],
    ids=lambda each: each["resourceType"],
)
def test_the_patient_a_record_is_about_and_a_binary_have_to_be_there(missing):
    with pytest.raises(MappingError, match=f"^{missing['resourceType']}/1#"):
        send(missing)


@pytest.mark.parametrize(
    "lawful",
    [
        {"resourceType": "Observation", "id": "1", "performer": [{"reference": "Patient/2"}]},
        {"resourceType": "Patient", "id": "1", "link": [{"other": {"reference": "Patient/2"}, "type": "replaces"}]},
        {"resourceType": "Observation", "id": "1", "subject": {"reference": "Group/2"}},
        {"resourceType": "Observation", "id": "1", "subject": {"reference": "https://inner.example/Device/2"}},
        {"resourceType": "Observation", "id": "1", "subject": {"identifier": {"system": "a", "value": "b"}}},
        {"resourceType": "Observation", "id": "1", "contained": [{"subject": {"reference": "Patient/2"}}]},
        {"resourceType": "Observation", "id": "1"},
    ],
)
def test_who_is_not_the_subject_may_be_anybody_and_is_never_nameless(lawful):
    body = send(lawful)["entry"][0]["resource"]
    assert not [each for each in find_references(body) if not each.reference.get("identifier")]


def test_policies_are_the_callers():
    bundle = send(resource("Basic", "1", ["Patient/2"]), policies={"Patient": "keep"})
    assert targets_of(bundle["entry"][0]["resource"]) == ["Patient/2"]
    with pytest.raises(MappingError):
        send(resource("Basic", "1", ["Group/2"]), policies={"Group": "copy"})


def test_values_are_escaped_for_search():
    assert if_none_exist({"system": "urn:a|b", "value": "1,2$3\\4"}) == r"identifier=urn:a\|b|1\,2\$3\\4"


def test_what_would_end_the_query_is_percent_encoded_inside_a_bundle():
    bundle = send(resource("Basic", "1"), identifier_system="https://x.example/?a&b=50%+é")
    assert bundle["entry"][0]["request"]["ifNoneExist"] == "identifier=https://x.example/?a%26b=50%25%2B%C3%A9|Basic/1"


def test_a_type_without_identifier_needs_leave():
    binary = {"resourceType": "Binary", "id": "b", "contentType": "text/plain", "data": "AA=="}
    with pytest.raises(MappingError, match="Binary"):
        send(binary)
    document = {"resourceType": "DocumentReference", "id": "d", "content": [{"attachment": {"url": "Binary/b"}}]}
    bundle = send(binary, document, allow_unidentified=True)
    assert bundle["entry"][0]["request"] == {"method": "POST", "url": "Binary"}
    attachment = bundle["entry"][1]["resource"]["content"][0]["attachment"]
    assert attachment["url"] == bundle["entry"][0]["fullUrl"]


def test_a_single_identifier_is_set_when_it_is_free():
    body = send(resource("QuestionnaireResponse", "q"))["entry"][0]["resource"]
    assert body["identifier"] == {"system": SYSTEM, "value": "QuestionnaireResponse/q"}


@pytest.mark.parametrize("kind", ["QuestionnaireResponse", "Composition", "Bundle"])
def test_a_single_identifier_that_is_taken_is_the_condition_and_recorded(kind):
    source = resource(kind, "q") | {"identifier": {"system": "https://own.example", "value": "7"}}
    findings: list = []
    entry = send(source, findings=findings)["entry"][0]
    assert entry["resource"]["identifier"] == source["identifier"]
    assert entry["request"]["ifNoneExist"] == "identifier=https://own.example|7"
    assert [(finding.path, finding.cause) for finding in findings] == [(f"{kind}/q#identifier", "identifier.single")]


def test_a_single_identifier_without_system_protects_nothing():
    source = resource("Composition", "c") | {"identifier": {"value": "7"}}
    with pytest.raises(MappingError, match="recognized"):
        send(source)
    assert "ifNoneExist" not in send(source, allow_unidentified=True)["entry"][0]["request"]


def test_r4_cannot_search_adverse_events_by_identifier():
    with pytest.raises(MappingError, match="recognized"):
        send(resource("AdverseEvent", "a"))
    findings: list = []
    entry = send(resource("AdverseEvent", "a"), allow_unidentified=True, findings=findings)["entry"][0]
    assert "ifNoneExist" not in entry["request"] and "identifier" in entry["resource"]
    assert [finding.cause for finding in findings] == ["identifier.not-searchable"]


def test_a_cycle_goes_whole_by_urns():
    chunk = plan(cycle(), chunk_size=10)[0]
    bundle = send(*chunk)
    assert_urns_are_inside(bundle)
    assert sum(len(find_references(entry["resource"])) for entry in bundle["entry"]) == 7


# Single creates


def test_a_single_create_is_the_same_resource_and_condition():
    source = resource("Basic", "1", ["Basic/2"])
    findings: list = []
    made = draft(source, links={"Basic/2": "Basic/20"}, identifier_system=SYSTEM, source_base=BASE, findings=findings)
    entry = send(source, links={"Basic/2": "Basic/20"}, source_base=BASE)["entry"][0]
    assert (made.body, made.condition) == (entry["resource"], entry["request"]["ifNoneExist"])
    assert findings == []


def test_a_cycle_is_broken_at_its_busiest_resource():
    order = break_cycles(cycle())
    assert keys(order.resources) == ["Patient/p", "Encounter/e", "Condition/c1", "Condition/c2"]
    assert [(key_of(each.resource), each.path, each.target) for each in order.later] == [
        ("Encounter/e", "Encounter.diagnosis[0].condition", "Condition/c1"),
        ("Encounter/e", "Encounter.diagnosis[1].condition", "Condition/c2"),
    ]


def test_a_resource_that_refers_to_itself_is_updated_later():
    order = break_cycles([resource("Basic", "1", ["Basic/1"])])
    assert [each.target for each in order.later] == ["Basic/1"]


def test_two_phases_store_what_one_transaction_would():
    order = break_cycles(cycle())
    later = {each.target for each in order.later}
    links, findings, stored = {}, [], {}
    how = {"links": links, "identifier_system": SYSTEM, "findings": findings}
    for number, each in enumerate(order.resources):
        made = draft(each, later=later - links.keys(), **how)
        assert made.condition == f"identifier={SYSTEM}|{key_of(each)}"
        links[key_of(each)] = f"{each['resourceType']}/{number}"
        stored[links[key_of(each)]] = made.body
    first = stored["Encounter/1"]["diagnosis"][0]["condition"]
    assert first == {"type": "Condition", "identifier": {"system": SYSTEM, "value": "Condition/c1"}}
    for each in {key_of(each.resource): each.resource for each in order.later}.values():
        body = for_update(each, **how)
        assert links[key_of(each)] == f"{body['resourceType']}/{body['id']}"
        stored[links[key_of(each)]] = body
    assert findings == []
    assert [each["condition"] for each in stored["Encounter/1"]["diagnosis"]] == [
        {"reference": "Condition/2"},
        {"reference": "Condition/3"},
    ]
    sent = send(*cycle())["entry"]
    for entry, key in zip(sent, keys(cycle()), strict=True):
        assert compare(entry["resource"], stored[links[key]], links=with_urns(links, SYSTEM)) == []


# Responses


def answer(*responses: dict) -> dict:
    return {"resourceType": "Bundle", "type": "transaction-response", "entry": list(responses)}


@pytest.mark.parametrize(
    ("response", "status", "location", "version"),
    [
        ({"response": {"status": "201 Created", "location": "Basic/5/_history/1", "etag": "1"}}, 201, "Basic/5", "1"),
        (
            {"response": {"status": "200", "location": "https://t.example/Basic/5", "etag": 'W/"2"'}},
            200,
            "Basic/5",
            "2",
        ),
        (
            {
                "response": {"status": "200 OK"},
                "resource": {"resourceType": "Basic", "id": "5", "meta": {"versionId": "3"}},
            },
            200,
            "Basic/5",
            "3",
        ),
        ({"response": {"status": "201"}}, 201, None, None),
    ],
)
def test_it_reads_where_each_resource_is(response, status, location, version):
    sent = send(resource("Basic", "1"))
    (result,) = read_response(sent, answer(response))
    assert (result.full_url, result.status, result.location, result.version) == (
        urn_of(SYSTEM, "Basic/1"),
        status,
        location,
        version,
    )


def test_it_keeps_the_outcome_of_an_entry():
    outcome = {"resourceType": "OperationOutcome", "issue": []}
    (result,) = read_response(send(resource("Basic", "1")), answer({"response": {"status": "412", "outcome": outcome}}))
    assert result == EntryResult(urn_of(SYSTEM, "Basic/1"), 412, outcome=outcome)


@pytest.mark.parametrize(
    "response",
    [
        answer(),
        answer({"response": {"status": "201"}}, {"response": {"status": "201"}}),
        {"resourceType": "OperationOutcome"},
        {"resourceType": "Bundle", "entry": "text"},
        [],
        None,
    ],
)
def test_an_answer_that_does_not_fit_is_an_error(response):
    with pytest.raises(MappingError, match="Bundle.entry"):
        read_response(send(resource("Basic", "1")), response)


@pytest.mark.parametrize(
    "entry",
    [
        {"response": {}},
        {},
        None,
        "text",
        {"response": []},
        {"response": {"status": None, "location": 5, "etag": {}, "outcome": "no"}},
        {"response": {"status": [], "location": {}}, "resource": "Basic"},
        {"resource": {"resourceType": 5, "id": [], "meta": "x"}},
    ],
)
def test_an_entry_that_says_nothing_is_not_known_to_be_done(entry):
    (result,) = read_response(send(resource("Basic", "1")), answer(entry))
    assert (result.status, result.location, result.outcome) == (0, None, None)
