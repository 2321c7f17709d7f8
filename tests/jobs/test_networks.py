"""Hospitals that ask each other: each chart is only where somebody asked for it, and what is written nowhere becomes an order.

Networks are generated: three and four parties, each a placer, a fulfiller or both, asking one or another, one server under
two names. An oracle that knows only who ordered what looks at the servers afterwards.
"""

import json
import random
import threading
from contextlib import suppress
from dataclasses import dataclass

import pytest
from sqlalchemy import select, text
from waitress.server import create_server

from integration.fhir.servers import Servers
from integration.packets.payloads import Payloads
from integration.settings.config import load_config
from integration.store import endpoints, steps
from integration.store.tables import findings, polls, requests
from integration.store.tables import steps as step_table
from integration.web import create_app
from jobs.engine import Heartbeat
from jobs.world import World
from tests.jobs.exchange import Exchange, patient
from tests.jobs.test_loop import order_of
from tests.servers.lying import LyingProxy

pytestmark = pytest.mark.postgres
ROLES = ("placer", "fulfiller", "both")


@dataclass(frozen=True)
class Party:
    """One endpoint: ``server`` is the practice whose server it is, its own or (under a second name) another's."""

    name: str
    role: str
    asks: str | None
    server: str

    @property
    def is_placer(self) -> bool:
        return self.role != "fulfiller"


def network(seed: int) -> list[Party]:
    """Three or four parties, at least one who asks and one who answers; every third network has a server under two names."""
    chance = random.Random(seed)
    names = ["anna", "bert", "cleo", "dora"][: 3 + seed % 2]
    roles = {name: chance.choice(ROLES) for name in names} | {names[0]: "both", names[1]: chance.choice(ROLES[1:])}
    answer = [name for name in names if roles[name] != "placer"]
    parties = []
    for name in names:
        others = [each for each in answer if each != name]
        asks = (
            chance.choice([*others, None] if seed % 4 == 3 else others)
            if roles[name] != "fulfiller" and others
            else None
        )
        parties.append(Party(name, roles[name], asks, name))
    if seed % 3 == 2:
        first = parties[0]
        parties.append(Party("annex", "both", first.asks, first.server))
        parties.append(Party("other", "placer", "annex", "bert"))
    return parties


class Network(Exchange):
    """As `Exchange`, with the parties of a generated network."""

    def __init__(self, folder, database, parties: list[Party]):
        self.engine, self.parties, self.proxies = database.engine, parties, {}
        self.server = create_server(lambda *arguments: self.app(*arguments), host="127.0.0.1", port=0, threads=8)
        port = self.server.effective_port
        for party in parties:
            setattr(self, party.name, f"http://127.0.0.1:{port}/fhir/{party.server}")
            if party.name != party.server:  # the same server under another address
                self.proxies[party.name] = LyingProxy(getattr(self, party.name)).__enter__()
        path = folder / "config.yaml"
        configured = {
            party.name: {
                "base_url": self.proxies[party.name].address
                if party.name in self.proxies
                else getattr(self, party.name),
                "role": party.role,
                "accepts": "resources",
                "patients": "create",
                "identifier_system": f"urn:net:{party.name}",
                "limits": {"search_lag_seconds": 0, "requests_per_second": 1000},
                **({"default_fulfiller": party.asks} if party.asks else {}),
            }
            for party in parties
        }
        hosted = [{"practice": name, "name": name} for name in sorted({party.server for party in parties})]
        retry = {"first_retry_seconds": 0.1, "max_retry_seconds": 1, "max_attempts": 3}
        path.write_text(
            json.dumps({"data_dir": str(folder / "data"), "hosted": hosted, "endpoints": configured, "retry": retry})
        )
        self.config = load_config(path, {})
        self.payloads = Payloads(self.config.payloads.url)
        self.app = create_app(self.config, self.engine, self.payloads)
        threading.Thread(target=self._serve, daemon=True).start()
        self.world = World(self.config, self.engine, Servers(self.config), self.payloads)
        self.hosted_log = self.app.extensions["second_opinion"]["hosted_log"]
        self.heartbeat = Heartbeat(self.config.engine.lease_seconds)
        with self.engine.begin() as conn:
            endpoints.register(conn, self.config)

    def run(self) -> None:
        """Every placer is polled, everything is done, and all is looked at again as on the next day; three times."""
        for _ in range(3):
            with self.engine.begin() as conn:
                conn.execute(polls.update().values(swept_at=None))
                for party in self.parties:
                    if party.is_placer:
                        steps.create(conn, "poll_requests", party.name)
            self.drain()
            self.watch()

    def servers(self) -> list[str]:
        return sorted({party.server for party in self.parties})

    def all_of(self, server: str, kind: str) -> list[dict]:
        return self.find(server, kind)


def chart_at(net: Network, server: str, number: str) -> dict:
    """A patient and one result there."""
    numbers = [
        {
            "system": "urn:net:mrn",
            "value": number,
            "type": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": "MR"}]},
        }
    ]
    who = net.put(server, patient(identifier=numbers, name=[{"family": f"Net-{number}", "given": ["Ada"]}]))
    net.put(
        server,
        {
            "resourceType": "Observation",
            "status": "final",
            "code": {"text": number},
            "subject": {"reference": f"Patient/{who['id']}"},
        },
    )
    doctor = net.put(server, {"resourceType": "Practitioner", "name": [{"family": f"Doctor-{number}"}]})
    return {"patient": who, "practitioner": doctor}


def numbers_at(net: Network, server: str) -> list[str]:
    return sorted(
        each["value"]
        for who in net.all_of(server, "Patient")
        for each in who["identifier"]
        if each["system"] == "urn:net:mrn"
    )


def results_at(net: Network, server: str) -> list[str]:
    return sorted(each["code"]["text"] for each in net.all_of(server, "Observation"))


@pytest.fixture
def make_network(tmp_path, database):
    made = []

    def make(parties):
        made.append(Network(tmp_path, database, parties))
        return made[-1]

    yield make
    for each in made:
        with suppress(OSError):
            each.close()


@pytest.mark.parametrize("seed", range(9))
def test_each_chart_is_only_where_somebody_asked_for_it(make_network, seed):
    net = make_network(network(seed))
    server_of = {party.name: party.server for party in net.parties}
    wanted = {server: {f"M-{server}"} for server in net.servers()}
    orders, requests_wanted = dict.fromkeys(net.servers(), 0), 0
    for server in net.servers():
        chart = chart_at(net, server, f"M-{server}")
        asking = [party for party in net.parties if party.server == server and party.is_placer]
        if not asking:
            continue
        net.put(server, order_of(chart))
        orders[server] += 1
        target = next((server_of[party.asks] for party in asking if party.asks), None)
        if target not in (None, server):
            requests_wanted += 1
            wanted[target].add(f"M-{server}")
    net.run()
    with net.engine.connect() as conn:
        taken_in = conn.execute(select(requests.c.key, requests.c.fulfiller)).all()
        stuck = conn.execute(select(step_table.c.kind, step_table.c.cause).where(step_table.c.status == "parked")).all()
        causes = set(conn.execute(select(findings.c.cause)).scalars())
    assert len(taken_in) == requests_wanted and stuck == [] and "internal-error" not in causes
    for server in net.servers():
        assert numbers_at(net, server) == sorted(wanted[server]), (server, net.parties)
        assert results_at(net, server) == sorted(wanted[server]), (server, net.parties)
        asked_of = sum(server_of[row.fulfiller] == server for row in taken_in)
        assert len(net.all_of(server, "Task")) == asked_of
        copies = len(net.all_of(server, "ServiceRequest"))
        assert orders[server] + asked_of <= copies <= orders[server] + asked_of + sum(orders.values())


@pytest.mark.long
def test_an_answer_that_is_asked_on_goes_one_step_and_comes_back_to_nobody(make_network):
    """Bert, asked by Anna, asks Cleo about Anna's patient by an order of his own; Cleo would ask Anna, and is not asked to."""
    net = make_network(
        [
            Party("anna", "both", "bert", "anna"),
            Party("bert", "both", "cleo", "bert"),
            Party("cleo", "both", "anna", "cleo"),
        ]
    )
    net.put("anna", order_of(chart_at(net, "anna", "M-anna")))
    net.run()
    [copy] = net.all_of("bert", "Patient")
    doctor = net.put("bert", {"resourceType": "Practitioner", "name": [{"family": "Bert"}]})
    net.put("bert", order_of({"patient": copy, "practitioner": doctor}))
    net.run()
    with net.engine.connect() as conn:
        pairs = sorted(tuple(row) for row in conn.execute(select(requests.c.placer, requests.c.fulfiller)))
        assert conn.execute(text("SELECT count(*) FROM steps WHERE status = 'parked'")).scalar_one() == 0
    assert pairs == [("anna", "bert"), ("bert", "cleo")]
    assert [results_at(net, each) for each in ("anna", "bert", "cleo")] == [["M-anna"]] * 3
    assert [numbers_at(net, each) for each in ("anna", "bert", "cleo")] == [["M-anna"]] * 3
