"""An insurer's system asked from the insurance page: what is sent is said before, and a wrong choice is a sentence."""

from html import unescape

import pytest

from integration.store import eligibility_asks
from tests.integration.web.site import Site

pytestmark = pytest.mark.postgres
PAYER = """
  plan: {base_url: "https://plan.example.org/fhir", role: payer, name: Example Health, identifier_system: "urn:test:plan"}
"""


@pytest.fixture
def site(tmp_path, database):
    made = Site(tmp_path, database, PAYER)
    made.request_id = made.request(coverage=("Coverage/45",))
    made.address = f"/requests/{made.request_id}/coverage"
    return made


def asked(site) -> list:
    with site.engine.connect() as conn:
        return list(eligibility_asks.of_request(conn, site.request_id))


def post(site, **typed):
    token = site.form(site.address)["token"][0]
    return site.client.post(f"{site.address}/payer", data={"token": token} | typed)


def test_the_page_says_what_is_sent_to_whom_and_asks_when_a_person_presses(site):
    page = unescape(site.get(site.address))
    assert "Sent, and nothing else: the patient's name, sex and birth date" in page and "Example Health" in page
    assert "Coverage/45" in page and asked(site) == []
    assert post(site, payer="plan", insurance="Coverage/45", service="20").status_code == 303
    (one,) = asked(site)
    assert (one.endpoint, one.coverage, one.service, one.status) == ("plan", "Coverage/45", "20", "asked")
    assert "Example Health is being asked about Coverage/45: Second surgical opinion." in unescape(
        site.get(site.address)
    )
    assert site.audited("coverage.payer-asked")


@pytest.mark.parametrize(
    ("typed", "status", "says"),
    [
        ({"payer": "", "insurance": "Coverage/45", "service": "3"}, 409, "choose which insurer"),
        ({"payer": "mercy", "insurance": "Coverage/45", "service": "3"}, 409, "choose which insurer"),
        ({"payer": "plan", "insurance": "Coverage/46", "service": "3"}, 409, "choose which insurance"),
        ({"payer": "plan", "insurance": "Coverage/45", "service": ""}, 409, "choose what is asked"),
        ({"payer": "plan", "insurance": "Coverage/45", "service": "3", "token": "x"}, 403, ""),
    ],
)
def test_what_is_chosen_wrong_is_said_and_what_was_chosen_is_there(site, typed, status, says):
    answer = post(site, **typed)
    assert answer.status_code == status and says in answer.text.lower() and asked(site) == []
    if typed["payer"] == "plan":
        assert '<option value="plan" selected>' in answer.text


def test_twice_is_once(site):
    for status in (303, 409):
        assert post(site, payer="plan", insurance="Coverage/45", service="3").status_code == status
    assert len(asked(site)) == 1


def test_without_a_payer_the_page_says_to_call(tmp_path, database):
    site = Site(tmp_path, database)
    page = unescape(site.get(f"/requests/{site.request()}/coverage"))
    assert "No insurer's system is connected here: call them" in page


def test_without_an_insurance_it_is_read_first(site):
    page = unescape(site.get(f"/requests/{site.request(key='k2')}/coverage"))
    assert "Have the insurance read from the EHR first" in page


def test_the_api_does_what_the_page_does(site):
    address = f"/api{site.address}/payer"
    body = {"reason": "tested", "payer": "plan", "coverage": "Coverage/45", "service": "3"}
    assert site.client.post(address, json=body | {"service": "30"}).status_code == 400
    refused = site.client.post(address, json=body | {"payer": "bob"})
    assert refused.status_code == 409 and "choose which insurer" in refused.json["detail"].lower()
    assert site.client.post(address, json=body).status_code == 200
    (one,) = site.client.get(f"/api{site.address}").json["asked"]
    assert (one["status"], one["service"], one["endpoint"]) == ("asked", "3", "plan")
