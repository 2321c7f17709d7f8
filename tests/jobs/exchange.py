"""A whole Exchange in one process for tests: real PostgreSQL, real HTTP to three hosted endpoints, steps run one by one."""

import base64
import contextlib
import json
import threading
from datetime import UTC, datetime, timedelta
from functools import partial

from requests import Session
from requests.adapters import HTTPAdapter
from sqlalchemy import select, text, update
from urllib3 import Retry

from integration.fhir.servers import Servers
from integration.packets.payloads import Payloads
from integration.queue import dispatch
from integration.settings.config import Config, load_config
from integration.store import endpoints, requests, steps
from integration.store.held_tokens import Shelf
from integration.store.tables import findings
from integration.store.tables import requests as request_table
from integration.store.tables import steps as step_table
from integration.views.requests import request_view
from integration.web import create_app
from integration.web.server import create_servers
from jobs.engine import Heartbeat, limits_of, run_step
from jobs.world import World
from mappings.model.request import SecondOpinionRequest

CONFIG = """\
data_dir: {folder}
hosted: [{{practice: alice, name: Dr Alice}}, {{practice: bob, name: Dr Bob}}, {{practice: carol, name: Dr Carol}}]
endpoints:
  alice: {{base_url: "{alice}", role: placer, name: Dr Alice, default_fulfiller: bob, identifier_system: "{system}:alice",
          also_known_as: ["http://127.0.0.1:8080/fhir/alice"]{at_alice}}}
  bob: {{base_url: "{bob}", also_known_as: ["http://127.0.0.1:8080/fhir/bob"], role: fulfiller, name: Dr Bob, accepts: {accepts}, patients: {patients}, identifier_system: "{system}:bob",
        limits: {{chunk_size: 5, max_inline_bytes: 200000, search_lag_seconds: 1}}, capabilities: {capabilities}, verification: {{allow: {allow}}}{at_bob}}}
  carol: {{base_url: "{carol}", role: fulfiller, name: Dr Carol, accepts: {accepts}, patients: create, identifier_system: "{system}:carol",
          limits: {{search_lag_seconds: 1}}}}
{others}schedules: {{watch_seconds: 3600}}
retry: {{first_retry_seconds: 0.1, max_retry_seconds: 1, max_attempts: 5}}
"""
# A transaction held up for 2 s by a busy machine is taken back, and the hosted endpoint says 503: nothing was done.
http = Session()
http.mount(
    "http://",
    HTTPAdapter(
        max_retries=Retry(
            3,
            connect=0,
            read=0,
            other=0,
            redirect=0,
            status_forcelist=[503],
            allowed_methods=None,
            backoff_factor=0.3,
            raise_on_status=False,
        )
    ),
)


class AppOf:
    """The application of a world, whichever it is by now."""

    def __init__(self, exchange: "Exchange"):
        self.exchange = exchange

    def __call__(self, *arguments):
        return self.exchange.app(*arguments)

    def request_context(self, environ: dict):
        """Where the server asks whether a large body is wanted."""
        return self.exchange.app.request_context(environ)


class Exchange:
    """Dr Alice asks, Dr Bob answers; Dr Carol is there to be asked too. ``drain()`` does every step that is due until none is left.

    ``before`` puts a proxy before an endpoint: ``{"bob": lambda url: LyingProxy(url, ...)}``. ``at_alice``: further keys of
    Alice's endpoint, in YAML; ``at_bob``: of Bob's. ``hosted``: both are practices that the Exchange knows as its own
    (``hosted:alice``), as config.yaml of this repository has them; otherwise they are addresses like any other.
    ``others``: lines of further endpoints. ``more``: further sections.
    """

    def __init__(
        self,
        folder,
        database,
        *,
        accepts="resources",
        patients="create",
        capabilities="{}",
        allow="[]",
        alice="",
        bob="",
        before=None,
        system="urn:test",
        at_alice="",
        at_bob="",
        hosted=False,
        others="",
        more="",
    ):
        self.engine = database.engine
        self.server = create_servers(AppOf(self), host="127.0.0.1", port=0, threads=8)
        base = f"http://127.0.0.1:{self.server.port}"
        self.alice, self.bob = alice or f"{base}/fhir/alice", bob or f"{base}/fhir/bob"
        self.carol = f"{base}/fhir/carol"
        self.proxies = {name: wrap(getattr(self, name)).__enter__() for name, wrap in (before or {}).items()}
        seen = {name: proxy.address for name, proxy in self.proxies.items()}
        if hosted:
            seen = {"alice": "hosted:alice", "bob": "hosted:bob"}
        path = folder / "config.yaml"
        path.write_text(
            CONFIG.format(
                folder=json.dumps(str(folder / "data")),
                alice=seen.get("alice", self.alice),
                bob=seen.get("bob", self.bob),
                carol=self.carol,
                accepts=accepts,
                patients=patients,
                capabilities=capabilities,
                allow=allow,
                system=system,
                at_alice=f", {at_alice}" if at_alice else "",
                at_bob=f", {at_bob}" if at_bob else "",
                others=others,
            )
            + (f"web: {{port: {self.server.port}}}\n" if hosted else "")
            + more
        )
        self.config: Config = load_config(path, {})
        self.payloads = Payloads(self.config.payloads.url)
        self.app = create_app(self.config, self.engine, self.payloads)
        self.hosted_log = self.app.extensions["second_opinion"]["hosted_log"]
        threading.Thread(target=self._serve, daemon=True).start()
        self.clock = lambda: datetime.now(UTC)
        self.world = World(
            self.config,
            self.engine,
            Servers(self.config, shelf=partial(Shelf, self.engine)),
            self.payloads,
            now=lambda: self.clock(),
        )
        self.heartbeat = Heartbeat(self.config.engine.lease_seconds)
        with self.engine.begin() as conn:
            endpoints.register(conn, self.config)

    def _serve(self):
        with contextlib.suppress(OSError):  # closed under its select()
            self.server.run()

    def close(self):
        for proxy in self.proxies.values():
            proxy.__exit__()
        self.server.close()
        self.hosted_log.stop()
        self.world.servers.close()

    def put(self, where: str, resource: dict) -> dict:
        """Create a resource at "alice" or "bob"; returns it as stored."""
        answer = http.post(
            f"{getattr(self, where)}/{resource['resourceType']}",
            json=resource,
            timeout=10,
            headers={"Content-Type": "application/fhir+json", "Prefer": "return=representation"},
        )
        answer.raise_for_status()
        return answer.json()

    def find(self, where: str, kind: str, **params) -> list[dict]:
        """Search at "alice" or "bob"."""
        answer = http.get(
            f"{getattr(self, where)}/{kind}",
            params={"_count": 200, **params},
            timeout=60,
            headers={"Cache-Control": "no-cache"},
        )
        answer.raise_for_status()
        return [entry["resource"] for entry in answer.json().get("entry", ())]

    def change(self, where: str, resource: dict, **elements) -> dict:
        """Update a resource at "alice" or "bob"."""
        answer = http.put(
            f"{getattr(self, where)}/{resource['resourceType']}/{resource['id']}",
            json={**resource, **elements},
            timeout=10,
            headers={"Content-Type": "application/fhir+json", "Prefer": "return=representation"},
        )
        answer.raise_for_status()
        return answer.json()

    def submit(self, request: SecondOpinionRequest) -> str:
        with self.engine.begin() as conn:
            return requests.take_in(conn, request, actor="test")[0]

    def poll(self) -> None:
        """Poll Alice's EHR now."""
        with self.engine.begin() as conn:
            steps.create(conn, "poll_requests", "alice")
        self.drain()

    def drain(self, *, hurry: bool = True, rounds: int = 200) -> None:
        """Do due steps until none is left; ``hurry`` makes waiting retries (not watches) due at once."""
        for _ in range(rounds):
            if hurry:
                with self.engine.begin() as conn:
                    conn.execute(
                        text("UPDATE steps SET next_attempt_at = now() WHERE status = 'waiting' AND attempts > 0")
                    )
            dispatch(self.engine, limits_of(self.world))
            with self.engine.connect() as conn:
                leased = conn.execute(
                    select(step_table.c.id, step_table.c.lease_no).where(step_table.c.status == "leased")
                ).all()
            if not leased:
                return
            for step_id, lease_no in leased:
                run_step(self.world, self.heartbeat, step_id, lease_no)
        raise AssertionError("steps never came to an end")

    def watch(self) -> None:
        """Make the watches due and do them."""
        with self.engine.begin() as conn:
            conn.execute(
                update(step_table).where(step_table.c.status == "waiting").values(next_attempt_at=text("now()"))
            )
        self.drain()

    def view(self, request_id: str) -> dict:
        with self.engine.begin() as conn:
            return request_view(conn, request_id)

    def causes(self) -> set[str]:
        """Causes of all findings."""
        with self.engine.connect() as conn:
            return set(conn.execute(select(findings.c.cause)).scalars())

    def parked(self, request_id: str) -> list[str]:
        """Causes of parked steps."""
        return [step["cause"] for step in self.view(request_id)["owed"] if step["status"] == "parked"]

    def later(self, **delta) -> None:
        """Let the clock of the jobs go on."""
        self.clock = lambda: datetime.now(UTC) + timedelta(**delta)

    def _requested(self) -> dict:
        """A Task that waits for Dr Bob, of this world's own: a real server holds those of other tests too."""
        if "/fhir/bob" in self.bob:
            return self.find("bob", "Task", status="requested")[0]
        with self.engine.connect() as conn:
            mine = {f"Task/{request_id}" for request_id in conn.execute(select(request_table.c.id)).scalars()}
        return next(
            task
            for task in self.find("bob", "Task", status="requested", _sort="-_lastUpdated")
            if any(each["value"] in mine for each in task["identifier"])
        )

    def answer(
        self, *, text_of_report: str = "we agree", status: str = "completed", report: dict | None = None
    ) -> dict:
        """Dr Bob accepts, works, writes a report and completes; returns the report as stored."""
        task = self._requested()
        task = self.change("bob", task, status="accepted")
        task = self.change("bob", task, status="in-progress")
        made = self.put("bob", report or report_on(task, text_of_report))
        self.change(
            "bob",
            task,
            status=status,
            output=[
                {"type": {"text": "report"}, "valueReference": {"reference": f"{made['resourceType']}/{made['id']}"}}
            ],
        )
        return made


def report_on(task: dict, words: str) -> dict:
    """A consult report as a DocumentReference about a Task's request."""
    return {
        "resourceType": "DocumentReference",
        "status": "current",
        "docStatus": "final",
        "type": {"coding": [{"system": "http://loinc.org", "code": "11488-4"}]},
        "subject": task["for"],
        "context": {"related": [task["focus"]]},
        "content": [
            {
                "attachment": {
                    "contentType": "text/plain; charset=utf-8",
                    "data": base64.b64encode(words.encode()).decode(),
                }
            }
        ],
    }


def patient(**elements) -> dict:
    """A synthetic patient of Dr Alice."""
    return {
        "resourceType": "Patient",
        "identifier": [
            {
                "system": "urn:test:mrn",
                "value": "M1",
                "type": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": "MR"}]},
            }
        ],
        "name": [{"family": "Synthetic-Test", "given": ["Ada"]}],
        "birthDate": "1960-01-01",
        "gender": "female",
        **elements,
    }


def a_request(**fields) -> SecondOpinionRequest:
    """A request about ``patient()``."""
    return SecondOpinionRequest.model_validate(
        {
            "key": "k1",
            "placer": "alice",
            "fulfiller": "bob",
            "question": "Is surgery needed?",
            "patient": {
                "identifiers": [{"system": "urn:test:mrn", "value": "M1"}],
                "name": {"family": "Synthetic-Test", "given": ["Ada"]},
                "birth_date": "1960-01-01",
            },
            "requester": {"name": {"family": "Alice"}},
            "specialty": {"system": "http://nucc.org/provider-taxonomy", "code": "207RX0202X"},
            "first_opinion": {"doctor": {"name": {"family": "Charlie"}}, "diagnosis": {"text": "synthetic diagnosis"}},
            "patient_questions": ["Can I wait?"],
            **fields,
        }
    )


def load_chart(exchange: Exchange, observations: int = 5) -> dict[str, dict]:
    """A small chart at Alice: patient, organization, practitioner, an encounter and condition cycle, results, a document."""
    made = {"patient": exchange.put("alice", patient())}
    subject = {"reference": f"Patient/{made['patient']['id']}"}
    made["practitioner"] = exchange.put("alice", {"resourceType": "Practitioner", "name": [{"family": "Alice"}]})
    who = {"reference": f"Practitioner/{made['practitioner']['id']}"}
    encounter = exchange.put(
        "alice",
        {
            "resourceType": "Encounter",
            "status": "finished",
            "subject": subject,
            "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"},
            "participant": [{"individual": who}],
        },
    )
    made["condition"] = exchange.put(
        "alice",
        {
            "resourceType": "Condition",
            "subject": subject,
            "code": {"text": "synthetic"},
            "encounter": {"reference": f"Encounter/{encounter['id']}"},
        },
    )
    made["encounter"] = exchange.change(
        "alice", encounter, diagnosis=[{"condition": {"reference": f"Condition/{made['condition']['id']}"}}]
    )
    for number in range(observations):
        made[f"observation-{number}"] = exchange.put(
            "alice",
            {
                "resourceType": "Observation",
                "status": "final",
                "subject": subject,
                "code": {"text": f"lab {number}"},
                "encounter": {"reference": f"Encounter/{encounter['id']}"},
                "performer": [who],
                "valueQuantity": {"value": 1.5, "unit": "g/dL", "system": "http://unitsofmeasure.org", "code": "g/dL"},
            },
        )
    binary = http.post(
        f"{exchange.alice}/Binary", data=b"first opinion letter", headers={"Content-Type": "text/plain"}, timeout=10
    )
    binary.raise_for_status()
    place = binary.headers["Location"].split("/_history")[0].split("/fhir/alice/")[-1]
    made["document"] = exchange.put(
        "alice",
        {
            "resourceType": "DocumentReference",
            "status": "current",
            "subject": subject,
            "type": {"text": "letter"},
            "content": [{"attachment": {"contentType": "text/plain", "url": place}}],
        },
    )
    return made
