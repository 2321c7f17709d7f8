"""People of practices: every route of the app, as every role of another practice; nothing comes back and nothing is changed."""

import hashlib
import json
import re
from collections.abc import Iterator
from datetime import date

import pytest
from click.testing import CliRunner
from sqlalchemy import text

import second_opinion
from integration import received
from integration.settings.config import load_config
from integration.store import directory, drafts, owners
from integration.store.roles import OF_PRACTICES, Role
from integration.store.scope import EVERYTHING, NOTHING, Scope
from integration.store.tables import attempts, findings, metadata
from integration.web import create_app
from integration.web.access import gate, roles, scope
from integration.web.access.roles import HOW_SCOPED, How
from integration.web.operations.actions import ACTIONS
from tests.integration.arriving.made import ccda
from tests.integration.web.access.guarded import Guarded, hidden
from tests.integration.web.site import CONFIG, a_request

pytestmark = pytest.mark.postgres
CANARY = "Zaunkoenig"
MORE = """\
  dana: {base_url: "https://dana.example.org/fhir", role: placer, name: Dr Dana, identifier_system: "urn:test:dana"}
  erin: {base_url: "https://erin.example.org/fhir", role: fulfiller, name: Dr Erin, identifier_system: "urn:test:erin"}
web: {sign_in: required}
"""
MAY_GROW = {"audit", "audit_seals", "sessions", "settings", "sign_in_tries"}  # who signed in, and what was refused
STRANGERS = {Role.COORDINATOR: ("dana",), Role.CONSULTANT: ("erin",)}
THEIRS = {Role.COORDINATOR: ("alice",), Role.CONSULTANT: ("mercy",)}


class Two(Guarded):
    """A request of Dr Alice to Mercy Hospital with something of everything in it; Dr Dana and Dr Erin have no part in it."""

    def __init__(self, folder, database):
        super().__init__(folder, database, MORE)
        person = {"family": CANARY, "given": ["Ada"]}
        self.id = self.request("canary-key", question=f"{CANARY}?", patient=self.patient(person))
        delivery = self.delivery(self.id, message=CANARY)
        step = self.step(request_id=self.id, delivery_id=delivery, message=CANARY)
        packet = self.packet(self.id, {"resourceType": "Patient", "id": "p", "name": [person]})
        self.report_to_carry(self.id, CANARY.encode())
        world = (self.engine, self.payloads, self.config)
        file = [ccda(f"<paragraph>{CANARY}</paragraph>", family=CANARY)]
        record, _ = received.receive(*world, self.id, file, name="a.xml", claimed=None, actor="test")
        with self.engine.begin() as conn:
            row = dict(step_id=step, request_id=self.id, kind="push_records", endpoint="mercy", lease_no=1)
            row |= dict(started_at=text("now()"), outcome="person", message=CANARY)
            attempt = conn.execute(attempts.insert().values(row).returning(attempts.c.id)).scalar_one()
            found = dict(request_id=self.id, severity="error", cause="x", message=CANARY)
            finding = conn.execute(findings.insert().values(found).returning(findings.c.id)).scalar_one()
            directory.add(conn, "x", {"family": "Lopez"}, file_on=date(2026, 1, 1), actor="test", reason="a doctor")
            draft = drafts.begin(conn, "alice", actor="test")
            typed = {"question": f"{CANARY}?"}
            drafts.save(conn, draft.id, expected_version=1, typed=typed, picked={}, step="patient", actor="test")
        ids = {
            "request": self.id,
            "draft": draft.id,
            "delivery": delivery,
            "step": step,
            "attempt": attempt,
            "packet": packet,
            "finding": finding,
            "record": record.id,
        }
        self.names = {
            name: str(ids[name.removesuffix("_id")]) for name in owners.NAMES if name.removesuffix("_id") in ids
        }

    @staticmethod
    def patient(name: dict) -> dict:
        return {"identifiers": [{"system": "urn:test:mrn", "value": "M1"}], "name": name}

    def tables(self) -> dict[str, str]:
        """Every table but those that may grow, as a hash of its rows."""
        with self.engine.connect() as conn:
            rows = {each.name: sorted(map(repr, conn.execute(each.select()))) for each in metadata.sorted_tables}
        return {
            name: hashlib.sha256(repr(each).encode()).hexdigest() for name, each in rows.items() if name not in MAY_GROW
        }

    def canaries(self) -> tuple[str, ...]:
        return (CANARY, "canary-key", self.id)


@pytest.fixture
def two(tmp_path, database) -> Two:
    return Two(tmp_path, database)


def walked(two: Two) -> Iterator[tuple[str, str, str]]:
    """``(endpoint, method, address)``: every route with the ids of the request wherever a path has one, every button by itself."""
    adapter = two.app.url_map.bind("localhost")
    for rule in two.app.url_map.iter_rules():
        if rule.endpoint.startswith(gate.HOSTED) or rule.endpoint in (
            "static",
            "sign_in.leave",
            "accounts.sign_out_everywhere",
        ):
            continue
        made = {name: each.__class__.__name__ for name, each in rule._converters.items()}
        values = {name: two.names.get(name, 1 if "Integer" in kind else "mercy") for name, kind in made.items()}
        for name in ACTIONS if rule.endpoint in scope.BUTTONS else [None]:
            address = adapter.build(rule.endpoint, {**values, **({"name": name} if name else {})})
            yield from ((rule.endpoint, method, address) for method in sorted(rule.methods - {"OPTIONS"}))


def ask(two: Two, client, method: str, address: str, token: str, machine: dict[str, str] | None = None):
    """With the request's ids in the query, and in the form or the JSON too."""
    two.names["item"], two.names["reason"] = f"{two.names['packet_id']} Patient/p", "tested"
    query, headers = {name: two.names[name] for name in owners.NAMES if name in two.names}, machine or {}
    if address.startswith("/api/"):
        # A parameter that a route does not know is refused before anything: so without the query, and with it.
        client.open(address, method=method, query_string=query, headers=headers)
        form = {"X-Form-Token": token} if machine is None else {}
        body = {"reason": "tested"} if method == "POST" else None
        return client.open(address, method=method, json=body, headers={**headers, **form})
    data = {**query, **two.names, "token": token, "seen": "draft", "say": "item question waived", "version": "1"}
    return client.open(
        address,
        method=method,
        query_string=query if method != "POST" else None,
        data=data if method == "POST" else None,
    )


# What they show is named in the query and stands in a packet, which this request has none of.
OF_A_PACKET = {"key_facts.rest", "key_facts.element", "key_facts.document", "key_facts.document_bytes"}


@pytest.mark.parametrize("role", sorted(OF_PRACTICES))
@pytest.mark.parametrize("by", ["session", "token"])
def test_no_route_shows_or_changes_anything_of_another_practices_request(two, role, by):
    client = two.as_(role, practices=STRANGERS[role])
    token, before, wrong = hidden(client.get("/account").text)["token"], two.tables(), []
    machine = None if by == "session" else two.token("machine", role, practices=STRANGERS[role])
    before = two.tables() if machine else before
    browser = client if machine is None else two.app.test_client()
    seen = set()
    for endpoint, method, address in walked(two):
        if machine is not None and not address.startswith("/api/"):
            continue  # machines use the API
        answer = ask(two, browser, method, address, token, machine)
        shown = [
            each for each in two.canaries() if each in answer.text.replace(address, "").replace(f"/cases/{two.id}", "")
        ]  # as asked
        needs = scope.needed(endpoint, {"name": address.rsplit("/", 1)[1]})
        is_named = {"request_id", "delivery_id"} & set(re.findall(r"<(?:\w+:)?(\w+)>", str(rule_of(two, endpoint))))
        let_in = needs is not None and role in needs
        if shown or answer.status_code >= 500:
            wrong.append(f"{method} {address}: {answer.status_code} shows {shown}")
        if let_in and is_named and answer.status_code != 404:
            wrong.append(f"{method} {address}: {answer.status_code}, and is not there for them")
        if let_in and is_named:
            seen.add(endpoint)
    assert wrong == []
    changed = {name for name, digest in two.tables().items() if digest != before[name]}
    assert changed <= ({"tokens"} if machine else set()), "used_at of the token alone"
    assert {row.subject for row in two.audited(scope.REFUSED)} >= seen - {"correct.look"} and seen


def rule_of(two: Two, endpoint: str):
    return next(rule for rule in two.app.url_map.iter_rules() if rule.endpoint == endpoint)


@pytest.mark.parametrize("role", sorted(OF_PRACTICES))
def test_the_people_of_its_own_two_sides_reach_it_by_every_route_that_is_open_to_them(two, role):
    """Nothing is refused as not there, and nothing is refused for want of a role."""
    client = two.as_(role, practices=THEIRS[role])
    wrong, reached = [], set()
    for endpoint, method, address in walked(two):
        needs = scope.needed(endpoint, {"name": address.rsplit("/", 1)[1]})
        if needs is None or role not in needs or method != "GET":
            continue
        query = {"request": two.id, "delivery": two.names["delivery"]} if endpoint in scope.BUTTONS else None
        answer = client.get(address, query_string=query)
        if endpoint in OF_A_PACKET and answer.status_code == 404:
            continue
        if answer.status_code not in (200, 409):  # 409: a button that has nothing to do any more
            wrong.append(f"{method} {address}: {answer.status_code}")
        reached.add(endpoint)
    assert wrong == [] and {"cases.show", "cases.board", "packets.manifest", "checklist.show", "api.show"} <= reached
    assert two.id in client.get("/board").text and CANARY in client.get(f"/cases/{two.id}").text
    assert [row["request_id"] for row in client.get("/api/requests").json] == [two.id]
    assert two.audited(scope.REFUSED) == []


def test_an_id_is_found_whichever_way_it_comes(two):
    """Twice in one address, beside one of their own, as an upload, in JSON: what is not theirs is not there."""
    own = two.request("own", placer="dana")
    client = two.as_(Role.COORDINATOR, practices=("dana",))
    token = hidden(client.get("/account").text)["token"]
    fields = {"token": token, "reason": "x", "seen": "draft"}
    assert client.get(f"/actions/cancel?request={own}").status_code == 200
    assert client.get(f"/actions/cancel?request={own}&request={two.id}").status_code == 404
    assert client.get("/actions/cancel").status_code == 404, "a button that names nothing is nobody's"
    both = {**fields, "request": [own, two.id]}
    assert client.post("/actions/cancel", data=both).status_code == 404
    upload = {**fields, "request": two.id}
    assert client.post("/actions/cancel", data=upload, content_type="multipart/form-data").status_code == 404
    beside = f"/actions/cancel?request={own}"
    assert client.post(beside, data=upload, content_type="multipart/form-data").status_code == 404
    assert client.post(f"/actions/cancel?request={two.id}", data={**fields, "request": own}).status_code == 404
    assert client.get(f"/requests/{own}/packet?delivery={two.names['delivery']}").status_code == 404
    machine = two.token("machine", Role.COORDINATOR, practices=("dana",))
    body = {"reason": "x", "request": two.id}
    assert two.app.test_client().post(f"/api/requests/{own}/cancel", json=body, headers=machine).status_code == 404
    assert len(two.audited(scope.REFUSED)) >= 5


def test_people_of_a_practice_are_taken_to_their_own_pages(two):
    client = two.as_(Role.COORDINATOR, practices=("alice",))
    assert two.enter(two.app.test_client(), "olga").headers["Location"] == "/board"
    assert client.get("/").headers["Location"] == "/board"
    assert client.get(f"/requests/{two.id}").headers["Location"] == f"/cases/{two.id}"
    page = client.get("/board").text
    navigation = re.search(r"<nav.*?</nav>", page, re.S).group()
    assert 'href="/new"' in navigation and not re.search(
        'href="/(queue|endpoints|numbers|alarms|accounts|)"', navigation
    )
    assert client.get("/queue").status_code == 403


def test_a_role_of_the_installation_is_not_narrowed_by_a_practice_and_never_widens_one(two):
    """Each route asks which role lets somebody in: an operator of Dana's practice sees no case of Alice's."""
    both = two.as_(Role.OPERATOR, Role.COORDINATOR, practices=("dana",))
    assert both.get(f"/requests/{two.id}").status_code == 200 and two.id in both.get("/").text
    assert both.get(f"/cases/{two.id}").status_code == 404 and two.id not in both.get("/board").text


def test_a_coordinator_asks_only_in_the_name_of_their_own_practice(two):
    client = two.as_(Role.COORDINATOR, practices=("dana",))
    form = client.get("/new").text
    assert 'value="dana"' in form and 'value="alice"' not in form
    token = two.token("machine", Role.COORDINATOR, practices=("dana",))
    asked = json.loads(a_request(key="new-one").model_dump_json(exclude_defaults=True))
    refused = two.app.test_client().post("/api/requests", json=asked, headers=token)
    assert refused.status_code == 400 and "not one of your practices" in refused.text
    taken = two.app.test_client().post("/api/requests", json={**asked, "placer": "dana"}, headers=token)
    assert taken.status_code == 201, taken.text
    clash = two.app.test_client().post(
        "/api/requests", json={**asked, "placer": "dana", "key": "canary-key"}, headers=token
    )
    assert clash.status_code == 409 and two.id not in clash.text, "whose key it is stays unsaid"


def test_without_a_practice_a_role_of_practices_opens_nothing_and_without_a_role_a_practice_does_not(two):
    client = two.as_(Role.COORDINATOR)
    assert two.id not in client.get("/board").text and client.get(f"/cases/{two.id}").status_code == 404
    two.sql("UPDATE accounts SET roles = '{}', practices = '{alice}' WHERE name = 'olga'")
    assert client.get(f"/cases/{two.id}").status_code == 403 and client.get("/").status_code == 403
    assert client.get("/account").status_code == 200


def test_a_practice_that_left_the_configuration_keeps_its_people_to_what_was_theirs(two, tmp_path, database):
    two.account("carol", Role.COORDINATOR, practices=("alice",))
    (tmp_path / "config.yaml").write_text(without_alice(CONFIG.format(folder=tmp_path / "data") + MORE))
    two.config = load_config(tmp_path / "config.yaml", {})
    two.app = create_app(two.config, two.engine, two.payloads)
    client = two.app.test_client()
    two.enter(client, "carol")
    assert two.id in client.get("/board").text and client.get(f"/cases/{two.id}").status_code == 200
    assert 'value="alice"' not in client.get("/new").text
    for address in (f"/requests/{two.id}/checklist", f"/requests/{two.id}/packet"):
        assert client.get(address).status_code == 200, address
    assert "not connected here any more, open requests: 1" in admin_page(two)
    run = CliRunner(env={"SECOND_OPINION_DATABASE_URL": database.url})
    for words in (["check", "config"], ["accounts", "list"]):
        said = run.invoke(second_opinion.cli, ["--config", str(tmp_path / "config.yaml"), *words])
        assert said.exit_code == 0 and "alice is not under endpoints" in said.output and "carol" in said.output, (
            said.output
        )
    refused = run.invoke(
        second_opinion.cli,
        ["--config", str(tmp_path / "config.yaml"), "accounts", "practices", "ada.admin", "--practice", "alice"],
    )
    assert refused.exit_code == 1 and "dana (Dr Dana)" in refused.output


def without_alice(configuration: str) -> str:
    lines = [line for line in configuration.splitlines() if not line.startswith("  alice:")]
    return "\n".join(lines).replace("{practice: alice, name: Dr Alice}, ", "") + "\n"


def admin_page(two: Two) -> str:
    client = two.app.test_client()
    two.enter(client, "ada.admin")
    return client.get("/accounts").text


def test_a_route_that_does_not_say_how_it_keeps_to_practices_stops_the_start(two, monkeypatch):
    monkeypatch.setitem(roles.NEEDS, "queue.queue", roles.CASE)
    with pytest.raises(
        gate.RouteWithoutRole, match="queue.queue has no id of a request in its path: say in HOW_SCOPED"
    ):
        create_app(two.config, two.engine, two.payloads)
    monkeypatch.setitem(roles.NEEDS, "queue.queue", Role.VIEWER)
    monkeypatch.setitem(roles.NEEDS, "bulk.show", roles.CASE)
    with pytest.raises(gate.RouteWithoutRole, match="bulk.show has operation_id in its path"):
        create_app(two.config, two.engine, two.payloads)


def test_every_row_of_how_scoped_is_a_route_that_needs_one(two):
    there = {rule.endpoint for rule in two.app.url_map.iter_rules()}
    assert set(HOW_SCOPED) <= there and all(scope._is_open(endpoint) for endpoint in HOW_SCOPED)
    assert {endpoint for endpoint, how in HOW_SCOPED.items() if how is How.FORM} == {*scope.BUTTONS, "directory.choose"}


def test_what_a_scope_holds_is_what_its_condition_finds(two):
    for made, expected in ((EVERYTHING, 1), (NOTHING, 0), (Scope(placers=frozenset({"alice"})), 1), (Scope(placers=frozenset({"mercy"})), 0),
                           (Scope(fulfillers=frozenset({"mercy", "erin"})), 1), (Scope(fulfillers=frozenset({"erin"})), 0)):  # fmt: skip
        with two.engine.connect() as conn:
            found = (
                conn.execute(text("SELECT 1").columns())
                and conn.execute(metadata.tables["requests"].select().where(made.where())).all()
            )
        assert len(found) == expected == made.holds("alice", "mercy"), made
    assert Scope.of([Role.COORDINATOR, Role.OPERATOR], ["dana"]) is EVERYTHING
    assert Scope.of([Role.CONSULTANT], []) == NOTHING


@pytest.mark.parametrize(
    ("said", "kinds", "status"), [("withdrawn", None, 409), ("given", ["notes"], 200), ("given", None, 200)]
)
def test_the_side_that_is_asked_does_not_read_here_what_consent_keeps_from_leaving(two, said, kinds, status):
    with two.engine.begin() as conn:
        row = {
            "request_id": two.id,
            "said": said,
            "kinds": kinds,
            "how": "in-person",
            "said_by": "the patient",
            "actor": "x",
        }
        conn.execute(metadata.tables["consents"].insert().values(row))
    theirs = two.as_(Role.CONSULTANT, name="cora", practices=("mercy",))
    answer = theirs.get(f"/requests/{two.id}/medications")
    assert answer.status_code == status and (
        status == 200 or "patient" in answer.text.lower() and CANARY not in answer.text
    )
    assert theirs.get(f"/api/requests/{two.id}/medications").status_code == status
    ours = two.as_(Role.COORDINATOR, name="carl", practices=("alice",))
    assert ours.get(f"/requests/{two.id}/medications").status_code == 200, "the patient's own practice"
