"""``make demo``: one synthetic second opinion travels the whole loop over real HTTP, each step printed as it happens."""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import requests
import simplejson

from jobs.supervisor import die_with_parent

EXAMPLES = Path(__file__).resolve().parent.parent / "examples" / "demo"
PORT = 8080
LIMIT_SECONDS = 180
NPI = "http://hl7.org/fhir/sid/us-npi"
HILLSIDE_IDS = "https://hillside.example/ids"
REQUESTER, CONSULTANT = "Synthetic-Álvarez", "Synthetic-Brontë"  # in the chart
CONFIG = """\
# Written by the demo; synthetic data only.
data_dir: {data_dir}
web: {{host: 127.0.0.1, port: {port}}}
hosted:
  - {{practice: hillside, name: Hillside Family Practice}}
  - {{practice: lakeview, name: Lakeview Cancer Center}}
endpoints:
  hillside: {{base_url: "hosted:hillside", role: placer, name: Hillside Family Practice, default_fulfiller: lakeview,
             identifier_system: "{hillside}", limits: {{requests_per_second: 200}}}}
  lakeview: {{base_url: "hosted:lakeview", role: fulfiller, name: Lakeview Cancer Center, accepts: resources, patients: create,
             limits: {{requests_per_second: 200}}}}
schedules: {{dispatch_seconds: 1, poll_requests_seconds: 1, watch_seconds: 1}}
"""


def run_demo(data_dir: Path | None, *, exit_at_end: bool, as_json: bool) -> int:
    """Start the Exchange, load the chart, let a consultant who speaks only FHIR answer, watch the loop close."""
    data_dir = (data_dir or Path("data/demo")).absolute()
    data_dir.mkdir(parents=True, exist_ok=True)
    port = int(os.environ.get("DEMO_PORT", PORT))
    config = data_dir / "config.yaml"
    config.write_text(CONFIG.format(data_dir=json.dumps(str(data_dir)), port=port, hillside=HILLSIDE_IDS))
    say = Teller(quiet=as_json)
    say(f"starting the Exchange with its own PostgreSQL in {data_dir}")
    with tempfile.TemporaryFile() as noise:
        exchange = start("-m", "second_opinion", "--config", str(config), "serve", stderr=noise)
        try:
            return _loop(exchange, f"http://127.0.0.1:{port}", say, exit_at_end, as_json)
        finally:
            exchange.terminate()
            exchange.wait(40)


class Teller:
    """Prints each step with the seconds since the start."""

    def __init__(self, *, quiet: bool):
        self.began, self.quiet = time.monotonic(), quiet

    def __call__(self, words: str) -> None:
        print(
            f"[{time.monotonic() - self.began:6.1f} s] {words}",
            file=sys.stderr if self.quiet else sys.stdout,
            flush=True,
        )

    @property
    def seconds(self) -> float:
        """Since the start."""
        return round(time.monotonic() - self.began, 1)


def start(*arguments: str, stderr=None) -> subprocess.Popen:
    """A Python process of ours that ends with us."""
    return subprocess.Popen([sys.executable, *arguments], stderr=stderr, preexec_fn=die_with_parent)


def _loop(exchange: subprocess.Popen, base: str, say: Teller, exit_at_end: bool, as_json: bool) -> int:
    wait_for(lambda: _answers(f"{base}/health/ready"), "the Exchange to be ready", exchange, seconds=120)
    say(f"the Exchange is ready: {base}/")
    before = {each["request_id"] for each in known_requests(base) if each["status"] == "completed"}
    resources, ordered = load_chart(f"{base}/fhir/hillside")
    say(
        f"primary care EHR (hillside) holds the chart: {resources} resources; its ServiceRequest asks for a second opinion"
    )
    consultant = start(
        str(EXAMPLES / "consultant.py"),
        "--base",
        f"{base}/fhir/lakeview",
        "--timeout",
        str(LIMIT_SECONDS),
        stderr=subprocess.DEVNULL if as_json else None,
    )
    try:
        view = follow(base, say, exchange, before if ordered else set())
    finally:
        consultant.terminate()
    say(
        "the loop is closed: the report was found in the primary care EHR"
        if view.get("closed")
        else "the loop is NOT closed"
    )
    result = summary(base, view, say.seconds)
    if not exit_at_end:
        stay(base, view["request_id"], exchange)
    if as_json:
        print(json.dumps(result), flush=True)
    elif exit_at_end:
        print(json.dumps(result, indent=1))
    return 0 if result["closed"] else 1


def load_chart(base: str) -> tuple[int, bool]:
    """Put the synthetic chart into the primary care EHR over FHIR, and an order for a second opinion; once.

    Returns how many resources the chart has, and whether a new order was placed.
    When an earlier demo's loop is closed, a new order makes a new request about the same patient.
    """
    chart = json_of(EXAMPLES / "chart.json")
    patient = next(entry["resource"] for entry in chart["entry"] if entry["resource"]["resourceType"] == "Patient")
    mrn = f"{patient['identifier'][0]['system']}|{patient['identifier'][0]['value']}"
    if not get(f"{base}/Patient", {"identifier": mrn}).get("entry"):
        post(base, chart)
    places = {
        word: get(f"{base}/{kind}", {"identifier": token})["entry"][0]["resource"]["id"]
        for word, kind, token in (
            ("PATIENT-ID", "Patient", mrn),
            ("REQUESTER-ID", "Practitioner", npi_of(chart, REQUESTER)),
            ("CONSULTANT-ID", "Practitioner", npi_of(chart, CONSULTANT)),
        )
    }
    patient_there = f"Patient/{places['PATIENT-ID']}"
    orders = len(get(f"{base}/ServiceRequest", {"patient": patient_there, "_count": "200"}).get("entry", ()))
    still_open = len(get(f"{base}/ServiceRequest", {"patient": patient_there, "status": "active"}).get("entry", ()))
    if not still_open:
        text = (EXAMPLES / "service_request.json").read_text(encoding="utf-8")
        for word, value in {**places, "SO-2026-0001": f"SO-2026-{orders + 1:04d}"}.items():
            text = text.replace(word, value)
        post(f"{base}/ServiceRequest", simplejson.loads(text, use_decimal=True))
    return len(chart["entry"]), not still_open


def npi_of(chart: dict, family: str) -> str:
    """The search token of a practitioner of the chart."""
    person = next(
        entry["resource"]
        for entry in chart["entry"]
        if entry["resource"]["resourceType"] == "Practitioner" and entry["resource"]["name"][0]["family"] == family
    )
    return f"{NPI}|{person['identifier'][0]['value']}"


def json_of(path: Path) -> dict:
    """FHIR JSON from a file, decimals kept."""
    return simplejson.loads(path.read_bytes(), use_decimal=True)


def get(url: str, params: dict) -> dict:
    """GET FHIR JSON."""
    response = requests.get(url, params=params, timeout=60)
    response.raise_for_status()
    return response.json()


def post(url: str, body: dict, headers: dict | None = None) -> dict:
    """POST FHIR JSON, decimals kept."""
    response = requests.post(
        url,
        data=simplejson.dumps(body, use_decimal=True).encode(),
        timeout=60,
        headers={"Content-Type": "application/fhir+json", **(headers or {})},
    )
    response.raise_for_status()
    return response.json()


def follow(base: str, say: Teller, exchange: subprocess.Popen, before: set[str]) -> dict:
    """Print what changes until the newest request that is not among ``before`` is closed or needs a person."""
    told: set[str] = set()
    until = time.monotonic() + LIMIT_SECONDS
    view: dict = {}
    while time.monotonic() < until and exchange.poll() is None:
        view = _newest(base, before) or view
        for words in news(view):
            if words not in told:
                told.add(words)
                say(words)
        if view.get("closed") or any(step["status"] == "parked" for step in view.get("owed", ())):
            break
        time.sleep(0.2)
    return view


def news(view: dict) -> list[str]:
    """What there is to tell about a request by now."""
    if not view:
        return []
    told = [f"request {view['request_id']} taken in: recognised by its codes"]
    told += [
        f"packet {each['version']}: {each['resources']} resources and {each['attachments']} attachments gathered, "
        f"{each['bytes']:,} bytes"
        for each in view["packets"]
    ]
    told += [
        f"delivery of the {each['kind']} to {each['endpoint']}: {each['status']}"
        for each in view["deliveries"]
        if each["status"] in ("sent", "verified", "parked")
    ]
    told += [
        f"the consultant: {each['status']}" for each in view["events"] if each["status"] not in (None, "requested")
    ]
    told += [
        f"waits for a person: {step['message']} {step['action']}" for step in view["owed"] if step["status"] == "parked"
    ]
    return told


def summary(base: str, view: dict, seconds: float) -> dict:
    """The last line of ``--json``."""
    if not view:
        return {"request_id": None, "status": None, "closed": False, "seconds": seconds}
    keys = ("request_id", "status", "closed", "gathered", "sent", "verified", "report_verified")
    return {
        **{key: view[key] for key in keys},
        "duplicates": duplicates(base, view),
        "findings": len(view["findings"]),
        "seconds": seconds,
    }


def duplicates(base: str, view: dict) -> int:
    """Counted at the consulting provider itself: resources that share one source identifier."""
    doubled = 0
    for source in {item["source"] for item in _items(base, view)}:
        kind = source.split("/")[0]
        found = requests.get(
            f"{base}/fhir/lakeview/{kind}", timeout=30, params={"identifier": f"{HILLSIDE_IDS}|{source}"}
        ).json()
        doubled += max(0, len(found.get("entry", ())) - 1)
    return doubled


def _items(base: str, view: dict) -> list[dict]:
    return requests.get(f"{base}/api/requests/{view['request_id']}/items", timeout=30).json()


def known_requests(base: str) -> list[dict]:
    """The requests the Exchange knows, newest first."""
    return requests.get(f"{base}/api/requests", timeout=10).json()


def _newest(base: str, before: set[str]) -> dict | None:
    try:
        found = [each for each in known_requests(base) if each["request_id"] not in before]
        return requests.get(f"{base}/api/requests/{found[0]['request_id']}", timeout=10).json() if found else None
    except (requests.RequestException, ValueError):
        return None


def _answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=5).status_code == 200
    except requests.RequestException:
        return False


def wait_for(question, what: str, process: subprocess.Popen, *, seconds: float) -> None:
    """Ask until yes. Exits with a sentence when the process ended or time is over."""
    until = time.monotonic() + seconds
    while not question():
        if process.poll() is not None or time.monotonic() > until:
            process.terminate()
            sys.exit(
                f"waited {seconds:.0f} s for {what} in vain; is another program on the same port? "
                "Run second-opinion --config data/demo/config.yaml serve to read its messages, or set DEMO_PORT."
            )
        time.sleep(0.1)


def stay(base: str, request_id: str, exchange: subprocess.Popen) -> None:
    """Keep running for a person to look around."""
    print(
        f"\nLook at it (Ctrl-C ends):\n  operations   {base}/\n  this request {base}/requests/{request_id}\n"
        f"  its packet   {base}/requests/{request_id}/packet\n  health       {base}/health/ready",
        flush=True,
    )
    try:
        exchange.wait()
    except KeyboardInterrupt:
        print("stopping")
