"""The Oracle-like server has Millennium's habits; each is cited.

[O] CapabilityStatement, conventions and problem types of August 2026, as kept in api-evangelist/cerner.
[D] Oracle's documentation of DocumentReference, cerner/fhir.cerner.com content/millennium/r4/…/document-reference.md.
"""

import pytest
import requests

from tests.servers.vendors.charts import attachment, load, note
from tests.servers.vendors.oracle_health import OracleHealth


@pytest.fixture
def oracle():
    with OracleHealth() as started:
        yield started


def post(oracle, resource, **headers):
    return requests.post(f"{oracle.url}/{resource['resourceType']}", json=resource, headers=headers, timeout=10)


def search(oracle, kind, *params):
    return requests.get(f"{oracle.url}/{kind}", params=params, timeout=10)


def test_a_create_answers_201_with_its_place_and_version_only(oracle):
    """[D] create, response: Content-Length 0, ``Etag`` and an absolute ``Location``."""
    patient, visit = load(oracle)
    answer = post(oracle, note(patient, visit), Prefer="return=representation")
    [there] = oracle.ours_of(patient)
    assert (answer.status_code, answer.content, answer.headers["ETag"]) == (201, b"", 'W/"1"')
    assert answer.headers["Location"] == f"{oracle.url}/{there.reference}"


def test_a_second_post_is_a_second_document(oracle):
    """[O] idempotency: "A retried POST creates a second resource"; no conditionalCreate is declared."""
    patient, visit = load(oracle)
    for _ in range(2):
        post(oracle, note(patient, visit), **{"If-None-Exist": "identifier=x|y"})
    assert len(oracle.ours_of(patient)) == 2


@pytest.mark.parametrize(
    ("change", "place"),
    [
        (dict(context={"period": {"end": "2026-06-01T10:00:00Z"}}), "f:encounter"),
        (dict(content=[attachment(b"one"), attachment(b"two")]), "f:content"),  # [D] exactly one content
        (dict(content=[attachment(b"one", "image/png")]), "f:contentType"),  # [D] supported MIME types
        (dict(content=[attachment(b"one", "text/plain")]), "f:contentType"),  # with its charset
        (dict(date="2026-06-01"), "f:date"),  # [D] "All provided dates must have a time component"
        (dict(author=[{"display": "Dr. Bob"}]), "f:author"),  # a Practitioner of its own
    ],
)
def test_a_document_that_it_does_not_take_is_refused_and_nothing_stands_there(oracle, change, place):
    patient, visit = load(oracle)
    answer = post(oracle, note(patient, visit) | change)
    assert answer.status_code == 422 and place in answer.text
    assert oracle.ours_of(patient) == []


def test_the_end_of_the_period_is_demanded(oracle):
    """[D] body fields: ``context.period.end`` with a time."""
    patient, visit = load(oracle)
    bare = note(patient, visit)
    del bare["context"]["period"]
    assert "f:period" in post(oracle, bare).text and oracle.ours_of(patient) == []


def test_elements_that_it_does_not_know_are_ignored_or_refused(oracle):
    """[D] "Unsupported fields will be ignored"; [O] problem types: 422 "body contained unsupported fields"."""
    patient, visit = load(oracle)
    assert post(oracle, note(patient, visit)).status_code == 201, "our identifier among them"
    assert "second-opinion" not in str(oracle.ours_of(patient)[0].resource)
    oracle.unsupported = "refused"
    assert post(oracle, note(patient, visit)).status_code == 422


def test_a_modifier_extension_is_refused(oracle):
    """[O] problem types, 422, code extension."""
    patient, visit = load(oracle)
    assert post(oracle, note(patient, visit, modifierExtension=[])).status_code == 422


def test_a_search_by_what_it_does_not_know_is_refused(oracle):
    """[O] ``identifier`` is not among the search parameters of DocumentReference; 400 "No supported search parameters"."""
    patient, _ = load(oracle)
    assert search(oracle, "DocumentReference", ("patient", patient), ("identifier", "a|b")).status_code == 400
    assert search(oracle, "DocumentReference", ("type", "11488-4")).status_code == 400
    assert search(oracle, "DocumentReference", ("patient", patient)).ok


@pytest.mark.parametrize(
    ("kind", "dates", "status"),
    [
        ("DocumentReference", [("date", "ge2026-01-01T00:00:00Z")], 200),  # [O] documentation of each parameter
        ("DocumentReference", [("date", "ge2026-01-01"), ("date", "lt2027-01-01")], 400),
        ("DocumentReference", [("period", "ge2026-01-01")], 400),
        ("DocumentReference", [("period", "ge2026-01-01"), ("period", "lt2027-01-01")], 200),
        ("DocumentReference", [("date", "2026-01-01"), ("_lastUpdated", "2026-01-01")], 400),
        ("Observation", [("_lastUpdated", "ge2026-01-01T00:00:00Z")], 400),
        ("Observation", [("_lastUpdated", "ge2026-01-01T00:00:00Z"), ("_lastUpdated", "lt2099-01-01T00:00:00Z")], 200),
        ("ServiceRequest", [("_lastUpdated", "ge2026-01-01T00:00:00Z")], 200),
    ],
)
def test_dates_are_taken_as_its_documentation_says(oracle, kind, dates, status):
    patient, _ = load(oracle)
    assert search(oracle, kind, ("patient", patient), *dates).status_code == status


def test_one_resource_comes_on_two_pages_and_the_way_to_the_next_is_opaque(oracle):
    """[O] pagination, hazard: "the SAME resource id on more than one page"; the next link carries a ``pageContext``."""
    patient, _ = load(oracle, results=5)
    page, ids = search(oracle, "Observation", ("patient", patient), ("_count", "2")).json(), []
    while True:
        ids += [each["resource"]["id"] for each in page["entry"]]
        following = [each["url"] for each in page["link"] if each["relation"] == "next"]
        if not following:
            break
        assert "-pageContext=" in following[0]
        page = requests.get(following[0], timeout=10).json()
    assert len(set(ids)) == 5 and len(ids) > 5


def test_there_is_no_task_and_no_transaction(oracle):
    """[O] no Task in the CapabilityStatement; system interaction ``batch`` alone."""
    for answer in (search(oracle, "Task", ("status", "requested")), post(oracle, {"resourceType": "Task"})):
        assert answer.status_code == 404 and answer.json()["resourceType"] == "OperationOutcome"
    assert (
        requests.post(oracle.url, json={"resourceType": "Bundle", "type": "transaction"}, timeout=10).status_code == 400
    )
    said = requests.get(f"{oracle.url}/metadata", timeout=10).json()
    assert said["rest"][0]["interaction"] == [{"code": "batch"}] and "software" not in said


def test_an_update_of_another_version_is_a_conflict(oracle):
    """[O] concurrency: ``If-Match``, 409 "update with out-of-date version"."""
    patient, visit = load(oracle)
    place = post(oracle, note(patient, visit)).headers["Location"]
    there = requests.get(place, timeout=10)
    marked = there.json() | {"status": "entered-in-error"}
    assert requests.put(place, json=marked, headers={"If-Match": 'W/"7"'}, timeout=10).status_code == 409
    assert requests.put(place, json=marked, headers={"If-Match": there.headers["ETag"]}, timeout=10).status_code == 200
    assert requests.get(place, timeout=10).json()["status"] == "entered-in-error"


def test_another_tenant_is_refused(oracle):
    """[O] tenancy: "403 Tenant not valid or accessible, not 404"."""
    answer = requests.get(f"{oracle.origin}/r4/another/Patient", params={"_id": "1"}, timeout=10)
    assert answer.status_code == 403 and "Tenant not valid" in answer.text


def test_bytes_come_back_by_address_and_in_their_own_type(oracle):
    """[D] attachment url: "fully qualified link"; Binary: Accept the FHIR JSON or the attachment's own type."""
    patient, visit = load(oracle)
    post(oracle, note(patient, visit, content=[attachment(b"%PDF-1.4", "application/pdf")]))
    told = oracle.ours_of(patient)[0].resource["content"][0]["attachment"]
    assert "data" not in told
    assert requests.get(told["url"], headers={"Accept": "application/pdf"}, timeout=10).content == b"%PDF-1.4"
    assert requests.get(told["url"], headers={"Accept": "text/plain"}, timeout=10).status_code == 406
