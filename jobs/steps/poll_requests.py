"""Poll a placer's EHR for new ServiceRequests and take in the second opinions among them, recognised by code."""

from contextlib import suppress
from datetime import datetime, timedelta

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert

from integration.fhir.server import NotFound
from integration.store import findings, operations, requests
from integration.store.tables import endpoints, watermarks
from integration.store.tables import requests as request_table
from jobs.world import Context, Outcome
from mappings.identifiers import local_reference
from mappings.model.errors import MappingError, PartialError, PermanentError, TemporaryError, TransferError
from mappings.model.findings import Finding
from mappings.model.request import Code, SecondOpinionRequest
from mappings.references import find_references
from mappings.service_request import from_service_request, is_second_opinion

READ_ALONG = (
    "Patient",
    "Practitioner",
    "PractitionerRole",
    "Organization",
    "Condition",
    "Communication",
    "QuestionnaireResponse",
)
OVERLAP = timedelta(minutes=5)  # servers print whole seconds and compare finer; clocks differ
READ_AGAIN = 10  # refused orders a poll reads again, besides those it finds
BLIPS = 2  # so often the whole poll is tried again before what cannot be read now is the order's own trouble


def poll_requests(ctx: Context) -> Outcome:
    """Search what changed since the watermark, with overlap, and look again at orders that were refused.

    The same ServiceRequest again is the same request.
    """
    key, params = ctx.step.endpoint, {}
    since, now = _watermark(ctx, key)
    with ctx.world.engine.begin() as conn:
        refused = findings.refused(conn, key, now)
    if since is not None:
        params["_lastUpdated"] = f"ge{(since - OVERLAP).isoformat(timespec='seconds')}"
    orders = {
        f"{each['resourceType']}/{each.get('id', '')}": each
        for each in ctx.server(key).search_all("ServiceRequest", params)
    }
    newest = max(filter(None, (since, *map(_last_updated, orders.values()))), default=None)
    waiting = list(dict.fromkeys(findings.reference_of(row.path) for row in refused))
    orders |= _read_again(ctx, key, [each for each in waiting if each not in orders and _is_address(each)][:READ_AGAIN])
    changes = [
        change
        for reference, order in orders.items()
        if (change := _take(ctx, key, reference, order, reference in waiting))
    ]
    changes.append(_settle(ctx, key, list(orders), refused))
    if newest is not None and newest != since:
        changes.append(
            lambda conn: conn.execute(_set_watermark(key, min(newest, now)))
        )  # its clock may run ahead of ours
    changes.append(lambda conn: conn.execute(update(endpoints).where(endpoints.c.key == key).values(polled_at=ctx.now)))
    return Outcome(apply=changes)


def _read_again(ctx: Context, key: str, references: list[str]) -> dict[str, dict | None]:
    """Orders that were refused as they are now, None where one is gone; what cannot be read now is left for another poll."""
    found: dict[str, dict | None] = {}
    for reference in references:
        try:
            found[reference] = ctx.server(key).read(*reference.split("/", 1))
        except NotFound:
            found[reference] = None
        except TemporaryError:
            break
        except (PermanentError, PartialError):
            continue
    return found


def _settle(ctx: Context, key: str, looked_at: list[str], refused: list):
    """Of refusals that are known only news is told; those that are over are settled, as a change for the step's commit."""
    still = [(each.cause, each.path) for each in ctx.found]
    known = {(row.cause, row.path, row.message) for row in refused}
    ctx.found = [each for each in ctx.found if (each.cause, each.path, each.message[:500]) not in known]
    return lambda conn: findings.settle(conn, key, looked_at, still, f"step {ctx.step.kind}")


def _take(ctx: Context, key: str, reference: str, order: dict | None, was_refused: bool):
    """What to do about one ServiceRequest, as a change for the step's commit; None when it is not for us, or refused."""
    endpoint = ctx.endpoint(key)
    if order is None or not is_second_opinion(
        order, [Code(system=each.system, code=each.code) for each in endpoint.local_codes]
    ):
        return None
    if order.get("status") in ("revoked", "entered-in-error"):
        return lambda conn: _cancel(conn, ctx, f"{key}:{reference}")
    if order.get("status") != "active" or _is_known(ctx, f"{key}:{reference}"):
        return None
    if endpoint.default_fulfiller is None:
        ctx.finding(
            "no-fulfiller",
            "a second opinion request, and no default_fulfiller is configured for this placer",
            reference,
            "error",
        )
        return None
    try:
        included, gone = _included(ctx, key, order)
        request = from_service_request(
            order, placer=key, fulfiller=endpoint.default_fulfiller, included=included, base=endpoint.base_url
        )
    except MappingError as error:
        ctx.finding("request-unreadable", str(error), f"{reference}#{error.path}", "error")
        return None
    except (TransferError, PartialError) as error:
        if isinstance(error, TemporaryError) and ctx.step.attempts < BLIPS and not was_refused:
            raise
        ctx.finding("request-incomplete", f"half an order is not taken in: {error}", reference, "error")
        return None
    return lambda conn: _take_in(
        conn,
        key,
        request,
        [
            Finding(
                "order-reference-gone",
                f"the order points to {each}, which is not at {key}: what it said is not in the request",
                f"{reference} -> {each}",
                "error",
            )
            for each in gone
        ],
    )


def _take_in(conn, key: str, request: SecondOpinionRequest, found: list[Finding]) -> None:
    request_id, _ = requests.take_in(conn, request, actor=f"poll {key}")
    findings.record(conn, found, request_id=request_id, endpoint=key)


def _is_known(ctx: Context, key: str) -> bool:
    with ctx.world.engine.begin() as conn:
        return (
            conn.execute(select(func.count()).select_from(request_table).where(request_table.c.key == key)).scalar_one()
            > 0
        )


def _cancel(conn, ctx: Context, key: str) -> None:
    row = conn.execute(select(request_table).where(request_table.c.key == key)).one_or_none()
    if row is not None:
        with suppress(operations.NotPossible):  # it has ended, or is being cancelled already
            operations.cancel(conn, row.id, actor=f"poll {row.placer}", reason="the placer revoked its ServiceRequest")


def _included(ctx: Context, key: str, resource: dict) -> tuple[dict[str, dict], list[str]]:
    """What the ServiceRequest points to, and what a PractitionerRole among it points to; and what of it is not there."""
    server, found = ctx.server(key), {}
    _include(server, resource, found)
    for each in [each for each in found.values() if each and each["resourceType"] in ("PractitionerRole", "Condition")]:
        _include(server, each, found)
    return {local: each for local, each in found.items() if each}, [local for local, each in found.items() if not each]


def _include(server, resource: dict, found: dict[str, dict | None]) -> None:
    for at in find_references(resource, source_base=server.endpoint.base_url):
        local = local_reference(at.target)
        if local is None or local in found or local.split("/")[0] not in READ_ALONG or not _is_address(local):
            continue
        try:
            found[local] = server.read(*local.split("/"))
        except NotFound:  # the server's own word, not some gateway's page: then it is not known what the order says
            found[local] = None


def _is_address(reference: str) -> bool:
    """Whether a read can ask for it: a server may give ids that no address holds."""
    return local_reference(reference) == reference and reference.split("/")[1].strip(".") != ""


def _last_updated(resource: dict) -> datetime | None:
    try:
        at = datetime.fromisoformat((resource.get("meta") or {}).get("lastUpdated"))
    except (AttributeError, TypeError, ValueError):
        return None
    return at if at.tzinfo else None


def _watermark(ctx: Context, key: str) -> tuple[datetime | None, datetime]:
    """Up to when everything was seen, and the database's time; never later than when it was noted or than now."""
    with ctx.world.engine.begin() as conn:
        now = conn.execute(select(func.statement_timestamp())).scalar_one()
        row = conn.execute(
            select(watermarks).where(watermarks.c.endpoint == key, watermarks.c.kind == "ServiceRequest")
        ).one_or_none()
    return min(datetime.fromisoformat(row.value), row.updated_at, now) if row else None, now


def _set_watermark(key: str, newest: datetime):
    insertion = insert(watermarks).values(endpoint=key, kind="ServiceRequest", value=newest.isoformat())
    return insertion.on_conflict_do_update(
        index_elements=["endpoint", "kind"], set_=dict(value=insertion.excluded.value, updated_at=func.now())
    )
