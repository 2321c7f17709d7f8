"""Reading one thing back and comparing it with what was sent: what a check found, item by item."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from jobs.world import Context
from mappings.compare import compare


@dataclass
class Check:
    """What reading back one delivery showed, item by item."""

    verified: list[str]
    different: list[str]
    missing: list[str]
    versions: dict[str, str | None] = field(default_factory=dict)  # of our own resources that are exactly as written


def read_back(server, target: str | None) -> dict | None:
    return target and server.read_if_there(target)


def differs(ctx: Context, sent: dict, read: dict, source: str, known: Mapping[str, str] = MappingProxyType({})) -> bool:
    """True when something that matters changed; lesser losses are findings."""
    failed = False
    for difference in compare(sent, read, links=known, target_base=ctx.server(ctx.step.endpoint).endpoint.base_url):
        fails = difference.severity == "fail"
        failed = failed or fails
        ctx.finding(
            f"verify-{difference.kind}",
            difference.message,
            f"{source}#{difference.path}",
            "error" if fails else "warning",
        )
    return failed
