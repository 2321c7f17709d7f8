"""Whatever shape a server gives a resource: finding, rewriting and judging it raise nothing but our own errors."""

import copy
import random
from contextlib import suppress

import pytest

from mappings.bundle import draft, plan
from mappings.document_reference import attachments, data_url, entered_in_error, hash_form, inline_bytes, stated_size
from mappings.identifiers import append_identifier, identifiers_in
from mappings.model.errors import ExchangeError
from mappings.references import Resolution, find_references, rewrite, targets_of
from mappings.subject import whose
from mappings.withdrawal import is_marked_in_error, marked_in_error

SHAPES = 20_000
PATIENT = {"resourceType": "Patient", "id": "p", "identifier": [{"system": "mrn", "value": "1"}]}
BASE = "https://placer.example/fhir"
WRONG = (
    None, True, 0, 5, -1, 1.5, 10**400, "", " ", "text", "Patient/p", "#x", "urn:uuid:1", "http://[", "https://x/Patient/p",
    "Patient?identifier=|", "\ud800", "nul\x00", "a" * 5000, [], {}, [None], [[]], [5], {"reference": 5}, {"reference": None},
    {"identifier": "text"}, {"coding": 5}, [{"reference": "Patient/other"}], {"resourceType": []}, [{"resourceType": None}],
)  # fmt: skip
SAMPLES = (
    {
        "resourceType": "Observation",
        "id": "o",
        "meta": {"versionId": "1", "tag": [{"code": "x"}]},
        "identifier": [{"system": "s", "value": "v", "assigner": {"reference": "Organization/1"}}],
        "status": "final",
        "code": {"coding": [{"system": "s", "code": "c"}]},
        "subject": {"reference": "Patient/p", "identifier": {"system": "mrn", "value": "1"}},
        "performer": [{"reference": "Practitioner/1", "type": "Practitioner", "extension": [{"url": "u"}]}],
        "contained": [{"resourceType": "Patient", "id": "x", "link": [{"other": {"reference": "Patient/2"}}]}],
        "extension": [{"url": "u", "valueReference": {"reference": "Basic/1"}}],
    },
    {
        "resourceType": "DocumentReference",
        "id": "d",
        "status": "current",
        "subject": {"reference": "#x"},
        "content": [{"attachment": {"contentType": "a/b", "url": "Binary/1", "size": 5, "hash": "QQ==", "data": "QQ=="}}],
        "contained": [{"resourceType": "Binary", "id": "x", "data": "QQ=="}],
    },
    {
        "resourceType": "QuestionnaireResponse",
        "id": "q",
        "identifier": {"system": "s", "value": "v"},
        "subject": {"reference": "Patient/p"},
        "item": [{"linkId": "1", "answer": [{"valueAttachment": {"url": "data:,x"}, "item": [{"linkId": "2"}]}]}],
    },
    {"resourceType": "Account", "id": "a", "subject": [{"reference": "Patient/p"}, {"type": "Patient"}]},
    {"resourceType": "Condition", "id": "c", "verificationStatus": {"coding": [{"code": "x"}]}, "subject": {"display": "x"}},
)  # fmt: skip


def places(node, at=()):
    """Every place in a resource, as the keys that lead there."""
    pairs = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in pairs:
        yield (*at, key)
        yield from places(value, (*at, key))


def spoiled(chance: random.Random) -> dict:
    """A resource with one to three places of another shape."""
    made = copy.deepcopy(chance.choice(SAMPLES))
    for _ in range(chance.randint(1, 3)):
        *above, last = chance.choice(list(places(made)))
        node = made
        for key in above:
            node = node[key]
        node[last] = copy.deepcopy(chance.choice(WRONG))
    return made


def read_in_every_way(resource: dict) -> None:
    before = copy.deepcopy(resource)
    find_references(resource, source_base=BASE)
    targets_of(resource, source_base=BASE)
    whose(resource, PATIENT, BASE)
    identifiers_in(resource)
    for at in attachments(resource, source_base=BASE):
        stated_size(at.attachment), hash_form(at.attachment, b"x")
        ours(inline_bytes, at.attachment)
        ours(data_url, str(at.attachment.get("url")))
    rewrite(resource, lambda target: Resolution("logical", identifier={"value": target}), source_base=BASE)
    entered_in_error(resource), marked_in_error(resource), is_marked_in_error(resource)
    ours(append_identifier, resource, {"system": "s", "value": "v"})
    ours(plan, [resource], chunk_size=5, source_base=BASE)
    ours(draft, resource, links={"Patient/p": "Patient/9"}, identifier_system="s", source_base=BASE)
    assert resource == before


def ours(read, *arguments, **options) -> None:
    """Do it; an error of ours is an answer too."""
    with suppress(ExchangeError):
        read(*arguments, **options)


@pytest.mark.parametrize("seed", range(4))
def test_no_shape_raises_anything_but_our_own_errors(seed):
    chance = random.Random(seed)
    for _ in range(SHAPES // 4):
        resource = spoiled(chance)
        try:
            read_in_every_way(resource)
        except Exception as error:
            raise AssertionError(f"{type(error).__name__}: {error} for {resource!r:.600}") from error
