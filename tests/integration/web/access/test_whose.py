"""Whose case a page is about: said on every page of one request, and the way back is to that case."""

import pytest

from integration.store.roles import OF_PRACTICES, Role
from integration.web.access import scope
from tests.integration.web.access.test_scope import CANARY, THEIRS, Two, rule_of, walked

pytestmark = pytest.mark.postgres
# Pages that record no look, and so show nothing of the patient; what stands on a paper; an address that leads on.
NAMELESS = {"packets.manifest", "requests.delivery", "requests.show", "release.show"}


@pytest.fixture
def two(tmp_path, database) -> Two:
    return Two(tmp_path, database)


def pages_of(two: Two, role: Role):
    """``(endpoint, page)`` of each page of the request that this role of its own side can open."""
    client = two.as_(role, practices=THEIRS.get(role, ()))
    for endpoint, method, address in walked(two):
        needs = scope.needed(endpoint, {"name": address.rsplit("/", 1)[1]})
        is_of_it = "<request_id>" in str(rule_of(two, endpoint))
        if method != "GET" or address.startswith("/api/") or not is_of_it or needs is None or role not in needs:
            continue
        answer = client.get(address)
        if answer.status_code == 200 and answer.mimetype == "text/html":
            yield endpoint, answer.text


@pytest.mark.parametrize("role", sorted(OF_PRACTICES))
def test_every_page_of_a_request_says_whose_it_is_and_leads_back_to_the_case(two, role):
    seen, wrong = set(), []
    for endpoint, page in pages_of(two, role):
        seen.add(endpoint)
        if CANARY not in page and endpoint not in NAMELESS:
            wrong.append(f"{endpoint} does not say whose it is")
        if f"Request {two.id}" in page:
            wrong.append(f"{endpoint} shows an id where the patient is known")
    assert wrong == [] and {"checklist.show", "consent.show", "visit.show", "packets.manifest"} <= seen


def test_who_may_not_see_the_patient_is_led_back_to_the_request_and_sees_no_name(two):
    pages = dict(pages_of(two, Role.VIEWER))
    assert {"packets.manifest", "requests.delivery"} <= pages.keys()
    assert all(f"Request {two.id}" in pages[each] for each in ("packets.manifest", "requests.delivery"))
    assert CANARY not in pages["packets.manifest"]


def test_who_cancels_a_request_sees_whose_it_is_and_no_command_of_the_installation(two):
    address = f"/actions/cancel?request={two.id}"
    page = two.as_(Role.COORDINATOR, practices=THEIRS[Role.COORDINATOR]).get(address).text
    assert CANARY in page and "second-opinion requests cancel" not in page and f"request {two.id}" not in page
    assert [row.subject for row in two.audited("case.looked-at")] == ["before a button"]


def test_an_operator_who_cancels_sees_the_request_and_no_name(two):
    page = two.as_(Role.OPERATOR).get(f"/actions/cancel?request={two.id}").text
    assert CANARY not in page and f"Request {two.id}" in page and "second-opinion requests cancel" in page
    assert two.audited("case.looked-at") == []
