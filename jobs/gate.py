"""The one gate: everything that leaves for a party's system passes `passes`, which says why it may, or stops it.

`Context.server` gives servers whose every write comes through here; a road with a wire of its own calls it before it sends.
The patient's consent is asked with each. Each leaving is a row of the audit trail before it goes: ids and sizes only.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from integration.fhir.exchanges import ignore
from integration.store import audit, consents, leaving
from integration.store.leaving import KEPT, LEAVES, UNSENT
from mappings.model.consent import CAUSES as CONSENT_CAUSES
from mappings.model.errors import ExchangeError, NeedsPerson
from mappings.model.leaving import CARRIES, REASON_OF_STEP, Going, Reason, why_not

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

    from integration.fhir.server import FhirServer
    from integration.fhir.servers import Servers
    from jobs.world import Context

ACTOR = "exchange"


class Withdrawn(ExchangeError):
    """The request was cancelled or taken back while a step worked for it: the step ends, nothing more is sent."""

    cause = "request-withdrawn"


class ConsentChanged(ExchangeError):
    """The patient's consent is another one than the step chose its records by: the step is done again."""

    cause = "consent-changed"


def passes(ctx: "Context", endpoint: str, going: Going) -> None:
    """May this leave now, for this step's request? Recorded either way.

    Raises Withdrawn, ConsentChanged or NeedsPerson, and nothing is sent.
    """
    reason, told = reason_of(ctx), ctx.announced.intersection(going.items)
    with ctx.world.engine.begin() as conn:
        asks = ctx.endpoint(endpoint).asks_consent
        why = why_not(reason, going, leaving.stand(conn, ctx.request_id, endpoint, asks_consent=asks))
        why = why or _is_other_consent(conn, ctx, reason)
        if why or not told:
            _record(conn, ctx, endpoint, reason, going, KEPT if why else LEAVES, why)
    if not why:
        ctx.announced -= told
    if why == Withdrawn.cause:
        raise Withdrawn(
            f"request {ctx.request_id} was cancelled or taken back: nothing more of it is sent to {endpoint}"
        )
    if why == ConsentChanged.cause:
        raise ConsentChanged(f"another statement of consent for request {ctx.request_id} was recorded meanwhile")
    if why in CONSENT_CAUSES:
        raise NeedsPerson(
            why, f"the patient's consent for request {ctx.request_id} lets nothing leave for {endpoint} now"
        )
    if why:
        raise NeedsPerson(why, f"no patient at {endpoint} is linked to request {ctx.request_id}: nothing is sent there")


def _is_other_consent(conn: "Connection", ctx: "Context", reason: Reason) -> str:
    """What a step chose by a consent that stood a moment ago does not leave by another one."""
    if ctx.read_consent is None or reason not in CARRIES:
        return ""
    newest = consents.newest(conn, ctx.request_id)
    return "" if (newest.id if newest else 0) == ctx.read_consent else ConsentChanged.cause


@contextmanager
def together(ctx: "Context", endpoint: str, going: Going) -> Iterator[None]:
    """One row for what leaves one by one meanwhile, before the first byte of all; each still asks whether it may.

    ``going``: what is planned: its bytes are those before what they refer to has its name there. What then does not leave,
    because it was stopped or the step ended, is a row `data.unsent` that names it.
    """
    if len(going.items) < 2:
        yield
        return
    with ctx.world.engine.begin() as conn:
        _record(conn, ctx, endpoint, reason_of(ctx), going, LEAVES)
    ctx.announced = set(going.items)
    try:
        yield
    finally:
        unsent = tuple(each for each in going.items if each in ctx.announced)
        ctx.announced = set()
        if unsent:
            with ctx.world.engine.begin() as conn:
                _record(conn, ctx, endpoint, reason_of(ctx), Going(going.kind, unsent), UNSENT)


def for_a_person(
    engine: "Engine", servers: "Servers", endpoint: str, actor: str, why: Reason, words: str | None = None
) -> "FhirServer":
    """A server that ``actor`` writes to by a command, about no request: marked test resources, Subscriptions. Each is recorded."""

    def record(going: Going) -> None:
        detail = {"kind": going.kind, "items": list(going.items), "count": len(going.items), "bytes": going.size}
        with engine.begin() as conn:
            reason = f"{why}: {words}" if words else why
            audit.record(conn, actor, LEAVES, subject=endpoint, reason=reason, detail=detail)

    return servers.server(endpoint).observed(ignore, record)


def reason_of(ctx: "Context") -> Reason:
    """What the step is for, unless it said of this part of its work that it is for something else."""
    reason = ctx.because or REASON_OF_STEP.get(ctx.step.kind)
    if reason is None:
        raise LookupError(f"a step {ctx.step.kind} has no reason to send anything")
    return reason


def _record(
    conn: "Connection", ctx: "Context", endpoint: str, reason: Reason, going: Going, action: str, why: str = ""
) -> None:
    about = {"step": ctx.step.id, "delivery": ctx.step.delivery_id, "attempt": ctx.step.attempts + 1}
    leaving.record(conn, ctx.request_id, endpoint, reason, going, action, actor=ACTOR, about=about, why=why)
