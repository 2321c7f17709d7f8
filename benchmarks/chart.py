"""Moving a chart of about 400 resources between two HAPI servers: our own time, theirs, and curl's with the same bundles."""

import contextlib
import dataclasses
import json
import os
import subprocess
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import psutil
import requests as http
import simplejson
from sqlalchemy import func, select

from benchmarks.common import Clock, Row, below, cpu_of, fresh_database, postgres, say, temporary_folder
from integration import fhir_json
from integration.fhir.exchanges import ignore
from integration.fhir.servers import Servers
from integration.fhir.transport import allow_writes
from integration.settings.config import load_config
from integration.store.pace import wait_for_turn
from integration.store.tables import attempts
from tests.e2e.test_charts import ask
from tests.jobs.exchange import Exchange
from tests.servers.hapi import Hapi, build

DEMO = Path(__file__).parent.parent / "second_opinion" / "demo" / "data" / "chart.json"
PEOPLE = ("Patient", "Practitioner", "PractitionerRole", "Organization", "Location")
WANTED = 400
# The test's Exchange is narrow on purpose (chunks of 5); this one works with the defaults of config.yaml.
NARROW = "limits: {chunk_size: 5, max_inline_bytes: 200000, search_lag_seconds: 1}, "


def run(folder: Path, *, write: bool) -> list[Row]:
    """One chart to warm both servers up, then the largest one, measured."""
    build()
    with Hapi(folder) as one, Hapi(folder) as other:
        with ThreadPoolExecutor(2) as pool:
            alice, bob = pool.map(lambda hapi, name: hapi.start(name=name), (one, other), ("placer", "fulfiller"))
        servers = [psutil.Process(hapi.process.pid) for hapi in (one, other)]
        warm_up, chart = charts()
        move(load(alice, warm_up), alice, bob, servers)
        return rows(move(load(alice, chart), alice, bob, servers))


def charts() -> tuple[bytes, bytes]:
    """The second largest and the largest of the real charts; without them, the demo's and a multiple of it."""
    folder = Path(os.environ.get("SECOND_OPINION_DATA", "missing"), "synthea")
    sizes = sorted((path.read_bytes() for path in folder.glob("*.json")), key=lambda data: data.count(b'"fullUrl"'))
    return (sizes[-2], sizes[-1]) if len(sizes) > 1 else (DEMO.read_bytes(), multiplied(DEMO.read_bytes()))


def multiplied(data: bytes) -> bytes:
    """The chart's records again and again until there are enough, about another patient."""
    bundle = simplejson.loads(data, use_decimal=True)
    for entry in bundle["entry"]:
        if entry["resource"]["resourceType"] == "Patient":
            patient = entry["resource"]
            patient["identifier"] = [{**each, "value": f"{each['value']}-2"} for each in patient["identifier"]]
            patient["name"] = [{**each, "family": f"{each['family']}-Two"} for each in patient["name"]]
    records = [entry for entry in bundle["entry"] if entry["resource"]["resourceType"] not in PEOPLE]
    text = simplejson.dumps(records, use_decimal=True)
    while len(bundle["entry"]) < WANTED:
        copy = text
        for entry in records:
            copy = copy.replace(entry["fullUrl"], f"urn:uuid:{uuid.uuid4()}")
        bundle["entry"] += simplejson.loads(copy, use_decimal=True)[: WANTED - len(bundle["entry"])]
    return simplejson.dumps(bundle, use_decimal=True).encode()


def load(base: str, data: bytes) -> dict:
    """Put a chart into a server; its Patient there."""
    answer = http.post(base, data=data, headers={"Content-Type": "application/fhir+json"}, timeout=300)
    answer.raise_for_status()
    place = next(
        entry["response"]["location"] for entry in answer.json()["entry"] if "Patient/" in entry["response"]["location"]
    )
    return {"patient": http.get(f"{base}/Patient/{place.split('Patient/')[1].split('/')[0]}", timeout=60).json()}


@dataclasses.dataclass
class Moved:
    """One move, measured."""

    clock: Clock
    verified: int
    bundles: int
    servers: float  # CPU seconds of both servers
    database: float  # CPU seconds of our PostgreSQL
    steps: dict[str, float]
    curl: Clock
    curl_servers: float


def move(chart: dict, alice: str, bob: str, servers: list[psutil.Process]) -> Moved:
    """Move one chart with an Exchange of its own, then send the same bundles by curl."""
    system = uuid.uuid4().hex
    with exchange(alice, bob, system) as made:
        bundles = recorded(made)
        request_id = made.submit(ask(chart, system))
        busy, ours = cpu_of(servers), cpu_of(postgres())
        with Clock() as clock:
            made.drain()
        busy, ours = cpu_of(servers) - busy, cpu_of(postgres()) - ours
        view = made.view(request_id)
        if not view["gathered"] == view["verified"] > 0:
            raise RuntimeError(f"the chart did not arrive: {[step['message'] for step in view['owed']]}")
        sent = [
            fhir_json.dumps(bundle).replace(system.encode(), uuid.uuid5(uuid.NAMESPACE_OID, system).hex.encode())
            for bundle in bundles
        ]
        again = cpu_of(servers)
        curl = by_curl(bob, sent)
        say(f"  {view['verified']} records in {clock.wall:.1f} s, curl {curl.wall:.1f} s")
        return Moved(
            clock, view["verified"], len(bundles), busy, ours, seconds_by_step(made), curl, cpu_of(servers) - again
        )


@contextlib.contextmanager
def exchange(alice: str, bob: str, system: str) -> Iterator[Exchange]:
    """An Exchange in this process with the default limits and an identifier system that no server has seen."""
    with temporary_folder() as folder:
        path = folder / "bootstrap.yaml"
        path.write_text(f"data_dir: {json.dumps(str(folder / 'data'))}\n", "utf-8")
        with fresh_database(load_config(path, {})) as database:
            made = Exchange(folder, database, alice=alice, bob=bob, system=f"urn:bench:{system}")
            try:
                yield widened(made, folder / "config.yaml")
            finally:
                made.close()


def widened(made: Exchange, path: Path) -> Exchange:
    narrow = path.read_text("utf-8")
    wide = narrow.replace(NARROW, "")
    if wide == narrow:
        raise RuntimeError("tests/jobs/exchange.py has other limits now: NARROW here must say the same")
    path.write_text(wide, "utf-8")
    config = load_config(path, {})
    made.world.servers.close()
    made.world = dataclasses.replace(
        made.world, config=config, servers=Servers(config, before=partial(wait_for_turn, made.engine))
    )
    return made


def recorded(made: Exchange) -> list[dict]:
    """The transactions that go to the fulfiller from now on."""
    server, sent = made.world.servers.server("bob"), []
    send = server.observed(ignore, allow_writes).transaction

    def transaction(bundle: dict) -> dict:
        sent.append(bundle)
        return send(bundle)

    server.transaction = transaction
    return sent


def by_curl(base: str, bundles: list[bytes]) -> Clock:
    """The same bytes, one curl after the other; every entry must be created anew or the comparison is void."""
    command = [
        "curl",
        "-sS",
        "--fail",
        "--noproxy",
        "*",
        "-H",
        "Content-Type: application/fhir+json",
        "--data-binary",
        "@-",
        base,
    ]
    with Clock() as clock:
        answers = [subprocess.run(command, input=data, capture_output=True, check=True).stdout for data in bundles]
    old = [
        entry
        for answer in answers
        for entry in json.loads(answer)["entry"]
        if not entry["response"]["status"].startswith("201")
    ]
    if old:
        raise RuntimeError(f"curl created nothing for {len(old)} entries: they were there already")
    return clock


def seconds_by_step(made: Exchange) -> dict[str, float]:
    """Wall seconds by kind of step, in the order they began."""
    spent = func.extract("epoch", func.sum(attempts.c.finished_at - attempts.c.started_at))
    with made.engine.connect() as conn:
        return {
            kind: float(seconds)
            for kind, seconds in conn.execute(
                select(attempts.c.kind, spent).group_by(attempts.c.kind).order_by(func.min(attempts.c.id))
            )
        }


def rows(moved: Moved) -> list[Row]:
    """What the measurements say."""
    clock, push, curl = moved.clock, moved.steps["push_records"], moved.curl
    everybody = clock.own + moved.servers + moved.database
    return [
        Row("records moved and verified", moved.verified, "", f"{moved.bundles} transactions of at most 100"),
        Row(
            "whole move, request included",
            clock.wall,
            "s",
            f"{moved.verified / clock.wall:.0f} records/s: gather, match, push, read back, ask",
        ),
        *(Row(f"of it {kind}", seconds, "s") for kind, seconds in moved.steps.items()),
        Row("CPU of our process", clock.own, "s", "all threads; the waits for the servers are not in it"),
        Row("CPU of our PostgreSQL", moved.database, "s"),
        Row("CPU of the two servers", moved.servers, "s"),
        below("our process / whole time", clock.own / clock.wall, "times", 0.2, "CPU against wall"),
        below(
            "our process / CPU of all",
            clock.own / everybody,
            "times",
            0.2,
            "does not depend on what else the machine does",
        ),
        Row(
            "the same bundles by curl",
            curl.wall,
            "s",
            f"one after the other, every entry created anew; {moved.curl_servers:.1f} s CPU in the servers",
        ),
        Row(
            "push_records / curl",
            push / curl.wall,
            "times",
            "sending only: what gathering, rewriting and storing links add is the rest",
        ),
        Row(
            "whole move / curl",
            clock.wall / curl.wall,
            "times",
            "curl neither reads the chart, nor reads back, nor asks",
        ),
    ]
