"""A search is complete or it is an error."""

import pytest
import responses
from responses.matchers import query_param_matcher

from integration.fhir.server import FhirServer, NotFound
from integration.fhir.transport import Transport
from mappings.model.errors import PartialError, PermanentError, TemporaryError
from tests.integration.fhir.endpoints import BASE, endpoint

NEXT = f"{BASE}?_getpages=1"


@pytest.fixture
def hospital():
    with responses.RequestsMock(assert_all_requests_are_fired=False) as mock:
        yield mock


@pytest.fixture
def server():
    return FhirServer(endpoint(), Transport(endpoint()))


def observation(id, version="1", **more):
    return {
        "resource": {"resourceType": "Observation", "id": id, "meta": {"versionId": version}, **more},
        "search": {"mode": "match"},
    }


def page(*entries, next=None, **more):
    links = [{"relation": "self", "url": BASE}] + ([{"relation": "next", "url": next}] if next else [])
    return {"resourceType": "Bundle", "type": "searchset", "link": links, "entry": list(entries), **more}


def pages(hospital, first, *others):
    hospital.get(f"{BASE}/Observation", json=first)
    for number, other in enumerate(others, 1):
        hospital.get(BASE, json=other, match=[query_param_matcher({"_getpages": str(number)})])


def ids(found):
    return [resource["id"] for resource in found]


def test_it_follows_every_page(hospital, server):
    pages(hospital, page(observation("a"), next=NEXT), page(next=f"{BASE}?_getpages=2"), page(observation("b")))
    assert ids(server.search_all("Observation")) == ["a", "b"]


def test_it_asks_for_the_page_size_of_the_endpoint_past_every_cache(hospital, server):
    pages(hospital, page(observation("a"), next=NEXT), page())
    server.search_all("Observation", {"patient": "Patient/1", "code": ["http://loinc.org|1-8", "x"]})
    first, second = (call.request for call in hospital.calls)
    assert first.params == {"patient": "Patient/1", "code": ["http://loinc.org|1-8", "x"], "_count": "50"}
    assert second.url == NEXT, "the next link is used as it came"
    assert first.headers["Cache-Control"] == second.headers["Cache-Control"] == "no-cache"


def test_it_may_use_caches_and_another_page_size_when_asked(hospital, server):
    pages(hospital, page())
    server.search_all("Observation", [("_count", "3")], fresh=False)
    request = hospital.calls[0].request
    assert request.params == {"_count": "3"} and "Cache-Control" not in request.headers


def test_it_asks_for_no_more_than_the_server_bears(hospital):
    pages(hospital, page())
    FhirServer(endpoint(max_page=10), Transport(endpoint())).search_all("Observation")
    assert hospital.calls[0].request.params == {"_count": "10"}


@pytest.mark.parametrize(
    "relative",
    ["?_getpages=1", "/fhir?_getpages=1", "../fhir?_getpages=1", "//hospital.example.invalid/fhir?_getpages=1"],
)
def test_it_resolves_a_relative_next_link_against_the_page_it_stood_on(hospital, server, relative):
    first = page(observation("a"), next=relative)
    if relative.startswith("?"):
        hospital.get(
            f"{BASE}/Observation", json=page(observation("b")), match=[query_param_matcher({"_getpages": "1"})]
        )
        hospital.get(f"{BASE}/Observation", json=first, match=[query_param_matcher({"_count": "50"})])
    else:
        pages(hospital, first, page(observation("b")))
    assert ids(server.search_all("Observation")) == ["a", "b"]


@pytest.mark.parametrize("relation", ["next", "Next", " next "])
@pytest.mark.parametrize("url", ["?_getpages=a b", f" {BASE}?_getpages=a b", f"{BASE}?_getpages=a%20b\n"])
def test_a_next_link_as_careless_servers_write_it_is_followed(hospital, server, relation, url):
    first = page(observation("a"))
    first["link"].append({"relation": relation, "url": url})
    hospital.get(f"{BASE}/Observation", json=first, match=[query_param_matcher({"_count": "50"})])
    for there in (BASE, f"{BASE}/Observation"):
        hospital.get(there, json=page(observation("b")), match=[query_param_matcher({"_getpages": "a b"})])
    assert ids(server.search_all("Observation")) == ["a", "b"]


@pytest.mark.parametrize(
    "next",
    [
        "http://localhost:8080/fhir?_getpages=1",
        "https://hospital.example.invalid:443:443/fhir",
        "https://hospital.example.invalid.evil.example/fhir?_getpages=1",
        "https://[bad",
        7,
        "",
    ],
)
def test_a_next_link_to_elsewhere_is_a_partial_record(hospital, server, next):
    first = page(observation("a"))
    first["link"].append({"relation": "next", "url": next})
    pages(hospital, first)
    with pytest.raises(PartialError, match="page 1 names a next page at another address"):
        server.search_all("Observation")
    assert len(hospital.calls) == 1


def test_a_loop_of_pages_is_a_partial_record(hospital, server):
    pages(
        hospital,
        page(observation("a"), next=NEXT),
        page(observation("b"), next=f"{BASE}?_getpages=2"),
        page(observation("c"), next=NEXT),
    )
    with pytest.raises(PartialError, match="page 3 names an earlier page"):
        server.search_all("Observation")


def test_a_page_that_names_itself_is_a_partial_record(hospital, server):
    pages(hospital, page(next=f"{BASE}/Observation?_count=50"))
    with pytest.raises(PartialError, match="earlier page"):
        server.search_all("Observation")


def test_pages_without_end_are_a_partial_record(hospital, server):
    pages(hospital, page(next=NEXT), page(next=f"{BASE}?_getpages=2"), page(next=f"{BASE}?_getpages=3"))
    with pytest.raises(PartialError, match="more than 2 pages"):
        list(server.search("Observation", max_pages=2))


@pytest.mark.parametrize("status", [404, 410])
def test_a_page_the_server_forgot_means_to_begin_again_later(hospital, server, status):
    pages(hospital, page(observation("a"), next=NEXT))
    hospital.get(BASE, status=status)
    with pytest.raises(TemporaryError) as caught:
        server.search_all("Observation")
    assert caught.value.cause == "page-expired"


@pytest.mark.parametrize(
    "said", [{"code": "expired"}, {"code": "processing", "details": {"coding": [{"code": "4113"}]}}]
)
def test_a_search_that_is_said_to_be_over_begins_again_whatever_the_status(hospital, server, said):
    """Epic says so with a 400, and by its own number."""
    pages(hospital, page(observation("a"), next=NEXT))
    hospital.get(BASE, status=400, json={"resourceType": "OperationOutcome", "issue": [{"severity": "fatal"} | said]})
    with pytest.raises(TemporaryError) as caught:
        server.search_all("Observation")
    assert caught.value.cause == "page-expired"


def test_any_other_refusal_of_a_page_is_one(hospital, server):
    pages(hospital, page(observation("a"), next=NEXT))
    hospital.get(
        BASE, status=400, json={"resourceType": "OperationOutcome", "issue": [{"code": "invalid", "details": 7}]}
    )
    with pytest.raises(PermanentError):
        server.search_all("Observation")


def test_a_first_page_that_is_not_there_is_not_found(hospital, server):
    hospital.get(f"{BASE}/Observation", status=404, json={})
    with pytest.raises(NotFound):
        server.search_all("Observation")


def test_a_temporary_failure_between_pages_stays_one(hospital, server):
    pages(hospital, page(observation("a"), next=NEXT))
    hospital.get(BASE, status=503)
    with pytest.raises(TemporaryError):
        server.search_all("Observation")


@pytest.mark.parametrize(
    "tag",
    [
        {"code": "SUBSETTED"},
        {"system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue", "code": "SUBSETTED"},
    ],
)
def test_a_resource_with_elements_left_out_is_a_partial_record(hospital, server, tag):
    pages(hospital, page(observation("a"), observation("b", meta={"tag": [tag]})))
    with pytest.raises(PartialError, match="Observation/b .*SUBSETTED"):
        server.search_all("Observation")


@pytest.mark.parametrize("entry", [{"fullUrl": "x"}, {"resource": None}, {"resource": {}}, None, "x"])
def test_an_entry_without_a_resource_is_a_partial_record(hospital, server, entry):
    pages(hospital, page(entry))
    with pytest.raises(PartialError, match="entry without a resource"):
        server.search_all("Observation")


@pytest.mark.parametrize(
    "wrong", [{"resourceType": "OperationOutcome"}, {"resourceType": "Bundle", "type": "history"}, [], 1]
)
def test_an_answer_that_is_no_searchset_is_an_error_on_any_page(hospital, server, wrong):
    pages(hospital, wrong)
    with pytest.raises(PermanentError, match="not a searchset"):
        server.search_all("Observation")
    hospital.reset()
    pages(hospital, page(next=NEXT), wrong)
    with pytest.raises(PartialError, match="page 2 is not a searchset"):
        server.search_all("Observation")


def outcome(severity):
    return {
        "resource": {
            "resourceType": "OperationOutcome",
            "issue": [
                {
                    "severity": severity,
                    "code": "suppressed",
                    "diagnostics": "about Zebediah",
                    "details": {"coding": [{"code": "4119"}]},
                }
            ],
        },
        "search": {"mode": "outcome"},
    }


def test_a_remark_of_the_server_is_a_warning_and_no_resource(hospital, server):
    pages(hospital, page(observation("a"), outcome("warning")))
    warnings = []
    assert ids(server.search_all("Observation", warnings=warnings)) == ["a"]
    assert warnings == ["search for Observation at hospital: warning suppressed"]


@pytest.mark.parametrize("severity", ["error", "fatal", "nonsense"])
def test_an_error_among_the_results_is_a_partial_record(hospital, server, severity):
    pages(hospital, page(observation("a"), outcome(severity)))
    with pytest.raises(PartialError) as caught:
        server.search_all("Observation")
    assert "suppressed" in str(caught.value) and "Zebediah" not in str(caught.value)


def test_a_resource_on_two_pages_comes_once_and_a_change_meanwhile_is_a_warning(hospital, server):
    pages(hospital, page(observation("a"), observation("b"), next=NEXT), page(observation("b"), observation("a", "2")))
    warnings = []
    assert ids(server.search_all("Observation", warnings=warnings)) == ["a", "b"]
    assert warnings == ["search for Observation at hospital: Observation/a changed while the pages were read"]


@pytest.mark.parametrize(
    ("known", "self_link", "next"),
    [
        ((), BASE, "http://hospital.example.invalid/fhir?_getpages=1"),
        ((), "http://inner:8080/fhir/Observation?patient=1", "http://inner:8080/fhir?_getpages=1"),
        ((), "http://inner:8080/fhir?patient=1", "http://inner:8080/fhir?_getpages=1"),
        (("http://inner:8080/fhir",), None, "http://INNER:8080/fhir?_getpages=1"),
    ],
)
def test_a_next_link_to_another_address_of_the_server_is_asked_for_at_its_own(hospital, known, self_link, next):
    there = endpoint()
    there.bases = (BASE, *known)
    first = page(observation("a"))
    first["link"] = [{"relation": "next", "url": next}] + (
        [{"relation": "self", "url": self_link}] if self_link else []
    )
    pages(hospital, first, page(observation("b")))
    search = FhirServer(there, Transport(there)).search("Observation")
    assert [entry.reference for entry in search] == ["Observation/a", "Observation/b"]
    assert {call.request.url.split("?")[0] for call in hospital.calls} == {BASE, f"{BASE}/Observation"}
    assert len(search.warnings) == 1


@pytest.mark.parametrize("total", [3, "3"])
@pytest.mark.parametrize("came", [("a",), ("a", "a"), ("a", "b", "a")])
def test_fewer_than_the_server_counts_is_a_partial_record(hospital, server, came, total):
    included = {"resource": {"resourceType": "Patient", "id": "p"}, "search": {"mode": "include"}}
    pages(hospital, page(*map(observation, came), included, total=total))
    with pytest.raises(PartialError, match=f"the server counts 3, and {len(set(came))} came"):
        server.search_all("Observation")


@pytest.mark.parametrize("total", [1, 3, True, "nine", None])
def test_more_than_the_server_counts_is_a_remark_and_so_are_its_own_remarks_that_it_counted(hospital, server, total):
    remark = {
        "resource": {"resourceType": "OperationOutcome", "issue": [{"severity": "warning", "code": "processing"}]}
    }
    pages(hospital, page(observation("a"), observation("b"), remark, total=total))
    search = server.search("Observation")
    assert [entry.reference for entry in search] == ["Observation/a", "Observation/b"]
    counted = f"search for Observation at hospital: the server counts {total}, 2 came"
    assert (counted in search.warnings) == (type(total) is int)


def test_pages_are_fetched_as_they_are_needed(hospital, server):
    pages(hospital, page(observation("a"), next=NEXT), page(observation("b")))
    search = server.search("Observation")
    assert len(hospital.calls) == 0
    assert next(search).reference == "Observation/a" and len(hospital.calls) == 1


def test_an_empty_search_is_no_error(hospital, server):
    bundle = page()
    del bundle["entry"], bundle["link"]
    pages(hospital, bundle)
    assert server.search_all("Observation") == []
