"""Reading one thing back and comparing it with what was sent: what a check found, item by item."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from integration.fhir.server import FhirServer
from jobs.target.separate_binaries import digest_of
from jobs.world import Context
from mappings.addresses import Bases, base_in, is_elsewhere
from mappings.allowances import settled
from mappings.codes import as_dict, as_text
from mappings.compare import Difference, compare
from mappings.document_reference import attachments, inline_bytes
from mappings.model.errors import PermanentError
from mappings.model.request import Identifier
from mappings.model.roads import Level
from mappings.references import find_references


@dataclass
class Check:
    """What reading back one delivery showed, item by item."""

    verified: list[str]
    different: list[str]
    missing: list[str]
    versions: dict[str, str | None] = field(default_factory=dict)  # of our own resources that are exactly as written
    levels: dict[Identifier, Level] = field(default_factory=dict)  # of what the ledger has: what is known of it


def read_back(server: FhirServer, target: str | None) -> dict | None:
    return server.read_if_there(target) if target else None


def differs(
    ctx: Context,
    sent: dict,
    read: dict,
    source: str,
    known: Mapping[str, str] = MappingProxyType({}),
    bases: Bases = None,
    endpoint: str | None = None,
) -> bool:
    """True when something that decides differs; what a server may lawfully do, or was reviewed, is a finding.

    ``bases``: the addresses the target is known by, where they were learned already. ``endpoint``: where it was read, if
    not at the step's own.
    """
    at = endpoint or ctx.step.endpoint
    bases = bases or _addresses(ctx, at, read)
    differences = compare(sent, read, links=known, target_base=bases)
    moved = [each for each in differences if each.moved_to is not None and not _is_there(ctx, at, sent, each, source)]
    decides = bool(moved)
    for difference, by in settled(differences, ctx.endpoint(at).verification.allowances, ctx.now.date()):
        place, fails = f"{source}#{difference.path}", difference.severity == "fail"
        decides = decides or fails
        if by is None:
            severity = "error" if fails else "warning"
            ctx.finding(f"verify-{difference.kind}", difference.message, place, severity)
        else:
            said = f"{difference.message}; allowed until {by.until} by {by.reviewed_by}: {by.reason}"
            ctx.finding("verify-allowed", said, place)
    return decides


def _addresses(ctx: Context, endpoint: str, read: dict) -> Bases:
    """What the server is known by: as config.yaml has it, and what it writes of itself, where the resource names another address."""
    bases = ctx.bases(endpoint)
    if not any(each.target and is_elsewhere(each.target) for each in find_references(read, source_base=bases)):
        return bases
    for each in ctx.server(endpoint).search(read["resourceType"], {"_id": read["id"]}):
        if each.reference == f"{read['resourceType']}/{read['id']}" and (
            base := base_in(each.full_url, each.reference)
        ):
            ctx.learn_address(endpoint, base)
    return ctx.bases(endpoint)


def _is_there(ctx: Context, at_endpoint: str, sent: dict, difference: Difference, source: str) -> bool:
    """True when the bytes that the server moved to a url are those that were sent."""
    at = difference.path.removesuffix(".data")
    attachment = next((each.attachment for each in attachments(sent) if each.path == at), None)
    wanted = (inline_bytes(attachment) if attachment is not None else None) or b""
    try:
        there, _ = ctx.server(at_endpoint).save_binary(
            difference.moved_to or "",
            digest_of,
            content_type=as_text(as_dict(attachment).get("contentType")),
            max_bytes=ctx.world.config.records.max_attachment_bytes,
        )
    except PermanentError as error:
        ctx.finding(
            "verify-bytes",
            f"the bytes were moved to where they cannot be read: {error.cause}",
            f"{source}#{at}",
            "error",
        )
        return False
    is_same = attachment is not None and there == hashlib.sha256(wanted).hexdigest()
    if not is_same:
        ctx.finding(
            "verify-bytes", "the bytes that the server keeps are not those that were sent", f"{source}#{at}", "error"
        )
    return is_same
