"""Which of a Task's outputs is the report, and which are not returned: nothing that was handed over is passed by in silence."""

from collections.abc import Collection
from dataclasses import dataclass

from integration.store import patient_links
from jobs.steps.send_request import find_own
from jobs.world import Context
from mappings.consult_report import KINDS, ReportReading, carries_the_same, read_report
from mappings.identifiers import local_reference
from mappings.model.errors import NeedsPerson

NAMED = 10  # outputs that a finding names; it says how many there are


@dataclass(frozen=True)
class Found:
    """A report as it was read, and what it says about itself."""

    resource: dict
    reading: ReportReading


def find_reports(
    ctx: Context, row, outputs: tuple[str, ...], *, besides: Collection[str] = ()
) -> tuple[list[Found], bool]:
    """The reports among a Task's outputs that are not marked as an error, and True when one cannot be read (yet)."""
    names = [name for name in _names(ctx, row, outputs) if name.split("/")[0] in KINDS and name not in besides]
    read = {name: read_at(ctx, row, name) for name in names}
    for name in (name for name, found in read.items() if found is None):
        ctx.finding("report-unresolved", f"the Task's output {name} is not there", name, "error")
    return [found for found in read.values() if found and not found.reading.retracted], None in read.values()


def read_at(ctx: Context, row, name: str) -> Found | None:
    """One report at the fulfiller; None when it is not there."""
    resource = ctx.server(row.fulfiller).read_if_there(name)
    return resource and Found(resource, read_report(resource, ctx.endpoint(row.fulfiller).base_url))


def name_others(
    ctx: Context,
    row,
    outputs: tuple[str, ...],
    returned: ReportReading | None,
    found: list[Found],
    *,
    besides: Collection[str] = (),
) -> None:
    """A finding for what the Task handed over and we do not return."""
    done = {*besides, *(old for each in found for old in each.reading.replaces)}
    done |= {each.reading.reference for each in found if not each.reading.stands}
    if returned:
        done |= {returned.reference, *returned.replaces}
        done |= {each.reading.reference for each in found if carries_the_same(each.reading, returned)}
    others = [name for name in _names(ctx, row, outputs) if name not in done]
    if others:
        ctx.finding(
            "report-many-outputs",
            f"{len(others)} more output(s) of the Task were not returned: {', '.join(others[:NAMED])}",
            find_own(ctx, row.fulfiller, "Task"),
            "error",
        )


def check_report(ctx: Context, row, found: ReportReading) -> None:
    """Raises NeedsPerson for a report about another patient or another request."""
    server, reference = ctx.server(row.fulfiller), found.reference
    with ctx.world.engine.begin() as conn:
        link = patient_links.of(conn, row.id, row.fulfiller)
    known = {link.reference} if link else set()
    service_request = server.read(*find_own(ctx, row.fulfiller, "ServiceRequest").split("/"))
    known.add(service_request["subject"]["reference"])
    base = ctx.endpoint(row.fulfiller).base_url
    if local_reference(found.patient, base) not in {local_reference(each, base) for each in known}:
        raise NeedsPerson(
            "report-other-patient",
            f"{reference} at {row.fulfiller} is about another patient than the request",
            "Phone the consulting provider. Nothing was returned. Retry after they corrected it.",
        )
    related = {local_reference(each, base) for each in found.related if "ServiceRequest/" in each}
    if related and f"ServiceRequest/{service_request['id']}" not in related:
        raise NeedsPerson(
            "report-other-request",
            f"{reference} at {row.fulfiller} is related to another ServiceRequest",
            "Phone the consulting provider. Nothing was returned. Retry after they corrected it.",
        )


def _names(ctx: Context, row, outputs: tuple[str, ...]) -> list[str]:
    """``Type/id`` of outputs at the fulfiller; an address elsewhere may hold anything, so it is not repeated."""
    base = ctx.endpoint(row.fulfiller).base_url
    return [local_reference(each, base) or "one that is not on this server" for each in outputs]
