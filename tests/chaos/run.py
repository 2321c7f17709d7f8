"""One chaos run: real processes are killed and frozen, the network lies, and at the end the oracle counts."""

import contextlib
import json
import math
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path

import psutil

from tests.chaos import oracle
from tests.chaos.away import AWAY
from tests.chaos.consultant import Consultant
from tests.chaos.corrections import Corrections, Record, observation, order
from tests.chaos.proxy import FAULTS, FaultProxy

CONFIG = """\
data_dir: {data}
web: {{port: {port}}}
hosted: [{{practice: hillside, name: Hillside}}, {{practice: lakeview, name: Lakeview}}]
endpoints:
  hillside: {{base_url: "{placer}", role: placer, identifier_system: "urn:chaos:hillside", default_fulfiller: lakeview,
             limits: {limits}{placer_keys}}}
  lakeview: {{base_url: "{fulfiller}", role: fulfiller, identifier_system: "urn:chaos:lakeview", accepts: {accepts},
             patients: create, limits: {limits}, capabilities: {capabilities}}}
schedules: {{dispatch_seconds: 1, poll_requests_seconds: {poll}, watch_seconds: {watch}, watch_chart_seconds: {watch_chart}}}
retry: {{first_retry_seconds: 0.5, max_retry_seconds: 3, max_attempts: 500}}
engine: {{lease_seconds: 5, concurrency: 8, workers: 2}}
"""
FHIR = "application/fhir+json"
VICTIMS = {"worker": 8, "web": 3, "postgres": 2, "serve": 1}  # role -> weight


@dataclass
class Result:
    """The last line of --json."""

    kills: int
    freezes: int
    requests: int
    lost: int
    duplicated: int
    stuck: int
    parked: int
    faults: int
    swallowed: int
    seconds: float
    seed: int
    victims: dict[str, int]  # kills by role; a ticker dies with its worker, there is one in each
    parked_for: dict[str, int]  # parked requests by cause
    form: str = "resources"
    corrections: dict[str, int] = field(default_factory=dict)  # what was changed at the source meanwhile
    stale: int = 0  # what does not say at the target what its source says now
    misfiled: int = 0  # what stands under another patient
    uninvited: int = 0  # what is there of patients about whom nobody asked

    def wrong(self) -> bool:
        """True when anything of the promise was broken, or so many wait for a person that the run says nothing of the others."""
        broken = (self.lost, self.duplicated, self.stuck, self.stale, self.misfiled, self.uninvited)
        return any(broken) or 4 * self.parked > self.requests


class Chaos:
    """A world of two hosted endpoints behind the proxy, a consultant, and a killer."""

    def __init__(
        self,
        folder: Path,
        *,
        seed: int,
        requests: int = 12,
        resources: int = 10,
        rate: float = 0.15,
        faults: dict[str, int] = FAULTS,
        accepts: str = "resources",
        corrections: bool = False,
        conditional_create: bool = True,
        servers: tuple[str, str] | None = None,
        placer_keys: str = "",
        placer_faults: dict[str, int] | None = None,
    ):
        self.folder, self.seed, self.number, self.resources = folder, seed, requests, resources
        self.random, self.form = random.Random(seed), accepts
        self.port = free_port()
        self.direct = f"http://127.0.0.1:{self.port}"
        own = (f"{self.direct}/fhir/hillside", f"{self.direct}/fhir/lakeview")
        self.placer, self.fulfiller = (given or mine for given, mine in zip(servers or ("", ""), own, strict=True))
        self.proxies = [
            FaultProxy(url, seed=seed + number, rate=rate, faults=fitting)
            for number, (url, fitting) in enumerate(((self.placer, placer_faults or faults), (self.fulfiller, faults)))
        ]
        capabilities = json.dumps({"conditional_create": conditional_create})
        self.config = folder / "config.yaml"
        self.config.write_text(
            CONFIG.format(
                data=json.dumps(str(folder / "data")),
                port=self.port,
                placer=self.proxies[0].address,
                fulfiller=self.proxies[1].address,
                accepts=accepts,
                poll=3 if corrections else 3600,
                watch_chart=5 if corrections else 3600,
                watch=max(1, requests // 20),  # two cores do no more than 20 watches a second beside all else
                capabilities=capabilities,
                placer_keys=placer_keys,
                limits="{timeout_seconds: 2, concurrency: 6, requests_per_second: 500, chunk_size: 4, search_lag_seconds: 1}",
            )
        )
        self.uninvited = range(requests, requests + 2)  # charts about which nobody asks
        self.corrections, self.with_corrections = (
            Corrections(self.placer, self.config, random.Random(seed), self.uninvited),
            corrections,
        )
        self.ids: list[str] = []  # of the requests handed in, by the patient's number
        self.ordered = range(requests + 2, requests + 2 + 2 * corrections)  # charts with an order in the EHR
        self.may_complete = threading.Event()  # until then the consultant ends only every other request
        self.exchange: subprocess.Popen | None = None
        self.log = (folder / "exchange.log").open("ab")
        self.freezes, self.victims = 0, Counter()
        self.first = self.random.sample(list(VICTIMS), len(VICTIMS))  # each at least once

    def start(self) -> None:
        """Start, or start again after the supervisor itself was killed."""
        self.exchange = subprocess.Popen(
            [sys.executable, "-m", "second_opinion", "--config", str(self.config), "serve"],
            stderr=self.log,
            stdout=self.log,
            start_new_session=True,
        )

    def run(
        self,
        kills: int,
        *,
        seconds_between: float = 1.0,
        settle_seconds: float = 300,
        heals_after: float = 60,
        kill_seconds: float = math.inf,
    ) -> Result:
        """Load, submit, kill ``kills`` times, then let it settle and count; the network goes on failing for ``heals_after`` seconds.

        After ``kill_seconds`` nothing more is killed, however few it were.
        """
        began = time.monotonic()
        self.start()
        with self.proxies[0], self.proxies[1], Consultant(self.fulfiller, self._may_complete):
            self.wait_ready()
            sources = [self.load_patient(number) for number in range(self.number)]
            for number in self.uninvited:
                self.load_patient(number)
            sources += [self.load_order(number) for number in self.ordered]
            ids = self.ids = [self.submit(number) for number in range(self.number // 2)]
            enough = threading.Event()
            corrected = ThreadPoolExecutor(1).submit(self.keep_correcting, enough)
            while self.victims.total() < kills and time.monotonic() < began + kill_seconds:
                time.sleep(self.random.uniform(0.3, 1.7) * seconds_between)
                self.kill_something()
                if len(ids) < self.number:
                    ids += [made for made in [self.submit(len(ids), patient_seconds=1)] if made]
            enough.set()
            while not corrected.done():
                self.revive()
                time.sleep(0.2)
            corrected.result()
            while len(ids) < self.number:
                ids += [made for made in [self.submit(len(ids))] if made]
            if self.with_corrections:
                found = self.of_orders()
                self.settle([], settle_seconds, heals_after, until=lambda: not self.stale())
                ids += found
            self.may_complete.set()
            open_ids, parked = self.settle(ids, settle_seconds, heals_after, until=lambda: not self.stale())
            result = self.count(sources, ids, open_ids, parked)
        result.seconds = round(time.monotonic() - began, 1)
        return result

    def stop(self) -> None:
        """End everything of ours."""
        if self.exchange is not None and self.exchange.poll() is None:
            self.exchange.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.exchange.wait(40)
        for process in self.processes():
            with contextlib.suppress(psutil.Error):
                process.kill()
        self.log.close()

    def processes(self) -> list[psutil.Process]:
        """Every process of this world: those that name its config, and its database servers."""
        found = []
        for process in psutil.process_iter(["cmdline", "pid"]):
            if process.pid != os.getpid() and any(
                part in (str(self.config), str(self.folder / "data" / "postgres"))
                for part in process.info["cmdline"] or ()
            ):
                found.append(process)
        return found

    def kill_something(self) -> None:
        """SIGKILL to a worker, the web, the postmaster or the supervisor; sometimes SIGSTOP longer than a lease."""
        role = self.first.pop() if self.first else self.random.choices([*VICTIMS, "freeze"], [*VICTIMS.values(), 1])[0]
        target = self.find("worker" if role == "freeze" else role)
        if target is None:
            role, target = "worker", self.find("worker")
        if target is None:
            return self.revive()
        with contextlib.suppress(psutil.Error):
            if role == "freeze":
                self.freezes += 1
                target.suspend()
                threading.Timer(7.0, lambda: _quietly(target.resume)).start()  # the lease is 5 s
            else:
                target.send_signal(signal.SIGKILL)
                self.victims[role] += 1
        return self.revive()

    def find(self, role: str) -> psutil.Process | None:
        """A random process of a role."""
        found = []
        for process in self.processes():
            with contextlib.suppress(psutil.Error):
                command = process.cmdline() or [""]  # one that has just died has none
                if (role == "postgres" and "postgres" in os.path.basename(command[0])) or role in command:
                    found.append(process)
        return self.random.choice(sorted(found, key=lambda process: process.pid)) if found else None

    def revive(self) -> None:
        """What an init system does: a supervisor that ended is started again."""
        if self.exchange.poll() is not None:
            self.start()

    def wait_ready(self, seconds: float = 90) -> None:
        """Until the Exchange answers ready."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            self.revive()
            with contextlib.suppress(*AWAY):
                if urllib.request.urlopen(f"{self.direct}/health/ready", timeout=5).status == 200:
                    return
            time.sleep(0.2)
        raise TimeoutError(f"the Exchange was not ready within {seconds} s; see {self.folder}/exchange.log")

    def keep_correcting(self, enough: threading.Event) -> None:
        """Correct one thing after the other, as people do who know nothing of the kills, until it is enough."""
        while self.with_corrections and not enough.wait(self.corrections.random.uniform(0.5, 3)):
            self.correct_something()

    def correct_something(self) -> None:
        """A record first and mostly; sometimes a question on the command line, or an order in the EHR.

        A command takes ten seconds on a busy machine: a run that began with one ended before a record was corrected.
        """
        chance = self.corrections.random
        what = chance.choices(["record", "question", "order"], [5, 2, 2])[0] if self.corrections.made else "record"
        held = [number for number, each in enumerate(self.ids) if self._is_held(each)]
        if what == "record":
            self.corrections.correct_record()
        elif what == "order":
            self.corrections.correct_order(chance.choice(self.ordered))
        elif what == "question" and held:
            number = chance.choice(held)
            self.corrections.revise(number, self.ids[number], self._request(number))

    def of_orders(self, seconds: float = 120) -> list[str]:
        """The requests that the Exchange found at the EHR: all that nobody handed in here."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            self.revive()
            with contextlib.suppress(*AWAY):
                listed = json.load(urllib.request.urlopen(f"{self.direct}/api/requests", timeout=10))
                found = [each["request_id"] for each in listed if each["request_id"] not in self.ids]
                if len(found) >= len(self.ordered):
                    return found
            time.sleep(0.5)
        raise TimeoutError(f"of {len(self.ordered)} orders in the EHR not all were found")

    def _may_complete(self, task: dict) -> bool:
        """Every other request is answered at once; the others when all that was corrected has arrived."""
        ids = {each["value"].removeprefix("Task/") for each in task.get("identifier", ())}
        return (
            self.may_complete.is_set()
            or not self.with_corrections
            or any(each in self.ids and not self._is_held(each) for each in ids)
        )

    def _is_held(self, request_id: str) -> bool:
        return self.ids.index(request_id) % 2 == 1

    def load_patient(self, number: int) -> list[str]:
        """A small synthetic chart in the placer's EHR; returns its ``Type/id`` list."""
        patient = {
            "resourceType": "Patient",
            "identifier": [{"system": "urn:chaos:mrn", "value": f"M{number}"}],
            "name": [{"family": f"Chaos{number}", "given": ["Casey"]}],
            "birthDate": "1960-01-01",
            "gender": "female",
        }
        subject = "urn:uuid:00000000-0000-4000-8000-000000000000"
        entries = [("Patient", patient)] + [
            ("Observation", observation(subject, number, index)) for index in range(self.resources - 1)
        ]
        bundle = {
            "resourceType": "Bundle",
            "type": "transaction",
            "entry": [
                {
                    "fullUrl": f"urn:uuid:00000000-0000-4000-8000-{index:012d}",
                    "resource": resource,
                    "request": {"method": "POST", "url": kind},
                }
                for index, (kind, resource) in enumerate(entries)
            ],
        }
        answer = self.post(self.placer, bundle, FHIR)
        sources = [entry["response"]["location"].split("/_history")[0] for entry in answer["entry"]]
        self.corrections.note_chart(number, sources)
        return sources

    def load_order(self, number: int) -> list[str]:
        """A chart, and an order about it in the placer's EHR, which the Exchange is to find there."""
        sources = self.load_patient(number)
        alice = {"resourceType": "Practitioner", "name": [{"family": "Alice"}]}
        requester = f"Practitioner/{self.post(f'{self.placer}/Practitioner', alice, FHIR)['id']}"
        made = self.post(f"{self.placer}/ServiceRequest", order(sources[0], requester, "Is the plan right?"), FHIR)
        self.corrections.orders[number] = (f"ServiceRequest/{made['id']}", sources[0], requester)
        self.corrections.questions[number] = ["Is the plan right?"]
        return sources

    def body(self, number: int) -> bytes:
        """A request as JSON."""
        return json.dumps(self._request(number)).encode()

    def _request(self, number: int) -> dict:
        return {
            "key": f"chaos-{number}",
            "placer": "hillside",
            "fulfiller": "lakeview",
            "question": "Is the plan right?",
            "patient": {
                "identifiers": [{"system": "urn:chaos:mrn", "value": f"M{number}"}],
                "name": {"family": f"Chaos{number}", "given": ["Casey"]},
                "birth_date": "1960-01-01",
            },
            "requester": {"name": {"family": "Alice"}},
            "specialty": {"system": "http://nucc.org/provider-taxonomy", "code": "207RX0202X"},
            "first_opinion": {"doctor": {"name": {"family": "Bob"}}, "diagnosis": {"text": "synthetic diagnosis"}},
            "records": {"types": ["Observation"]} if self.with_corrections else {},  # watched every few seconds
        }

    def submit(self, number: int, patient_seconds: float = 30) -> str | None:
        """Hand in a request as a coordinator would, again and again until it is acknowledged."""
        until = time.monotonic() + patient_seconds
        while time.monotonic() < until:
            with contextlib.suppress(*AWAY):
                made = self.post(f"{self.direct}/api/requests", self._request(number), "application/json")["request_id"]
                self.corrections.questions.setdefault(number, ["Is the plan right?"])
                return made
            self.revive()
            time.sleep(0.3)
        return None

    def post(self, url: str, body: dict, content_type: str) -> dict:
        """POST JSON straight to a server, not through the proxy."""
        request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": content_type})
        with urllib.request.urlopen(request, timeout=20) as response:
            return json.load(response)

    def settle(
        self, ids: list[str], seconds: float, heals_after: float = 60, until: Callable[[], bool] = lambda: True
    ) -> tuple[set[str], dict[str, str]]:
        """Wait until every request is closed or parked, and what ``until`` asks; faults go on for a while.

        Returns (still open, parked and why).
        """
        self.wait_ready()
        began, open_ids, parked = time.monotonic(), set(ids), {}
        while (open_ids - parked.keys() or not until()) and time.monotonic() < began + seconds:
            if time.monotonic() > began + heals_after:  # the network heals in the end
                for proxy in self.proxies:
                    proxy.rate = 0.0
            self.revive()
            for request_id in list(open_ids):
                with contextlib.suppress(*AWAY):
                    view = json.load(urllib.request.urlopen(f"{self.direct}/api/requests/{request_id}", timeout=10))
                    if view["closed"]:
                        open_ids.discard(request_id)
                    parked.update((request_id, step["cause"]) for step in view["owed"] if step["status"] == "parked")
            time.sleep(0.5 if open_ids else 3)
        return open_ids, {request_id: cause for request_id, cause in parked.items() if request_id in open_ids}

    def count(self, sources: list[list[str]], ids: list[str], open_ids: set[str], parked: dict[str, str]) -> Result:
        """Ask the oracle; what belongs to a parked request is not lost: a human was told. Doubled it must not be either."""
        charts = dict(zip(ids, sources, strict=True))
        there, records = self._standing(), self._asked_records()
        told = {number for request_id, number in self._numbers(ids).items() if request_id in parked}
        wrong = {
            "stale": self.stale(there, told),
            "misfiled": there.misfiled(records),
            "uninvited": there.uninvited(set(self.uninvited)),
            "doubled": there.doubled(),
            "open": sorted(open_ids),
            "parked": parked,
        }
        (self.folder / "wrong.json").write_text(json.dumps(wrong, indent=1))
        fine = {request_id: chart for request_id, chart in charts.items() if request_id not in parked}
        return Result(
            kills=self.victims.total(),
            freezes=self.freezes,
            requests=len(ids),
            lost=sum(each.lost for each in self._counted(fine)),
            duplicated=sum(each.duplicated for each in self._counted(charts)) + len(wrong["doubled"]),
            stuck=len(open_ids - parked.keys()),
            parked=len(parked),
            faults=sum(sum(proxy.done.values()) for proxy in self.proxies),
            swallowed=sum(proxy.done["swallow"] for proxy in self.proxies),
            seconds=0.0,
            seed=self.seed,
            victims=dict(self.victims),
            parked_for=dict(Counter(parked.values())),
            form=self.form,
            corrections=dict(self.corrections.made),
            stale=len(wrong["stale"]),
            misfiled=len(wrong["misfiled"]),
            uninvited=len(wrong["uninvited"]),
        )

    def _numbers(self, ids: list[str]) -> dict[str, int]:
        """Whose patient each request is about."""
        return dict(zip(ids, [*range(self.number), *self.ordered], strict=False))

    def stale(self, there: oracle.Standing | None = None, told: Collection[int] = ()) -> list[str]:
        """What does not say at the fulfiller what was said last at its source; everything while that server is away.

        Of the patients ``told`` a human was told.
        """
        try:
            there = there or self._standing()
        except AWAY:
            return ["the server does not answer"]
        of_form = there.stale_records if self.form == "resources" else there.stale_documents
        questions = {number: asked for number, asked in self.corrections.questions.items() if number not in told}
        return [
            *of_form([each for each in self._asked_records() if each.number not in told]),
            *there.stale_questions(questions),
        ]

    def _standing(self) -> oracle.Standing:
        return oracle.Standing.read(self.fulfiller, "urn:chaos:hillside")

    def _asked_records(self) -> list[Record]:
        return [each for each in self.corrections.records if each.number not in self.uninvited]

    def _counted(self, charts: dict[str, list[str]]) -> list[oracle.Count]:
        """Records, requests and reports of these requests, by identifier at both servers."""
        base = "https://second-opinion.example/ids"
        gone = {
            each.source for each in self.corrections.records if each.gone
        }  # whether its copy is marked is asked apart
        if self.form == "resources":
            sources = [source for chart in charts.values() for source in chart if source not in gone]
            records = oracle.count_records(self.fulfiller, "urn:chaos:hillside", sources)
        else:
            names = [f"DocumentReference/{each}-p1-rendition" for each in charts]
            records = oracle.count_by_system(self.fulfiller, "DocumentReference", base, names)
        asked = [
            oracle.count_by_system(self.fulfiller, kind, base, [f"{kind}/{each}" for each in charts])
            for kind in ("Task", "ServiceRequest")
        ]
        return [records, *asked, self.count_reports(list(charts))]

    def count_reports(self, ids: list[str]) -> oracle.Count:
        """What came back to the placer of these requests."""
        names = [f"DocumentReference/{each}-report-1" for each in ids]
        return oracle.count_by_system(self.placer, "DocumentReference", "https://second-opinion.example/ids", names)


def free_port() -> int:
    """A TCP port nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _quietly(action) -> None:
    with contextlib.suppress(psutil.Error):
        action()


def as_json(result: Result) -> str:
    """One line."""
    return json.dumps(asdict(result))
