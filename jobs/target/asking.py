"""Asking a consulting provider: whether that is possible at an endpoint at all, and each resource of it created once.

By the same ledger as a document: a row before the send, and after a lost answer a look before anything is sent again.
"""

from integration.roads.fhir_resource import NAME
from integration.store import links
from jobs.target.sending import Document, send_document
from jobs.target.writing import remember
from jobs.world import Context
from mappings.codes import as_text
from mappings.model.errors import NeedsPerson
from mappings.model.outgoing import Outgoing
from mappings.model.request import Identifier
from mappings.subject import subjects_of


def must_take_requests(ctx: Context, endpoint: str) -> None:
    """Raises NeedsPerson where neither ServiceRequest nor Task is taken: records there without a request would help nobody."""
    if ctx.capabilities(endpoint).takes_requests:
        return
    raise NeedsPerson(
        "takes-no-request",
        f"{endpoint} does not take ServiceRequest and Task over FHIR, by which a consultant is asked: nothing was sent there. "
        f"Write base_url: hosted:<practice> for endpoints.{endpoint}, and the consultant works on our pages; or "
        f"second-opinion packet download {ctx.request_id} and bring it there",
    )


def create_once(
    ctx: Context, endpoint: str, delivery_id: str, resource: dict, identifier: Identifier, *, called: str = "request"
) -> None:
    """It is there, and its link is known; what stands there may say something older. Raises what else became of it.

    ``called``: what it is part of: ``request``, or ``person`` for people and places, which are copies of a source's.
    """
    with ctx.world.engine.begin() as conn:
        if links.find(conn, endpoint, identifier.system, [identifier.value]):
            return
    item = _outgoing(ctx, delivery_id, resource, identifier, called)
    sending = send_document(ctx, Document(endpoint, delivery_id, identifier, lambda road: item, (NAME,)))
    is_new = sending.receipt.get("status") == "201"  # else it was there, and nobody knows what it says
    if sending.reference is not None:
        version = sending.receipt.get("version")
        remember(ctx, endpoint, identifier, sending.reference, resource if is_new else None, version=version)


def _outgoing(ctx: Context, delivery_id: str, resource: dict, identifier: Identifier, called: str) -> Outgoing:
    patient = next((as_text(node.get("reference")) for _, node in subjects_of(resource)), None)
    return Outgoing(
        request_id=ctx.request_id,
        delivery_id=delivery_id,
        identifier=identifier,
        visible=f"the {resource['resourceType']} with the identifier {identifier.value}",
        resource=resource,
        patient=patient or "",
        called=called,
    )
