"""Traces: one for a request from its intake to the closed loop, ids only; off means not even imported; nothing is disturbed."""

import dataclasses
import json
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from integration import tracing
from integration.settings.running import Tracing
from integration.web import create_app
from mappings.model.errors import ExchangeError, TemporaryError
from tests.jobs.exchange import Exchange, a_request, load_chart

pytestmark = pytest.mark.postgres
NAMES = ("Synthetic", "Ada", "M1", "1960", "surgery", "diagnosis", "letter", "lab ", "we agree")


class Collector:
    """Takes spans by OTLP over HTTP, as any collector does; ``refuses`` makes it answer 500."""

    def __init__(self):
        self.spans, self.refuses, self.posts = [], False, 0
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.posts += 1
                if not outer.refuses:
                    outer.take(body)
                self.send_response(500 if outer.refuses else 200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_port}/v1/traces"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def take(self, body: bytes) -> None:
        request = ExportTraceServiceRequest.FromString(body)
        self.spans += [
            span for resource in request.resource_spans for scope in resource.scope_spans for span in scope.spans
        ]

    def close(self):
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def collector():
    made = Collector()
    yield made
    made.close()


@pytest.fixture
def traced(exchange, collector) -> Exchange:
    """An Exchange that is traced, jobs and web."""
    config = exchange.config.model_copy(update={"tracing": Tracing(otlp_endpoint=collector.address)})
    exchange.world = dataclasses.replace(exchange.world, config=config, tracing=tracing.start(config, "worker-1"))
    exchange.app = create_app(config, exchange.engine, exchange.payloads)
    return exchange


def flush(exchange: Exchange) -> None:
    for each in (exchange.world.tracing, exchange.app.extensions["second_opinion"]["tracing"]):
        assert each.flush()


def attributes(span) -> dict:
    return {each.key: each.value.string_value or each.value.int_value for each in span.attributes}


def test_one_trace_follows_a_request_from_intake_to_the_closed_loop_and_holds_ids_only(traced, collector):
    load_chart(traced, observations=2)
    body = json.loads(a_request().model_dump_json(exclude_defaults=True))
    request_id = traced.app.test_client().post("/api/requests", json=body).json["request_id"]
    traced.drain()
    traced.answer()
    traced.watch()
    assert traced.view(request_id)["closed"]
    flush(traced)
    trace_id, outermost = tracing.trace_of(request_id)
    mine = [span for span in collector.spans if int.from_bytes(span.trace_id, "big") == trace_id]
    steps = {span.name: span for span in mine if "second_opinion.step.kind" in attributes(span)}
    assert {
        "gather_records",
        "match_people",
        "push_records",
        "verify_records",
        "send_request",
        "verify_request",
        "watch_fulfiller",
        "return_report",
        "verify_report",
    } <= steps.keys()
    [loop] = [span for span in mine if span.name == "second opinion"]
    [intake] = [span for span in mine if span.name == "POST /api/requests"]
    assert int.from_bytes(loop.span_id, "big") == outermost and not loop.parent_span_id
    for span in (intake, *steps.values()):
        assert span.parent_span_id == loop.span_id, span.name
        assert (
            loop.start_time_unix_nano - 1e9
            <= span.start_time_unix_nano
            <= span.end_time_unix_nano
            <= loop.end_time_unix_nano + 5e9
        )
    pushed = attributes(steps["push_records"])
    assert (
        pushed["second_opinion.request_id"],
        pushed["second_opinion.endpoint"],
        pushed["second_opinion.outcome"],
    ) == (request_id, "bob", "done")
    assert pushed["second_opinion.step.id"] and pushed["second_opinion.lease_no"] == 1
    exchanged = [attributes(span) for span in mine if span.parent_span_id == steps["push_records"].span_id]
    assert any(
        each["http.request.method"] == "POST" and each["http.response.status_code"] in (200, 201) for each in exchanged
    )
    told = json.dumps([[span.name, attributes(span), span.status.message] for span in collector.spans])
    assert not [name for name in NAMES if name in told], told
    routes = {attributes(span).get("http.route") for span in collector.spans} - {None}
    assert "/api/requests" in routes and not [route for route in routes if "alice" in route or "r0" in route]


def test_what_failed_says_its_cause_and_never_its_message(traced, collector, monkeypatch):
    def job(_ctx):
        raise TemporaryError("Ada Synthetic's chart is away", cause="timeout", status_code=None)

    monkeypatch.setitem(sys.modules["jobs.engine"].JOBS, "gather_records", job)
    request_id = traced.submit(a_request())
    traced.drain()
    flush(traced)
    failed = [span for span in collector.spans if span.name == "gather_records"]
    assert len(failed) == 5 and {span.status.code for span in failed} == {2}
    assert (
        attributes(failed[0])["error.type"] == "timeout"
        and attributes(failed[-1])["second_opinion.outcome"] == "temporary"
    )
    assert (
        not [span for span in collector.spans if "Ada" in str(span)]
        and len({span.trace_id for span in failed}) == 1
        and request_id
    )


@pytest.mark.long
def test_a_watch_where_nothing_happened_leaves_no_span(traced, collector):
    load_chart(traced, observations=1)
    traced.submit(a_request())
    traced.drain()
    flush(traced)
    before = len(collector.spans)
    traced.watch()
    flush(traced)
    assert not [span for span in collector.spans[before:] if span.name.startswith("watch_")]


@pytest.mark.parametrize("trouble", ["refuses", "gone"])
@pytest.mark.long
def test_a_collector_in_trouble_disturbs_nothing(traced, collector, trouble, caplog):
    collector.refuses = True
    if trouble == "gone":
        collector.close()
    load_chart(traced, observations=1)
    request_id = traced.submit(a_request())
    traced.drain()
    traced.answer()
    traced.watch()
    assert traced.view(request_id)["closed"] and not traced.parked(request_id)
    began = time.monotonic()
    traced.world.tracing.stop()
    assert time.monotonic() - began < 2 * tracing.EXPORT_SECONDS
    if trouble == "gone":
        collector.server = type(collector.server)(
            ("127.0.0.1", 0), BaseHTTPRequestHandler
        )  # something to close at the end
        threading.Thread(target=collector.server.serve_forever, daemon=True).start()


@pytest.mark.long
def test_a_mistake_in_tracing_disturbs_nothing(traced, monkeypatch):
    def broken(*_args, **_kwargs):
        raise ValueError("a span that cannot be made")

    monkeypatch.setattr(traced.world.tracing._tracer, "start_span", broken)
    load_chart(traced, observations=1)
    request_id = traced.submit(a_request())
    traced.drain()
    assert traced.view(request_id)["records"] == "verified"


OFF = """
import sys
from integration.settings.config import load_config
from integration.tracing import OFF, start
from second_opinion import api, running     # all that serves and works
from integration.web import create_app
import jobs.engine
config = load_config()
assert start(config, "web") is OFF
create_app(config, None, None)
print([name for name in sys.modules if name.partition(".")[0] in ("opentelemetry", "google")])
"""


@pytest.mark.long
def test_off_means_not_imported(tmp_path):
    (tmp_path / "config.yaml").write_text("data_dir: data\n")
    done = subprocess.run(
        [sys.executable, "-c", OFF],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=120,
        env={"PYTHONPATH": ":".join(filter(None, sys.path)), "PATH": "/usr/bin:/bin"},
    )
    assert done.returncode == 0 and done.stdout.strip() == "[]", done.stdout + done.stderr


@pytest.mark.long
def test_without_the_extra_a_sentence_says_what_to_install(exchange, monkeypatch):
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    config = exchange.config.model_copy(update={"tracing": Tracing(otlp_endpoint="http://127.0.0.1:4318/v1/traces")})
    with pytest.raises(ExchangeError, match=r"install second-opinion-exchange\[tracing\]"):
        tracing.start(config, "web")
