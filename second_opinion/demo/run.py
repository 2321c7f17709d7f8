"""Starts the Exchange with a configuration of its own, lets both sides be played, and prints each step as it happens."""

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import IO, Any

import requests

from jobs.supervisor import die_with_parent
from mappings.model.delivery import ARRIVED
from second_opinion.demo.people import LetIn, born_on, how_to_play, let_in, link_for_the_patient
from second_opinion.demo.placer import load_chart
from second_opinion.demo.play import DECISION, Stage, answer, decide, read_as_patient
from second_opinion.demo.visitor import PageDiffers

PORT, TRIED_PORTS = 8080, 20
LIMIT_SECONDS = 180
LONGEST_WORDS = 600
READY_SECONDS = 120
HILLSIDE_IDS = "https://hillside.example/ids"
PRACTICES = ("hillside", "lakeview")
CONFIG = """\
# Written by the demo; synthetic data only.
data_dir: {data_dir}
web: {{host: 127.0.0.1, port: {port}, sign_in: required}}
hosted:
  - {{practice: hillside, name: Hillside Family Practice}}
  - {{practice: lakeview, name: Lakeview Cancer Center}}
endpoints:
  hillside: {{base_url: "hosted:hillside", role: placer, name: Hillside Family Practice, default_fulfiller: lakeview,
             identifier_system: "{hillside}", contact: "Front desk, +1 555 0100",
             records_office: {{name: Medical records, fax: "+1 555 0101"}}, limits: {{requests_per_second: 200}}}}
  lakeview: {{base_url: "hosted:lakeview", role: fulfiller, name: Lakeview Cancer Center, accepts: resources, patients: create,
             identifier_system: "https://lakeview.example/ids", contact: "Second opinion desk, +1 555 0199",
             records_office: {{name: Second opinion desk, fax: "+1 555 0198"}}, limits: {{requests_per_second: 200}}}}
schedules: {{dispatch_seconds: 1, poll_requests_seconds: 1, watch_seconds: 1}}
"""


def run_demo(data_dir: Path | None, *, exit_at_end: bool, as_json: bool) -> int:
    """Start the Exchange, load the chart, let its people act at the pages, watch the loop close."""
    data_dir = (data_dir or Path("data/demo")).absolute()
    data_dir.mkdir(parents=True, exist_ok=True)
    say = Teller(quiet=as_json)
    port = _port(say)
    config = data_dir / "config.yaml"
    config.write_text(CONFIG.format(data_dir=json.dumps(str(data_dir)), port=port, hillside=HILLSIDE_IDS))
    say(f"starting the Exchange with its own PostgreSQL in {data_dir}")
    with tempfile.TemporaryFile(mode="w+") as words:
        exchange = start("-m", "second_opinion", "--config", str(config), "serve", stderr=words)
        try:
            _wait_until_ready(exchange, f"http://127.0.0.1:{port}", words)
            site = Site(f"http://127.0.0.1:{port}", let_in(config, PRACTICES))
            return _loop(exchange, site, say, config, exit_at_end=exit_at_end, as_json=as_json)
        except PageDiffers as error:
            print(f"the people of the demo cannot go on: {str(error)[:LONGEST_WORDS]}", file=sys.stderr)
            return 1
        except KeyboardInterrupt:
            print("stopped", file=sys.stderr)
            return 130
        finally:
            exchange.terminate()
            exchange.wait(40)


@dataclass(frozen=True)
class Site:
    """The Exchange as the scripts reach it."""

    base: str
    let: LetIn

    def api(self, path: str, seconds: int = 30) -> Any:
        """The JSON of a path of its API."""
        return self._get(f"{self.base}/api{path}", self.let.token, seconds)

    def fhir(self, practice: str, path: str, **params: str) -> Any:
        """The JSON of a path of a practice's FHIR endpoint."""
        return self._get(f"{self.base}/fhir/{practice}{path}", self.let.practices[practice], 30, params)

    def _get(self, url: str, token: str, seconds: int, params: dict | None = None) -> Any:
        answer = requests.get(url, params=params, timeout=seconds, headers={"Authorization": f"Bearer {token}"})
        answer.raise_for_status()
        return answer.json()


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


def _port(say: Teller) -> int:
    """DEMO_PORT, else 8080, else the next free one: what listens there already is somebody else's Exchange, or no Exchange."""
    wanted = int(os.environ.get("DEMO_PORT", PORT))
    port = next((each for each in range(wanted, wanted + TRIED_PORTS) if _is_free(each)), None)
    if port is None:
        sys.exit(f"ports {wanted} to {wanted + TRIED_PORTS - 1} are all taken: set DEMO_PORT to a free one")
    if port != wanted:
        say(f"port {wanted} is taken by another program; this demo uses {port} (DEMO_PORT chooses another)")
    return port


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def start(*arguments: str, stderr: IO[str] | int | None = None) -> subprocess.Popen:
    """A Python process of ours that ends with us."""
    return subprocess.Popen([sys.executable, *arguments], stderr=stderr, preexec_fn=die_with_parent)


def _wait_until_ready(exchange: subprocess.Popen, base: str, words: IO[str]) -> None:
    """Until our own ``serve`` answers. Exits with its words when it ended, or when time is over."""
    until = time.monotonic() + READY_SECONDS
    while not _answers(f"{base}/health/ready"):
        if exchange.poll() is not None or time.monotonic() > until:
            break
        time.sleep(0.1)
    else:
        if exchange.poll() is None:
            return
    words.seek(0)
    said = words.read().strip().splitlines()[-5:]
    sys.exit("\n".join(["the Exchange did not start; its last words:", *said]))


def _loop(
    exchange: subprocess.Popen, site: Site, say: Teller, config: Path, *, exit_at_end: bool, as_json: bool
) -> int:
    say(f"the Exchange is ready: {site.base}/")
    before = _closed(site)
    resources, ordered = load_chart(f"{site.base}/fhir/hillside", date.today(), site.let.practices["hillside"])
    say(
        f"primary care EHR (hillside) holds the chart: {resources} resources; its ServiceRequest asks for a second opinion"
    )
    told: set[str] = set()
    new = before if ordered else set()
    stage = Stage(site.base, site.let.passwords, say)
    view = follow(site, say, exchange, new, told, until_asked=True)
    if view and not view["closed"] and _is_asked(view):
        answer(stage, view["request_id"])
        view = follow(site, say, exchange, new, told)
    say(
        "the loop is closed: the report was found in the primary care EHR"
        if view.get("closed")
        else "the loop is NOT closed"
    )
    result = summary(site, view, say.seconds)
    if view:
        say(records_for_the_visit(site, view["request_id"]))
    if view.get("closed"):
        result |= {"decision": decision(stage, config, view["request_id"])}
    if not exit_at_end and view:
        stay(site, say, exchange, config)
    if as_json:
        print(json.dumps(result), flush=True)
    elif exit_at_end:
        print(json.dumps(result, indent=1))
    return 0 if result["closed"] else 1


def decision(stage: Stage, config: Path, request_id: str) -> str:
    """The practice that asked reads the report and decides; the patient reads it too. What was decided, as its page says it."""
    link = decide(stage, request_id)
    read_as_patient(stage, link, born_on(config, request_id))
    return DECISION


def follow(
    site: Site,
    say: Teller,
    exchange: subprocess.Popen,
    before: set[str],
    told: set[str],
    *,
    until_asked: bool = False,
) -> dict:
    """Print what changes until the newest request that is not among ``before`` is closed or needs a person.

    ``told``: what was printed already; it grows. ``until_asked``: until the consultant has the request.
    """
    until = time.monotonic() + LIMIT_SECONDS
    view: dict = {}
    while time.monotonic() < until and exchange.poll() is None:
        view = _newest(site, before) or view
        for words in news(view):
            if words not in told:
                told.add(words)
                say(words)
        if view.get("closed") or any(step["status"] == "parked" for step in view.get("owed", ())):
            break
        if until_asked and _is_asked(view):
            break
        time.sleep(0.2)
    return view


def _is_asked(view: dict) -> bool:
    return any(each["kind"] == "request" and each["status"] in ARRIVED for each in view.get("deliveries", ()))


def news(view: dict) -> list[str]:
    """What there is to tell about a request by now."""
    if not view:
        return []
    told = [f"request {view['request_id']} received: recognized by its codes"]
    told += [
        f"packet {each['version']}: {each['resources']} resources and {each['attachments']} attachments gathered, "
        f"{each['bytes']:,} bytes"
        for each in view["packets"]
    ]
    told += [
        f"delivery of the {each['kind']} to {each['endpoint']}: {each['status']}"
        for each in view["deliveries"]
        if each["status"] in (*ARRIVED, "sent", "parked")
    ]
    told += [
        f"the consultant: {each['status']}" for each in view["events"] if each["status"] not in (None, "requested")
    ]
    told += [
        f"waits for a person: {step['message']} {step['action']}" for step in view["owed"] if step["status"] == "parked"
    ]
    return told


def records_for_the_visit(site: Site, request_id: str) -> str:
    """How the records stand against the checklist, in one line."""
    found = site.api(f"/requests/{request_id}/checklist")
    counts = ", ".join(f"{number} {state}" for state, number in found["counts"].items())
    return f"records for the visit ({found['title']}): {counts}; {site.base}/requests/{request_id}/checklist"


def summary(site: Site, view: dict, seconds: float) -> dict:
    """The last line of ``--json``."""
    if not view:
        return {"request_id": None, "status": None, "closed": False, "seconds": seconds}
    keys = ("request_id", "status", "closed", "gathered", "sent", "verified", "report_verified")
    return {
        **{key: view[key] for key in keys},
        "duplicates": duplicates(site, view),
        "findings": len(view["findings"]),
        "seconds": seconds,
    }


def duplicates(site: Site, view: dict) -> int:
    """Counted at the consulting provider itself: resources that share one source identifier."""
    doubled = 0
    for source in {item["source"] for item in site.api(f"/requests/{view['request_id']}/items")}:
        found = site.fhir("lakeview", f"/{source.split('/')[0]}", identifier=f"{HILLSIDE_IDS}|{source}")
        doubled += max(0, len(found.get("entry", ())) - 1)
    return doubled


def _closed(site: Site) -> set[str]:
    return {each["request_id"] for each in site.api("/requests") if each["status"] == "completed"}


def _newest(site: Site, before: set[str]) -> dict | None:
    try:
        found = [each for each in site.api("/requests", 10) if each["request_id"] not in before]
        return site.api(f"/requests/{found[0]['request_id']}", 10) if found else None
    except (requests.RequestException, ValueError):
        return None


def _answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=5).status_code == 200
    except requests.RequestException:
        return False


def stay(site: Site, say: Teller, exchange: subprocess.Popen, config: Path) -> None:
    """A second request, whose every part a visitor plays; keep running for them."""
    load_chart(f"{site.base}/fhir/hillside", date.today(), site.let.practices["hillside"])
    say("hillside asks once more, and this time the consultant is you")
    view = follow(site, say, exchange, _closed(site), set(), until_asked=True)
    if view:
        lines = ["", "Play it (Ctrl-C ends). Sign in as one, sign out (top right), then sign in as the next:"]
        link = link_for_the_patient(config, view["request_id"])
        print("\n".join([*lines, *how_to_play(site.base, view["request_id"], site.let, link)]), flush=True)
    try:
        exchange.wait()
    except KeyboardInterrupt:
        print("stopping")
