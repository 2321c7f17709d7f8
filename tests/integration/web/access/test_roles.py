"""Every route against every role, from the one table; and nobody gets in who has not signed in."""

import re

import pytest

from integration.store.roles import INCLUDES, OF_PRACTICES, Role, all_of, in_order
from integration.web import create_app
from integration.web.access import gate, scope
from integration.web.access.roles import ACTIONS_NEED, NEEDS
from integration.web.operations.actions import ACTIONS
from integration.web.patient.gate import DOOR
from tests.integration.web.access.guarded import Guarded

pytestmark = pytest.mark.postgres
FILLED = {"request_id": "r1", "key": "bob", "name": "pause"}  # what a route's address is filled with; numbers are 1
# The patient's own page: a private link opens it, and staff's sign-in does not.
SHUT_BY_ITS_OWN_GATE = {
    f"own_page.{each}"
    for each in "door enter ended show leave language calendar questions say_medications say_consent make_link end_link reading".split()
}
CHANGES_NOTHING = {"queue.find"}  # a search posted so that what is searched for is in no address
HEALTH_LINKS = {"shl.manifest", "shl.direct", "shl.file"}  # for a viewer, which a link and its passcode let in


def asked(site: Guarded) -> list[tuple[str, str, str]]:
    """``(endpoint, method, address)`` of every route but those of hosted endpoints; each button has an address of its own."""
    found = []
    with site.app.test_request_context():
        for rule in site.app.url_map.iter_rules():
            if rule.endpoint.startswith(gate.HOSTED):
                continue
            values = {
                name: 1 if "Integer" in type(made).__name__ else FILLED.get(name, "x")
                for name, made in rule._converters.items()
            }
            for name in ["pause", *ACTIONS_NEED] if rule.endpoint.startswith("actions.") else [None]:
                address = site.app.url_map.bind("localhost").build(
                    rule.endpoint, {**values, **({"name": name} if name else {})}
                )
                found += [(rule.endpoint, method, address) for method in sorted(rule.methods - {"HEAD", "OPTIONS"})]
    return found


def needed(endpoint: str, address: str) -> frozenset[Role] | None:
    return scope.needed(endpoint, {"name": address.rsplit("/", 1)[1]})


def refused_for(answer) -> str | None:
    """The roles of which one was missing, as the answer says."""
    said = re.search(r"needs the role ([a-z -]+), and", answer.text) if answer.status_code == 403 else None
    return said and said.group(1)


@pytest.mark.parametrize("given", [*((role,) for role in Role), tuple(Role)], ids=" and ".join)
def test_each_route_lets_in_exactly_the_roles_of_the_table(guarded, given):
    """With a session, as people do, and with a token, as machines do."""
    client, machine = guarded.as_(*given), guarded.token("machine", *given)
    allowed, wrong = all_of(given), []
    for endpoint, method, address in asked(guarded):
        need = needed(endpoint, address)
        expected = None if need is None or need & allowed else " or ".join(in_order(need))
        for_machines = endpoint.startswith(("api.", "health.", "numbers."))
        for browser, headers in ((client, {}), *([(guarded.app.test_client(), machine)] if for_machines else [])):
            answer = browser.open(address, method=method, headers=headers)
            signed_out = answer.status_code == 401 or answer.headers.get("Location", "").startswith("/sign-in?")
            at_home = expected and answer.headers.get("Location", "").startswith(
                ("/board", "/cases/")
            )  # their own page
            if (refused_for(answer) != expected and not at_home) or signed_out:
                wrong.append(
                    f"{method} {address}: {answer.status_code}, missing {refused_for(answer)}, table says {expected}"
                )
    assert wrong == []


def test_who_has_not_signed_in_gets_in_nowhere_but_where_the_table_says_so(guarded):
    wrong = []
    for endpoint, method, address in asked(guarded):
        answer = guarded.app.test_client().open(address, method=method)
        if needed(endpoint, address) is None:
            fits = answer.status_code in (200, 303, 403, 404)  # 403: the sign-in form without its token
            if endpoint in SHUT_BY_ITS_OWN_GATE and endpoint not in DOOR:
                fits = answer.headers.get("Location") == "/p/ended"
            fits |= endpoint in HEALTH_LINKS and answer.status_code == 400  # it names no recipient
        elif endpoint.startswith("api.") or endpoint == "health.metrics":
            fits = (
                answer.status_code == 401
                and answer.is_json is not None
                and answer.headers["WWW-Authenticate"].startswith("Bearer")
            )
        elif method == "GET":
            fits = answer.status_code == 303 and answer.headers["Location"].startswith("/sign-in?next=/")
        else:
            fits = answer.status_code == 401 and "Sign in" in answer.text
        if not fits:
            wrong.append(f"{method} {address}: {answer.status_code}")
    assert wrong == []
    open_to_all = {endpoint for endpoint, need in NEEDS.items() if need is None}
    own_page = {each for each in open_to_all if each.startswith("own_page.")}
    assert own_page == SHUT_BY_ITS_OWN_GATE
    assert open_to_all - own_page - HEALTH_LINKS == {
        "static",
        "health.live",
        "health.ready",
        "jwks.of_name",
        "jwks.of_all",
        "hooks.heard",
        "smart.configuration",
        "smart.token",
        "sign_in.form",
        "sign_in.enter",
        "sign_in.leave",
    }


def test_each_route_that_changes_something_refuses_a_form_without_our_token(guarded):
    client, wrong = guarded.as_(*Role), []
    before = guarded.sql("SELECT count(*) FROM audit").scalar_one()
    for endpoint, method, address in asked(guarded):
        if method == "GET" or endpoint in CHANGES_NOTHING | HEALTH_LINKS:
            continue
        answer = client.open(address, method=method, data={"reason": "because", "name": "x", "token": "x"})
        told = client.get(answer.headers["Location"]).text if answer.status_code == 303 else answer.text
        if answer.headers.get("Location") == "/p/ended":
            continue
        unknown = answer.status_code in (404, 409) and not endpoint.startswith("api.")  # there is no such request
        if not unknown and answer.status_code != 403 and "did not come from this page" not in told:
            wrong.append(f"{method} {address}: {answer.status_code}")
    assert wrong == []
    assert guarded.sql("SELECT count(*) FROM audit").scalar_one() == before
    assert guarded.get("/account"), "still signed in"


def test_a_route_without_a_row_in_the_table_stops_the_start(guarded, monkeypatch):
    monkeypatch.setattr(gate, "NEEDS", {name: need for name, need in NEEDS.items() if name != "queue.queue"})
    with pytest.raises(gate.RouteWithoutRole, match="queue.queue: add a row to NEEDS"):
        create_app(guarded.config, guarded.engine, guarded.payloads)


def test_the_table_names_no_route_that_is_not_there(guarded):
    there = {rule.endpoint for rule in guarded.app.url_map.iter_rules()}
    assert set(NEEDS) - there == set()
    assert set(ACTIONS_NEED) <= set(ACTIONS)


def test_an_admin_is_an_operator_without_sight_of_patients():
    assert Role.OPERATOR in INCLUDES[Role.ADMIN] and Role.CLINICAL_DATA not in INCLUDES[Role.ADMIN]
    assert all((Role.VIEWER in included) is (role not in OF_PRACTICES) for role, included in INCLUDES.items())


def test_pages_show_only_what_may_be_pressed(guarded):
    request_id = guarded.request()
    guarded.step(request_id=request_id)
    guarded.as_(name="vera")
    queue, shown, endpoints = guarded.get("/queue"), guarded.get(f"/requests/{request_id}"), guarded.get("/endpoints")
    for page in (queue, shown, endpoints, guarded.get("/schedules"), guarded.get("/failures")):
        assert "/actions/" not in page and 'href="/new"' not in page and 'href="/accounts"' not in page
    assert 'type="checkbox"' not in queue and "disabled aria-describedby" in shown
    guarded.as_(Role.OPERATOR, name="otto")
    assert "/actions/retry" in guarded.get("/queue") and "/actions/cancel" in guarded.get(f"/requests/{request_id}")
    guarded.as_(Role.CLINICAL_DATA, name="clara")
    assert 'href="/new"' in guarded.get("/queue") and "/actions/" not in guarded.get("/queue")
    assert "disabled" not in guarded.get(f"/requests/{request_id}")
