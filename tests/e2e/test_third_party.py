"""A third party drives the Exchange as its users do: `serve`, `submit`, a consultant who speaks plain FHIR, a count."""

import base64
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests
import simplejson

pytestmark = [pytest.mark.hapi, pytest.mark.postgres]
ROOT = Path(__file__).parent.parent.parent
CHART = "Lourdes_*.json"  # accents, an allergy, an ImagingStudy, two organizations
WAIT_SECONDS = 120
OF_A_PATIENT = ("Observation", "Encounter", "Claim", "ServiceRequest", "Task", "Communication", "DocumentReference")
REPORT = b"%PDF-1.7 synthetic opinion: we agree with the first one."
CONFIG = """\
data_dir: {folder}/data
web: {{port: {port}}}
endpoints:
  primary-care: {{base_url: "{placer}", role: placer, name: Primary Care}}
  consultant: {{base_url: "{fulfiller}", role: fulfiller, name: Consultant, accepts: resources, patients: create}}
schedules: {{dispatch_seconds: 1, poll_requests_seconds: 1, watch_seconds: 1}}
"""
HTTP = requests.Session()
HTTP.trust_env = False
HTTP.headers["Cache-Control"] = "no-cache"


class Chart:
    """A real chart at the placer, its patient renamed and renumbered so that no server knows them yet."""

    def __init__(self, base: str, path: Path):
        bundle = simplejson.loads(path.read_bytes(), use_decimal=True)
        self.patient = next(
            entry["resource"] for entry in bundle["entry"] if entry["resource"]["resourceType"] == "Patient"
        )
        self.requester = f"Archer-{uuid.uuid4().hex[:8]}"
        self.patient["name"][0]["family"] += f"-{uuid.uuid4().hex[:8]}"
        for each in self.patient["identifier"]:
            each["value"] = str(uuid.uuid4())
        answer = HTTP.post(
            base,
            data=simplejson.dumps(bundle, use_decimal=True).encode(),
            timeout=300,
            headers={"Content-Type": "application/fhir+json"},
        )
        answer.raise_for_status()
        self.sources = [
            "/".join(entry["response"]["location"].split("/_history")[0].split("/")[-2:])
            for entry in answer.json()["entry"]
        ]
        self.reference = next(source for source in self.sources if source.startswith("Patient/"))

    @property
    def identifier(self) -> dict:
        """A number of the patient's with a system."""
        found = next(each for each in self.patient["identifier"] if "system" in each)
        return {"system": found["system"], "value": found["value"]}

    def request(self) -> dict:
        """A request file about this patient."""
        name = self.patient["name"][0]
        return {
            "key": f"third-party-{uuid.uuid4()}",
            "placer": "primary-care",
            "fulfiller": "consultant",
            "patient": {
                "identifiers": [self.identifier],
                "birth_date": self.patient["birthDate"],
                "name": {"family": name["family"], "given": name["given"]},
            },
            "requester": {"name": {"family": self.requester}},
            "question": "Is surgery needed?",
            "specialty": {"system": "http://nucc.org/provider-taxonomy", "code": "207RX0202X"},
            "first_opinion": {"doctor": {"name": {"family": "Cárdenas"}}, "diagnosis": {"text": "synthetic diagnosis"}},
            "patient_questions": ["Can I wait?"],
        }


class Exchange:
    """`second-opinion --config X serve` as its user starts it, and `submit` beside it."""

    def __init__(self, folder: Path, servers):
        self.log = folder / "serve.log"
        self.web = f"http://127.0.0.1:{free_port()}"
        config = folder / "config.yaml"
        config.write_text(
            CONFIG.format(
                folder=folder, port=self.web.rpartition(":")[2], placer=servers.placer, fulfiller=servers.fulfiller
            ),
            "utf-8",
        )
        self.command = [*second_opinion(), "--config", str(config)]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen([*self.command, "serve"], stdout=log, stderr=log, cwd=ROOT)

    def submit(self, file: Path) -> str:
        """The request id that `second-opinion submit FILE` prints."""
        done = subprocess.run(
            [*self.command, "submit", str(file)],
            capture_output=True,
            text=True,
            check=False,
            timeout=WAIT_SECONDS,
            cwd=ROOT,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.split()[0]

    def is_ready(self) -> bool:
        """True when it says so itself."""
        try:
            return HTTP.get(f"{self.web}/health/ready", timeout=5).ok
        except requests.ConnectionError:
            return False

    def wait_for(self, question: Callable, what: str):
        """The first answer that is true. Fails with the end of the log when time is over or `serve` ended."""
        until = time.monotonic() + WAIT_SECONDS
        while not (answer := question()):
            if self.process.poll() is not None or time.monotonic() > until:
                pytest.fail(f"waited in vain for {what}; serve said:\n{self.log.read_text('utf-8')[-3000:]}")
            time.sleep(0.3)
        return answer

    def stop(self) -> None:
        """As a service manager does."""
        self.process.terminate()
        self.process.wait(60)


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that the account PostgreSQL runs as may enter; pytest's own are closed to it when we are root."""
    made = Path(tempfile.mkdtemp(prefix="second-opinion-third-party-"))
    made.chmod(0o711)
    yield made
    shutil.rmtree(made, ignore_errors=True)


@pytest.fixture
def exchange(folder: Path, servers) -> Iterator[Exchange]:
    """Running and ready."""
    started = Exchange(folder, servers)
    try:
        started.wait_for(started.is_ready, "the Exchange to be ready")
        yield started
    finally:
        started.stop()


def test_a_third_party_sees_the_loop_close(servers, data_folder: Path, folder: Path, exchange: Exchange) -> None:
    chart = Chart(servers.placer, next((data_folder / "synthea").glob(CHART)))
    file = folder / "request.json"
    file.write_text(json.dumps(chart.request(), ensure_ascii=False), "utf-8")
    request_id = exchange.submit(file)

    consultant = Consultant(servers.fulfiller, chart.identifier)
    consultant.answer(exchange.wait_for(consultant.task, "a Task with status requested"))

    report = exchange.wait_for(lambda: report_at(servers.placer, chart.reference), "the report at the placer")
    assert base64.b64decode(report["content"][0]["attachment"]["data"]) == REPORT
    assert copies_of(chart, servers) == dict.fromkeys(chart.sources, 1)

    before = everything(chart, servers)
    assert before[servers.fulfiller, "Task"] == before[servers.fulfiller, "ServiceRequest"] == 1
    assert exchange.submit(file) == request_id
    time.sleep(4)  # several ticks of every schedule
    assert everything(chart, servers) == before
    assert copies_of(chart, servers) == dict.fromkeys(chart.sources, 1)


class Consultant:
    """Works at the fulfiller with nothing but FHIR."""

    def __init__(self, base: str, patient: dict):
        self.base, self.identifier = base, "|".join((patient["system"], patient["value"]))

    def task(self) -> dict | None:
        """The Task that asks about the patient."""
        patients = search(self.base, "Patient", identifier=self.identifier)
        found = search(self.base, "Task", status="requested", patient=patients[0]["id"]) if patients else []
        return found[0] if found else None

    def answer(self, task: dict) -> None:
        """Accept, work, write the report, complete."""
        task = self.put({**task, "status": "accepted"})
        task = self.put({**task, "status": "in-progress"})
        report = write(
            HTTP.post,
            f"{self.base}/DocumentReference",
            {
                "resourceType": "DocumentReference",
                "status": "current",
                "subject": task["for"],
                "type": {"coding": [{"system": "http://loinc.org", "code": "11488-4"}]},
                "context": {"related": [task["focus"]]},
                "content": [
                    {"attachment": {"contentType": "application/pdf", "data": base64.b64encode(REPORT).decode()}}
                ],
            },
        )
        output = {"type": {"text": "report"}, "valueReference": {"reference": f"DocumentReference/{report['id']}"}}
        self.put({**task, "status": "completed", "output": [output]})

    def put(self, resource: dict) -> dict:
        """Update, as stored."""
        return write(HTTP.put, f"{self.base}/{resource['resourceType']}/{resource['id']}", resource)


def report_at(base: str, patient: str) -> dict | None:
    """The consult note about the patient that is still in force."""
    found = search(base, "DocumentReference", type="http://loinc.org|11488-4", patient=patient)
    assert len(found) < 2
    return found[0] if found else None


def copies_of(chart: Chart, servers) -> dict[str, int]:
    """How many resources at the fulfiller carry each source identifier {base URL of the placer; Type/id}."""
    counted = dict.fromkeys(chart.sources, 0)
    for start in range(0, len(chart.sources), 30):
        for kind, sources in by_type(chart.sources[start : start + 30]).items():
            tokens = ",".join(f"{servers.placer}|{source}" for source in sources)
            for resource in search(servers.fulfiller, kind, identifier=tokens):
                own = [each["value"] for each in resource["identifier"] if each.get("system") == servers.placer]
                counted.update({value: counted[value] + 1 for value in own})
    return counted


def by_type(sources: list[str]) -> dict[str, list[str]]:
    """Sources by resource type."""
    return {
        kind: [source for source in sources if source.startswith(f"{kind}/")]
        for kind in sorted({source.split("/")[0] for source in sources})
    }


def everything(chart: Chart, servers) -> dict:
    """How much of what could be written twice both servers hold about the patient; other people may use them too."""
    counted = {
        (base, "Practitioner"): count(base, "Practitioner", family=chart.requester)
        for base in (servers.placer, servers.fulfiller)
    }
    for base in (servers.placer, servers.fulfiller):
        patients = search(base, "Patient", identifier="|".join(chart.identifier.values()))
        counted |= {(base, "Patient"): len(patients)}
        counted |= {(base, kind): count(base, kind, patient=patients[0]["id"]) for kind in OF_A_PATIENT}
    return counted


def second_opinion() -> list[str]:
    """The installed command, or the module where it is not installed beside this Python."""
    installed = Path(sys.executable).with_name("second-opinion")
    return [str(installed)] if os.access(installed, os.X_OK) else [sys.executable, "-m", "second_opinion"]


def free_port() -> int:
    """A port nobody listens on now."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def search(base: str, kind: str, **params: str) -> list[dict]:
    """All matches; no search here has more than one page."""
    bundle = get(f"{base}/{kind}", _count="200", **params)
    assert not [link for link in bundle.get("link", ()) if link["relation"] == "next"]
    return [entry["resource"] for entry in bundle.get("entry", ()) if entry["resource"]["resourceType"] == kind]


def count(base: str, kind: str, **params: str) -> int:
    """How many match."""
    return get(f"{base}/{kind}", _summary="count", **params)["total"]


def get(url: str, **params: str) -> dict:
    """GET FHIR JSON."""
    answer = HTTP.get(url, params=params, timeout=60)
    answer.raise_for_status()
    return answer.json()


def write(method: Callable[..., requests.Response], url: str, resource: dict) -> dict:
    """PUT or POST FHIR JSON; the resource as stored."""
    answer = method(
        url,
        json=resource,
        timeout=60,
        headers={"Content-Type": "application/fhir+json", "Prefer": "return=representation"},
    )
    answer.raise_for_status()
    return answer.json()
