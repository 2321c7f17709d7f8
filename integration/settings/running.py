"""How the Exchange runs, in config.yaml: schedules, retries, workers, what is kept and for how long, traces."""

from typing import Annotated

from pydantic import AfterValidator, ConfigDict, Field
from pydantic.dataclasses import dataclass

from integration.settings.parts import (
    Cron,
    Name,
    Seconds,
    Section,
    check_http,
)
from integration.settings.record_types import RECORD_TYPES
from mappings.model.delivery import RetryPolicy


class Schedules(Section):
    """How often the Exchange looks."""

    dispatch_seconds: Seconds = Field(2.0, description="Choose due steps.", examples=[2])
    poll_requests_seconds: Seconds = Field(60.0, description="Look for new requests at placers.", examples=[60])
    watch_chart_seconds: Seconds = Field(
        900.0,
        description="Look for corrected or new records at placers: this often at first, less often while nothing changes (every 4 hours at least, once a day after completion).",
        examples=[900],
    )
    watch_seconds: Seconds = Field(
        60.0,
        description="Look for progress and reports at fulfillers: this often at first, less often while nothing changes (every 15 minutes at least, once a day after completion).",
        examples=[60],
    )
    prune_cron: Cron = Field(
        "0 3 * * *", description="When to remove what is past its retention; five fields, UTC.", examples=["0 3 * * *"]
    )


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class Retry(RetryPolicy):
    """Bounds of retrying a delivery, in count and in time."""

    first_retry_seconds: float = Field(
        default=5.0,
        strict=True,
        gt=0,
        le=86400,
        description="Wait before the second attempt; doubles after.",
        examples=[5],
    )
    max_retry_seconds: float = Field(
        default=900.0, strict=True, gt=0, le=7 * 86400, description="Longest wait between attempts.", examples=[900]
    )
    max_attempts: int = Field(
        default=12, strict=True, ge=1, le=1000, description="Attempts before it is parked.", examples=[12]
    )
    max_age_seconds: float = Field(
        default=3 * 86400.0,
        strict=True,
        gt=0,
        le=366 * 86400,
        description="Time after the first attempt before it is parked.",
        examples=[259200],
    )
    jitter: float = Field(
        default=0.2, strict=True, ge=0, le=1, description="Random share of the wait that is added.", examples=[0.2]
    )


class Engine(Section):
    """The workers."""

    lease_seconds: float = Field(
        25.0, gt=0, le=3600, description="How long a worker owns a step without renewing.", examples=[25]
    )
    concurrency: int = Field(8, ge=1, le=256, description="Steps one worker does at the same time.", examples=[8])
    workers: int = Field(1, ge=1, le=64, description="Worker processes that `serve` runs.", examples=[1])


class RecordsKept(Section):
    """Which records travel, and how long a report is watched."""

    types: tuple[Name, ...] = Field(
        RECORD_TYPES,
        strict=False,
        min_length=1,
        description="Resource types gathered when a request names none.",
        examples=[["Condition", "Observation", "DiagnosticReport", "DocumentReference"]],
    )
    lead_days: int = Field(
        3,
        ge=0,
        le=90,
        description="Days before the day a request is wanted by on which its records have to be there: that is their deadline.",
        examples=[3],
    )
    watch_after_visit_days: int = Field(
        2,
        ge=0,
        le=365,
        description="Days after a booked visit until its chart is no longer watched for corrections. Without a visit, it is watched "
        "until the request ends, and `watch_days` more.",
        examples=[2],
    )
    watch_days: int = Field(
        90, ge=0, le=3650, description="Days a returned report is watched for amendments.", examples=[90]
    )
    max_attachment_bytes: int = Field(
        2 << 30, ge=1024, le=1 << 40, description="Largest attachment we carry.", examples=[2147483648]
    )
    max_upload_bytes: int = Field(
        400_000_000,
        ge=1024,
        le=800_000_000,
        description="Largest file that a person may hand in for a request (a PDF, images). The web server writes it to the "
        "temporary folder before it is looked at.",
        examples=[400000000],
    )
    max_packet_bytes: int = Field(
        8 << 30,
        ge=1 << 20,
        le=1 << 42,
        description="Largest packet we carry, records and attachments together; what would make it larger is named.",
        examples=[8589934592],
    )
    max_withdrawn_percent: int = Field(
        20,
        ge=0,
        le=100,
        description="Of the records sent for a request, the share that may be gone at their source at once and is taken back "
        "without asking; more waits for a person (a source restored from an old backup). 100 never asks. Up to three "
        "records are always taken back.",
        examples=[20],
    )


class Retention(Section):
    """How long is kept what is not the record of what was done: exchanges, to look into a fault, and drafts."""

    exchange_bodies_days: int = Field(
        30,
        ge=0,
        le=3650,
        description="Days the bodies of exchanges that went wrong are kept; they are clinical content.",
        examples=[30],
    )
    exchanges_days: int = Field(
        365,
        ge=1,
        le=3650,
        description="Days the list of exchanges of an attempt is kept; the attempt itself stays.",
        examples=[365],
    )
    drafts_days: int = Field(
        60,
        ge=8,
        le=3650,
        description="Days a draft of a request is kept that nobody touches; its practice's list says so seven days before.",
        examples=[60],
    )


class Payloads(Section):
    """Where packet bytes are kept."""

    url: str | None = Field(
        None,
        description="Folder or object store (fsspec address). Default: `data_dir`/payloads.",
        examples=["s3://exchange-payloads/packets"],
    )


class Tracing(Section):
    """OpenTelemetry traces of what is done for each request; ids and words only. Needs the extra `tracing`."""

    otlp_endpoint: Annotated[str, AfterValidator(check_http)] | None = Field(
        None,
        description="Where an OpenTelemetry collector takes traces by OTLP over HTTP; nothing is traced without it. Headers "
        "for it come from the environment variable `OTEL_EXPORTER_OTLP_HEADERS`.",
        examples=["http://127.0.0.1:4318/v1/traces"],
    )
