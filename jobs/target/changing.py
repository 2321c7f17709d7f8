"""Changing some elements of a resource that is not ours alone, and looking whether it was done."""

from collections.abc import Iterable

from jobs.target.writing import version_of
from jobs.world import Context
from mappings.compare import compare


def change(ctx: Context, endpoint: str, there: dict, said: dict) -> bool:
    """Write ``said`` over what stands ``there`` and read it back; False where the answer was a success and nothing changed.

    Raises what the write or the read raises.
    """
    server = ctx.server(endpoint)
    ctx.lease.before_write()
    server.update({**there, **said}, if_match=version_of(there))
    now = server.read(there["resourceType"], there["id"])
    found = compare(_only(said, there), _only(now, there, said), links={})
    return all(each.severity != "fail" or each.kind == "added" for each in found)


def _only(resource: dict, there: dict, names: Iterable[str] = ()) -> dict:
    kept = {name: resource[name] for name in names or resource if name in resource}
    return {"resourceType": there["resourceType"], **kept}
