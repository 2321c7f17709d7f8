"""OpenTelemetry traces that follow a request through all processes; nothing of it is imported unless it is configured.

The trace of a request is made from its id, so that every process joins the same one and nothing has to be stored or
carried along. Spans hold ids, kinds, words and numbers; never a message, a name, a query or a body. They are handed over
after the work is done and dropped rather than waited for: a collector that is away disturbs nothing.
"""

import hashlib
import logging
import socket
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version
from typing import TYPE_CHECKING

from integration.settings.config import Config
from mappings.model.errors import ExchangeError
from mappings.model.steps import AttemptOutcome

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
    from opentelemetry.trace import Span, SpanKind

    from integration.fhir.exchanges import Exchange

log = logging.getLogger("second_opinion.tracing")
EXPORT_SECONDS = 3.0
SAID_SECONDS = 300.0  # how often it is said that the collector does not take them
WELL = (AttemptOutcome.DONE, AttemptOutcome.AGAIN)  # outcomes of an attempt that are no error


@dataclass(frozen=True)
class Attempt:
    """One try of a step and what came of it; times in seconds since 1970."""

    request_id: str | None
    step_id: int
    lease_no: int
    kind: str
    endpoint: str
    outcome: str
    cause: str
    began: float
    ended: float
    exchanges: "Iterable[Exchange]" = ()


class NoTracing:
    """What is handed around when tracing is off."""

    def attempt(self, attempt: Attempt) -> None:
        """One attempt of a step is over."""

    def loop(self, request_id: str, began: datetime, ended: datetime) -> None:
        """A loop is closed: the span around all others of its trace."""

    def answered(self, method: str, route: str, status: int, began: float, request_id: str | None = None) -> None:
        """The web answered; ``request_id`` when it took a request in."""

    def stop(self) -> None:
        """Hand over what is left, for a few seconds at most."""


OFF = NoTracing()


def start(config: Config, part: str) -> NoTracing:
    """Tracing for one process; ``part`` says which (web, or the worker's name). Raises when what it needs is not installed."""
    if config.tracing.otlp_endpoint is None:
        return OFF
    try:
        return _Tracing(config.tracing.otlp_endpoint, part)
    except ImportError as error:
        raise ExchangeError(
            f"tracing.otlp_endpoint is set, and {error.name} is not installed: install "
            "second-opinion-exchange[tracing], or remove the setting"
        ) from None


def trace_of(request_id: str) -> tuple[int, int]:
    """Trace id and id of the outermost span of a request: the same in every process."""
    digest = hashlib.sha256(f"second-opinion trace {request_id}".encode()).digest()
    return int.from_bytes(digest[:16], "big") or 1, int.from_bytes(digest[16:24], "big") or 1


class _Tracing(NoTracing):
    def __init__(self, address: str, part: str):
        from opentelemetry import trace
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
        from opentelemetry.sdk.trace.id_generator import RandomIdGenerator

        class Ids(RandomIdGenerator):
            """Random ones, but for the outermost span of a request."""

            def __init__(self) -> None:
                self.given = threading.local()

            def generate_trace_id(self) -> int:
                return getattr(self.given, "ids", None) and self.given.ids[0] or super().generate_trace_id()

            def generate_span_id(self) -> int:
                return getattr(self.given, "ids", None) and self.given.ids[1] or super().generate_span_id()

        logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)  # it repeats itself; we say it once in a while
        self._api, self._ids = trace, Ids()
        about = Resource.create(
            {
                "service.name": "second-opinion",
                "service.version": version("second-opinion-exchange"),
                "service.instance.id": f"{socket.gethostname()}/{part}",
            }
        )
        self._provider = TracerProvider(resource=about, id_generator=self._ids, shutdown_on_exit=False)
        exporter = _saying(OTLPSpanExporter(endpoint=address, timeout=EXPORT_SECONDS))
        self._provider.add_span_processor(BatchSpanProcessor(exporter, schedule_delay_millis=1000))
        self._tracer = self._provider.get_tracer("second_opinion")

    def attempt(self, attempt: Attempt) -> None:
        with _undisturbed():
            values = {
                "request_id": attempt.request_id or "",
                "step.id": attempt.step_id,
                "step.kind": attempt.kind,
                "lease_no": attempt.lease_no,
                "endpoint": attempt.endpoint,
                "outcome": attempt.outcome,
                "cause": attempt.cause,
            }
            span = self._span(
                attempt.kind, self._inside(attempt.request_id), self._api.SpanKind.CONSUMER, attempt.began, values
            )
            for exchange in attempt.exchanges:
                self._exchange(exchange, self._api.set_span_in_context(span))
            self._end(span, attempt.ended, attempt.outcome not in WELL, attempt.cause)

    def _exchange(self, exchange: "Exchange", inside: "Context") -> None:
        began = exchange.began.timestamp()
        values = {
            "endpoint": exchange.endpoint,
            "http.request.method": exchange.method,
            "url.template": exchange.shown,
            "http.request.body.size": exchange.sent_bytes,
            "http.response.body.size": exchange.received_bytes,
        }
        span = self._span(exchange.method, inside, self._api.SpanKind.CLIENT, began, values)
        if exchange.status is not None:
            span.set_attribute("http.response.status_code", exchange.status)
        self._end(span, began + exchange.milliseconds / 1000, bool(exchange.cause), exchange.cause)

    def loop(self, request_id: str, began: datetime, ended: datetime) -> None:
        with _undisturbed():
            self._ids.given.ids = trace_of(request_id)
            try:
                span = self._span(
                    "second opinion",
                    self._api.set_span_in_context(self._api.INVALID_SPAN),
                    self._api.SpanKind.INTERNAL,
                    began.timestamp(),
                    {"request_id": request_id},
                )
            finally:
                self._ids.given.ids = None
            self._end(span, ended.timestamp())

    def answered(self, method: str, route: str, status: int, began: float, request_id: str | None = None) -> None:
        with _undisturbed():
            values = {"http.request.method": method, "http.route": route, "http.response.status_code": status}
            span = self._span(f"{method} {route}", self._inside(request_id), self._api.SpanKind.SERVER, began, values)
            if request_id:
                span.set_attribute("second_opinion.request_id", request_id)
            self._end(span, time.time(), status >= 500)

    def stop(self) -> None:
        stopping = threading.Thread(target=self._provider.shutdown, daemon=True)
        stopping.start()
        stopping.join(EXPORT_SECONDS)

    def flush(self) -> bool:
        """Hand over what is there now; for tests."""
        return self._provider.force_flush(int(EXPORT_SECONDS * 1000))

    def _inside(self, request_id: str | None) -> "Context":
        """The context of a request's trace; a trace of its own without one."""
        if request_id is None:
            return self._api.set_span_in_context(self._api.INVALID_SPAN)
        trace_id, span_id = trace_of(request_id)
        outermost = self._api.SpanContext(
            trace_id, span_id, is_remote=True, trace_flags=self._api.TraceFlags(self._api.TraceFlags.SAMPLED)
        )
        return self._api.set_span_in_context(self._api.NonRecordingSpan(outermost))

    def _span(self, name: str, inside: "Context", kind: "SpanKind", began: float, values: dict) -> "Span":
        named = {
            key if "." in key and not key.startswith("step.") else f"second_opinion.{key}": value
            for key, value in values.items()
            if value != ""
        }
        return self._tracer.start_span(
            name, context=inside, kind=kind, attributes=named, start_time=_nanoseconds(began)
        )

    def _end(self, span: "Span", ended: float, failed: bool = False, cause: str = "") -> None:
        if failed:
            span.set_status(self._api.StatusCode.ERROR)
            span.set_attribute("error.type", cause or "_OTHER")
        span.end(end_time=_nanoseconds(ended))


def _nanoseconds(seconds: float) -> int:
    return round(seconds * 1_000_000_000)


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Work goes on whatever happens here; of a mistake only its type is logged."""
    try:
        yield
    except Exception as error:
        log.warning("span not made", extra={"action": "tracing", "error": type(error).__name__})


def _saying(exporter: "SpanExporter") -> "SpanExporter":
    """The exporter; that spans are lost is said, but not each time."""
    send, said = exporter.export, [float("-inf")]

    def export(spans: "Sequence[ReadableSpan]") -> "SpanExportResult":
        result = send(spans)
        if result.name != "SUCCESS" and time.monotonic() - said[0] > SAID_SECONDS:
            said[0] = time.monotonic()
            log.warning(
                "spans are lost: the collector does not take them", extra={"action": "tracing", "spans": len(spans)}
            )
        return result

    exporter.export = export  # type: ignore[method-assign]  # all that is lost goes by here, and nothing else tells
    return exporter
