"""What others send is bounded while it is read: pages that are too large are asked for again, the rest is a sentence."""

import gzip
import json
from urllib.parse import parse_qs, urlsplit

import pytest

from integration.fhir.server import FhirServer
from integration.fhir.transport import Transport
from mappings.model.errors import PermanentError
from tests.integration.fhir.endpoints import answer, endpoint, world

KB = 1024


class Ward:
    """A server whose search hands out documents of given sizes, ``_count`` at a time, and remembers what was asked."""

    def __init__(self, sizes, *, deep=(), compressed=False):
        self.sizes, self.deep, self.compressed, self.counts = sizes, deep, compressed, []

    def __call__(self, handler):
        query = parse_qs(urlsplit(handler.path).query)
        count, offset = int(query["_count"][0]), int(query.get("_offset", ["0"])[0])
        self.counts.append(count)
        end = min(offset + count, len(self.sizes))
        links = (
            [{"relation": "next", "url": f"DocumentReference?_count={count}&_offset={end}"}]
            if end < len(self.sizes)
            else []
        )
        entries = [{"resource": self.resource(number)} for number in range(offset, end)]
        body = {
            "resourceType": "Bundle",
            "type": "searchset",
            "total": len(self.sizes),
            "link": links,
            "entry": entries,
        }
        text = json.dumps(body).encode()
        if self.compressed:
            answer(handler, body=gzip.compress(text), Content_Encoding="gzip")
        else:
            answer(handler, body=text)

    def resource(self, number):
        resource = {"resourceType": "DocumentReference", "id": str(number), "description": "x" * self.sizes[number]}
        if number in self.deep:
            nested = []
            for _ in range(700):
                nested = [nested]
            resource["extension"] = nested
        return resource


def found(ward, **limits):
    with world(ward) as started:
        at = endpoint(started.base_url, **limits)
        return [each["id"] for each in FhirServer(at, Transport(at)).search_all("DocumentReference")]


@pytest.mark.parametrize("compressed", [False, True])
def test_a_page_that_is_too_large_is_asked_for_again_with_fewer(compressed):
    ward = Ward([20 * KB] * 50, compressed=compressed)
    assert found(ward, page_size=200, max_answer_bytes=2048 * KB) == [str(number) for number in range(50)]
    assert ward.counts[:2] == [200, 50] and set(ward.counts[2:]) == {12}, "a quarter each time, and then it stays so"


def test_what_came_before_a_page_that_is_too_large_is_given_once():
    ward = Ward([1 * KB] * 30 + [60 * KB] * 10)
    assert found(ward, page_size=8, max_answer_bytes=1000 * KB) == [str(number) for number in range(40)]


def test_one_resource_may_be_as_large_as_an_answer():
    assert found(Ward([10, 900 * KB, 10]), page_size=50, max_answer_bytes=1000 * KB) == ["0", "1", "2"]


def test_one_resource_that_is_too_large_by_itself_is_a_sentence_that_says_which():
    with pytest.raises(
        PermanentError, match="one resource by itself, the one after DocumentReference/1, is larger"
    ) as caught:
        found(Ward([10, 10, 2000 * KB, 10]), max_answer_bytes=1000 * KB)
    assert caught.value.cause == "too-large"


def test_one_resource_that_is_nested_too_deep_is_a_sentence_that_says_which():
    with pytest.raises(PermanentError, match="the one after DocumentReference/2, is nested deeper") as caught:
        found(Ward([10] * 5, deep={3}))
    assert caught.value.cause == "too-deep"


def test_a_search_that_brings_more_than_may_be_in_memory_is_a_sentence():
    ward = Ward([20 * KB] * 500)
    with pytest.raises(
        PermanentError, match="hold more than .* bytes; the last one read is DocumentReference/"
    ) as caught:
        found(ward, page_size=10, max_answer_bytes=1000 * KB)
    assert caught.value.cause == "search-too-large" and len(ward.counts) == 5


def test_a_search_that_is_read_page_by_page_is_bounded_by_its_own_limit():
    with world(Ward([20 * KB] * 100)) as started:
        at = endpoint(started.base_url, page_size=10, max_answer_bytes=1000 * KB, max_search_bytes=1500 * KB)
        search = FhirServer(at, Transport(at)).search("DocumentReference")
        with pytest.raises(PermanentError, match="1536000 bytes"):
            list(search)


def test_a_small_answer_that_is_large_inside_is_unpacked_in_small_blocks():
    bomb = gzip.compress(b" " * 200_000_000)
    with world(lambda handler: answer(handler, body=bomb, Content_Encoding="gzip")) as started:
        at = endpoint(started.base_url)
        with Transport(at).stream("Binary/1", max_bytes=10_000_000) as (_, blocks):
            largest = 0
            with pytest.raises(PermanentError):
                for block in blocks:
                    largest = max(largest, len(block))
    assert largest <= 64 * KB


def test_it_asks_for_no_packing_but_gzip():
    with world(lambda handler: answer(handler, body=b"{}")) as started:
        Transport(endpoint(started.base_url)).request("GET", "metadata")
    assert started.headers[0]["Accept-Encoding"] == "gzip"
