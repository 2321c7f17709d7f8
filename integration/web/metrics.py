"""What /metrics says: read from the tables at each scrape, so that every process says the same. No patient, no request.

Open work is counted by partial indexes; what is finished comes from totals that only go up. docs/how-to/monitor.md
says what each is for.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from importlib.metadata import version
from itertools import accumulate, groupby

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy import Connection, Engine, Row
from sqlalchemy.exc import SQLAlchemyError

from integration.settings.config import Config
from integration.store import alarms, deadlines, endpoint_health, notices, open_work, schedules, scrape, ticks, totals
from integration.views.endpoints import health_words
from mappings.model.alarms import RULES
from mappings.model.roads import Level

TIMEOUT_MS = 5000  # a scrape that takes longer than this helps nobody
HEALTH = ("well", "failing", "resting", "probing", "paused", "not used yet")
HEARTBEAT = "check_alarms"  # ticks in every installation, whatever is configured


class Metrics(Collector):
    """One scrape: everything on one connection, in one read-only transaction."""

    def __init__(self, config: Config, engine: Engine, now: datetime):
        self._config, self._engine, self._now = config, engine, now

    def describe(self) -> list[Metric]:
        """Nothing: what there is, is known only when it is read."""
        return []

    def collect(self) -> Iterator[Metric]:
        """All families; without the database only that it is away."""
        yield _gauge("build_info", "Version of the Exchange", [((version("second-opinion-exchange"),), 1)], "version")
        try:
            with self._engine.connect() as conn:
                scrape.begin(conn, TIMEOUT_MS)
                found = [family for part in _PARTS for family in part(conn, self._config, self._now)]
        except SQLAlchemyError:
            found = None
        yield _gauge("database_up", "1 when the database answered this scrape", [((), int(found is not None))])
        yield from found or ()


def _gauge(
    name: str, words: str, values: Iterable[tuple[Sequence[str | None], float]], *labels: str
) -> GaugeMetricFamily:
    family = GaugeMetricFamily(f"second_opinion_{name}", words, labels=labels)
    for where, value in values:
        family.add_metric([part or "" for part in where], value)
    return family


def _size(conn: Connection, _config: Config, _now: datetime) -> Iterator[Metric]:
    yield _gauge("database_size_bytes", "Size of the database", [((), scrape.database_size(conn))])


def _work(conn: Connection, _config: Config, now: datetime) -> Iterator[Metric]:
    """What is owed now."""
    yield _gauge(
        "requests_open",
        "Requests whose loop is not closed, by status",
        [((row.status,), row.n) for row in open_work.requests_by_status(conn)],
        "status",
    )
    yield _gauge(
        "deliveries_open",
        "Deliveries that have not arrived yet, by status and endpoint",
        [((row.status, row.endpoint), row.n) for row in open_work.deliveries_by_status(conn)],
        "status",
        "endpoint",
    )
    rows = open_work.steps_by_status(conn)
    yield _gauge(
        "steps_open",
        "Steps that are owed, by status and endpoint",
        [((row.status, row.endpoint), row.n) for row in rows],
        "status",
        "endpoint",
    )
    yield _gauge(
        "oldest_due_seconds",
        "How long the step that waits longest has been due, by endpoint",
        [((row.endpoint,), max(0.0, (now - row.oldest).total_seconds())) for row in rows if row.status == "due"],
        "endpoint",
    )
    yield _gauge(
        "steps_parked",
        "Steps that need a person, by endpoint and cause",
        [((row.endpoint, row.cause), row.n) for row in open_work.parked_by_cause(conn)],
        "endpoint",
        "cause",
    )


def _promises(conn: Connection, _config: Config, now: datetime) -> Iterator[Metric]:
    late, risk = deadlines.numbers(conn, now)
    yield _gauge("records_late", "Requests whose records should be verified by now and are not", [((), late)])
    yield _gauge(
        "records_at_risk",
        f"Requests whose records are due within {deadlines.RISK_HOURS} hours, take longer than there is time, or need a person",
        [((), risk)],
    )
    begun = deadlines.breached(conn, now)
    yield _gauge("visits_without_records", "Visits that have begun and whose records are not verified", [((), begun)])


def _alerts(conn: Connection, _config: Config, _now: datetime) -> Iterator[Metric]:
    opened = dict.fromkeys(RULES, 0) | alarms.open_counts(conn)
    yield _gauge("alarms_open", "Open alarms, by rule", [((rule,), number) for rule, number in opened.items()], "rule")
    yield _gauge(
        "alert_notices",
        "Notices of alarms to people, by what became of them",
        [((status,), number) for status, number in notices.counts(conn).items()],
        "status",
    )


def _endpoints(conn: Connection, config: Config, _now: datetime) -> Iterator[Metric]:
    known = endpoint_health.of_all(conn)
    states = {key: health_words(known.get(key)) for key in config.endpoints}
    yield _gauge(
        "endpoint_health",
        "1 for the word that says how an endpoint is; resting and probing: its breaker is open",
        [((key, word), int(state["health"] == word)) for key, state in states.items() for word in HEALTH],
        "endpoint",
        "health",
    )
    yield _gauge(
        "endpoint_failures",
        "Failures in a row, by endpoint",
        [((key,), state.get("failures", 0)) for key, state in states.items()],
        "endpoint",
    )
    successes = {key: state.get("last_success_at") for key, state in states.items()}
    yield _gauge(
        "endpoint_last_success_timestamp_seconds",
        "When a step last succeeded, by endpoint",
        [((key,), at.timestamp()) for key, at in successes.items() if at],
        "endpoint",
    )


def _ticks(conn: Connection, config: Config, _now: datetime) -> Iterator[Metric]:
    last = ticks.last_of(conn, [*schedules.names(config), HEARTBEAT]).values()
    yield _gauge(
        "tick_timestamp_seconds",
        "Fire time of the last tick, by schedule",
        [((row.job,), row.fire_time.timestamp()) for row in last],
        "schedule",
    )
    yield _gauge(
        "tick_drift_seconds",
        "How late the last tick was noticed, by schedule",
        [((row.job,), max(0.0, (row.claimed_at - row.fire_time).total_seconds())) for row in last],
        "schedule",
    )


def _finished(conn: Connection, _config: Config, _now: datetime) -> Iterator[Metric]:
    """What was done, from totals that only go up."""
    rows = totals.rows(conn)
    tried = CounterMetricFamily(
        "second_opinion_attempts", "Attempts of steps, by endpoint and outcome", labels=["endpoint", "outcome"]
    )
    steps = [row for row in rows if row.name == totals.STEP]
    for where, group in groupby(sorted(steps, key=_outcome), _outcome):
        tried.add_metric(where, sum(row.number for row in group))
    yield tried
    closed = CounterMetricFamily(
        "second_opinion_loops_closed", "Loops that closed, by what was known of the report", labels=["level"]
    )
    ended = [row for row in rows if row.name == totals.LOOP_CLOSED]
    for level in Level:
        closed.add_metric([level], sum(row.number for row in ended if (row.outcome or Level.READ_BACK) == level))
    yield closed
    reopened = CounterMetricFamily(
        "second_opinion_loops_reopened", "Loops that had closed on a person's word that was taken back"
    )
    reopened.add_metric([], sum(row.number for row in rows if row.name == totals.LOOP_REOPENED))
    yield reopened
    taken = sorted((row for row in steps if row.outcome != "lost"), key=lambda row: row.kind)
    yield _histogram("step_duration_seconds", "How long a step took, by kind", totals.STEP, taken, "kind")
    for name, metric, words in _SINCE_TAKEN_IN:
        yield _histogram(metric, words, name, [row for row in rows if row.name == name], "fulfiller")


def _outcome(row: Row) -> tuple[str, str]:
    return row.endpoint, row.outcome


def _histogram(name: str, words: str, total: str, rows: list[Row], label: str) -> HistogramMetricFamily:
    family = HistogramMetricFamily(f"second_opinion_{name}", words, labels=[label])
    bounds = [*(str(float(bound)) for bound in totals.BOUNDS[total]), "+Inf"]
    for where, group in groupby(rows, lambda row: row.kind or row.endpoint):
        found = list(group)
        counts = accumulate(sum(each) for each in zip(*(row.buckets for row in found), strict=True))
        family.add_metric([where], list(zip(bounds, counts, strict=True)), sum(row.seconds for row in found))
    return family


_SINCE_TAKEN_IN = (
    (
        totals.RECORDS_VERIFIED,
        "records_verified_seconds",
        "Time from taking a request in to its records verified, by fulfiller",
    ),
    (
        totals.LOOP_CLOSED,
        "report_returned_seconds",
        "Time from taking a request in to its report returned to the placer, by fulfiller",
    ),
)
_PARTS = (_size, _work, _promises, _alerts, _endpoints, _ticks, _finished)
