"""A third party drives the Exchange as its users do: `serve` and `submit`, a consultant who speaks plain FHIR, and a count."""
import base64
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests
import simplejson

pytestmark = [pytest.mark.hapi, pytest.mark.postgres]
ROOT = Path(__file__).parent.parent.parent
CHART = "Lourdes_*.json"        # accents, an allergy, an ImagingStudy, two organizations
WAIT_SECONDS = 120
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
    """A real chart at the placer under a name and numbers of this run's own, so that no server knows the patient yet."""

    def __init__(self, base: str, path: Path):
        bundle = simplejson.loads(path.read_bytes(), use_decimal=True)
        self.patient = next(entry["resource"] for entry in bundle["entry"] if entry["resource"]["resourceType"] == "Patient")
        self.patient["name"][0]["family"] += f"-{uuid.uuid4().hex[:8]}"
        for each in self.patient["identifier"]:
            each["value"] = str(uuid.uuid4())
        answer = HTTP.post(base, data=simplejson.dumps(bundle, use_decimal=True).encode(), timeout=300,
                           headers={"Content-Type": "application/fhir+json"})
        answer.raise_for_status()
        self.sources = ["/".join(entry["response"]["location"].split("/_history")[0].split("/")[-2:])
                        for entry in answer.json()["entry"]]
        self.reference = next(source for source in self.sources if source.startswith("Patient/"))

    @property
    def identifier(self) -> dict:
        """A number of the patient's with a system."""
        return next({"system": each["system"], "value": each["value"]} for each in self.patient["identifier"] if "system" in each)

    def request(self) -> dict:
        """A request file about this patient."""
        name = self.patient["name"][0]
        return {"key": f"third-party-{uuid.uuid4()}", "placer": "primary-care", "fulfiller": "consultant",
                "patient": {"identifiers": [self.identifier], "birth_date": self.patient["birthDate"],
                            "name": {"family": name["family"], "given": name["given"]}},
                "requester": {"name": {"family": "Archer"}}, "question": "Is surgery needed?",
                "specialty": {"system": "http://nucc.org/provider-taxonomy", "code": "207RX0202X"},
                "first_opinion": {"doctor": {"name": {"family": "Cárdenas"}}, "diagnosis": {"text": "synthetic diagnosis"}},
                "patient_questions": ["Can I wait?"]}


@pytest.fixture
def config(servers) -> Iterator[Path]:
    """A configuration of two endpoints, in a folder the account PostgreSQL runs as may enter."""
    folder = Path(tempfile.mkdtemp(prefix="second-opinion-third-party-"))
    folder.chmod(0o711)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    path = folder / "config.yaml"
    path.write_text(CONFIG.format(folder=folder, port=port, placer=servers.placer, fulfiller=servers.fulfiller), "utf-8")
    yield path
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def exchange(config: Path) -> Iterator[subprocess.Popen]:
    """`second-opinion --config X serve` as its user starts it."""
    with (config.parent / "serve.log").open("wb") as log:
        process = subprocess.Popen([*command(config), "serve"], stdout=log, stderr=log, cwd=ROOT)
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(60)


def test_a_third_party_sees_the_loop_close(servers, data_folder, config: Path, exchange: subprocess.Popen) -> None:
    chart = Chart(servers.placer, next((data_folder / "synthea").glob(CHART)))
    file = config.parent / "request.json"
    file.write_text(json.dumps(chart.request(), ensure_ascii=False), "utf-8")
    request_id = submit(config, file, exchange).split()[0]

    consultant = Consultant(servers.fulfiller, chart.identifier)
    consultant.answer(wait_for(consultant.task, "a Task with status requested", exchange))

    report = wait_for(lambda: report_at(servers.placer, chart.reference), "the report at the placer", exchange)
    assert base64.b64decode(report["content"][0]["attachment"]["data"]) == REPORT
    assert copies_of(chart, servers) == {source: 1 for source in chart.sources}

    before = everything(servers)
    assert submit(config, file, exchange).split()[0] == request_id
    time.sleep(4)       # several ticks of every schedule
    assert everything(servers) == before


class Consultant:
    """Works at the fulfiller with nothing but FHIR."""

    def __init__(self, base: str, patient: dict):
        self.base, self.identifier = base, f"{patient['system']}|{patient['value']}"

    def task(self) -> dict | None:
        """The Task that asks about the patient."""
        patients = search(self.base, "Patient", identifier=self.identifier)
        found = search(self.base, "Task", status="requested", patient=patients[0]["id"]) if patients else []
        return found[0] if found else None

    def answer(self, task: dict) -> None:
        """Accept, work, write the report, complete."""
        task = self.put({**task, "status": "accepted"})
        task = self.put({**task, "status": "in-progress"})
        report = write(HTTP.post, f"{self.base}/DocumentReference", {
            "resourceType": "DocumentReference", "status": "current", "subject": task["for"],
            "type": {"coding": [{"system": "http://loinc.org", "code": "11488-4"}]}, "context": {"related": [task["focus"]]},
            "content": [{"attachment": {"contentType": "application/pdf", "data": base64.b64encode(REPORT).decode()}}]})
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
        for kind, sources in by_type(chart.sources[start:start + 30]).items():
            tokens = ",".join(f"{servers.placer}|{source}" for source in sources)
            for resource in search(servers.fulfiller, kind, identifier=tokens):
                own = [each["value"] for each in resource["identifier"] if each.get("system") == servers.placer]
                counted.update({value: counted[value] + 1 for value in own})
    return counted


def by_type(sources: list[str]) -> dict[str, list[str]]:
    """Sources by resource type."""
    return {kind: [source for source in sources if source.startswith(f"{kind}/")]
            for kind in sorted({source.split("/")[0] for source in sources})}


def everything(servers) -> Counter:
    """How many resources of each type that could be written twice both servers hold."""
    kinds = ("Patient", "Practitioner", "Organization", "Observation", "Encounter", "ServiceRequest", "Task", "Communication",
             "DocumentReference", "Provenance", "Claim")
    return Counter({(base, kind): get(f"{base}/{kind}", _summary="count")["total"]
                    for base in (servers.placer, servers.fulfiller) for kind in kinds})


def submit(config: Path, file: Path, exchange: subprocess.Popen) -> str:
    """What `second-opinion submit FILE` prints, as soon as `serve` is ready for it."""
    ready = config.parent.joinpath("data", "postgres")
    wait_for(ready.exists, "the database", exchange)
    done = subprocess.run([*command(config), "submit", str(file)], capture_output=True, text=True, timeout=WAIT_SECONDS,
                          cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def command(config: Path) -> list[str]:
    """The installed command, or the module where it is not installed beside this Python."""
    installed = Path(sys.executable).with_name("second-opinion")
    start = [str(installed)] if os.access(installed, os.X_OK) else [sys.executable, "-m", "second_opinion"]
    return [*start, "--config", str(config)]


def wait_for(question: Callable, what: str, exchange: subprocess.Popen):
    """The first answer that is true. Fails with the log of `serve` when time is over or it ended."""
    until = time.monotonic() + WAIT_SECONDS
    while not (answer := question()):
        if exchange.poll() is not None or time.monotonic() > until:
            pytest.fail(f"waited in vain for {what}")
        time.sleep(0.3)
    return answer


def search(base: str, kind: str, **params: str) -> list[dict]:
    """All matches; no search here has more than one page."""
    bundle = get(f"{base}/{kind}", _count="200", **params)
    assert not [link for link in bundle.get("link", ()) if link["relation"] == "next"]
    return [entry["resource"] for entry in bundle.get("entry", ()) if entry["resource"]["resourceType"] == kind]


def get(url: str, **params: str) -> dict:
    """GET FHIR JSON."""
    answer = HTTP.get(url, params=params, timeout=60)
    answer.raise_for_status()
    return answer.json()


def write(method: Callable[..., requests.Response], url: str, resource: dict) -> dict:
    """PUT or POST FHIR JSON; the resource as stored."""
    answer = method(url, json=resource, timeout=60, headers={"Content-Type": "application/fhir+json",
                                                             "Prefer": "return=representation"})
    answer.raise_for_status()
    return answer.json()
