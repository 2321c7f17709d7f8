"""Walks one document along the roads of an endpoint, so that it is there once or a person is asked.

mappings/model/sending.py says what to do next; here it is done: the ledger's row is committed before each send, under the
lease, and what came of it after. A worker that dies in between leaves the row as it was, and the next one looks first.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection

from integration.roads.open import road_for
from integration.roads.road import (
    Absent,
    CannotTell,
    Impossible,
    NotAllowed,
    Prepared,
    ReadBack,
    Repeat,
    Road,
    Taken,
    There,
    Way,
)
from integration.store import links, sendings
from integration.store.sendings import Sending
from jobs.target.checking import differs
from jobs.target.looking import find_carrying
from jobs.world import Context
from mappings.codes import as_text
from mappings.model.consent import CAUSES as CONSENT_CAUSES
from mappings.model.delivery import Verdict, verdict_of_status
from mappings.model.errors import ExchangeError, MappingError, NeedsPerson, PermanentError, TemporaryError
from mappings.model.outgoing import Outgoing, visible_of
from mappings.model.request import Identifier
from mappings.model.roads import Level, RoadName, facts_of
from mappings.model.sending import (
    MAX_SENDS,
    After,
    Carry,
    Done,
    Looked,
    LookUp,
    NoRoad,
    SendBy,
    SendingState,
    after_look_up,
    next_action,
    surely_not_done,
)
from mappings.subject import subjects_of

NOT_WRITTEN = (
    "patient-not-linked",
    "request-withdrawn",
    "consent-changed",
    *CONSENT_CAUSES,  # so far what the gate says
    "condition-ignored",  # the server says that something was there already
)
REFUSED = "hl7v2-refused"  # what an application says of a message that it did not take
OLDEST_BACKUP = timedelta(days=90)  # what was sent since then is looked for after a restore
ROADS_OVER_FHIR = (RoadName.FHIR_DOCUMENT,)  # what it is called there is a resource of that endpoint
SAID_BY_ITSELF = ("report-too-large",)  # where no road is impossible for another reason, that is what a person reads
NO_ROAD, TO_HAND_OVER, PERHAPS = "no-road", "to-hand-over", "sent-perhaps"


class TooLarge(NeedsPerson):
    """The document is larger than this road takes: another one may take it."""

    def __init__(self, message: str):
        super().__init__("report-too-large", message)


@dataclass
class Document:
    """One document to be sent. ``item_for(road)``: as it is for a patient of where that road leads; made when a road wants it.

    ``looks_back``: whether one that the ledger does not know may be there all the same; after a restore any may be.
    """

    endpoint: str
    delivery_id: str
    identifier: Identifier
    item_for: Callable[[Road], Outgoing]
    roads: Sequence[str]
    tried: dict[str, Impossible] = field(default_factory=dict)
    looks_back: bool = True


def way_of(ctx: Context, endpoint: str) -> Way:
    """What the roads into an endpoint are made of, in this attempt."""

    def compared(at: str, sent: dict, read: dict, name: str) -> bool:
        return differs(ctx, sent, read, name, endpoint=at)

    def found(at: str, kind: str, identifier: Identifier) -> tuple[list[dict], bool]:
        return find_carrying(ctx, at, kind, identifier)

    return Way(endpoint, ctx, compared, found)


def send_document(ctx: Context, document: Document) -> Sending:
    """The ledger's row of a document that is there, by the first road that takes it. Raises what else became of it."""
    while True:
        row = _row(ctx, document)
        state, by = (row.state, row.road) if row else (None, None)
        match next_action(state, by, document.roads, document.tried, _carried(ctx, document)):
            case Done():
                assert row is not None
                return row
            case LookUp():
                assert row is not None
                look_up(ctx, row, document.item_for)
            case SendBy(road):
                _send_by(ctx, document, road)
            case Carry(road):
                raise _carry(ctx, document, road)
            case NoRoad():
                raise _no_road(ctx, document)


def look_up(ctx: Context, row: Sending, item_for: Callable[[Road], Outgoing] | None = None) -> None:
    """See what became of a send of which nobody knows. Changes the ledger, or raises: later, or a person.

    ``item_for``: what is wanted there now; without it what is found stays as it was sent.
    """
    road = road_for(way_of(ctx, row.endpoint), row.road)
    if road is None or row.sha256 is None or row.begun_at is None or row.sent_at is None:
        raise _ask(row, CannotTell(f"this installation has no road {row.road} anymore", row.value))
    body = ctx.world.payloads.get(row.sha256)
    item = item_for(road) if item_for is not None else as_sent(row, road.resource_of(body))
    prepared = road.restore(item, body, row.control_id)
    answer = _answer(road, prepared, row.begun_at)
    lag = ctx.endpoint(road.at).limits.search_lag_seconds
    word, most = _WORDS[type(answer)], answer.most_sends if isinstance(answer, Repeat) else MAX_SENDS
    match after_look_up(word, sends=row.sends, sent_at=row.sent_at, now=ctx.now, lag_seconds=lag, most_sends=most):
        case After.TAKEN:
            assert isinstance(answer, There)
            _there(ctx, row.endpoint, row.identifier, road, item if item_for else None, answer)
        case After.WAIT:
            raise _wait(ctx, row, lag)
        case After.ABSENT:
            _end(ctx, row.endpoint, row.identifier, SendingState.ABSENT)
        case After.REPEAT:
            _repeat(ctx, row, road, prepared)
        case After.ASK:
            assert isinstance(answer, CannotTell | Repeat)
            raise _ask(row, answer)


def what_became_of(ctx: Context, row: Sending) -> Sending:
    """The row, looked up where nobody knew. Raises TemporaryError or NeedsPerson while nobody knows."""
    if row.state != SendingState.BEGUN:
        return row
    look_up(ctx, row)
    with ctx.world.engine.begin() as conn:
        found = sendings.find(conn, row.endpoint, row.identifier)
    assert found is not None
    return found


def as_sent(row: Sending, resource: Mapping[str, Any]) -> Outgoing:
    """The document as it went, from what its road reads in the bytes that were kept: enough to find it and to compare it."""
    patient = next((as_text(node.get("reference")) for _, node in subjects_of(dict(resource))), None) or ""
    return Outgoing(
        request_id=row.request_id,
        delivery_id=row.delivery_id,
        identifier=row.identifier,
        visible=visible_of(row.request_id, row.identifier),
        resource=resource,
        patient=patient,
    )


def read_back(ctx: Context, row: Sending) -> ReadBack | NotAllowed | None:
    """Compare what stands there with what went; None: it is not readable yet."""
    road = road_for(way_of(ctx, row.endpoint), row.road)
    if road is None or row.sha256 is None:
        return NotAllowed(f"nothing of {row.value} was sent by a road that can be read back")
    body = ctx.world.payloads.get(row.sha256)
    return road.read_back(road.restore(as_sent(row, road.resource_of(body)), body, row.control_id), row.reference)


def remember_link(conn: Connection, row: Sending) -> None:
    """The link by which others find what was sent, where it has a name there."""
    if row.reference is None or row.road not in ROADS_OVER_FHIR:
        return
    links.remember(
        conn,
        row.endpoint,
        row.system,
        row.value,
        row.reference,
        origin="created",
        version=row.receipt.get("version"),
        sha256=row.sha256,
    )


def place_of(ctx: Context, row: Sending) -> str:
    """The endpoint that holds it."""
    road = road_for(way_of(ctx, row.endpoint), row.road)
    return road.at if road is not None else row.endpoint


_WORDS: Mapping[type, Looked] = {
    There: Looked.THERE,
    Absent: Looked.ABSENT,
    CannotTell: Looked.CANNOT_TELL,
    Repeat: Looked.REPEAT,
}


def _answer(road: Road, prepared: Prepared, since: datetime) -> There | Absent | CannotTell | Repeat:
    try:
        return road.look_up(prepared, since)
    except PermanentError as error:  # not allowed, not offered: then looking decides nothing
        return CannotTell(str(error), prepared.item.visible)


def _send_by(ctx: Context, document: Document, name: str) -> None:
    """One road: impossible is noted, and the next one follows."""
    road = road_for(way_of(ctx, document.endpoint), name)
    if road is None:
        document.tried[name] = Impossible("road-not-configured", f"this installation has no road {name}")
        return
    try:
        prepared = road.can() or road.prepare(document.item_for(road))
    except TooLarge as error:  # known before anything is sent
        prepared = Impossible(error.cause, str(error))
    if isinstance(prepared, Impossible):
        document.tried[name] = prepared
        return
    if _is_there_though_unknown(ctx, document, road, prepared):
        return
    _begin(ctx, document, road, prepared, ctx.now)
    answer = _sent(ctx, document.endpoint, document.identifier, road, prepared)
    if isinstance(answer, Impossible):
        document.tried[name] = answer
        _end(ctx, document.endpoint, document.identifier, SendingState.ABSENT, tried=_tried(document))


def _is_there_though_unknown(ctx: Context, document: Document, road: Road, prepared: Prepared) -> bool:
    """Whether it is there although the ledger knows nothing of it: sent before a restore, or by a version without a ledger.

    After a restore a look-up that cannot tell leaves it in doubt, and a person is asked.
    """
    looks = ctx.looks_first if document.looks_back else ctx.was_restored
    if not looks or _row(ctx, document) is not None:
        return False
    since = ctx.now - OLDEST_BACKUP
    answer = _answer(road, prepared, since)
    if isinstance(answer, There):
        _begin(ctx, document, road, prepared, since)
        _there(ctx, document.endpoint, document.identifier, road, prepared.item, answer)
        return True
    if isinstance(answer, Absent) or not ctx.was_restored:
        return False
    _begin(ctx, document, road, prepared, since)
    row = _row(ctx, document)
    assert row is not None
    raise _ask(row, answer)


def _begin(ctx: Context, document: Document, road: Road, prepared: Prepared, at: datetime) -> None:
    """From this commit on it may be there, not before ``at``."""
    digest = ctx.world.payloads.put(prepared.body)
    whole = ctx.world.payloads.put(prepared.whole) if prepared.whole is not None else None
    with ctx.transaction() as conn:
        sendings.begin(
            conn,
            document.endpoint,
            document.identifier,
            request_id=ctx.request_id,
            delivery_id=document.delivery_id,
            road=road.name,
            sha256=digest,
            control_id=prepared.control_id,
            tried=_tried(document),
            at=at,
            whole_sha256=whole,
        )


def _repeat(ctx: Context, row: Sending, road: Road, prepared: Prepared) -> None:
    """The same bytes with the same number."""
    with ctx.transaction() as conn:
        sendings.begin(
            conn,
            row.endpoint,
            row.identifier,
            request_id=row.request_id,
            delivery_id=row.delivery_id,
            road=row.road,
            sha256=str(row.sha256),
            control_id=row.control_id,
            tried=row.tried,
            at=ctx.now,
            whole_sha256=row.whole_sha256,
        )
    try:
        answer = _sent(ctx, row.endpoint, row.identifier, road, prepared, is_repeat=True)
    except PermanentError as error:  # said of the repeat: it tells nothing of the first
        raise _ask(row, CannotTell(str(error), prepared.item.visible)) from None
    if isinstance(answer, Impossible):
        raise _ask(row, CannotTell(answer.message, prepared.item.visible))


def _sent(
    ctx: Context, endpoint: str, identifier: Identifier, road: Road, prepared: Prepared, *, is_repeat: bool = False
) -> Taken | There | Impossible:
    """Send once, and write down what came of it. What is raised leaves the row as it is, unless surely nothing was written."""
    ctx.lease.before_write()
    try:
        answer = road.send(prepared)
    except ExchangeError as error:
        if not is_repeat and _wrote_nothing(error):
            _end(ctx, endpoint, identifier, SendingState.ABSENT)
        raise
    if isinstance(answer, Taken):
        _taken(ctx, endpoint, identifier, answer)
    elif isinstance(answer, There):
        _there(ctx, endpoint, identifier, road, prepared.item, answer)
    return answer


def _wrote_nothing(error: ExchangeError) -> bool:
    """Whether a send that ended so surely left nothing there; where that is in doubt it is looked up."""
    if isinstance(error, MappingError) or error.cause in NOT_WRITTEN or error.cause.startswith("sign-in-"):
        return True  # nothing went out
    if error.cause == REFUSED:
        return True
    if isinstance(error, TemporaryError):
        return surely_not_done(error.status_code, asked_to_wait=error.retry_after_seconds is not None)
    if isinstance(error, PermanentError) and error.status_code is not None:
        return error.status_code < 500 and verdict_of_status(error.status_code) is not Verdict.LOOK_FIRST
    return False


def _taken(ctx: Context, endpoint: str, identifier: Identifier, taken: Taken, **more: object) -> None:
    receipt = {**taken.receipt, **({"version": taken.version} if taken.version else {})}
    _end(
        ctx,
        endpoint,
        identifier,
        SendingState.TAKEN,
        reference=taken.reference,
        level=taken.level,
        receipt=receipt,
        **more,
    )


def _there(
    ctx: Context, endpoint: str, identifier: Identifier, road: Road, item: Outgoing | None, there: There
) -> None:
    """It was there. That is written down first; then it is seen that it says what is wanted now."""
    level = facts_of(road.name).best
    level = Level.UNVERIFIABLE if level is Level.READ_BACK else level  # until it has been read back
    _taken(ctx, endpoint, identifier, Taken(there.reference, level, there.version))
    prepared = road.prepare(item) if item is not None else None
    if prepared is None or isinstance(prepared, Impossible):
        return
    ctx.lease.before_write()
    renewed = road.renew(prepared, there)
    if renewed is not None:
        _taken(ctx, endpoint, identifier, renewed, sha256=ctx.world.payloads.put(prepared.body))


def _end(ctx: Context, endpoint: str, identifier: Identifier, state: SendingState, **values: object) -> None:
    with ctx.transaction() as conn:
        sendings.end(conn, endpoint, identifier, state, ctx.now, **values)


def _row(ctx: Context, document: Document) -> Sending | None:
    with ctx.world.engine.begin() as conn:
        return sendings.find(conn, document.endpoint, document.identifier)


def _carried(ctx: Context, document: Document) -> set[str]:
    way = way_of(ctx, document.endpoint)
    return {name for name in document.roads if (road := road_for(way, name)) is not None and not road.sends}


def _tried(document: Document) -> list[dict[str, str]]:
    return [dict(road=name, cause=each.cause, message=each.message) for name, each in document.tried.items()]


def _note(ctx: Context, document: Document, road: str, state: SendingState, *, sha256: str | None = None) -> None:
    with ctx.transaction() as conn:
        sendings.note(
            conn,
            document.endpoint,
            document.identifier,
            request_id=ctx.request_id,
            delivery_id=document.delivery_id,
            road=road,
            state=state,
            tried=_tried(document),
            sha256=sha256,
        )


def _why(document: Document) -> str:
    return "; ".join(f"{name}: {each.message}" for name, each in document.tried.items())


def _carry(ctx: Context, document: Document, road: str) -> NeedsPerson:
    by = road_for(way_of(ctx, document.endpoint), road)
    prepared = by.prepare(document.item_for(by)) if by is not None else None
    kept = ctx.world.payloads.put(prepared.body) if isinstance(prepared, Prepared) else None
    _note(ctx, document, road, SendingState.WAITING, sha256=kept)  # whoever carries it finds its bytes here
    why = f" ({_why(document)})" if document.tried else ""
    return NeedsPerson(
        TO_HAND_OVER,
        f"{document.identifier.value} is ready to be handed over to {document.endpoint}; nothing was sent{why}",
    )


def _no_road(ctx: Context, document: Document) -> NeedsPerson:
    _note(ctx, document, document.roads[0] if document.roads else "", SendingState.IMPOSSIBLE)
    [cause, *others] = {each.cause for each in document.tried.values()} or {NO_ROAD}
    cause = NO_ROAD if others or cause not in SAID_BY_ITSELF else cause
    return NeedsPerson(cause, f"no road takes {document.identifier.value} to {document.endpoint}: {_why(document)}")


def _ask(row: Sending, answer: CannotTell | Repeat) -> NeedsPerson:
    return NeedsPerson(
        PERHAPS,
        f"{row.value} was sent to {row.endpoint} by {row.road} and nobody knows what became of it: {answer.message}. "
        f"Search the chart there for: {answer.search_for}",
    )


def _wait(ctx: Context, row: Sending, lag: float) -> TemporaryError:
    waited = (ctx.now - row.sent_at).total_seconds() if row.sent_at else 0.0
    return TemporaryError(
        f"{row.value} is not found at {row.endpoint} yet; its search may not know it so soon",
        endpoint=row.endpoint,
        cause="looked-too-soon",
        retry_after_seconds=max(0.2, lag - waited),
    )
