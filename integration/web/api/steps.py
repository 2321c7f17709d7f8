"""Steps: the queue page for programs. The same filter, the same pages, the same buttons."""

from flask import url_for
from sqlalchemy import Row

from integration.store import search
from integration.store import steps as store
from integration.store.actions import Seen
from integration.store.filters import Filter, Term, parse
from integration.views.causes import explain
from integration.web import pages, world
from integration.web.api.acting import act, act_or_refuse
from integration.web.api.answers import (
    Done,
    ExplainedStep,
    FailureGroup,
    Failures,
    FilterFound,
    Operation,
    StepCounts,
    StepsPage,
)
from integration.web.api.bodies import OnStep, RetryMatching, Search, StepsPageQuery, StepsQuery
from integration.web.api.operations import view
from integration.web.api.routes import get, post
from integration.web.problems import Error, Problem

FILTER_PROBLEMS = ("wrong-query", "wrong-filter", "patient-in-address")


@get("/steps", refuses=FILTER_PROBLEMS)
def steps(query: StepsPageQuery) -> StepsPage:
    """The steps that match a filter, in the order of the queue page; without one, those that need a person."""
    wanted, after = _without_patients(query.q), _place(query.after)
    with world.engine().connect() as conn:
        found, following = search.rows(conn, wanted, pages.now(), after=after, limit=query.limit)
    items = [_explained(row) for row in found]
    return StepsPage(q=str(wanted), items=items, next=following and str(following))


@get("/steps/counts", refuses=FILTER_PROBLEMS)
def step_counts(query: StepsQuery) -> StepCounts:
    """How many steps each tab holds under a filter, and how many of them a retry would work on."""
    wanted, now = _without_patients(query.q), pages.now()
    with world.engine().connect() as conn:
        retryable = sum(each.number for each in search.count_matching(conn, wanted, now))
        return StepCounts(q=str(wanted), counts=search.counts(conn, wanted, now), retryable=retryable)


@get("/failures", refuses=FILTER_PROBLEMS)
def failures(query: StepsQuery) -> Failures:
    """Open failures by cause and endpoint, most first; a filter narrows them."""
    with world.engine().connect() as conn:
        groups = search.groups(conn, _without_patients(query.q), pages.now())
    return Failures(items=[_group(row) for row in groups])


@post("/search", refuses=("wrong-body", "wrong-filter"))
def find(body: Search) -> FilterFound:
    """Turn a filter with patient identifiers into one with their keyed hashes, which may stand in an address."""
    with world.engine().begin() as conn:
        wanted = str(search.hashed(conn, parse(body.q)))
    return FilterFound(q=wanted, steps=url_for("api.steps", q=wanted))


@post("/steps/<int:step_id>/retry", refuses=("wrong-body", "unknown", "not-possible"))
def retry_step(step_id: int, body: OnStep) -> Done:
    """Make a parked or waiting step due now."""
    return act_or_refuse("retry", body.reason, step=_seen(step_id, body))


@post("/steps/<int:step_id>/park", refuses=("wrong-body", "unknown", "not-possible"))
def park_step(step_id: int, body: OnStep) -> Done:
    """Stop trying a waiting or due step; what it would send is kept, and a person decides."""
    return act_or_refuse("park", body.reason, step=_seen(step_id, body))


@post("/steps/retry", statuses=(202,), refuses=("wrong-body", "wrong-filter", "not-possible"))
def retry_matching(body: RetryMatching) -> tuple[Operation, int, dict]:
    """Retry everything that matches, in the background; see the operation for how far it came."""
    _, address = act("retry-matching", body.reason, q=body.q, count=body.expected, per_second=body.per_second)
    operation = view(int(address.rsplit("/", 1)[1]))
    return operation, 202, {"Location": url_for("api.operation", operation_id=operation.id)}


def _without_patients(text: str) -> Filter:
    wanted = parse(text)
    if wanted.identifiers:
        raise Problem(
            "patient-in-address",
            "Addresses are logged and shared: post the filter to /api/search, and use the one it answers, "
            "which holds the keyed hash of the patient's identifier instead.",
            [Error(message="holds a patient identifier", path="q")],
        )
    return wanted


def _place(after: str | None) -> search.Place | None:
    place = search.Place.read(after) if after else None
    if after and place is None:
        raise Problem(
            "wrong-query",
            "`after` is not the `next` of a page.",
            [Error(message="is not the `next` of a page", path="after")],
        )
    return place


def _explained(row: Row) -> ExplainedStep:
    happened, advice = explain(row)
    return ExplainedStep.model_validate({**row._asdict(), "happened": happened, "advice": advice})


def _group(row: Row) -> FailureGroup:
    happened, advice = explain(row)
    narrowed = str(Filter((Term("endpoint", (row.endpoint,)), Term("error", (f"={row.cause}",)))))
    return FailureGroup.model_validate({**row._asdict(), "happened": happened, "advice": advice, "q": narrowed})


def _seen(step_id: int, body: OnStep) -> Seen:
    """The step as the caller saw it; without that, as it is."""
    with world.engine().connect() as conn:
        row = store.get(conn, step_id)
    if row is None:
        raise Problem("unknown", f"There is no step {step_id}.")
    return Seen(step_id, body.seen.lease_no, body.seen.status) if body.seen else Seen(step_id, row.lease_no)
