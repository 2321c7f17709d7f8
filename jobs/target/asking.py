"""Whether a consulting provider can be asked at an endpoint at all: known before anything of a request is sent there."""

from jobs.world import Context
from mappings.model.errors import NeedsPerson


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
