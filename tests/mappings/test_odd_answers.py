"""What a target answers may have any shape: only our own errors come of it, whatever stands where."""

import random
from collections.abc import Iterator
from decimal import Decimal

import pytest

from mappings.bundle import draft, identity_of, read_response
from mappings.merging import contains, merge, says_the_same
from mappings.model.errors import MappingError

ODD = (
    None,
    "",
    "text",
    5,
    Decimal("1.5"),
    True,
    [],
    {},
    [None],
    ["text"],
    [[]],
    {"reference": 5},
    {"value": []},
    "\ud800",
)
SENT = {
    "resourceType": "Observation",
    "id": "1",
    "meta": {"versionId": "1", "security": [{"code": "R"}]},
    "identifier": [{"system": "urn:a", "value": "Observation/1"}],
    "status": "final",
    "code": {"coding": [{"system": "http://loinc.org", "code": "1-8"}], "text": "lab"},
    "subject": {"reference": "Patient/1"},
    "contained": [{"resourceType": "Medication", "id": "m", "code": {"text": "x"}}],
    "partOf": [{"reference": "#m"}],
    "valueQuantity": {"value": Decimal("1.50"), "unit": "g"},
    "note": [{"text": "words", "time": "2026-01-01T10:00:00+01:00"}],
    "text": {"status": "generated", "div": "<div>x</div>"},
}
ANSWER = {
    "resourceType": "Bundle",
    "type": "transaction-response",
    "entry": [
        {
            "response": {
                "status": "201 Created",
                "location": "Observation/9/_history/1",
                "etag": 'W/"1"',
                "outcome": {"issue": []},
            },
            "resource": {"resourceType": "Observation", "id": "9", "meta": {"versionId": "1"}},
        }
    ],
}


def places(node: object, path: tuple = ()) -> Iterator[tuple]:
    yield path
    for key, value in node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ():
        yield from places(value, (*path, key))


def with_odd(node: object, path: tuple, value: object) -> object:
    if not path:
        return value
    copied = dict(node) if isinstance(node, dict) else list(node)
    copied[path[0]] = with_odd(node[path[0]], path[1:], value)
    return copied


def odd(resource: dict, seed: int, times: int = 2) -> Iterator[dict]:
    """Every place with every odd value, and some with two of them."""
    chance = random.Random(seed)
    for path in places(resource):
        for value in ODD:
            made = with_odd(resource, path, value)
            yield made
            for _ in range(times - 1):
                if isinstance(made, dict) and made:
                    yield with_odd(made, chance.choice(list(places(made))[1:] or [()]), chance.choice(ODD))


def only_ours(do) -> None:
    try:
        do()
    except MappingError:
        pass


def test_answers_to_a_transaction():
    sent = {"entry": [{"fullUrl": "urn:uuid:1"}]}
    made = list(odd(ANSWER, 1))
    assert len(made) > 400
    for answer in made:
        only_ours(lambda answer=answer: read_response(sent, answer))


@pytest.mark.parametrize("side", ["base", "there", "wanted"])
def test_what_stands_there_or_was_written_is_merged(side):
    made = [each for each in odd(SENT, 2) if isinstance(each, dict)]
    assert len(made) > 900
    for each in made:
        given = {
            "base": SENT,
            "there": {**SENT, "status": "amended"},
            "wanted": {**SENT, "status": "corrected"},
            side: each,
        }
        if side == "wanted" and each.get("resourceType") != "Observation":
            continue
        merge(given["base"], given["there"], given["wanted"])
        says_the_same(SENT, each), says_the_same(each, SENT), contains(SENT, each), contains(each, SENT)


def test_records_of_a_source_are_drafted_or_named():
    how = dict(
        links={"Patient/1": "Patient/77"},
        identifier_system="urn:a",
        source_base="http://a/fhir",
        allow_unidentified=True,
    )
    wrong = []
    for each in odd(SENT, 3):
        if not isinstance(each, dict) or each.get("resourceType") != "Observation" or each.get("id") != "1":
            continue
        try:
            draft(each, **how)
            identity_of(each, "urn:a")
        except MappingError:
            continue
        except Exception as error:
            wrong.append((type(error).__name__, str(error)[:80], each))
    assert not wrong, wrong[:3]
