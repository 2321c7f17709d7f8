"""Mirror the request's status to the placer's own ServiceRequest and Task, where that EHR can hold it."""

from integration.store import deliveries, requests
from integration.store.requests import Request
from jobs.target.beside import tell_of_return
from jobs.target.changing import change
from jobs.world import Context, Outcome
from mappings.codes import as_dict
from mappings.identifiers import local_reference
from mappings.model.errors import PermanentError
from mappings.model.states import Status
from mappings.task import to_business_status

# FHIR request.status is the placer's authorization: completed when the opinion is there, revoked when it will not come.
SERVICE_REQUEST_STATUS = {
    Status.COMPLETED: "completed",
    Status.REJECTED: "revoked",
    Status.CANCELLED: "revoked",
    Status.FAILED: "revoked",
    Status.ENTERED_IN_ERROR: "entered-in-error",
}


def mirror_status(ctx: Context) -> Outcome:
    """Write once per change; an EHR that refuses gets a finding, because nothing clinical depends on it."""
    tell_of_return(ctx)
    row, request = ctx.row(), ctx.request()
    with ctx.world.engine.begin() as conn:
        arrived = deliveries.records_arrived_as(conn, [row.id]).get(row.id)
    word = requests.exported_status(row, arrived)
    if request.service_request is None or row.mirrored == word:
        return Outcome()
    try:
        _mirror_service_request(ctx, row, request.service_request)
        _mirror_tasks(ctx, row, request.service_request, word)
    except PermanentError as error:
        ctx.finding(
            "mirror-refused",
            f"{row.placer} does not take status updates ({error.cause})",
            request.service_request,
            "info",
        )
    return Outcome(apply=[lambda conn: requests.set_mirrored(conn, ctx.request_id, word)])


def _mirror_service_request(ctx: Context, row: Request, reference: str) -> None:
    wanted = SERVICE_REQUEST_STATUS.get(Status(row.status))
    if wanted is None or (wanted == "completed" and row.closed_at is None):
        return
    there = ctx.server(row.placer).read(*reference.split("/"))
    if there.get("status") != wanted:
        _change(ctx, row.placer, there, {"status": wanted})


def _change(ctx: Context, placer: str, there: dict, said: dict) -> None:
    if not change(ctx, placer, there, said):
        reference = f"{there['resourceType']}/{there['id']}"
        ctx.finding(
            "mirror-refused", f"{placer} took our update of {reference} and keeps what it said", reference, "info"
        )


def _mirror_tasks(ctx: Context, row: Request, reference: str, word: str) -> None:
    if not ctx.capabilities(row.placer).task:
        return
    for task in ctx.server(row.placer).search_all("Task", {"focus": reference}):
        if local_reference(as_dict(task.get("focus")).get("reference"), ctx.bases(row.placer)) != reference:
            continue  # a server that ignores the parameter shows every Task it has
        wanted = {
            "status": row.status if row.status != "draft" else task.get("status"),
            "businessStatus": to_business_status(word),
        }
        if {key: task.get(key) for key in wanted} != wanted:
            _change(ctx, row.placer, task, wanted)
