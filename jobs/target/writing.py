"""Writing one resource somewhere so that it is there once: look in links, look at the target, then create."""

from collections.abc import Callable

from integration import fhir_json
from integration.fhir.server import identifier_condition
from integration.store import links
from integration.store.one_at_a_time import exclusively
from jobs.target.looking import find_first, find_one, must_be_ours
from jobs.world import Context
from mappings.model.errors import PermanentError, UnknownOutcome
from mappings.model.request import Identifier


def ensure_created(
    ctx: Context,
    endpoint: str,
    resource: dict,
    identifier: Identifier,
    *,
    authored: bool = False,
    look: bool = False,
    find: Callable[[Context, str, str, Identifier], str | None] = find_one,
) -> str:
    """Create ``resource`` at ``endpoint`` unless its identifier is there; returns ``Type/id`` there.

    1. a link says it is there; 2. on a repeat, or where there is no conditional create, the target is searched;
    3. conditional create; 4. no Location in the answer: search again (some servers answer 200 without one).
    ``authored``: we made it ourselves, so its structure is checked before it is sent. ``look``: search first in any case.
    Raises NeedsPerson when ``find`` does because two hold the identifier or none can be found after a successful answer.
    """
    known = _linked(ctx, endpoint, identifier)
    if known:
        return known
    kind, server = resource["resourceType"], ctx.server(endpoint)
    found = None
    if look or ctx.looks_first or not ctx.capabilities(endpoint).conditional_create:
        found = find(ctx, endpoint, kind, identifier)
    version, is_new = None, False
    if found is None:
        ctx.lease.before_write()
        try:
            written = server.create(
                resource, if_none_exist=identifier_condition(identifier.system, identifier.value), authored=authored
            )
            found, version, is_new = written.location, written.version, written.created
            if found is not None and not is_new:
                must_be_ours(ctx, endpoint, found, identifier)
        except PermanentError as error:
            if error.status_code != 412:
                raise
    found = found or find(ctx, endpoint, kind, identifier)
    if found is None:
        raise UnknownOutcome(
            f"{endpoint} accepted a {kind} and does not show it by its identifier",
            endpoint=endpoint,
            cause="not-found-after-write",
        )
    # what was there already may say something else than this resource does
    remember(ctx, endpoint, identifier, found, resource if is_new else None, version=version)
    return found


def ensure_shared(
    ctx: Context,
    endpoint: str,
    resource: dict,
    identifier: Identifier,
    create: Callable[[Context, str, dict, Identifier], str] | None = None,
) -> str:
    """As ``ensure_created`` for people and places, which the charts of several requests share: one at a time for each.

    Whoever was here before may have been killed between its create and its link, so the target is searched in any case.
    ``create``: does that, and remembers the link; else `ensure_created`.
    """
    known = _linked(ctx, endpoint, identifier)
    if known:
        return known
    with exclusively(ctx.world.engine, ctx.step, endpoint, identifier.system, identifier.value):
        if create is not None:
            return create(ctx, endpoint, resource, identifier)
        return ensure_created(ctx, endpoint, resource, identifier, look=True, find=find_first)


def remember(
    ctx: Context,
    endpoint: str,
    identifier: Identifier,
    reference: str,
    sent: dict | None = None,
    *,
    origin: str = "created",
    version: str | None = None,
) -> None:
    """Store the link, with the bytes we surely wrote there in the payload store: a correction is compared with them."""
    digest = ctx.world.payloads.put(fhir_json.dumps(sent)) if sent is not None else None
    with ctx.transaction() as conn:
        links.remember(
            conn,
            endpoint,
            identifier.system,
            identifier.value,
            reference,
            origin=origin,
            version=version,
            sha256=digest,
        )


def version_of(resource: dict) -> str | None:
    """The version a server gives a resource, for If-Match."""
    return (resource.get("meta") or {}).get("versionId")


def own_identifier(ctx: Context, kind: str, name: str) -> Identifier:
    """The identifier of a resource we make ourselves: the Exchange's system and ``Type/name``."""
    return Identifier(system=ctx.world.config.exchange.identifier_system, value=f"{kind}/{name}")


def _linked(ctx: Context, endpoint: str, identifier: Identifier) -> str | None:
    with ctx.world.engine.begin() as conn:
        return links.find(conn, endpoint, identifier.system, [identifier.value]).get(identifier.value)
