"""Poll a placer's EHR for new ServiceRequests and take in the second opinions among them, recognised by code."""
from contextlib import suppress
from datetime import datetime, timedelta

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert

from integration.store import operations, requests
from integration.store.tables import endpoints
from integration.store.tables import requests as request_table
from integration.store.tables import watermarks
from jobs.world import Context, Outcome
from mappings.identifiers import local_reference
from mappings.model.errors import MappingError, PermanentError
from mappings.model.request import Code
from mappings.references import find_references
from mappings.service_request import from_service_request, is_second_opinion

READ_ALONG = ("Patient", "Practitioner", "PractitionerRole", "Organization", "Condition", "Communication", "QuestionnaireResponse")
OVERLAP = timedelta(minutes=5)      # servers print whole seconds and compare finer; clocks differ


def poll_requests(ctx: Context) -> Outcome:
    """Search what changed since the watermark, with overlap; the same ServiceRequest again is the same request."""
    key = ctx.step.endpoint
    params = {}
    since = _watermark(ctx, key)
    if since is not None:
        params["_lastUpdated"] = f"ge{(since - OVERLAP).isoformat(timespec='seconds')}"
    changes, newest = [], since
    for resource in ctx.server(key).search_all("ServiceRequest", params):
        newest = max(filter(None, (newest, _last_updated(resource))), default=None)
        change = _take(ctx, key, resource)
        if change is not None:
            changes.append(change)
    if newest is not None and newest != since:
        changes.append(lambda conn: conn.execute(_set_watermark(key, newest)))
    changes.append(lambda conn: conn.execute(update(endpoints).where(endpoints.c.key == key).values(polled_at=ctx.now)))
    return Outcome(apply=changes)


def _take(ctx: Context, key: str, resource: dict):
    """What to do about one ServiceRequest, as a change for the step's commit; None when it is not for us."""
    endpoint = ctx.endpoint(key)
    reference = f"ServiceRequest/{resource['id']}"
    if not is_second_opinion(resource, [Code(system=each.system, code=each.code) for each in endpoint.local_codes]):
        return None
    if resource.get("status") in ("revoked", "entered-in-error"):
        return lambda conn: _cancel(conn, ctx, f"{key}:{reference}")
    if resource.get("status") != "active" or _is_known(ctx, f"{key}:{reference}"):
        return None
    if endpoint.default_fulfiller is None:
        ctx.finding("no-fulfiller", "a second opinion request, and no default_fulfiller is configured for this placer", reference, "error")
        return None
    try:
        request = from_service_request(resource, placer=key, fulfiller=endpoint.default_fulfiller,
                                       included=_included(ctx, key, resource), base=endpoint.base_url)
    except MappingError as error:
        ctx.finding("request-unreadable", str(error), f"{reference}#{error.path}", "error")
        return None
    return lambda conn: requests.take_in(conn, request, actor=f"poll {key}")


def _is_known(ctx: Context, key: str) -> bool:
    with ctx.world.engine.begin() as conn:
        return conn.execute(select(func.count()).select_from(request_table).where(request_table.c.key == key)).scalar_one() > 0


def _cancel(conn, ctx: Context, key: str) -> None:
    row = conn.execute(select(request_table).where(request_table.c.key == key)).one_or_none()
    if row is not None:
        with suppress(operations.NotPossible):      # it has ended, or is being cancelled already
            operations.cancel(conn, row.id, actor=f"poll {row.placer}", reason="the placer revoked its ServiceRequest")


def _included(ctx: Context, key: str, resource: dict) -> dict[str, dict]:
    """What the ServiceRequest points to, and what a PractitionerRole among it points to."""
    server, found = ctx.server(key), {}
    _include(server, resource, found)
    for each in [each for each in found.values() if each["resourceType"] in ("PractitionerRole", "Condition")]:
        _include(server, each, found)
    return found


def _include(server, resource: dict, found: dict) -> None:
    for at in find_references(resource, source_base=server.endpoint.base_url):
        local = local_reference(at.target)
        if local is None or local in found or local.split("/")[0] not in READ_ALONG:
            continue
        try:
            found[local] = server.read(*local.split("/"))
        except PermanentError as error:
            if error.status_code not in (404, 410):
                raise


def _last_updated(resource: dict) -> datetime | None:
    text = (resource.get("meta") or {}).get("lastUpdated")
    return datetime.fromisoformat(text) if text else None


def _watermark(ctx: Context, key: str) -> datetime | None:
    with ctx.world.engine.begin() as conn:
        value = conn.execute(select(watermarks.c.value).where(watermarks.c.endpoint == key,
                                                              watermarks.c.kind == "ServiceRequest")).scalar_one_or_none()
    return datetime.fromisoformat(value) if value else None


def _set_watermark(key: str, newest: datetime):
    insertion = insert(watermarks).values(endpoint=key, kind="ServiceRequest", value=newest.isoformat())
    return insertion.on_conflict_do_update(index_elements=["endpoint", "kind"],
                                           set_=dict(value=insertion.excluded.value, updated_at=func.now()))
