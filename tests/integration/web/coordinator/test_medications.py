"""The list of medications on its page: gone through with the patient, kept once, asked again when the chart changes."""

import re
from html import unescape

import pytest

from integration.store import medication_reviews
from tests.mappings.test_medications import order

pytestmark = pytest.mark.postgres


@pytest.fixture
def request_id(site) -> str:
    """A request whose packet holds two medications, one of them stopped."""
    made = site.request()
    site.packet(made, order(1), order(2, "Warfarin", "855332", status="stopped"))
    return made


def fields_of(site, request_id) -> dict[str, str]:
    page = site.get(f"/requests/{request_id}/medications")
    return {name: unescape(value) for name, value in re.findall(r'name="([^"]+)" value="([^"]*)"', page)}


def post(site, request_id, fields, **more):
    return site.client.post(f"/requests/{request_id}/medications", data={**fields, "informant": "patient", **more})


KEY = "http://www.nlm.nih.gov/research/umls/rxnorm|860975"


def test_the_list_shows_each_record_and_says_that_nobody_has_gone_through_it(site, request_id):
    page = unescape(site.get(f"/requests/{request_id}/medications"))
    assert "1 tablet twice daily" in page and "MedicationRequest/m1" not in page and "2026-01-01" in page
    assert page.index("Metformin") < page.index("Stopped, says the chart") < page.index("Warfarin")
    assert "Nobody has gone through this list yet." in page
    assert len(site.audited("medications.looked-at")) == 1


def test_what_is_said_is_kept_with_whose_word_it_is_and_a_changed_chart_asks_again(site, request_id):
    fields = fields_of(site, request_id)
    said = {f"what-{KEY}": "differently", f"words-{KEY}": "evenings only", "also": "Vitamin D, 1000 IU\r\n\r\nsage tea"}
    assert site.told(post(site, request_id, fields, **said)) == "Kept. It goes with the next packet."
    page = unescape(site.get(f"/requests/{request_id}/medications"))
    assert "by the word of the patient; written down by web" in page
    assert 'value="evenings only"' in page and "Vitamin D, 1000 IU\nsage tea" in page
    site.packet(request_id, order(1, dosageInstruction=[{"text": "2 tablets"}]), version=2)
    page = unescape(site.get(f"/requests/{request_id}/medications"))
    assert "other medications now than when somebody went through them" in page and 'value="evenings only"' in page


def test_two_people_and_a_chart_that_changes_meanwhile_lose_nothing(site, request_id):
    fields = fields_of(site, request_id)
    said = {f"what-{KEY}": "taking"}
    assert post(site, request_id, fields, **said).status_code == 303
    second = post(site, request_id, fields, **{f"what-{KEY}": "not-taking", "also": "aspirin"})
    assert second.status_code == 409 and "web was first" in second.text and ">aspirin</textarea>" in second.text
    assert 'value="not-taking" selected' in second.text
    site.packet(request_id, order(3, "Aspirin", "1191"), version=2)
    third = post(site, request_id, {**fields, "after": "1"}, **said)
    assert third.status_code == 409 and "other medications now than when you looked" in third.text
    with site.engine.connect() as conn:
        assert len(medication_reviews.of_request(conn, request_id)) == 1


@pytest.mark.parametrize(
    ("said", "says"),
    [
        ({}, "at least one medication"),
        ({f"what-{KEY}": "differently"}, "Say in words how it is taken differently"),
        ({f"what-{KEY}": "doubling"}, "taking, not-taking or differently"),
        ({"informant": "nobody", "also": "x"}, "whose word it is"),
        ({"also": "x" * 501}, "At most 500 characters"),
        ({"key-1": "other|1", "what-other|1": "taking"}, "no medication with the key"),
    ],
)
def test_what_cannot_be_understood_is_said(site, request_id, said, says):
    answer = post(site, request_id, fields_of(site, request_id), **said)
    assert answer.status_code == 409 and says in unescape(answer.text)


def test_before_anything_was_gathered_nothing_is_known(site):
    page = site.get(f"/requests/{site.request()}/medications")
    assert "which medications the chart has is not known" in page and "<form" not in page.split("</header>")[-1]
