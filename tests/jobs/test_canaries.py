"""No patient data in logs, findings, errors, alarms, notices, audit, metrics, traces and lists: every word is a canary."""

import base64
import contextlib
import dataclasses
import json
import logging

import pytest
from requests import HTTPError

from integration import tracing
from integration.log import OURS, JsonLines
from integration.settings.running import Tracing
from integration.store import audit
from integration.web import create_app
from tests.integration.notices.told import Hook
from tests.jobs.canaries import Canaries, told_in_tables
from tests.jobs.exchange import Exchange, load_chart, report_on
from tests.jobs.steps.test_orders import only_request
from tests.jobs.steps.test_verifying import lossy
from tests.jobs.test_loop import OURS as OURS_IDS
from tests.jobs.test_loop import order_of
from tests.jobs.test_tracing import Collector
from tests.jobs.upkeep.alerted import SECRET, Operator
from tests.servers.lying import LyingProxy

pytestmark = pytest.mark.postgres
KINDS = {
    "AllergyIntolerance": {"patient": None},
    "CarePlan": {"status": "active", "intent": "plan"},
    "Condition": {},
    "DiagnosticReport": {"status": "final"},
    "DocumentReference": {"status": "current"},
    "Encounter": {"status": "finished"},
    "FamilyMemberHistory": {"status": "completed", "patient": None},
    "Immunization": {"status": "completed", "patient": None, "occurrenceDateTime": "2020-01-01"},
    "MedicationRequest": {"status": "active", "intent": "order", "medicationCodeableConcept": {"text": "synthetic"}},
    "Observation": {"status": "final"},
    "Procedure": {"status": "completed"},
}


@dataclasses.dataclass
class Watched:
    """An exchange that is listened to everywhere; ``heard()`` says where canaries were found."""

    exchange: Exchange
    canaries: Canaries
    operator: Operator
    collector: Collector
    hook: Hook
    lines: list[str]

    def heard(self) -> list[str]:
        """``where <- what stood in which place``."""
        self.operator.check(30)
        self.operator.check(30)
        assert self.exchange.world.tracing.flush() and self.exchange.app.extensions["second_opinion"]["tracing"].flush()
        assert self.lines and self.collector.spans
        told = {f"log {number}": line for number, line in enumerate(self.lines)}
        told |= {f"span {span.name}": str(span) for span in self.collector.spans}
        told |= {f"mail {number}": raw.decode() for number, raw in enumerate(self.operator_mails)}
        told |= {f"hook {number}": body.decode() for number, (_, body) in enumerate(self.hook.posted)}
        with self.exchange.engine.connect() as conn:
            told |= told_in_tables(conn)
        client = self.exchange.app.test_client()
        told |= {path: client.get(path).text for path in ("/metrics", "/", "/requests", "/api/alarms", "/api/requests")}
        return [
            f"{where} <- {place}: {text}"
            for where, words in told.items()
            for place, text in self.canaries.found(words).items()
        ]

    operator_mails: list[bytes] = dataclasses.field(default_factory=list)


@pytest.fixture
def watched(request, make_exchange, mails, monkeypatch):
    """As the keyword arguments of `Exchange` in the test's parameter say."""
    collector, lines, canaries = Collector(), [], Canaries()
    handler = logging.Handler(logging.DEBUG)
    formatter = JsonLines()
    handler.emit = lambda record: lines.append(formatter.format(record))
    exchange = make_exchange(
        **{name: each(canaries) if callable(each) else each for name, each in request.param.items()}
    )
    monkeypatch.setenv("PAGER_SECRET", SECRET)
    with Hook() as hook:
        operator = Operator(exchange, mails.port, hook.address, for_minutes=0)
        config = exchange.world.config.model_copy(update={"tracing": Tracing(otlp_endpoint=collector.address)})
        traces = tracing.start(config, "worker-1")
        exchange.world = dataclasses.replace(exchange.world, config=config, tracing=traces)
        exchange.app = create_app(config, exchange.engine, exchange.payloads)
        loggers = [logging.getLogger(name) for name in OURS]
        levels = [each.level for each in loggers]
        for each in loggers:
            each.setLevel(logging.DEBUG)
            each.addHandler(handler)
        yield Watched(exchange, canaries, operator, collector, hook, lines, mails.raw)
        for each, level in zip(loggers, levels, strict=True):
            each.setLevel(level)
            each.removeHandler(handler)
    collector.close()


def canary_chart(watched: Watched) -> dict[str, dict]:
    """The small chart, every record filled, and one of each kind we gather."""
    exchange, canaries = watched.exchange, watched.canaries
    chart = load_chart(exchange, observations=1)
    for name in ("patient", "practitioner"):
        plain = chart[name]
        chart[name] = exchange.change("alice", canaries.filled({k: v for k, v in plain.items() if k != "meta"}))
    about = {"reference": f"Patient/{chart['patient']['id']}", "display": canaries.word("subject.display")}
    for kind, elements in KINDS.items():
        whose = "patient" if "patient" in elements else "subject"
        chart[kind] = exchange.put("alice", canaries.filled({"resourceType": kind, **elements, whose: about}))
    return chart


def canary_order(watched: Watched, chart: dict) -> dict:
    """An order with a canary in all that an order can say."""
    canaries = watched.canaries
    order = order_of(chart)
    order["reasonCode"][0]["text"] = canaries.word("reasonCode.text")
    order["reasonCode"].append({"coding": [{"system": f"urn:{canaries.word('reasonCode.system')}",
                                            "code": canaries.word("reasonCode.code")}]})  # fmt: skip
    order["contained"][0]["name"][0]["family"] = canaries.word("contained.family")
    diagnosis = {"text": canaries.word("diagnosis.text"), "coding": [
        {"system": f"urn:{canaries.word('diagnosis.system')}", "code": canaries.word("diagnosis.code")}]}  # fmt: skip
    order["extension"][0]["extension"][1]["valueCodeableConcept"] = diagnosis
    order["note"] = [{"text": canaries.word("note")}]
    return canaries.filled({**order, "basedOn": [], "replaces": []} | {"encounter": None})


def ask(watched: Watched) -> str:
    """An order of Alice's EHR, polled."""
    order = {k: v for k, v in canary_order(watched, canary_chart(watched)).items() if v}
    watched.exchange.put("alice", order)
    watched.exchange.poll()
    return only_request(watched.exchange)


FORMS = [{"accepts": "resources"}, {"accepts": "documents"}]
forms = pytest.mark.parametrize("watched", FORMS, ids=["resources", "documents"], indirect=True)


@forms
def test_a_loop_with_a_canary_in_every_word_tells_none_of_them(watched):
    exchange, canaries = watched.exchange, watched.canaries
    request_id = ask(watched)
    assert exchange.find("bob", "Task"), (exchange.parked(request_id), exchange.causes())
    [task] = exchange.find("bob", "Task")
    report = report_on(task, canaries.word("report"))
    report["content"][0]["attachment"]["title"] = canaries.word("report.title")
    exchange.answer(report=canaries.filled(report))
    [task] = exchange.find("bob", "Task")
    exchange.change("bob", task, note=[{"text": canaries.word("Task.note")}],
                    businessStatus={"text": canaries.word("Task.businessStatus")})  # fmt: skip
    exchange.watch()
    assert exchange.view(request_id)["report_verified"], (exchange.parked(request_id), exchange.causes())
    assert watched.heard() == []
    [there] = exchange.find(
        "alice", "DocumentReference", identifier=f"{OURS_IDS}|DocumentReference/{request_id}-report-1"
    )
    said = base64.b64decode(there["content"][0]["attachment"]["data"]).decode()
    assert canaries.found(said), "the words themselves travel"
    with exchange.engine.begin() as conn:
        audit.record(conn, "test", "test", request_id, reason=canaries.word("control"))
    assert [each.split(":")[0] for each in watched.heard()] == ["audit.reason <- control"], (
        "a canary that is told is heard"
    )


def refusing(canaries: Canaries):
    """Dr Bob's server refuses conditions, with words about them."""
    word = canaries.word
    details = {"text": word("details"), "coding": [{"system": "urn:x", "code": word("code")}]}
    expression = [f"Condition.code.where(text = '{word('expression')}')"]
    issue = {"severity": "error", "code": "invalid", "diagnostics": word("diagnostics"), "details": details}
    outcome = json.dumps({"resourceType": "OperationOutcome", "issue": [{**issue, "expression": expression}]}).encode()
    headers = [("Content-Type", "application/fhir+json"), ("X-Why", word("header"))]

    def ask(method, path, headers_, body):
        return (422, headers, outcome) if method in ("POST", "PUT") and "/Condition" in path else body

    return {"bob": lambda url: LyingProxy(url, ask=ask)}


def changing(canaries: Canaries):
    """Dr Bob's server keeps other words than it was given."""

    def change(resource: dict) -> None:
        if resource["resourceType"] == "Observation":
            resource["code"] = {"text": canaries.word("changed text")}
            resource["status"] = canaries.word("changed status")
            resource[canaries.word("new element")] = canaries.word("new value")

    return {"bob": lossy(change)}


@pytest.mark.parametrize(
    ("watched", "cause"),
    [
        ({"before": refusing, "capabilities": "{transaction: false}"}, "record-refused"),
        ({"before": changing}, "verify-different"),
    ],
    ids=["refusing", "changing"],
    indirect=["watched"],
)
def test_a_server_that_refuses_or_changes_makes_us_tell_nothing(watched, cause):
    exchange = watched.exchange
    request_id = ask(watched)
    assert exchange.parked(request_id) == [cause], exchange.causes()
    assert watched.heard() == []


def odd(canaries: Canaries, chart: dict, **elements) -> dict:
    order = order_of(chart, **elements)
    return {**order, "note": [{"text": canaries.word("odd note")}]}


@forms
def test_what_cannot_be_read_is_told_without_its_words(watched):
    exchange, word = watched.exchange, watched.canaries.word
    chart = canary_chart(watched)
    about = chart["condition"]["subject"]
    whole = order_of(chart)
    for elements in (
        {"priority": "stat"},
        {"priority": word("priority")},
        {"intent": word("intent")},
        {"status": word("status")},
        {"requester": {"display": word("requester"), "reference": f"https://{word('host')}.example/Practitioner/1"}},
        {"subject": {"display": word("subject"), "identifier": {"system": "urn:x", "value": word("subject id")}}},
        {"subject": {"reference": f"https://{word('host')}.example/Patient/1"}},
        {"subject": {"reference": f"Patient?identifier={word('search')}"}},
        {"occurrenceDateTime": f"2020-{word('date')}"},
        {"reasonCode": [{"coding": whole["reasonCode"][0]["coding"], "text": word("long") * 20000}]},
        {"extension": [{"url": whole["extension"][0]["url"], "valueString": word("extension")}]},
        {"contained": [{"resourceType": "Practitioner", "id": "first-doctor", "name": [{"given": [word("given")]}]}]},
        {
            "performerType": {"coding": [{"system": word("system"), "code": "1", "display": "a specialty"}]}
        },  # lists show its words
    ):
        with contextlib.suppress(HTTPError):  # what even our own server refuses
            exchange.put("alice", odd(watched.canaries, chart, **elements))
    for attachment in (
        {"contentType": word("type"), "url": f"https://{word('host')}.example/Binary/1"},
        {"contentType": f"text/plain; charset={word('charset')}", "data": "AAAA", "title": word("title")},
        {"contentType": "text/plain", "url": f"/{word('path')}/x?name={word('query')}#{word('fragment')}"},
        {"contentType": "text/plain", "url": f"urn:{word('urn')}", "hash": "AAAA"},
        {"contentType": "text/plain", "data": "AAAA", "hash": "AAAA", "size": 17, "title": word("title")},
    ):
        exchange.put("alice", {"resourceType": "DocumentReference", "status": "current", "subject": about,
                               "content": [{"attachment": attachment}]})  # fmt: skip
    for elements in (
        {"performer": [{"reference": "Practitioner/not-there", "display": word("display")}]},
        {"performer": [{"reference": f"Practitioner?name={word('name')}"}]},
        {"performer": [{"reference": f"https://{word('host')}.example/Practitioner/1?{word('query')}"}]},
        {"performer": [{"reference": f"#{word('fragment')}"}]},
        {"modifierExtension": [{"url": f"https://{word('host')}.example/x", "valueString": word("value")}]},
        {"valueQuantity": {"value": 1, "comparator": word("comparator")}},
        {"effectiveDateTime": f"2020-01-01T{word('time')}"},
        {"status": word("status")},
        {word("element"): word("value")},
    ):
        with contextlib.suppress(HTTPError):
            exchange.put("alice", {"resourceType": "Observation", "status": "final", "subject": about,
                                   "code": {"text": word("code")}, **elements})  # fmt: skip
    exchange.poll()
    exchange.watch()
    assert exchange.causes() >= {"request-unreadable", "record-partial"}
    heard = watched.heard()
    assert heard == [], exchange.causes()


@pytest.mark.parametrize("watched", [{"patients": "match"}], ids=[""], indirect=True)
def test_a_patient_who_is_not_surely_found_is_told_without_a_word_about_them(watched):
    exchange, canaries = watched.exchange, watched.canaries
    there = {"resourceType": "Patient", "identifier": [{"system": "urn:test:mrn", "value": "M1"}],
             "birthDate": "1961-01-01", "name": [{"family": canaries.word("family"), "given": [canaries.word("given")]}]}  # fmt: skip
    exchange.put("bob", canaries.filled(there))
    request_id = ask(watched)
    assert [cause for cause in exchange.parked(request_id) if cause.startswith("patient-")], exchange.causes()
    assert watched.heard() == []


@forms
def test_a_refusal_of_the_consultant_is_told_without_their_words(watched):
    exchange, word = watched.exchange, watched.canaries.word
    request_id = ask(watched)
    [task] = exchange.find("bob", "Task")
    exchange.change("bob", task, status="rejected", statusReason={"text": word("statusReason")},
                    note=[{"text": word("note")}], businessStatus={"text": word("businessStatus")})  # fmt: skip
    exchange.watch()
    assert exchange.view(request_id)["status"] == "rejected"
    assert watched.heard() == []
