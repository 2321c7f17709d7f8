"""Bringing one of our own resources at the fulfiller up to date, unless the fulfiller changed it: then a person decides."""

import hashlib
import re

from integration import fhir_json
from integration.fhir.server import structure_problems
from integration.store import deliveries, links
from jobs.target.writing import ensure_created, remember, version_of
from jobs.world import Context
from mappings.compare import Difference, compare
from mappings.model.errors import MappingError, NeedsPerson
from mappings.model.link import Link
from mappings.model.request import Identifier
from mappings.task import THEIRS, renewed_task

# Written in another way by the server: nobody changed what it says.
_SAME = frozenset({"precision", "reordered"})
# Beside what we wrote these would say something else; whatever else was added does not matter to a correction of ours.
_CONTRADICTS = re.compile(
    r".*\.(value([A-Z].*)?|deceased.*|.*[sS]tatus|comparator|doNotPerform|modifierExtension|subject|patient|dosage.*|component|restriction|cancelationReason|provision.*)"
)


def ensure_current(ctx: Context, endpoint: str, resource: dict, identifier: Identifier) -> str:
    """As ``ensure_created``; what is there of an earlier version of ours then says what ``resource`` says.

    1. nothing else was ever written: create; 2. it says so already (an answer was lost): nothing; 3. it is as we wrote
    it: update with If-Match; 4. else the fulfiller changed it. Raises NeedsPerson, and overwrites nothing.
    """
    before = _before(ctx, endpoint, identifier, resource)
    reference = ensure_created(ctx, endpoint, resource, identifier, authored=True)
    if not before or _surely_wrote(ctx, endpoint, identifier) == _hash(resource):
        return reference
    there = _read(ctx, endpoint, reference)
    if says(there, resource):
        remember(ctx, endpoint, identifier, reference, resource, version=version_of(there))
        return reference
    base = _untouched(ctx, endpoint, identifier, there, before)
    if base is None:
        raise NeedsPerson(
            "changed-at-target",
            f"{endpoint} changed {reference} since we wrote it; the correction was not written over it",
        )
    _update(ctx, endpoint, identifier, resource, there, base)
    return reference


def is_unchanged(written: dict, there: dict) -> bool:
    """True when nothing of ours was changed, taken away or added to."""
    return all(_is_same(each) for each in compare(_ours(written), _ours(there), links={}))


def _is_same(difference: Difference) -> bool:
    return difference.severity != "fail" or difference.kind in _SAME


def says_it(ctx: Context, endpoint: str, resource: dict, identifier: Identifier) -> bool:
    """True when what is there by our link says all that ``resource`` does."""
    link = _link(ctx, endpoint, identifier)
    there = ctx.server(endpoint).read_if_there(link.reference) if link is not None else None
    return there is not None and says(there, resource)


def says(there: dict, wanted: dict) -> bool:
    """True when all that is wanted stands there; what was added to it does not matter."""
    wanted_notes = {note.get("text") for note in wanted.get("note") or []}
    if not wanted_notes <= {note.get("text") for note in there.get("note") or []}:
        return False
    found = compare(_ours(wanted), _ours(there), links={})
    return all(_is_same(each) or each.kind == "added" and not _CONTRADICTS.fullmatch(each.path) for each in found)


def _before(ctx: Context, endpoint: str, identifier: Identifier, resource: dict) -> list[dict]:
    """Everything of it that we may have written so far and that says something else, newest first."""
    with ctx.world.engine.begin() as conn:
        hashes = deliveries.bytes_sent(conn, ctx.request_id, identifier.value)
    known = dict.fromkeys([*hashes, _surely_wrote(ctx, endpoint, identifier)])
    return [
        fhir_json.loads(ctx.world.payloads.get(digest)) for digest in known if digest not in (None, _hash(resource))
    ]


def _hash(resource: dict) -> str:
    return hashlib.sha256(fhir_json.dumps(resource)).hexdigest()


def _link(ctx: Context, endpoint: str, identifier: Identifier) -> Link | None:
    pair = (identifier.system, identifier.value)
    with ctx.world.engine.begin() as conn:
        return links.find_rows(conn, endpoint, [pair]).get(pair)


def _surely_wrote(ctx: Context, endpoint: str, identifier: Identifier) -> str | None:
    """The hash of what we last wrote and had an answer for."""
    link = _link(ctx, endpoint, identifier)
    return link.sha256 if link is not None else None


def _read(ctx: Context, endpoint: str, reference: str) -> dict:
    there = ctx.server(endpoint).read_if_there(reference)
    if there is None:
        raise NeedsPerson("own-gone", f"{reference}, which we wrote, is no longer at {endpoint}")
    return there


def _untouched(ctx: Context, endpoint: str, identifier: Identifier, there: dict, before: list[dict]) -> dict | None:
    """What we wrote that is still there: by its version, else because it still says exactly that. None: it was changed."""
    link = _link(ctx, endpoint, identifier)
    if link and link.sha256 and link.version and link.version == version_of(there):
        return fhir_json.loads(ctx.world.payloads.get(link.sha256))
    return next((each for each in before if is_unchanged(each, there)), None)


def _ours(resource: dict) -> dict:
    """A Task belongs to both sides: without what the fulfiller moves on."""
    left_out = (*THEIRS, "authoredOn") if resource["resourceType"] == "Task" else ()
    return {name: value for name, value in resource.items() if name not in left_out}


def _update(ctx: Context, endpoint: str, identifier: Identifier, resource: dict, there: dict, base: dict) -> None:
    if problems := structure_problems(resource):
        raise MappingError(resource["resourceType"], "not R4, and not sent: " + "; ".join(problems))
    wanted = (
        renewed_task(there, base, resource) if resource["resourceType"] == "Task" else {**resource, "id": there["id"]}
    )
    ctx.lease.before_write()
    written = ctx.server(endpoint).update(wanted, if_match=version_of(there))
    remember(ctx, endpoint, identifier, f"{resource['resourceType']}/{there['id']}", resource, version=written.version)
